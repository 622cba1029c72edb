//! A place for one worker: the worker, the job it runs, and when it may be replaced.

use std::sync::Arc;
use std::time::Duration;

use actix::dev::RecipientRequest;
use actix::{Actor, Recipient};
use actix_rt::ArbiterHandle;
use tracing::Span;

use super::RunningJob;
use crate::actors::arbiters::Arbiters;
use crate::actors::control::JobControl;
use crate::actors::liveness::LivenessActor;
use crate::actors::scoring::ScoringActor;
use crate::actors::thumbnail::ThumbnailActor;
use crate::actors::tickets::Origin;
use crate::actors::worker::{Deps, RunJob};
use crate::domain::job::{Job, Queue};
use crate::store::{ClaimedJob, JobId};

/// A place for one worker.
pub struct WorkerSlot {
    worker: Option<Worker>,
    running: Option<Running>,
    /// Not staffed before this, by the pool's clock.
    not_before_ms: u64,
    runs: u64,
    /// Whether the worker has an old configuration.
    outdated: bool,
    /// Whether the place is not to be staffed any more.
    closed: bool,
    arbiters: Arbiters,
}

struct Worker {
    jobs: Recipient<RunJob>,
    arbiter: ArbiterHandle,
}

struct Running {
    run: u64,
    items: usize,
    claimed: ClaimedJob,
    control: Arc<JobControl>,
    span: Span,
}

impl WorkerSlot {
    /// A place nobody holds yet.
    #[must_use]
    pub const fn empty(arbiters: Arbiters) -> Self {
        Self {
            worker: None,
            running: None,
            not_before_ms: 0,
            runs: 0,
            outdated: false,
            closed: false,
            arbiters,
        }
    }

    /// Starts a worker on an arbiter of its own; the place stays empty if no thread is to be had.
    pub fn hire(&mut self, queue: Queue, deps: &Deps) {
        let arbiter = match self.arbiters.start(queue.name()) {
            Ok(arbiter) => arbiter,
            Err(error) => {
                tracing::error!(%queue, %error, "failed to start a worker's thread");
                return;
            }
        };
        let (handle, deps) = (arbiter.clone(), deps.clone());
        let jobs = match queue {
            Queue::Scoring => {
                ScoringActor::start_in_arbiter(&handle, |_| ScoringActor::new(deps)).recipient()
            }
            Queue::Thumbnails => {
                ThumbnailActor::start_in_arbiter(&handle, |_| ThumbnailActor::new(deps)).recipient()
            }
            Queue::Cleanup => {
                LivenessActor::start_in_arbiter(&handle, |_| LivenessActor::new(deps)).recipient()
            }
        };
        self.worker = Some(Worker { jobs, arbiter });
        self.outdated = false;
    }

    /// Begins an attempt: its number and the request to wait for.
    pub fn begin(
        &mut self,
        claimed: ClaimedJob,
        job: Job,
        last_try: bool,
        span: Span,
    ) -> Option<(u64, RecipientRequest<RunJob>)> {
        let worker = self.worker.as_ref()?;
        self.runs += 1;
        let control = JobControl::start();
        let items = job.len();
        let request = worker.jobs.send(RunJob {
            job,
            claim: claimed.claim,
            origin: Origin(claimed.origin),
            last_try,
            span: span.clone(),
            control: Arc::clone(&control),
        });
        self.running = Some(Running {
            run: self.runs,
            items,
            claimed,
            control,
            span,
        });
        Some((self.runs, request))
    }

    /// Ends the attempt with this number, if it still is the one that runs; its span goes on until the
    /// outcome is committed.
    pub fn end(&mut self, run: u64) -> Option<(ClaimedJob, Span)> {
        let running = self.running.take_if(|running| running.run == run)?;
        if self.closed {
            self.retire();
        }
        Some((running.claimed, running.span))
    }

    /// Gives up on a worker that does not answer: its job and the attempt's span, if it had one.
    pub fn write_off(&mut self) -> Option<(ClaimedJob, Span)> {
        self.retire();
        let running = self.running.take()?;
        Some((running.claimed, running.span))
    }

    /// Lets go of the worker.
    pub fn retire(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.arbiter.stop();
        }
    }

    /// Passes on what the time limits ask for.
    pub fn watch_limits(&self, soft: Duration, hard: Duration) {
        let Some(running) = &self.running else { return };
        let worked = running.control.worked();
        if worked >= hard && !running.control.is_dropped() {
            running.control.drop_work();
        } else if worked >= soft && !running.control.is_asked() {
            running.control.ask_to_stop();
        }
    }

    /// Drops the running job's work.
    pub fn drop_work(&self) {
        if let Some(running) = &self.running {
            running.control.drop_work();
        }
    }

    /// Drops the work of the running job if it is one of these.
    pub fn drop_work_of(&self, ids: &[JobId]) {
        if let Some(running) = &self.running
            && ids.contains(&running.claimed.claim.job)
        {
            running.control.drop_work();
        }
    }

    /// Whether the running job has worked longer than this.
    #[must_use]
    pub fn is_overdue(&self, limit: Duration) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.control.worked() >= limit)
    }

    /// Whether the worker died while it had nothing to do; a busy one's death is seen by its
    /// answer.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        let gone = |worker: &Worker| !worker.jobs.connected() || !worker.arbiter.alive();
        self.running.is_none() && self.worker.as_ref().is_some_and(gone)
    }

    /// Whether the worker could take a job.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running.is_none() && self.worker.is_some()
    }

    /// Whether a job runs here.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// Whether somebody holds the place.
    #[must_use]
    pub const fn is_staffed(&self) -> bool {
        self.worker.is_some()
    }

    /// Whether nobody holds the place.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.worker.is_none()
    }

    /// Has the worker replaced, or the place closed, once it has nothing to do.
    pub fn outdate(&mut self, keep: bool) {
        (self.outdated, self.closed) = (true, !keep);
        if self.closed && self.running.is_none() {
            self.retire();
        }
    }

    /// Whether the worker has an old configuration.
    #[must_use]
    pub const fn is_outdated(&self) -> bool {
        self.outdated
    }

    /// Whether the place is not to be staffed any more.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// How far the running job has come.
    #[must_use]
    pub fn at_work(&self) -> Option<RunningJob> {
        let running = self.running.as_ref()?;
        Some(RunningJob {
            id: running.claimed.claim.job,
            items: running.items,
            done: running.control.done(),
        })
    }

    /// Keeps the place empty until then.
    pub const fn wait_until(&mut self, until_ms: u64) {
        self.not_before_ms = until_ms;
    }

    /// Whether the place has to stay empty for now.
    #[must_use]
    pub const fn waits(&self, now_ms: u64) -> bool {
        now_ms < self.not_before_ms
    }
}

impl Drop for WorkerSlot {
    /// A pool that dies takes its workers along: their results would find nobody.
    fn drop(&mut self) {
        self.drop_work();
        self.retire();
    }
}
