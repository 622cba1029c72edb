//! What a face or a host holds of an engine.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use actix::Addr;
use futures_util::Stream;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tracing::Instrument;

use super::builder::with_whole_path;
use super::metrics::Sight;
use super::ticket::Source;
use super::{
    BlockingEngine, EngineError, EngineEvent, JobEvents, Lost, Phase, Status, StopRequest,
    SubmitOptions, Ticket, Work, events,
};
use crate::actors::call_budget::CallBudget;
use crate::actors::job_log::JobLog;
use crate::actors::spans;
use crate::actors::supervisor::follow::EnqueueAndFollow;
use crate::actors::supervisor::reload::Reload;
use crate::actors::supervisor::upkeep::GetAlarms;
use crate::actors::supervisor::{GetStatus, Supervisor};
use crate::actors::worker::JobMoved;
use crate::config::{Config, Reloaded};
use crate::domain::alarm::Alarm;
use crate::domain::job::Job;
use crate::fetch::PictureCache;

/// A running engine. Clones are the same engine; any thread and any runtime will do.
///
/// It lives on threads of its own until [`Self::shutdown`], or until the last handle falls: then
/// it stops at once and releases what runs. No future here needs a particular runtime, or blocks
/// its thread; [`Self::blocking`] is for threads without any.
#[derive(Clone)]
pub struct EngineHandle {
    pub(super) supervisor: Addr<Supervisor>,
    pub(super) durable: bool,
    pub(super) stop: mpsc::UnboundedSender<StopRequest>,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) calls: CallBudget,
    /// Weak, so that whoever listens hears the end of it.
    pub(super) events: broadcast::WeakSender<JobMoved>,
    pub(super) thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    pub(super) pictures: Option<Arc<PictureCache>>,
    pub(super) log: JobLog,
    pub(super) sight: Sight,
}

impl EngineHandle {
    /// What it works by: what it was started with, and what it took over by [`Self::reload`] since.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.sight.config()
    }

    /// Whether its queue is the one in the file: [`EngineBuilder::durable`](super::EngineBuilder::durable).
    #[must_use]
    pub const fn is_durable(&self) -> bool {
        self.durable
    }

    /// Submits work of any size: it is cut into jobs, whose ends the ticket tells. With a durable
    /// queue it answers after the commit, and the work is done even if this process dies.
    ///
    /// For as long as another process holds the database's lock it waits, in memory and without a
    /// bound, as does all that is submitted meanwhile; and who gives up waiting withdraws nothing:
    /// the work is queued once the lock is free. A host whose visitors submit bounds how many wait
    /// at once, and gives what must not be queued twice a [key](SubmitOptions::unique_key).
    ///
    /// ```no_run
    /// # async fn example(engine: vvv_actors::EngineHandle) -> Result<(), vvv_actors::EngineError> {
    /// use vvv_actors::Liveness;
    ///
    /// let video_ids = vec!["dQw4w9WgXcQ".to_owned()];
    /// let report = engine.submit(Liveness { video_ids, fresh: false }).await?.wait().await?;
    /// for video in report.found {
    ///     println!("{} is {}", video.id, video.verdict);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the engine is stopping, stopped or lost, the database refuses, or a temporary queue is
    /// switched off (`workers = 0`; in a durable one the work waits). After [`StoreError::Unknown`](super::StoreError::Unknown) the work
    /// may be queued all the same.
    pub async fn submit<W: Work>(&self, work: W) -> Result<Ticket<W::Report>, EngineError> {
        self.submit_with(work, SubmitOptions::default()).await
    }

    /// Submits work with a priority, a delay or a key.
    ///
    /// # Errors
    /// As [`Self::submit`], and when a key is given and the queue is not durable.
    pub async fn submit_with<W: Work>(
        &self,
        work: W,
        mut options: SubmitOptions,
    ) -> Result<Ticket<W::Report>, EngineError> {
        let job = work.into_job();
        let asked = job.clone();
        let span = spans::submit(options.traceparent);
        options.traceparent = spans::trace_of(&span, options.traceparent);
        let source = if self.durable {
            let queueing = self.ask(EnqueueAndFollow(options.request(job)));
            Source::Durable(queueing.instrument(span.clone()).await?)
        } else {
            let queueing = self.ask(options.submit(job)?);
            Source::Own(queueing.instrument(span.clone()).await?)
        };
        let (supervisor, phase) = (self.supervisor.clone(), self.phase.clone());
        let ticket = Ticket::new(asked, source, supervisor, phase);
        span.record("jobs", ticket.jobs());
        Ok(ticket)
    }

    /// Submits work whose raw news the program's own one-shot runs gather.
    ///
    /// # Errors
    /// When the engine is stopping or lost, or the queue is switched off.
    #[doc(hidden)]
    pub async fn start_job(&self, job: Job) -> Result<JobEvents, EngineError> {
        let submit = SubmitOptions::default().submit(job)?;
        Ok(JobEvents::new(self.ask(submit).await?))
    }

    /// The same engine for threads that may block.
    #[must_use]
    pub fn blocking(&self) -> BlockingEngine {
        BlockingEngine::new(self.clone())
    }

    /// Takes over what of a new configuration can change while the engine runs: workers, retries,
    /// limits, policies. The rest is named.
    ///
    /// # Errors
    /// [`EngineError::Config`] when a setting cannot be used, by itself or together with what cannot
    /// change, and when the engine was stopped or is lost.
    pub async fn reload(&self, config: Config) -> Result<Reloaded, EngineError> {
        let config = with_whole_path(config);
        let reload = Reload(Box::new(config.clone()));
        match self.supervisor.send(reload).await {
            Ok(Ok(reloaded)) => {
                self.sight.reload(&config);
                Ok(reloaded)
            }
            Ok(Err(error)) => Err(EngineError::Config(error)),
            Err(_) => Err(self.phase.borrow().gone()),
        }
    }

    /// The moves of every job of the durable queue from now on, whoever queued it, each after the
    /// commit that says so. That jobs were handed in together is told of the first of each queue.
    /// The stream ends with the engine. Who reads slowly misses some and is told how many.
    ///
    /// Jobs of a temporary queue are known to their tickets alone.
    ///
    /// ```no_run
    /// # async fn example(engine: vvv_actors::EngineHandle) {
    /// use futures_util::StreamExt;
    /// use vvv_actors::EngineEvent;
    ///
    /// let mut events = engine.events();
    /// while let Some(event) = events.next().await {
    ///     match event {
    ///         EngineEvent::Moved(job) => println!("job {} is {}", job.id, job.state.name()),
    ///         EngineEvent::Missed(some) => println!("{some} events were missed"),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn events(&self) -> impl Stream<Item = EngineEvent> + Send + Unpin + use<> {
        events::stream(self.moves())
    }

    /// The moves of durable jobs, for the program's own faces.
    pub(crate) fn moves(&self) -> broadcast::Receiver<JobMoved> {
        match self.events.upgrade() {
            Some(events) => events.subscribe(),
            // The engine has stopped: its end is all there is to hear.
            None => broadcast::channel(1).1,
        }
    }

    /// How the engine fares.
    ///
    /// # Errors
    /// When the engine was stopped or is lost.
    pub async fn status(&self) -> Result<Status, EngineError> {
        self.supervisor
            .send(GetStatus)
            .await
            .map_err(|_| self.phase.borrow().gone())
    }

    /// Whether the engine died.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost().is_some()
    }

    /// What is wrong and not right again. Only an engine with a durable queue looks for that: with a
    /// temporary one there is never an alarm.
    ///
    /// # Errors
    /// When the engine was stopped or is lost.
    pub async fn alarms(&self) -> Result<Vec<Alarm>, EngineError> {
        let asked = self.supervisor.send(GetAlarms).await;
        asked.map_err(|_| self.phase.borrow().gone())
    }

    /// Why the engine is no more, unless it was told to stop.
    #[must_use]
    pub fn lost(&self) -> Option<Lost> {
        match *self.phase.borrow() {
            Phase::Lost(why) => Some(why),
            Phase::Running | Phase::Stopping => None,
        }
    }

    /// Calls made so far to the rate-limited upstream.
    #[must_use]
    pub fn calls_made(&self) -> u64 {
        self.calls.made()
    }

    /// Stops the engine: running jobs may finish within `drain`, the rest is released. Returns
    /// when its threads have ended: as a rule at once after the drain, and where another process
    /// holds the database, or a thread hangs in a look-up of a name, within 17 seconds of it.
    ///
    /// Any clone may call it, and more than one: the earliest deadline counts, and each returns when
    /// the engine has stopped. The engine stops even if nobody waits for this future, on its
    /// own threads: a host whose server or runtime ends meanwhile cuts nothing short, as long as
    /// its `main` waits for one such call before it returns.
    pub async fn shutdown(&self, drain: Duration) {
        let (stopped, done) = oneshot::channel();
        if self.stop.send(StopRequest { drain, stopped }).is_ok() {
            let _ = done.await;
        }
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // Its last act was to answer, so joining it blocks this thread for no time.
            let _ = thread.join();
        }
    }
}
