//! Who works in a pool: the dead are replaced within a budget, the late are written off, and a new
//! configuration brings new workers.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler, Message};

use super::workers::WorkerSlot;
use super::{GRACE, IDLE_TICK, Pool, TICK};
use crate::actors::meters::Who;
use crate::actors::spans;
use crate::actors::worker::{AttemptEnd, Deps};
use crate::domain::restart_budget::Restart;
use crate::store::ClaimedJob;

impl Pool {
    pub(super) fn worker_died(
        &mut self,
        index: usize,
        claimed: ClaimedJob,
        context: &mut Context<Self>,
    ) {
        tracing::error!(queue = %self.queue, job = %claimed.claim.job, "a worker died; its job goes back");
        if let Some(slot) = self.slots.get_mut(index) {
            slot.retire();
        }
        let end = AttemptEnd::Failed("the worker died".to_owned());
        self.attempt_ended(claimed, end, context);
        self.plan_replacement(index, context);
    }

    /// Replaces missing workers as far as the budget goes.
    pub(super) fn staff(&mut self, context: &mut Context<Self>) {
        for index in 0..self.slots.len() {
            let now_ms = self.now_ms();
            let Some(slot) = self.slots.get_mut(index) else {
                return;
            };
            if slot.is_staffed() || slot.is_closed() || slot.waits(now_ms) {
                continue;
            }
            slot.hire(self.queue, &self.deps);
            if !slot.is_staffed() {
                self.plan_replacement(index, context);
            }
        }
    }

    /// Spends one restart on the slot: it is staffed after the backoff, or not before the budget
    /// allows it again.
    fn plan_replacement(&mut self, index: usize, context: &mut Context<Self>) {
        let now_ms = self.now_ms();
        self.restarts += 1;
        self.deps.meters.staff.died(Who::worker(self.queue));
        let wait = match self.budget.spend(now_ms) {
            Restart::After(backoff) => backoff,
            Restart::Spent { retry_at_ms } => {
                if self.degraded_until_ms.is_none() {
                    tracing::error!(queue = %self.queue, restarts = self.restarts,
                        "queue degraded: its restart budget is spent");
                }
                self.degraded_until_ms = Some(retry_at_ms);
                Duration::from_millis(retry_at_ms.saturating_sub(now_ms))
            }
        };
        let until = now_ms.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        if let Some(slot) = self.slots.get_mut(index) {
            slot.wait_until(until);
        }
        context.run_later(wait, |pool, context| {
            pool.staff(context);
            pool.go_on(context);
        });
    }

    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Looks after the workers from time to time, more often while they work.
    pub(super) fn tick_later(&mut self, context: &mut Context<Self>) {
        let busy = self.slots.iter().any(WorkerSlot::is_busy);
        let watched = busy || self.draining.is_some() || self.degraded_until_ms.is_some();
        let wait = if watched || self.deps.run.one_shot {
            TICK
        } else {
            IDLE_TICK
        };
        context.run_later(wait, |pool, context| {
            pool.tick(context);
            pool.tick_later(context);
        });
    }

    pub(super) fn tick(&mut self, context: &mut Context<Self>) {
        let (soft, hard) = (self.settings().soft_limit, self.settings().hard_limit);
        if self
            .degraded_until_ms
            .is_some_and(|until| self.now_ms() >= until)
        {
            self.degraded_until_ms = None;
        }
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(index) else {
                return;
            };
            slot.watch_limits(soft, hard);
            if slot.is_overdue(hard + GRACE) {
                if let Some((claimed, span)) = slot.write_off() {
                    let end = AttemptEnd::Failed("ran past its time limit".to_owned());
                    span.in_scope(|| {
                        tracing::error!(queue = %self.queue,
                            "a worker does not answer; it is written off");
                        self.attempt_ended(claimed, end, context);
                    });
                }
                self.plan_replacement(index, context);
            } else if slot.is_dead() {
                slot.retire();
                self.plan_replacement(index, context);
            }
        }
        self.go_on(context);
    }

    /// One-shot work does not outlast its workers' restart budget: what is left is answered.
    pub(super) fn fail_ready(&mut self, context: &mut Context<Self>) {
        if !self.deps.run.one_shot {
            return;
        }
        for claimed in std::mem::take(&mut self.ready) {
            let error = format!(
                "the {} queue is degraded: its workers died too often",
                self.queue
            );
            let span = spans::attempt(&claimed);
            span.in_scope(|| self.fail(claimed, error, context));
        }
    }
}

/// Goes on under another configuration: each worker is replaced when it has nothing to do, and
/// there may be more or fewer of them.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reconfigure(pub Deps);

impl Handler<Reconfigure> for Pool {
    type Result = ();

    fn handle(&mut self, Reconfigure(deps): Reconfigure, context: &mut Self::Context) {
        self.deps = deps;
        let workers = self.settings().workers;
        for (index, slot) in self.slots.iter_mut().enumerate() {
            slot.outdate(index < workers);
        }
        while self.slots.len() < workers {
            self.slots.push(WorkerSlot::empty(self.arbiters.clone()));
        }
        self.staff(context);
        if workers == 0 {
            self.let_go(context);
        }
        self.look_again_at_once(context);
        self.go_on(context);
    }
}
