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
use crate::actors::db::{Db, DbActor, Troubles, Watch};
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
use crate::store::Writer;
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
    /// The thread that the writer's next one is started from.
    pub writer_maker: ArbiterHandle,
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
    /// Whether a successor is on its way.
    held: bool,
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
            held: false,
            is_spent: false,
        }
    }

    /// Looks whether the actor lives.
    pub(super) fn look(&mut self, now_ms: u64) -> Vacancy {
        if self.held || self.slot.get().connected() {
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

    /// Keeps the seat for a successor, who comes later.
    pub(super) const fn hold(&mut self) {
        self.held = true;
    }

    /// Seats a successor.
    pub(super) fn fill(&mut self, address: Addr<A>) {
        self.slot.replace(address);
        self.vacant = false;
        self.held = false;
        self.is_spent = false;
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What workers share, with the first writer and limiter already at work.
pub(super) fn make_deps(launch: Launch, supervisor: &Addr<Supervisor>) -> Deps {
    let clock = Clock::system();
    let (file, troubles) = (launch.writer.file(), Troubles::default());
    let (store, faults) = (Arc::clone(&launch.store), launch.faults.clone());
    let (writer, meters) = (launch.writer, launch.meters.clone());
    let reopened = supervisor.clone().recipient();
    let watch = watch_over(&launch.run, file, &troubles, supervisor);
    let writer = start_writer(&launch.writer_arbiter, watch, move || {
        DbActor::new(writer, store, reopened, meters, faults)
    });
    let db = Db::new(Slot::new(writer), troubles);
    let limiter = RateLimiter::new(
        db.clone(),
        clock.clone(),
        oembed_limit(&launch.config),
        launch.calls.clone(),
        launch.meters.clone(),
        launch.faults.clone(),
    );
    Deps {
        run_id: run_id(&launch.run),
        fetch: fetch::Shared::new(&launch.fetch_settings),
        fetch_settings: Arc::new(launch.fetch_settings),
        decoder: launch.decoder,
        limiter: Slot::new(limiter.start()),
        baselines: Arc::new(Baselines::new(&launch.config.scoring.baselines)),
        news: supervisor.clone().recipient(),
        moves: supervisor.clone().recipient(),
        run: Arc::new(launch.run),
        config: launch.config,
        calls: launch.calls,
        clock,
        db,
        store: launch.store,
        file,
        meters: launch.meters,
        log: launch.log,
        faults: launch.faults,
        pictures: launch.pictures,
    }
}

/// Has a writer work on a thread, and look after the file.
pub(super) fn start_writer(
    arbiter: &ArbiterHandle,
    watch: Watch,
    make: impl FnOnce() -> DbActor + Send + 'static,
) -> Addr<DbActor> {
    DbActor::start_in_arbiter(arbiter, move |_| make().watching(watch))
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
