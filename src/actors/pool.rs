//! One queue's pool: claims jobs, hands them to idle workers, notices deaths and time limits, and
//! has each outcome committed.

mod letting_go;
mod measured;
mod outcome;
mod staffing;
mod workers;

use std::collections::VecDeque;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult,
    ResponseFuture, SpawnHandle, WrapFuture,
};
use serde::Serialize;
use tokio::sync::oneshot;
use tracing::Span;

pub use self::letting_go::{Abandon, ForgetClaims, LetGo};
pub use self::staffing::Reconfigure;
use self::workers::WorkerSlot;
use super::arbiters::Arbiters;
use super::faults::Step;
use super::job_log::LogLevel;
use super::spans;
use super::worker::Deps;
use crate::config::QueueSettings;
use crate::domain::job::{Job, Queue};
use crate::domain::restart_budget::RestartBudget;
use crate::store::StoreError;
use crate::store::{ClaimJobs, Claimed, ClaimedJob, JobId, JobState, Lease, Moment, ReleaseLease};

/// How often workers and their time limits are looked after.
const TICK: Duration = Duration::from_millis(100);
/// The same while there is nothing to look after.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// After this much past its hard limit a worker that does not answer is written off.
const GRACE: Duration = Duration::from_secs(2);
/// Before the queue is asked again after a failure.
const CLAIM_AGAIN: Duration = Duration::from_millis(250);
/// Before a disk that takes nothing is tried again.
const DISK_AGAIN: Duration = Duration::from_secs(2);
/// The longest sleep until a job is due: the timer stands still while the machine is suspended.
const LONGEST_NAP: Duration = Duration::from_secs(30);
/// So long suspects wait for those of a quicker queue while nobody tries these: it may be switched off.
const LONGEST_YIELD: Duration = Duration::from_secs(5);
/// The article's prefetch: claimed jobs kept ready, and outcomes not yet committed, for each slot.
const READY_PER_SLOT: usize = 2;
/// The same for a whole scoring pool. Such a job is a millisecond's work and its outcome a few
/// kilobytes, while a commit costs an fsync or, with a rollback journal, several: fewer than these
/// to a transaction and the pool waits for the disk.
const READY_SCORES: usize = 192;

/// Claims, hands out, notices deaths.
pub struct Pool {
    queue: Queue,
    deps: Deps,
    slots: Vec<WorkerSlot>,
    arbiters: Arbiters,
    ready: VecDeque<ClaimedJob>,
    /// Outcomes on their way to the database.
    uncommitted: usize,
    claiming: bool,
    /// Jobs that were cancelled while a claim was on its way, which may have caught them before.
    abandoned: Vec<JobId>,
    /// Whether the queue may hold more than was claimed last.
    may_hold_more: bool,
    /// Whether suspects are tried, one at a time and alone.
    trial: bool,
    /// Since when suspects wait for those of a quicker queue, none of which was tried meanwhile.
    yields_since: Option<std::time::Instant>,
    /// Whether jobs came while a claim was on its way, which may have missed them.
    woken: bool,
    timer: Option<SpawnHandle>,
    budget: RestartBudget,
    /// Until when the queue is degraded, by the budget's clock.
    degraded_until_ms: Option<u64>,
    restarts: u64,
    draining: Option<Drain>,
    drained: Vec<oneshot::Sender<()>>,
    started: std::time::Instant,
}

impl Pool {
    /// A pool for this queue, with as many workers as its settings say.
    #[must_use]
    pub fn new(queue: Queue, deps: Deps, arbiters: &Arbiters) -> Self {
        let engine = &deps.config.engine;
        let budget = RestartBudget::new(engine.max_restarts, engine.restart_window);
        let workers = deps.config.queues.get(queue).workers;
        let slots = (0..workers)
            .map(|_| WorkerSlot::empty(arbiters.clone()))
            .collect();
        Self {
            queue,
            deps,
            slots,
            arbiters: arbiters.clone(),
            ready: VecDeque::new(),
            uncommitted: 0,
            claiming: false,
            abandoned: Vec::new(),
            may_hold_more: true,
            trial: false,
            yields_since: None,
            woken: false,
            timer: None,
            budget,
            degraded_until_ms: None,
            restarts: 0,
            draining: None,
            drained: Vec::new(),
            started: std::time::Instant::now(),
        }
    }

    /// Jobs kept ready, and outcomes left uncommitted, at most.
    fn prefetch(&self) -> usize {
        let per_slot = self.slots.len() * READY_PER_SLOT;
        match self.queue {
            Queue::Scoring => per_slot.max(READY_SCORES),
            Queue::Thumbnails | Queue::Cleanup => per_slot,
        }
    }

    fn settings(&self) -> &QueueSettings {
        self.deps.config.queues.get(self.queue)
    }

    /// Claims, hands out, and ends a drain that is complete.
    fn go_on(&mut self, context: &mut Context<Self>) {
        self.do_next(context);
        self.show();
    }

    fn do_next(&mut self, context: &mut Context<Self>) {
        if self.draining.is_some() {
            return self.finish_drain(context);
        }
        if self.degraded_until_ms.is_some() && self.slots.iter().all(WorkerSlot::is_empty) {
            self.fail_ready(context);
        }
        self.hand_out(context);
        self.claim(context);
    }

    /// Whether no job of the queue is held.
    fn is_alone(&self) -> bool {
        let busy = self.slots.iter().any(WorkerSlot::is_busy);
        !busy && self.ready.is_empty() && self.uncommitted == 0
    }

    fn claim(&mut self, context: &mut Context<Self>) {
        let most = self.prefetch();
        let enough = self.ready.len() > most / 2;
        if self.claiming || !self.may_hold_more || self.timer.is_some() || enough {
            return;
        }
        if self.trial && !self.is_alone() {
            return;
        }
        let stalled = self.degraded_until_ms.is_some() && !self.deps.run.one_shot;
        if self.slots.iter().all(WorkerSlot::is_closed) || stalled {
            return;
        }
        (self.claiming, self.woken) = (true, false);
        let claim = ClaimJobs {
            queue: self.queue,
            limit: most.saturating_sub(self.ready.len()),
            lease: Lease(fastrand::i64(..)),
            alone: self.is_alone(),
            yields: self
                .yields_since
                .is_none_or(|since| since.elapsed() < LONGEST_YIELD),
            now: self.deps.queue_now(),
        };
        let (limit, lease) = (claim.limit, claim.lease);
        let (db, durable) = (self.deps.db.clone(), !self.deps.run.one_shot);
        let ask = async move {
            let claimed = db.write(claim).await;
            if durable && matches!(claimed, Err(StoreError::Unknown(_))) {
                // It may hold jobs all the same, which nobody would ever run.
                let _ = db.write_while(ReleaseLease(lease), |_| true).await;
            }
            claimed
        };
        context.spawn(ask.into_actor(self).map(move |claimed, pool, context| {
            pool.claiming = false;
            pool.claimed(claimed, limit, context);
        }));
    }

    fn claimed(
        &mut self,
        claimed: Result<Claimed, StoreError>,
        limit: usize,
        context: &mut Context<Self>,
    ) {
        let abandoned = std::mem::take(&mut self.abandoned);
        match claimed {
            Ok(mut claimed) => {
                self.trial = claimed.suspects;
                self.may_hold_more = claimed.suspects || claimed.jobs.len() == limit || self.woken;
                self.give_up(&mut claimed.jobs, &abandoned, context);
                for job in &claimed.jobs {
                    self.count_claim(job);
                    self.moved(job, JobState::Running, None);
                }
                let waits_its_turn = claimed.suspects && claimed.jobs.is_empty();
                self.ready.extend(claimed.jobs);
                if !self.deps.run.one_shot && self.slots.iter().all(WorkerSlot::is_closed) {
                    // A reload left no worker while the claim was under way.
                    self.let_go(context);
                }
                if claimed.yields {
                    self.yields_since
                        .get_or_insert_with(std::time::Instant::now);
                } else if waits_its_turn {
                    self.yields_since = None;
                }
                if waits_its_turn && self.is_alone() {
                    // A suspect of another queue is tried, or about to be.
                    self.look_again(CLAIM_AGAIN, context);
                } else if let (false, Some(due_ms)) = (self.may_hold_more, claimed.next_due_ms) {
                    self.look_again(nap(due_ms, self.deps.queue_now()), context);
                }
            }
            Err(error) => self.claim_failed(&error, context),
        }
        self.go_on(context);
    }

    fn claim_failed(&mut self, error: &StoreError, context: &mut Context<Self>) {
        tracing::warn!(queue = %self.queue, %error, "failed to claim jobs");
        let again = if error.is_of_the_disk() {
            DISK_AGAIN
        } else {
            CLAIM_AGAIN
        };
        self.look_again(again, context);
    }

    /// Looks into the queue again after a while, and not before.
    fn look_again(&mut self, after: Duration, context: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        self.timer = Some(context.run_later(
            after.max(Duration::from_millis(1)),
            |pool, context| {
                pool.timer = None;
                pool.may_hold_more = true;
                pool.go_on(context);
            },
        ));
    }

    fn hand_out(&mut self, context: &mut Context<Self>) {
        while self.uncommitted < self.prefetch() {
            let Some(index) = self.slots.iter().position(WorkerSlot::is_idle) else {
                return;
            };
            if let Some(slot) = self.slots.get_mut(index)
                && slot.is_outdated()
            {
                slot.retire();
                self.staff(context);
                continue;
            }
            let Some(claimed) = self.ready.pop_front() else {
                return;
            };
            self.deps.faults.strike(Step::PoolDispatches);
            let span = spans::attempt(&claimed);
            match Job::from_payload(claimed.kind, &claimed.payload) {
                Ok(job) => self.run(index, claimed, job, span, context),
                Err(error) => {
                    span.in_scope(|| self.fail(claimed, error.to_string(), context));
                }
            }
        }
    }

    fn run(
        &mut self,
        index: usize,
        claimed: ClaimedJob,
        job: Job,
        span: Span,
        context: &mut Context<Self>,
    ) {
        let last_try = claimed.attempts > self.settings().max_retries;
        // One line a chunk is enough where there are thousands a second: its end.
        if self.queue != Queue::Scoring {
            self.note(&claimed, LogLevel::Info, || {
                format!("attempt {} begins, {} items", claimed.attempts, job.len())
            });
        }
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        spans::queued(&claimed, &span, self.deps.queue_now());
        let Some((run, request)) = slot.begin(claimed, job, last_try, span) else {
            return;
        };
        context.spawn(request.into_actor(self).map(move |answer, pool, context| {
            let Some(slot) = pool.slots.get_mut(index) else {
                return;
            };
            // A slot that was written off has gone on to another job.
            let Some((claimed, span)) = slot.end(run) else {
                return;
            };
            span.in_scope(|| match answer {
                Ok(end) => pool.attempt_ended(claimed, end, context),
                Err(_) => pool.worker_died(index, claimed, context),
            });
            pool.go_on(context);
        }));
    }

    fn finish_drain(&mut self, context: &mut Context<Self>) {
        let Some(drain) = self.draining else { return };
        let now = std::time::Instant::now();
        if now >= drain.deadline {
            self.slots.iter().for_each(WorkerSlot::drop_work);
        }
        let late = now >= drain.deadline + GRACE;
        let busy = self.slots.iter().any(WorkerSlot::is_busy) || self.uncommitted > 0;
        if !late && (busy || self.claiming) {
            return;
        }
        if self.ready.is_empty() {
            return self.tell_drained();
        }
        self.let_go(context);
    }

    fn tell_drained(&mut self) {
        for waiter in self.drained.drain(..) {
            let _ = waiter.send(());
        }
    }
}

/// How long to sleep until a job is due, or to look once more.
fn nap(due_ms: i64, now: Moment) -> Duration {
    let left = u64::try_from(due_ms.saturating_sub(now.0)).unwrap_or(0);
    Duration::from_millis(left).min(LONGEST_NAP)
}

impl Actor for Pool {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.staff(context);
        self.tick_later(context);
        self.go_on(context);
    }
}

/// Tells that jobs were submitted.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Wake;

impl Handler<Wake> for Pool {
    type Result = ();

    fn handle(&mut self, _: Wake, context: &mut Self::Context) {
        self.look_again_at_once(context);
        self.go_on(context);
    }
}

/// Claims no more, lets running jobs finish until the deadline, releases the rest.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub struct Drain {
    /// When running work is dropped.
    pub deadline: std::time::Instant,
}

impl Handler<Drain> for Pool {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, drain: Drain, context: &mut Self::Context) -> Self::Result {
        self.draining = Some(drain);
        let (sender, receiver) = oneshot::channel();
        self.drained.push(sender);
        self.finish_drain(context);
        Box::pin(async move {
            let _ = receiver.await;
        })
    }
}

/// Asks how the pool fares.
#[derive(Message)]
#[rtype(result = "PoolStatus")]
pub struct GetPoolStatus;

/// How a pool fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolStatus {
    /// Its queue.
    pub queue: Queue,
    /// Workers that live.
    pub workers: usize,
    /// Workers at work.
    pub busy: usize,
    /// Jobs claimed and not begun.
    pub ready: usize,
    /// Outcomes on their way to the database.
    pub uncommitted: usize,
    /// Workers replaced so far.
    pub restarts: u64,
    /// Whether the restart budget is spent.
    pub degraded: bool,
    /// What the workers are at.
    pub running: Vec<RunningJob>,
}

/// How far a running job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RunningJob {
    /// The job.
    pub id: JobId,
    /// Items of this attempt.
    pub items: usize,
    /// Items that have their answer.
    pub done: usize,
}

impl Handler<GetPoolStatus> for Pool {
    type Result = MessageResult<GetPoolStatus>;

    fn handle(&mut self, _: GetPoolStatus, _: &mut Self::Context) -> Self::Result {
        MessageResult(PoolStatus {
            queue: self.queue,
            workers: self.slots.iter().filter(|slot| slot.is_staffed()).count(),
            busy: self.slots.iter().filter(|slot| slot.is_busy()).count(),
            ready: self.ready.len(),
            uncommitted: self.uncommitted,
            restarts: self.restarts,
            degraded: self.degraded_until_ms.is_some(),
            running: self.slots.iter().filter_map(WorkerSlot::at_work).collect(),
        })
    }
}

/// Ends the pool and its workers.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Dismiss;

impl Handler<Dismiss> for Pool {
    type Result = ();

    fn handle(&mut self, _: Dismiss, context: &mut Self::Context) {
        self.slots.clear();
        self.show();
        context.terminate();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_nap_outlasts_a_suspend_by_much() {
        let now = Moment(1_000);
        for (due_ms, millis) in [
            (i64::MIN, 0),
            (1_000, 0),
            (1_250, 250),
            (86_401_000, 30_000),
            (i64::MAX, 30_000),
        ] {
            assert_eq!(nap(due_ms, now), Duration::from_millis(millis), "{due_ms}");
        }
    }
}
