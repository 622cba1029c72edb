//! The actors that only a durable engine has: those that look after it.

use std::fmt;

use actix::{Actor, ActorContext, Addr, Context, Handler};

use super::Supervisor;
use super::factories::{Seat, Vacancy};
use super::watch::report;
use crate::actors::db::{DatabaseReplaced, Watch};
use crate::actors::scheduler::{Reschedule, Scheduler, StopScheduling, TickQueued};
use crate::actors::worker::{Deps, RunOptions};
use crate::store::FileIdentity;

/// Why an engine is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Its supervisor died.
    Died,
    /// The database's file was replaced or removed: what it still wrote would be lost.
    DatabaseReplaced,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Died => "its supervisor died",
            Self::DatabaseReplaced => "database replaced",
        })
    }
}

/// What the writer of a durable engine watches the file for.
pub(super) fn watch_over(
    run: &RunOptions,
    file: Option<FileIdentity>,
    supervisor: &Addr<Supervisor>,
) -> Option<Watch> {
    (!run.one_shot).then(|| Watch {
        changed: supervisor.clone().recipient(),
        replaced: supervisor.clone().recipient(),
        file,
    })
}

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

impl Handler<DatabaseReplaced> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: DatabaseReplaced, context: &mut Context<Self>) {
        tracing::error!(
            database = %self.deps.store.path.display(),
            "the database's file was replaced or removed; nothing is written to the one before"
        );
        if let Some(alive) = self.alive.take() {
            let _ = alive.send(Lost::DatabaseReplaced);
        }
        context.terminate();
    }
}

impl Handler<TickQueued> for Supervisor {
    type Result = ();

    fn handle(&mut self, TickQueued(kind): TickQueued, _: &mut Context<Self>) {
        self.wake(kind.queue());
    }
}
