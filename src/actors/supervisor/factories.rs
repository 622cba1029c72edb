//! How each actor is made, the first time and after a death.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr};
use actix_rt::ArbiterHandle;
use tokio::sync::{broadcast, oneshot};

use super::Supervisor;
use super::upkeep::{Lost, watch_over};
use crate::actors::arbiters::Arbiters;
use crate::actors::call_budget::CallBudget;
use crate::actors::clock::Clock;
use crate::actors::db::{Db, DbActor, Troubles};
use crate::actors::decoder::Decoder;
use crate::actors::faults::Faults;
use crate::actors::job_log::JobLog;
use crate::actors::meters::Meters;
use crate::actors::pool::Pool;
use crate::actors::rate_limiter::{RateLimiter, oembed_limit};
use crate::actors::slot::Slot;
use crate::actors::worker::{Deps, JobMoved, RunOptions};
use crate::config::Config;
use crate::domain::job::Queue;
use crate::domain::restart_budget::{Restart, RestartBudget};
use crate::domain::score::Baselines;
use crate::store::{FileIdentity, Writer};
use crate::{fetch, store};

/// What an engine starts with.
pub struct Launch {
    /// The configuration.
    pub config: Arc<Config>,
    /// The choices of this run.
    pub run: RunOptions,
    /// Calls made and allowed.
    pub calls: CallBudget,
    /// How the database is opened.
    pub store: Arc<store::Options>,
    /// How clients are built.
    pub fetch_settings: fetch::Settings,
    /// Where pictures are decoded.
    pub decoder: Decoder,
    /// The open writer.
    pub writer: Writer,
    /// The thread the writer works on.
    pub writer_arbiter: ArbiterHandle,
    /// Every thread of the engine.
    pub arbiters: Arbiters,
    /// What is counted and timed.
    pub meters: Meters,
    /// What is told of each job.
    pub log: JobLog,
    /// Faults a test brings.
    pub faults: Faults,
    /// Where fetched pictures are kept for pages.
    pub pictures: Option<Arc<fetch::PictureCache>>,
    /// Where the moves of durable jobs are told.
    pub events: broadcast::Sender<JobMoved>,
    /// Whether the process before died on the queue.
    pub unclean: bool,
    /// Falls with the supervisor.
    pub alive: oneshot::Sender<Lost>,
}

/// Where an actor sits that may have to be replaced.
pub(super) struct Seat<A: Actor> {
    pub(super) slot: Slot<A>,
    budget: RestartBudget,
    pub(super) restarts: u64,
    /// Until when nothing is tried, by the supervisor's clock.
    not_before_ms: u64,
    /// Whether the seat was found empty and its replacement is planned.
    vacant: bool,
    /// Whether that has to wait because its budget is spent.
    pub(super) is_spent: bool,
}

/// What is to be done about a seat.
pub(super) enum Vacancy {
    /// Its actor lives, or its replacement has to wait.
    None,
    /// It was found empty just now; the budget says how long to wait.
    Found(Restart),
    /// A replacement is due.
    Due,
}

impl<A: Actor> Seat<A> {
    pub(super) fn new(address: Addr<A>, config: &Config) -> Self {
        let engine = &config.engine;
        Self {
            slot: Slot::new(address),
            budget: RestartBudget::new(engine.max_restarts, engine.restart_window),
            restarts: 0,
            not_before_ms: 0,
            vacant: false,
            is_spent: false,
        }
    }

    /// Looks whether the actor lives.
    pub(super) fn look(&mut self, now_ms: u64) -> Vacancy {
        if self.slot.get().connected() {
            return Vacancy::None;
        }
        if !self.vacant {
            self.vacant = true;
            self.restarts += 1;
            let restart = self.budget.spend(now_ms);
            self.is_spent = matches!(restart, Restart::Spent { .. });
            self.not_before_ms = match restart {
                Restart::After(wait) => now_ms.saturating_add(milliseconds(wait)),
                Restart::Spent { retry_at_ms } => retry_at_ms,
            };
            return Vacancy::Found(restart);
        }
        if now_ms < self.not_before_ms {
            Vacancy::None
        } else {
            Vacancy::Due
        }
    }

    /// The successor could not be made, which counts as one more death.
    pub(super) const fn still_vacant(&mut self) {
        self.vacant = false;
    }

    /// Seats a successor.
    pub(super) fn fill(&mut self, address: Addr<A>) {
        self.slot.replace(address);
        self.vacant = false;
        self.is_spent = false;
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What workers share, with the first writer and limiter already at work.
pub(super) fn make_deps(launch: Launch, supervisor: &Addr<Supervisor>) -> Deps {
    let Launch {
        config,
        run,
        calls,
        store,
        fetch_settings,
        decoder,
        writer,
        writer_arbiter,
        meters,
        log,
        faults,
        pictures,
        ..
    } = launch;
    let clock = Clock::system();
    let (file, troubles) = (FileIdentity::of(&store.path), Troubles::default());
    let db_actor = {
        let (store, faults) = (Arc::clone(&store), faults.clone());
        let meters = meters.clone();
        let reopened = supervisor.clone().recipient();
        let watch = watch_over(&run, file, &troubles, supervisor);
        DbActor::start_in_arbiter(&writer_arbiter, move |_| {
            let actor = DbActor::new(writer, store, reopened, meters, faults);
            match watch {
                Some(watch) => actor.watching(watch),
                None => actor,
            }
        })
    };
    let db = Db::new(Slot::new(db_actor), troubles.clone());
    let limiter = RateLimiter::new(
        db.clone(),
        clock.clone(),
        oembed_limit(&config),
        calls.clone(),
        meters.clone(),
        faults.clone(),
    );
    Deps {
        run_id: run_id(&run),
        fetch: fetch::Shared::new(&fetch_settings),
        fetch_settings: Arc::new(fetch_settings),
        decoder,
        limiter: Slot::new(limiter.start()),
        baselines: Arc::new(Baselines::new(&config.scoring.baselines)),
        news: supervisor.clone().recipient(),
        moves: supervisor.clone().recipient(),
        run: Arc::new(run),
        config,
        calls,
        clock,
        db,
        store,
        file,
        meters,
        log,
        faults,
        pictures,
    }
}

/// A durable job keeps its mark from one process to the next.
fn run_id(run: &RunOptions) -> Arc<str> {
    if run.one_shot {
        format!("{:016x}", fastrand::u64(..)).into()
    } else {
        "job".into()
    }
}

/// A pool's first seat.
pub(super) fn seat_pool(queue: Queue, deps: &Deps, arbiters: &Arbiters) -> (Queue, Seat<Pool>) {
    let pool = Pool::new(queue, deps.clone(), arbiters).start();
    (queue, Seat::new(pool, &deps.config))
}
