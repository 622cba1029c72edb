//! What whoever submitted work holds of it: its news as they come, its report in the end.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix::Addr;
use futures_util::Stream;
use tokio::sync::watch;

use super::report::{Found, News, Report};
use super::{EngineError, Phase, TicketEvent};
use crate::actors::supervisor::durable::Cancel;
use crate::actors::supervisor::follow::{Followed, Following};
use crate::actors::supervisor::withdraw::CancelTicket;
use crate::actors::supervisor::{Submitted, Supervisor};
use crate::actors::tickets::Failure;
use crate::domain::finding::{Findings, LivenessFound, ScoreFound, ThumbnailFound};
use crate::domain::job::Job;
use crate::store::JobId;

/// Jobs cancelled by one write, so that none holds the lock long.
const CANCELLED_AT_ONCE: usize = 1_000;

/// Where news comes from.
pub(super) enum Source {
    /// A queue that ends with the engine.
    Own(Submitted),
    /// The queue in the file.
    Durable(Following),
}

/// Submitted work. It is waited for, followed or cancelled in any runtime, or left alone: the work
/// is done all the same.
///
/// ```no_run
/// # async fn example(engine: vvv_actors::EngineHandle) -> Result<(), vvv_actors::EngineError> {
/// use std::time::Duration;
/// use vvv_actors::{News, Score};
///
/// let video_ids = vec!["dQw4w9WgXcQ".to_owned(), "jNQXAC9IVRw".to_owned()];
/// let mut ticket = engine.submit(Score { video_ids }).await?;
///
/// // News as they come…
/// if let Some(news) = ticket.next().await {
///     match news? {
///         News::Found(scores) => println!("{} scored", scores.len()),
///         News::Failed(failure) => eprintln!("{}", failure.error),
///     }
/// }
/// // …or all at the end, with what `next` told already; no longer than a minute.
/// match tokio::time::timeout(Duration::from_secs(60), ticket.wait()).await {
///     Ok(report) => println!("{} scores", report?.found.len()),
///     Err(_) => println!("{} jobs cancelled", ticket.cancel().await?),
/// }
/// # Ok(())
/// # }
/// ```
///
/// With a temporary queue pictures and liveness checks are told one by one, with a durable one job
/// by job. A ticket does not keep its engine running.
pub struct Ticket<R> {
    source: Source,
    asked: Job,
    found: Vec<Findings>,
    failures: Vec<Failure>,
    over: bool,
    supervisor: Addr<Supervisor>,
    phase: watch::Receiver<Phase>,
    report: PhantomData<fn() -> R>,
}

/// What is noted of the news.
enum Told {
    Found(Findings),
    Failed(Failure),
}

impl<R> Ticket<R> {
    pub(super) const fn new(
        asked: Job,
        source: Source,
        supervisor: Addr<Supervisor>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        Self {
            source,
            asked,
            found: Vec::new(),
            failures: Vec::new(),
            over: false,
            supervisor,
            phase,
            report: PhantomData,
        }
    }

    /// How many jobs the work was cut into.
    #[must_use]
    pub const fn jobs(&self) -> usize {
        match &self.source {
            Source::Own(submitted) => submitted.jobs,
            Source::Durable(following) => following.ids.len(),
        }
    }

    /// The jobs' numbers in the durable queue; empty if the queue is another.
    #[must_use]
    pub fn ids(&self) -> &[JobId] {
        match &self.source {
            Source::Own(_) => &[],
            Source::Durable(following) => &following.ids,
        }
    }

    /// Cancels the jobs that have not ended; how many. Those that run are dropped within a second,
    /// and from then on write nothing. Then [`wait`](Self::wait) returns, with what was done before.
    ///
    /// # Errors
    /// When the engine is stopping, stopped or lost, or the database refuses.
    pub fn cancel(&self) -> impl Future<Output = Result<usize, EngineError>> + Send + use<R> {
        let (supervisor, phase) = (self.supervisor.clone(), self.phase.clone());
        let whom = match &self.source {
            Source::Own(submitted) => Ok(CancelTicket(submitted.ticket)),
            Source::Durable(following) => Err(following.ids.clone()),
        };
        async move {
            let ids = match whom {
                Ok(ticket) => {
                    let cancelled = supervisor.send(ticket).await;
                    return Ok(cancelled.map_err(|_| phase.borrow().gone())??);
                }
                Err(ids) => ids,
            };
            let mut cancelled = 0;
            for ids in ids.chunks(CANCELLED_AT_ONCE) {
                let jobs = supervisor.send(Cancel(ids.to_vec())).await;
                cancelled += jobs.map_err(|_| phase.borrow().gone())??.done.len();
            }
            Ok(cancelled)
        }
    }

    /// What the source tells next; none when every job has ended, or after an error that ends it.
    fn poll_told(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Told, EngineError>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let told = match &mut self.source {
            Source::Own(own) => ready!(own.events.poll_recv(context)).map(of_event),
            Source::Durable(following) => ready!(following.news.poll_recv(context)),
        };
        self.over = matches!(told, None | Some(Followed::End | Followed::Unreadable(_)));
        Poll::Ready(match told {
            Some(Followed::Found(found)) => Some(Ok(Told::Found(found))),
            Some(Followed::Failed(failure)) => Some(Ok(Told::Failed(failure))),
            Some(Followed::Gone(id)) => Some(Err(EngineError::JobGone(id))),
            Some(Followed::Unreadable(error)) => Some(Err(error.into())),
            Some(Followed::End) => None,
            None => Some(Err(self.phase.borrow().gone())),
        })
    }

    fn note(&mut self, told: Told) {
        match told {
            Told::Found(found) => self.found.push(found),
            Told::Failed(failure) => self.failures.push(failure),
        }
    }
}

impl<F: Found> Ticket<Report<F>> {
    /// The next news, after the commit it speaks of; `None` when every job has ended. It may be
    /// dropped before it is ready, and nothing is lost. A ticket is a [`Stream`] of the same.
    ///
    /// # Errors
    /// [`EngineError::Stopped`] and [`EngineError::Lost`] when the engine ended before the jobs, and
    /// the store's error when the file cannot be read: these end the news.
    /// [`EngineError::JobGone`] when somebody deleted a job: the others are still told.
    pub async fn next(&mut self) -> Option<Result<News<F>, EngineError>> {
        poll_fn(|context| self.poll_news(context)).await
    }

    fn poll_news(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<News<F>, EngineError>>> {
        let Some(told) = ready!(self.poll_told(context)) else {
            return Poll::Ready(None);
        };
        let news = told.map(|told| {
            let news = match &told {
                Told::Found(found) => News::Found(F::of(found.clone())),
                Told::Failed(failure) => News::Failed(failure.clone()),
            };
            self.note(told);
            news
        });
        Poll::Ready(Some(news))
    }

    /// Waits until every job has ended; what they came to, with what [`next`](Self::next) told
    /// already. It may be dropped before it is ready, by a time-out say, and called again. The
    /// report is given once: asked again it is empty.
    ///
    /// # Errors
    /// As [`next`](Self::next). What is known all the same is in [`take_report`](Self::take_report).
    pub async fn wait(&mut self) -> Result<Report<F>, EngineError> {
        while let Some(told) = poll_fn(|context| self.poll_told(context)).await {
            self.note(told?);
        }
        Ok(self.take_report())
    }

    /// The report as far as it is known now. What has not ended is in its list of items not done.
    pub fn take_report(&mut self) -> Report<F> {
        let nothing = Job::nothing(self.asked.kind());
        let asked = std::mem::replace(&mut self.asked, nothing);
        let found = std::mem::take(&mut self.found);
        let found = found.into_iter().flat_map(F::of).collect();
        Report::assemble(asked, found, std::mem::take(&mut self.failures))
    }
}

impl<F: Found> Stream for Ticket<Report<F>> {
    type Item = Result<News<F>, EngineError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_news(context)
    }
}

impl<R> fmt::Debug for Ticket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("kind", &self.asked.kind())
            .field("jobs", &self.jobs())
            .field("ids", &self.ids())
            .finish_non_exhaustive()
    }
}

/// The same news in the form that jobs of the durable queue are told in.
fn of_event(event: TicketEvent) -> Followed {
    match event {
        TicketEvent::Scored(scores) => {
            let scores = scores.iter().map(|(id, score)| ScoreFound::new(id, score));
            Followed::Found(Findings::Score(scores.collect()))
        }
        TicketEvent::Thumbnail {
            item,
            verdict,
            cached,
        } => {
            let found = ThumbnailFound::new(&item, &verdict, cached);
            Followed::Found(Findings::Thumbnails(vec![found]))
        }
        TicketEvent::Liveness {
            video_id,
            judgement,
            cached,
        } => {
            let found = LivenessFound::new(&video_id, &judgement, cached);
            Followed::Found(Findings::Liveness(vec![found]))
        }
        TicketEvent::Failed(failure) => Followed::Failed(failure),
        TicketEvent::End => Followed::End,
    }
}
