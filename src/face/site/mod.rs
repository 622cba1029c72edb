//! What each command does, whoever asks: the socket and the web share it.

mod facts;
mod news;
mod report;
mod status;
mod views;
mod wait;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{broadcast, mpsc, oneshot};

pub use self::facts::Facts;
pub(in crate::face) use self::news::{Event, News};
use self::views::Views;
use crate::engine::{
    EngineError, EngineHandle, Enqueued, GroupId, Grouping, JobFilter, JobId, Kind, QueueView,
    SiteView, SubmitError,
};
use crate::face::protocol::{
    Batch, BatchIds, Cancel, Cancelled, Changed, ErrorCode, Get, Got, GroupState, Job, JobDetail,
    List, Listed, Purged, QueueEvent, QueueMove, QueueName, Queues, Reloaded, Retried, Retry,
    RpcError, Stopping, Submit, SubmitBatch, Submitted, Time, job_ids,
};

/// Events of queues kept for those who read slowly.
const QUEUE_EVENTS: usize = 64;

/// What a client asks of the daemon rather than of the engine.
#[derive(Debug)]
pub enum Control {
    /// To stop.
    Stop {
        /// Whether running jobs are not waited for.
        now: bool,
    },
    /// To read the configuration again.
    Reload(oneshot::Sender<Result<Reloaded, RpcError>>),
}

/// All that connections share.
pub struct Site {
    pub(in crate::face) engine: EngineHandle,
    views: Views<QueueView>,
    /// Looks at the site's videos.
    pub(in crate::face) videos: Views<SiteView>,
    pub(in crate::face) queue_events: broadcast::Sender<QueueEvent>,
    pub(in crate::face) news: Arc<News>,
    control: mpsc::UnboundedSender<Control>,
    facts: Facts,
    draining: AtomicBool,
}

impl Site {
    /// A site over a running engine.
    #[must_use]
    pub fn new(
        engine: EngineHandle,
        facts: Facts,
        control: mpsc::UnboundedSender<Control>,
    ) -> Self {
        let queue_events = broadcast::Sender::new(QUEUE_EVENTS);
        let (to_jobs, to_videos) = (engine.clone(), engine.clone());
        Self {
            news: Arc::new(News::new(engine.moves(), queue_events.subscribe())),
            engine,
            views: Views::new(move || to_jobs.config()),
            videos: Views::new(move || to_videos.config()),
            queue_events,
            control,
            facts,
            draining: AtomicBool::new(false),
        }
    }

    /// From now on it is about to stop.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Looks into the engine's queue, if it is the one in the file.
    fn queue(&self) -> Result<&Views<QueueView>, RpcError> {
        if self.engine.is_durable() {
            Ok(&self.views)
        } else {
            Err(EngineError::from(SubmitError::NotDurable).into())
        }
    }

    pub(in crate::face) async fn group(&self, id: i64) -> Result<GroupState, RpcError> {
        let group = self
            .queue()?
            .look(move |view| view.group(GroupId(id)))
            .await?;
        let group = group.ok_or_else(|| RpcError::not_found("group", id))?;
        Ok(group.into())
    }

    /// Whether it is about to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The queues as they are.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn queues(&self) -> Result<Queues, RpcError> {
        let queues = self.queue()?.look(QueueView::queues).await?;
        Ok(Queues {
            queues: queues.into_iter().map(Into::into).collect(),
        })
    }

    pub(in crate::face) async fn submit(&self, submit: Submit) -> Result<Submitted, RpcError> {
        let request = submit.into_request(Time::now())?;
        let (queued, group) = self.engine.enqueue(vec![request], Grouping::None).await?;
        let duplicate = queued.iter().any(|queued| queued.duplicate);
        Ok(Submitted {
            ids: queued.into_iter().flat_map(numbers).collect(),
            duplicate,
            group: group.map(|group| group.0),
        })
    }

    pub(in crate::face) async fn submit_batch(
        &self,
        batch: SubmitBatch,
    ) -> Result<Batch, RpcError> {
        if let Some(named) = &batch.db_path {
            self.facts.refuse_other(Path::new(named))?;
        }
        let grouping = batch.grouping()?;
        let requests = batch.into_requests()?;
        let kinds: Vec<Kind> = requests.iter().map(|request| request.job.kind()).collect();
        let (queued, group) = self.engine.enqueue(requests, grouping).await?;
        let group = group.ok_or_else(|| no_group(&queued))?.0;
        let duplicate = queued.iter().any(|queued| queued.duplicate);
        let mut ids = BatchIds::default();
        for (kind, queued) in kinds.into_iter().zip(queued) {
            match kind {
                Kind::Score => ids.score.extend(numbers(queued)),
                Kind::Thumbnails => ids.thumbnails.extend(numbers(queued)),
                Kind::Liveness => ids.liveness.extend(numbers(queued)),
            }
        }
        Ok(Batch {
            group,
            ids,
            duplicate,
        })
    }

    pub(in crate::face) async fn get(&self, Get { id }: Get) -> Result<Got, RpcError> {
        let job = self.queue()?.look(move |view| view.job(JobId(id))).await?;
        let job = job.ok_or_else(|| RpcError::not_found("job", id))?;
        let log = self.engine.job_log(JobId(id));
        Ok(Got {
            job: JobDetail {
                log: log.into_iter().map(Into::into).collect(),
                ..job.into()
            },
        })
    }

    pub(in crate::face) async fn list(&self, list: List) -> Result<Listed, RpcError> {
        let limit = list.limit;
        let filter = list.into_filter()?;
        let mut jobs = self.queue()?.look(move |view| view.jobs(&filter)).await?;
        let is_more = jobs.len() > limit;
        jobs.truncate(limit);
        let next = jobs.last().filter(|_| is_more).map(|job| job.id.0);
        let jobs = jobs.into_iter().map(Into::into).collect();
        Ok(Listed { jobs, next })
    }

    /// The newest jobs, soon or not at all.
    pub(in crate::face) async fn newest(&self, limit: usize) -> Result<Vec<Job>, RpcError> {
        let filter = JobFilter {
            limit,
            ..JobFilter::default()
        };
        let look = move |view: &QueueView| view.jobs(&filter);
        let jobs = self.queue()?.glance(look).await?;
        Ok(jobs.into_iter().map(Into::into).collect())
    }

    pub(in crate::face) async fn cancel(
        &self,
        Cancel { ids }: Cancel,
    ) -> Result<Cancelled, RpcError> {
        Ok(self.engine.cancel(job_ids(ids)?).await?.into())
    }

    pub(in crate::face) async fn retry(&self, Retry { ids }: Retry) -> Result<Retried, RpcError> {
        Ok(self.engine.retry(job_ids(ids)?).await?.into())
    }

    pub(in crate::face) async fn pause(
        &self,
        queue: QueueName,
        pause: bool,
    ) -> Result<Changed, RpcError> {
        let changed = self.engine.pause(queue.0, pause).await?;
        if changed {
            let event = if pause {
                QueueMove::Paused
            } else {
                QueueMove::Resumed
            };
            self.tell(queue, event);
        }
        Ok(Changed { queue, changed })
    }

    pub(in crate::face) async fn purge(&self, queue: QueueName) -> Result<Purged, RpcError> {
        let cancelled = self.engine.purge(queue.0).await?;
        self.tell(queue, QueueMove::Purged);
        Ok(Purged { queue, cancelled })
    }

    fn tell(&self, queue: QueueName, event: QueueMove) {
        let at = Time::now();
        // Nobody may be listening.
        let _ = self.queue_events.send(QueueEvent { queue, event, at });
    }

    pub(in crate::face) fn stop(&self, now: bool) -> Result<Stopping, RpcError> {
        self.control
            .send(Control::Stop { now })
            .map_err(|_| stopping())?;
        Ok(Stopping { stopping: true })
    }

    pub(in crate::face) async fn reload(&self) -> Result<Reloaded, RpcError> {
        let (answer, answered) = oneshot::channel();
        self.control
            .send(Control::Reload(answer))
            .map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())?
    }
}

/// The daemon is too far gone to do it.
pub(in crate::face) fn stopping() -> RpcError {
    RpcError::new(ErrorCode::Stopping, "the daemon is stopping")
}

/// A job that is part of no group has the key that a batch was to have.
fn no_group(queued: &[Enqueued]) -> RpcError {
    let holder = queued.iter().find(|queued| queued.duplicate);
    match holder.and_then(|queued| queued.ids.first()) {
        Some(id) => RpcError::params(
            "unique_key",
            format!("job {id} has it, which is of no batch"),
        ),
        None => RpcError::new(ErrorCode::Internal, "no group was made"),
    }
}

fn numbers(queued: Enqueued) -> impl Iterator<Item = i64> {
    queued.ids.into_iter().map(|id| id.0)
}
