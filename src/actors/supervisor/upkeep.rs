//! The actors that only a durable engine has: those that look after it.

use std::fmt;
use std::sync::Arc;
use std::thread;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, Recipient,
    ResponseFuture, WrapFuture,
};

use super::factories::{Seat, Vacancy};
use super::watch::report;
use super::{SeatStatus, Supervisor};
use crate::actors::alarms::{
    self, AlarmKeeper, ChangeAlerts, Claims, Damaged, ListAlarms, StopLooking,
};
use crate::actors::db::{DatabaseReplaced, Troubles, Watch};
use crate::actors::meters::Who;
use crate::actors::scheduler::{Reschedule, Scheduler, StopScheduling, TickQueued};
use crate::actors::worker::{Deps, JobMoved, RunOptions};
use crate::domain::alarm::{Alarm, AlarmKind};
use crate::fetch::aside;
use crate::store::FileIdentity;
use crate::store::{self, Background, JobState};

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

/// What the writer watches the file for.
pub(super) fn watch_over(
    run: &RunOptions,
    file: Option<FileIdentity>,
    troubles: &Troubles,
    supervisor: &Addr<Supervisor>,
) -> Watch {
    Watch {
        changed: (!run.one_shot).then(|| supervisor.clone().recipient()),
        replaced: supervisor.clone().recipient(),
        file,
        troubles: troubles.clone(),
    }
}

/// Their seats.
pub(super) struct Upkeep {
    scheduler: Seat<Scheduler>,
    keeper: Seat<AlarmKeeper>,
    claims: Arc<Claims>,
}

impl Upkeep {
    /// Seats them; nobody in a one-shot run.
    pub(super) fn begin(deps: &Deps, supervisor: &Addr<Supervisor>, unclean: bool) -> Option<Self> {
        if deps.run.one_shot {
            return None;
        }
        let scheduler = Scheduler::new(deps.clone(), supervisor.clone().recipient()).start();
        let claims = Arc::new(Claims::default());
        let keeper = keeper(deps, supervisor, &claims).start();
        if unclean {
            check_integrity(deps, keeper.clone().recipient());
        }
        Some(Self {
            scheduler: Seat::new(scheduler, &deps.config),
            keeper: Seat::new(keeper, &deps.config),
            claims,
        })
    }

    /// Replaces who died.
    pub(super) fn mind(&mut self, deps: &Deps, supervisor: &Addr<Supervisor>, now_ms: u64) {
        match self.scheduler.look(now_ms) {
            Vacancy::None => {}
            Vacancy::Found(restart) => {
                deps.meters.staff.died(Who::Scheduler);
                report("scheduler", None, &restart);
            }
            Vacancy::Due => {
                let scheduler = Scheduler::new(deps.clone(), supervisor.clone().recipient());
                self.scheduler.fill(scheduler.start());
            }
        }
        match self.keeper.look(now_ms) {
            Vacancy::None => {}
            Vacancy::Found(restart) => {
                deps.meters.staff.died(Who::AlarmKeeper);
                report("alarm keeper", None, &restart);
            }
            Vacancy::Due => {
                let keeper = keeper(deps, supervisor, &self.claims);
                self.keeper.fill(keeper.start());
            }
        }
    }

    /// How their seats are.
    pub(super) fn seats(&self) -> [SeatStatus; 2] {
        [
            SeatStatus::new("scheduler", &self.scheduler),
            SeatStatus::new("alarm keeper", &self.keeper),
        ]
    }

    /// Has them begin nothing more.
    pub(super) fn stop(&self) {
        self.scheduler.slot.get().do_send(StopScheduling);
        self.keeper.slot.get().do_send(StopLooking);
    }
}

impl Supervisor {
    /// Hands a new configuration on to them.
    pub(super) fn reconfigure_upkeep(&self) {
        if let Some(upkeep) = &self.upkeep {
            let deps = &self.deps;
            let scheduler = upkeep.scheduler.slot.get();
            scheduler.do_send(Reschedule(deps.clone()));
            upkeep.keeper.slot.get().do_send(ChangeAlerts(deps.clone()));
        }
    }

    /// Tells them that a queue is being worked off.
    pub(super) fn count_claim(&self, moved: &JobMoved) {
        if let (JobState::Running, Some(upkeep)) = (moved.state, &self.upkeep) {
            upkeep.claims.count(moved.queue);
        }
    }
}

fn keeper(deps: &Deps, supervisor: &Addr<Supervisor>, claims: &Arc<Claims>) -> AlarmKeeper {
    let status = supervisor.clone().recipient();
    AlarmKeeper::new(deps.clone(), status, Arc::clone(claims))
}

/// Has SQLite check the file on a thread that nobody waits for: it ends with the process, or once
/// there is nobody left to tell.
fn check_integrity(deps: &Deps, damaged: Recipient<Damaged>) {
    let store = Arc::clone(&deps.store);
    let check = move || {
        let keeper = damaged.clone();
        match store::check_in_background(&store.path, move || !keeper.connected()) {
            Ok(Background::Sound) => tracing::info!("the database is sound after an unclean stop"),
            Ok(Background::Damaged(found)) => damaged.do_send(Damaged(found.join("; "))),
            Ok(Background::Skipped) => tracing::info!(
                "the database was not checked after an unclean stop: its journal is no WAL, so \
                 a check would keep the site's writers out; vvv-actors db doctor checks it"
            ),
            Ok(Background::Unfinished) => {}
            Err(error) => tracing::warn!(%error, "failed to check the database"),
        }
    };
    let thread = thread::Builder::new().name("vvv-integrity".to_owned());
    if let Err(error) = thread.spawn(check) {
        tracing::warn!(%error, "failed to check the database");
    }
}

impl Handler<JobMoved> for Supervisor {
    type Result = ();

    fn handle(&mut self, moved: JobMoved, _: &mut Self::Context) {
        self.count_claim(&moved);
        // Nobody may be listening.
        let _ = self.events.send(moved);
    }
}

/// Asks for the alarms that are raised.
#[derive(Message)]
#[rtype(result = "Vec<Alarm>")]
pub struct GetAlarms;

impl Handler<GetAlarms> for Supervisor {
    type Result = ResponseFuture<Vec<Alarm>>;

    fn handle(&mut self, _: GetAlarms, _: &mut Context<Self>) -> Self::Result {
        let keeper = self.upkeep.as_ref().map(|upkeep| upkeep.keeper.slot.get());
        Box::pin(async move {
            match keeper {
                Some(keeper) => keeper.send(ListAlarms).await.unwrap_or_default(),
                None => Vec::new(),
            }
        })
    }
}

impl Handler<DatabaseReplaced> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: DatabaseReplaced, context: &mut Context<Self>) {
        self.stopping = true;
        let staff = &self.deps.meters.staff;
        staff.alarm(AlarmKind::DatabaseReplaced, true);
        let (deps, now_ms) = (&self.deps, self.deps.clock.unix_ms());
        let (config, store) = (Arc::clone(&deps.config), Arc::clone(&deps.store));
        let is_durable = !deps.run.one_shot;
        let tell = aside(move || {
            if !is_durable {
                return;
            }
            let text = "its file, or the WAL beside it, was replaced or removed; the engine stops"
                .to_owned();
            let kind = AlarmKind::DatabaseReplaced;
            alarms::tell_last(&config.alerts, &store.path, kind, text, now_ms);
        });
        // The process may end with the engine, and the command with the process.
        context.spawn(tell.into_actor(self).map(|_, actor, context| {
            if let Some(alive) = actor.alive.take() {
                let _ = alive.send(Lost::DatabaseReplaced);
            }
            context.terminate();
        }));
    }
}

impl Handler<TickQueued> for Supervisor {
    type Result = ();

    fn handle(&mut self, TickQueued(kind): TickQueued, _: &mut Context<Self>) {
        self.wake(kind.queue());
    }
}
