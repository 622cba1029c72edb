//! What each method does: a line of parameters in, a line of answer out.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::views::Views;
use crate::config::Config;
use crate::engine::{EngineHandle, Enqueued, Grouping, JobId, Kind, QueueView};
use crate::face::protocol::{
    Activity, Batch, BatchIds, Cancel, Cancelled, Changed, Command, Drain, ErrorCode, Get, Got, Id,
    List, ListQueues, Listed, Method, Pause, Purge, Purged, QueueEvent, QueueMove, QueueName,
    Queues, Reload, Reloaded, Reply, Resume, Retried, Retry, RpcError, Shutdown, Status,
    StatusReport, Stopping, Submit, SubmitBatch, Submitted, Time, job_ids, params,
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

/// What a daemon tells of itself.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The database.
    pub database: PathBuf,
    /// The socket.
    pub socket: PathBuf,
    /// When it started.
    pub began: Instant,
}

/// All that connections share.
pub struct Site {
    pub(super) engine: EngineHandle,
    pub(super) views: Views,
    pub(super) queue_events: broadcast::Sender<QueueEvent>,
    control: mpsc::UnboundedSender<Control>,
    facts: Facts,
    draining: AtomicBool,
}

impl Site {
    /// A site over a running engine.
    #[must_use]
    pub fn new(
        engine: EngineHandle,
        config: Arc<Config>,
        facts: Facts,
        control: mpsc::UnboundedSender<Control>,
    ) -> Self {
        Self {
            engine,
            views: Views::new(config),
            queue_events: broadcast::Sender::new(QUEUE_EVENTS),
            control,
            facts,
            draining: AtomicBool::new(false),
        }
    }

    /// From now on it is about to stop.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// From now on looks with these settings.
    pub fn set_config(&self, config: Config) {
        self.views.set_config(Arc::new(config));
    }

    /// The queues as they are.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn queues(&self) -> Result<Queues, RpcError> {
        let queues = self.views.look(QueueView::queues).await?;
        Ok(Queues {
            queues: queues.into_iter().map(Into::into).collect(),
        })
    }

    /// Does what a line asks for; the answer as a line.
    pub(super) async fn answer(
        &self,
        method: Method,
        id: &Id,
        line: Vec<u8>,
    ) -> Result<Vec<u8>, RpcError> {
        match method {
            Method::JobsSubmit => done(id, &self.submit(taken(line)?).await?),
            Method::JobsSubmitBatch => done(id, &self.submit_batch(taken(line)?).await?),
            Method::JobsGet => done(id, &self.get(taken(line)?).await?),
            Method::JobsWait => done(id, &self.wait(taken(line)?).await?),
            Method::JobsList => done(id, &self.list(taken(line)?).await?),
            Method::JobsCancel => done(id, &self.cancel(taken(line)?).await?),
            Method::JobsRetry => done(id, &self.retry(taken(line)?).await?),
            Method::QueuesList => {
                taken::<ListQueues>(line)?;
                done(id, &self.queues().await?)
            }
            Method::QueuesPause => {
                let Pause { queue } = taken(line)?;
                done(id, &self.pause(queue, true).await?)
            }
            Method::QueuesResume => {
                let Resume { queue } = taken(line)?;
                done(id, &self.pause(queue, false).await?)
            }
            Method::QueuesPurge => {
                let Purge { queue } = taken(line)?;
                let cancelled = self.engine.purge(queue.0).await?;
                self.tell(queue, QueueMove::Purged);
                done(id, &Purged { queue, cancelled })
            }
            Method::DaemonStatus => {
                taken::<Status>(line)?;
                done(id, &self.status().await?)
            }
            Method::DaemonDrain => {
                taken::<Drain>(line)?;
                done(id, &self.stop(false)?)
            }
            Method::DaemonShutdown => {
                let Shutdown { now } = taken(line)?;
                done(id, &self.stop(now)?)
            }
            Method::DaemonReload => {
                taken::<Reload>(line)?;
                done(id, &self.reload().await?)
            }
            // A stream is the connection's own affair.
            Method::EventsSubscribe => Err(RpcError::new(ErrorCode::Internal, "no answer")),
        }
    }

    async fn submit(&self, submit: Submit) -> Result<Submitted, RpcError> {
        let request = submit.into_request(Time::now())?;
        let (queued, group) = self.engine.enqueue(vec![request], Grouping::None).await?;
        let duplicate = queued.iter().any(|queued| queued.duplicate);
        Ok(Submitted {
            ids: queued.into_iter().flat_map(numbers).collect(),
            duplicate,
            group: group.map(|group| group.0),
        })
    }

    async fn submit_batch(&self, batch: SubmitBatch) -> Result<Batch, RpcError> {
        let grouping = batch.grouping()?;
        let requests = batch.into_requests()?;
        let kinds: Vec<Kind> = requests.iter().map(|request| request.job.kind()).collect();
        let (queued, group) = self.engine.enqueue(requests, grouping).await?;
        let mut ids = BatchIds::default();
        for (kind, queued) in kinds.into_iter().zip(queued) {
            match kind {
                Kind::Score => ids.score.extend(numbers(queued)),
                Kind::Thumbnails => ids.thumbnails.extend(numbers(queued)),
                Kind::Liveness => ids.liveness.extend(numbers(queued)),
            }
        }
        let group = group.ok_or_else(|| RpcError::new(ErrorCode::Internal, "no group was made"))?;
        let group = group.0;
        Ok(Batch { group, ids })
    }

    async fn get(&self, Get { id }: Get) -> Result<Got, RpcError> {
        let job = self.views.look(move |view| view.job(JobId(id))).await?;
        let job = job.ok_or_else(|| RpcError::not_found("job", id))?;
        Ok(Got { job: job.into() })
    }

    async fn list(&self, list: List) -> Result<Listed, RpcError> {
        let limit = list.limit;
        let filter = list.into_filter()?;
        let mut jobs = self.views.look(move |view| view.jobs(&filter)).await?;
        let is_more = jobs.len() > limit;
        jobs.truncate(limit);
        let next = jobs.last().filter(|_| is_more).map(|job| job.id.0);
        let jobs = jobs.into_iter().map(Into::into).collect();
        Ok(Listed { jobs, next })
    }

    async fn cancel(&self, Cancel { ids }: Cancel) -> Result<Cancelled, RpcError> {
        let cancelled = self.engine.cancel(job_ids(ids)?).await?;
        let cancelled = cancelled.into_iter().map(|id| id.0).collect();
        Ok(Cancelled { cancelled })
    }

    async fn retry(&self, Retry { ids }: Retry) -> Result<Retried, RpcError> {
        let retried = self.engine.retry(job_ids(ids)?).await?;
        let retried = retried.into_iter().map(|id| id.0).collect();
        Ok(Retried { retried })
    }

    async fn pause(&self, queue: QueueName, pause: bool) -> Result<Changed, RpcError> {
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

    fn tell(&self, queue: QueueName, event: QueueMove) {
        let at = Time::now();
        // Nobody may be listening.
        let _ = self.queue_events.send(QueueEvent { queue, event, at });
    }

    async fn status(&self) -> Result<StatusReport, RpcError> {
        let status = self.engine.status().await?;
        let (queues, rate) = self
            .views
            .look(|view| Ok((view.queues()?, view.rate()?)))
            .await?;
        let alarms = self.engine.alarms().await?;
        let is_draining = self.draining.load(Ordering::Relaxed);
        Ok(StatusReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: self.facts.began.elapsed().as_secs(),
            database: self.facts.database.display().to_string(),
            socket: self.facts.socket.display().to_string(),
            state: if is_draining {
                Activity::Draining
            } else {
                Activity::Running
            },
            queues: queues.into_iter().map(Into::into).collect(),
            pools: status.pools.into_iter().map(Into::into).collect(),
            writes_waiting: status.writes_waiting,
            waiting_for_lock_s: status.waiting_for_lock_s,
            restarts: status.restarts,
            rate: Some(rate.into()),
            alarms: alarms.iter().map(ToString::to_string).collect(),
        })
    }

    fn stop(&self, now: bool) -> Result<Stopping, RpcError> {
        self.control
            .send(Control::Stop { now })
            .map_err(|_| stopping())?;
        Ok(Stopping { stopping: true })
    }

    async fn reload(&self) -> Result<Reloaded, RpcError> {
        let (answer, answered) = oneshot::channel();
        self.control
            .send(Control::Reload(answer))
            .map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())?
    }
}

/// The daemon is too far gone to do it.
pub(super) fn stopping() -> RpcError {
    RpcError::new(ErrorCode::Stopping, "the daemon is stopping")
}

/// The parameters of a line, which is let go: it may be large, and the work may take for ever.
#[allow(clippy::needless_pass_by_value, reason = "it ends here")]
fn taken<C: Command>(line: Vec<u8>) -> Result<C, RpcError> {
    params(&line)
}

fn numbers(queued: Enqueued) -> impl Iterator<Item = i64> {
    queued.ids.into_iter().map(|id| id.0)
}

fn done<T: Serialize>(id: &Id, answer: &T) -> Result<Vec<u8>, RpcError> {
    Reply::success(id, answer)
        .map_err(|error| RpcError::new(ErrorCode::Internal, format!("write the answer: {error}")))
}
