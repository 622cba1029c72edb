//! The actors that only a durable engine has: those that look after it.

use actix::{Actor, Addr, Context, Handler};

use super::Supervisor;
use super::factories::{Seat, Vacancy};
use super::watch::report;
use crate::actors::scheduler::{Reschedule, Scheduler, StopScheduling, TickQueued};
use crate::actors::worker::Deps;

/// Their seats.
pub(super) struct Upkeep {
    scheduler: Seat<Scheduler>,
}

impl Upkeep {
    /// Seats them; nobody in a one-shot run.
    pub(super) fn begin(deps: &Deps, supervisor: &Addr<Supervisor>) -> Option<Self> {
        if deps.run.one_shot {
            return None;
        }
        let scheduler = Scheduler::new(deps.clone(), supervisor.clone().recipient()).start();
        Some(Self {
            scheduler: Seat::new(scheduler, &deps.config),
        })
    }

    /// Replaces who died.
    pub(super) fn mind(&mut self, deps: &Deps, supervisor: &Addr<Supervisor>, now_ms: u64) {
        match self.scheduler.look(now_ms) {
            Vacancy::None => {}
            Vacancy::Found(restart) => report("scheduler", None, &restart),
            Vacancy::Due => {
                let scheduler = Scheduler::new(deps.clone(), supervisor.clone().recipient());
                self.scheduler.fill(scheduler.start());
            }
        }
    }

    /// Hands on a new configuration.
    pub(super) fn reconfigure(&self, deps: &Deps) {
        self.scheduler.slot.get().do_send(Reschedule(deps.clone()));
    }

    /// Has them begin nothing more.
    pub(super) fn stop(&self) {
        self.scheduler.slot.get().do_send(StopScheduling);
    }
}

impl Handler<TickQueued> for Supervisor {
    type Result = ();

    fn handle(&mut self, TickQueued(kind): TickQueued, _: &mut Context<Self>) {
        self.wake(kind.queue());
    }
}
