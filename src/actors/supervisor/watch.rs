//! The supervisor's rounds: who died, and who takes the seat.

use std::sync::Arc;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::Supervisor;
use super::factories::{Vacancy, milliseconds, start_writer};
use super::upkeep::watch_over;
use crate::actors::db::DatabaseReplaced;
use crate::actors::db::DbActor;
use crate::actors::faults::Step;
use crate::actors::meters::{Standing, Who};
use crate::actors::pool::Pool;
use crate::actors::rate_limiter::{RateLimiter, oembed_limit};
use crate::domain::job::Queue;
use crate::domain::restart_budget::Restart;
use crate::fetch::aside;
use crate::store::{ReleaseRunning, StoreError, Writer};

impl Supervisor {
    pub(super) fn tick(&mut self, context: &mut Context<Self>) {
        self.deps.faults.strike(Step::SupervisorTicks);
        if self.stopping {
            return;
        }
        self.mind_clock(context);
        let now_ms = milliseconds(self.started.elapsed());
        for index in 0..self.pools.len() {
            let Some((queue, seat)) = self.pools.get_mut(index) else {
                return;
            };
            let (queue, vacancy) = (*queue, seat.look(now_ms));
            self.mind_pool(index, queue, &vacancy, context);
        }
        self.mind_limiter(now_ms);
        self.mind_writer(now_ms, context);
        if let Some(upkeep) = &mut self.upkeep {
            upkeep.mind(&self.deps, &context.address(), now_ms);
        }
    }

    fn mind_pool(
        &mut self,
        index: usize,
        queue: Queue,
        vacancy: &Vacancy,
        context: &mut Context<Self>,
    ) {
        match vacancy {
            Vacancy::None => {}
            Vacancy::Found(restart) => {
                let staff = &self.deps.meters.staff;
                staff.died(Who::pool(queue));
                // Its workers went with it.
                staff.stands(queue, Standing::default());
                report("pool", Some(queue), restart);
                if self.deps.run.one_shot && matches!(restart, Restart::Spent { .. }) {
                    self.tickets.fail_queue(queue, "its pool died too often");
                }
            }
            Vacancy::Due => self.replace_pool(index, queue, context),
        }
    }

    fn replace_pool(&mut self, index: usize, queue: Queue, context: &mut Context<Self>) {
        if let Some((_, seat)) = self.pools.get_mut(index) {
            seat.hold();
        }
        // What the dead pool had claimed is nobody's now. It goes back before there is a successor,
        // whose own claims it would take back else.
        let (db, durable) = (self.deps.db.clone(), !self.deps.run.one_shot);
        let release = async move {
            // Else nobody would ever run them.
            db.write_while(ReleaseRunning { queue }, |_| durable).await
        };
        context.spawn(release.into_actor(self).map(move |held, actor, context| {
            actor.seat_pool(index, queue);
            match held {
                Ok(held) => actor.submit_lost(queue, &held, context),
                Err(error) => {
                    tracing::error!(%queue, %error, "failed to release a dead pool's jobs");
                }
            }
        }));
    }

    fn seat_pool(&mut self, index: usize, queue: Queue) {
        if self.stopping {
            return;
        }
        if let Some((_, seat)) = self.pools.get_mut(index) {
            let pool = Pool::new(queue, self.deps.clone(), &self.arbiters);
            seat.fill(pool.start());
        }
    }

    /// Work of a dead pool whose end was committed, and never told.
    fn submit_lost(&mut self, queue: Queue, held: &[i64], context: &mut Context<Self>) {
        let error = "its pool died twice";
        let lost = self.tickets.resubmit_lost(queue, held, error);
        self.enqueue(&lost, context);
    }

    fn mind_limiter(&mut self, now_ms: u64) {
        match self.limiter.look(now_ms) {
            Vacancy::None => {}
            Vacancy::Found(restart) => {
                self.deps.meters.staff.died(Who::RateLimiter);
                report("rate limiter", None, &restart);
                if self.deps.run.one_shot && matches!(restart, Restart::Spent { .. }) {
                    let error = "the rate limiter died too often";
                    self.tickets.fail_queue(Queue::Cleanup, error);
                }
            }
            Vacancy::Due => {
                let deps = &self.deps;
                let limiter = RateLimiter::new(
                    deps.db.clone(),
                    deps.clock.clone(),
                    oembed_limit(&deps.config),
                    deps.calls.clone(),
                    deps.meters.clone(),
                    deps.faults.clone(),
                )
                .start();
                deps.limiter.replace(limiter.clone());
                self.limiter.fill(limiter);
            }
        }
    }

    fn mind_writer(&mut self, now_ms: u64, context: &mut Context<Self>) {
        if self.opening {
            return;
        }
        match self.writer.look(now_ms) {
            Vacancy::None => {}
            Vacancy::Found(restart) => {
                self.deps.meters.staff.died(Who::Database);
                report("database actor", None, &restart);
                if self.deps.run.one_shot && matches!(restart, Restart::Spent { .. }) {
                    self.tickets.fail_all("the database actor died too often");
                }
            }
            Vacancy::Due => self.open_writer(context),
        }
    }

    /// Opening waits a moment for a lock: not on the System's thread.
    fn open_writer(&mut self, context: &mut Context<Self>) {
        self.opening = true;
        let (store, file) = (Arc::clone(&self.deps.store), self.deps.file);
        let open = aside(move || {
            // Else our tables would be made in the file that is there now.
            if file.is_some_and(|file| file.has_left(&store.path)) {
                return Err(StoreError::Replaced);
            }
            Writer::open(&store)
        });
        context.spawn(open.into_actor(self).map(|opened, actor, context| {
            actor.opening = false;
            match opened {
                Ok(Ok(writer)) => actor.seat_writer(writer, context),
                // The seat stays due: the next round tries again.
                Ok(Err(StoreError::Locked)) => {}
                Ok(Err(StoreError::Replaced)) => context.address().do_send(DatabaseReplaced),
                Ok(Err(error)) => actor.no_writer(&error.to_string()),
                Err(error) => actor.no_writer(&error.to_string()),
            }
        }));
    }

    fn no_writer(&mut self, error: &str) {
        tracing::error!(error, "failed to open the database again");
        self.writer.still_vacant();
    }

    fn seat_writer(&mut self, writer: Writer, context: &mut Context<Self>) {
        if !self.writer_arbiter.spawn_fn(|| ()) {
            // Its thread ended with it.
            match self.arbiters.start_from(&self.writer_maker, "database") {
                Ok(arbiter) => self.writer_arbiter = arbiter,
                Err(error) => return self.no_writer(&error.to_string()),
            }
        }
        let (store, faults) = (Arc::clone(&self.deps.store), self.deps.faults.clone());
        let (meters, reopened) = (self.deps.meters.clone(), context.address().recipient());
        let (run, troubles) = (&self.deps.run, self.deps.db.troubles());
        let watch = watch_over(run, self.deps.file, troubles, &context.address());
        let writer = start_writer(&self.writer_arbiter, watch, move || {
            DbActor::new(writer, store, reopened, meters, faults)
        });
        self.deps.db.slot().replace(writer.clone());
        self.writer.fill(writer);
        self.submit_again("the database actor ended", context);
    }
}

pub(super) fn report(what: &str, queue: Option<Queue>, restart: &Restart) {
    let queue = queue.map(Queue::name);
    match restart {
        Restart::After(wait) => {
            tracing::error!(
                what,
                queue,
                wait_ms = wait.as_millis(),
                "an actor died; it is replaced"
            );
        }
        Restart::Spent { .. } => {
            tracing::error!(what, queue, "an actor died and its restart budget is spent");
        }
    }
}
