//! Spawns every other actor, watches them, replaces the dead within a budget, and knows who waits
//! for which job.

pub mod durable;
pub mod enqueue;
mod factories;
pub mod follow;
pub mod reload;
pub mod upkeep;
mod watch;
pub mod withdraw;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message,
    MessageResult, ResponseActFuture, ResponseFuture, WrapFuture,
};
use actix_rt::ArbiterHandle;
use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::{broadcast, mpsc, oneshot};

pub use self::factories::Launch;
use self::factories::{Seat, make_deps, seat_pool};
use self::follow::Followers;
pub use self::upkeep::Lost;
use self::upkeep::Upkeep;
use super::arbiters::Arbiters;
use super::db::{DbActor, GetWriterState, WriterReopened};
use super::pool::{Dismiss, ForgetClaims, GetPoolStatus, Pool, PoolStatus, Wake};
use super::rate_limiter::{Ping, RateLimiter};
use super::tickets::{Origin, TicketEvent, Tickets};
use super::worker::{Deps, JobMoved, JobNews};
use crate::domain::job::{Job, Kind, Queue};
use crate::domain::trace::TraceParent;
use crate::fetch::aside;
use crate::store::{self, NewJob, Patience, Reader, StoreError, SubmitJobs};

/// How often the actors are looked after: each look wakes an idle daemon.
const TICK: Duration = Duration::from_millis(250);
/// Jobs written by one operation, so that none holds the writer long.
const JOBS_A_WRITE: usize = 500;
/// So long a lock is waited for to put scores in order, which saves time but is no must; a thread
/// that waited without end could not be joined at a stop.
const ORDER_PATIENCE: Duration = Duration::from_secs(10);

/// Owns the other actors and the open tickets.
pub struct Supervisor {
    deps: Deps,
    arbiters: Arbiters,
    /// Where the writer is, and whoever takes its place.
    writer_arbiter: ArbiterHandle,
    /// Where the next such thread is started: one of ours would step back.
    writer_maker: ArbiterHandle,
    pools: Vec<(Queue, Seat<Pool>)>,
    limiter: Seat<RateLimiter>,
    writer: Seat<DbActor>,
    /// Those who look after a durable engine.
    upkeep: Option<Upkeep>,
    /// Whether a new writer is being opened.
    opening: bool,
    tickets: Tickets,
    stopping: bool,
    started: Instant,
    /// Where the moves of durable jobs are told.
    events: broadcast::Sender<JobMoved>,
    followers: Followers,
    taking_in: bool,
    take_in_again: bool,
    /// By how much the wall clock is ahead of the clock since boot.
    clock_offset_ms: i64,
    /// Falls with the actor, which tells the engine that it is lost.
    alive: Option<oneshot::Sender<Lost>>,
}

impl Supervisor {
    /// Starts the supervisor and everything it owns on the current System.
    pub fn launch(launch: Launch) -> Addr<Self> {
        Self::create(|context| {
            let (arbiters, writer_maker) = (launch.arbiters.clone(), launch.writer_maker.clone());
            let writer_arbiter = launch.writer_arbiter.clone();
            let (gone, _) = oneshot::channel();
            let mut launch = launch;
            let alive = std::mem::replace(&mut launch.alive, gone);
            let (events, unclean) = (launch.events.clone(), launch.unclean);
            let deps = make_deps(launch, &context.address());
            let offset_ms = deps.clock.unix_ms().saturating_sub(deps.clock.boot().ms);
            Self {
                limiter: Seat::new(deps.limiter.get(), &deps.config),
                writer: Seat::new(deps.db.slot().get(), &deps.config),
                upkeep: Upkeep::begin(&deps, &context.address(), unclean),
                pools: Queue::ALL
                    .map(|queue| seat_pool(queue, &deps, &arbiters))
                    .into(),
                followers: Followers::new(&deps.store),
                arbiters,
                writer_arbiter,
                writer_maker,
                opening: false,
                tickets: Tickets::new(deps.meters.clone()),
                deps,
                stopping: false,
                started: Instant::now(),
                events,
                taking_in: false,
                take_in_again: false,
                clock_offset_ms: offset_ms,
                alive: Some(alive),
            }
        })
    }

    pub(super) fn wake(&self, queue: Queue) {
        for (_, seat) in self.pools.iter().filter(|(of, _)| *of == queue) {
            seat.slot.get().do_send(Wake);
        }
    }

    /// Hands new rows to the queue; the pools are woken as they are committed.
    pub(super) fn enqueue(&self, jobs: &[NewJob], context: &mut Context<Self>) {
        for piece in jobs.chunks(JOBS_A_WRITE) {
            let jobs = piece.to_vec();
            let origins: Vec<i64> = jobs.iter().map(|job| job.origin).collect();
            let queue = jobs.first().map(|job| job.kind.queue());
            let (db, now) = (self.deps.db.clone(), self.deps.queue_now());
            let submit = async move { db.write(SubmitJobs { jobs, now }).await };
            context.spawn(submit.into_actor(self).map(move |submitted, actor, _| {
                actor.submitted(submitted.map(drop), &origins, queue);
            }));
        }
    }

    fn submitted(
        &mut self,
        submitted: Result<(), StoreError>,
        origins: &[i64],
        queue: Option<Queue>,
    ) {
        match (submitted, queue) {
            (Ok(()), Some(queue)) => self.wake(queue),
            // The connection is gone with them: they are submitted once more when it is back.
            (Ok(()), None) | (Err(StoreError::Unknown(_)), _) => {}
            (Err(error), _) => {
                for origin in origins {
                    self.tickets.fail(Origin(*origin), &error.to_string());
                }
            }
        }
    }

    /// The queue's temporary tables are new and empty: what is open goes in once more.
    fn submit_again(&mut self, reason: &str, context: &mut Context<Self>) {
        if !self.deps.run.one_shot {
            // The queue is in the file: what was claimed still is, and every outcome is fenced.
            return self.wake_all();
        }
        for (_, seat) in &self.pools {
            seat.slot.get().do_send(ForgetClaims);
        }
        let error = format!("the database connection was lost twice: {reason}");
        let jobs = self.tickets.resubmit(&error);
        tracing::warn!(
            jobs = jobs.len(),
            "the database was opened again; open jobs are submitted once more"
        );
        for queue in Queue::ALL {
            let of_queue: Vec<NewJob> = jobs
                .iter()
                .filter(|job| job.kind.queue() == queue)
                .cloned()
                .collect();
            self.enqueue(&of_queue, context);
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(TICK, Self::tick);
        if !self.deps.run.one_shot {
            self.take_in(context);
            self.shorten_waits(context);
        }
    }
}

/// Submits work; answers with its committed news.
#[derive(Message)]
#[rtype(result = "Result<Submitted, SubmitError>")]
pub struct Submit {
    /// The work.
    pub job: Job,
    /// 0 (first) to 9.
    pub priority: u8,
    /// How long it waits before it may begin.
    pub delay: Duration,
    /// The trace it belongs to.
    pub trace: Option<TraceParent>,
}

/// Work that was submitted.
pub struct Submitted {
    /// The number of its ticket.
    pub ticket: u64,
    /// How many jobs it was cut into.
    pub jobs: usize,
    /// Its news.
    pub events: mpsc::UnboundedReceiver<TicketEvent>,
}

/// Why work was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The engine is stopping.
    #[error("submit: the engine is stopping")]
    Stopping,
    /// The engine's queue does not outlive it, so there is nothing to steer.
    #[error(
        "use a durable queue: this engine's is temporary, its jobs are known to their tickets alone"
    )]
    NotDurable,
    /// Nobody would ever do it.
    #[error("submit: the {0} queue is switched off (queues.{0}.workers = 0)")]
    SwitchedOff(Queue),
    /// The work could not be cut into jobs.
    #[error("submit: {0}")]
    Store(#[from] StoreError),
    /// The payload could not be written.
    #[error("submit: write the payload: {0}")]
    Payload(#[from] serde_json::Error),
    /// No thread was to be had to prepare it.
    #[error("submit: {0}")]
    Thread(std::io::Error),
}

impl Handler<Submit> for Supervisor {
    type Result = ResponseActFuture<Self, Result<Submitted, SubmitError>>;

    fn handle(&mut self, submit: Submit, _: &mut Self::Context) -> Self::Result {
        let queue = submit.job.kind().queue();
        let settings = self.deps.config.queues.get(queue);
        if self.stopping {
            return Box::pin(async { Err(SubmitError::Stopping) }.into_actor(self));
        }
        if settings.workers == 0 {
            return Box::pin(async move { Err(SubmitError::SwitchedOff(queue)) }.into_actor(self));
        }
        let (chunk, store) = (settings.chunk, Arc::clone(&self.deps.store));
        let delay_ms = i64::try_from(submit.delay.as_millis()).unwrap_or(i64::MAX);
        let run_at_ms = self.deps.queue_now().0.saturating_add(delay_ms);
        // Looking up the order reads the file: not on the System's thread.
        let cut = aside(move || {
            let jobs = cut_into_jobs(submit.job, chunk, &store)?;
            let new = |(kind, payload)| NewJob {
                kind,
                payload,
                priority: submit.priority,
                run_at_ms,
                origin: 0,
                trace: submit.trace,
            };
            Ok::<Vec<NewJob>, SubmitError>(jobs.into_iter().map(new).collect())
        });
        Box::pin(cut.into_actor(self).map(|jobs, actor, context| {
            let jobs = jobs.map_err(SubmitError::Thread)??;
            let opened = actor.tickets.open(jobs);
            actor.enqueue(&opened.jobs, context);
            Ok(Submitted {
                ticket: opened.ticket,
                jobs: opened.jobs.len(),
                events: opened.events,
            })
        }))
    }
}

/// Cuts work into jobs of a chunk each; scores in the order of the site's rows, which makes
/// writing them several times faster than the order of the input.
fn cut_into_jobs(
    job: Job,
    chunk: usize,
    store: &store::Options,
) -> Result<Vec<(Kind, String)>, SubmitError> {
    let kind = job.kind();
    let mut job = job;
    match &mut job {
        Job::Score(job) => put_in_rowid_order(&mut job.video_ids, store)?,
        Job::Thumbnails(_) | Job::Liveness(_) => {}
    }
    let pieces = job.payloads(chunk)?.into_iter();
    Ok(pieces.map(|piece| (kind, piece.payload)).collect())
}

fn put_in_rowid_order(ids: &mut [String], store: &store::Options) -> Result<(), StoreError> {
    let mut nobody = |_| {};
    let ordered = Patience::limited(ORDER_PATIENCE, &mut nobody)
        .wait(|| Reader::open(store)?.in_rowid_order(ids));
    match ordered {
        Err(StoreError::Locked) => Ok(()),
        other => other,
    }
}

impl Handler<JobNews> for Supervisor {
    type Result = ();

    fn handle(&mut self, news: JobNews, _: &mut Self::Context) {
        match news.event {
            TicketEvent::End => self.tickets.end(news.origin),
            event @ (TicketEvent::Scored(_)
            | TicketEvent::Thumbnail { .. }
            | TicketEvent::Liveness { .. }
            | TicketEvent::Failed(_)) => self.tickets.tell(news.origin, event),
        }
    }
}

impl Handler<WriterReopened> for Supervisor {
    type Result = ();

    fn handle(&mut self, reopened: WriterReopened, context: &mut Self::Context) {
        self.submit_again(&reopened.reason, context);
    }
}

/// Asks how everything fares.
#[derive(Message)]
#[rtype(result = "Status")]
pub struct GetStatus;

/// How the engine fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Each pool that answered.
    pub pools: Vec<PoolStatus>,
    /// Jobs of a temporary queue that have not ended. Those of a durable one are rows, which
    /// [`QueueView::queues`](crate::engine::QueueView::queues) counts.
    pub open_jobs: Option<usize>,
    /// Operations that wait to be written.
    pub writes_waiting: usize,
    /// Seconds another process has held the lock the writer waits for.
    pub waiting_for_lock_s: Option<u64>,
    /// Actors replaced so far, workers not counted (their pools count them).
    pub restarts: u64,
    /// Where each actor sits that is replaced when it dies.
    pub seats: Vec<SeatStatus>,
    /// Actors that did not answer: they are dead, and perhaps about to be replaced.
    pub silent: Vec<String>,
}

/// Where an actor sits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeatStatus {
    /// What it is.
    pub actor: String,
    /// How often it was replaced.
    pub restarts: u64,
    /// Whether it is dead and stays so for a while.
    pub is_spent: bool,
}

impl SeatStatus {
    fn new<A: Actor>(actor: impl Into<String>, seat: &Seat<A>) -> Self {
        Self {
            actor: actor.into(),
            restarts: seat.restarts,
            is_spent: seat.is_spent,
        }
    }
}

impl Supervisor {
    fn seats(&self) -> Vec<SeatStatus> {
        let pools = self.pools.iter();
        pools
            .map(|(queue, seat)| SeatStatus::new(format!("{queue} pool"), seat))
            .chain([
                SeatStatus::new("rate limiter", &self.limiter),
                SeatStatus::new("database actor", &self.writer),
            ])
            .chain(self.upkeep.iter().flat_map(Upkeep::seats))
            .collect()
    }
}

impl Handler<GetStatus> for Supervisor {
    type Result = ResponseFuture<Status>;

    fn handle(&mut self, _: GetStatus, _: &mut Self::Context) -> Self::Result {
        let asked = self.pools.iter().map(|(queue, seat)| {
            let status = seat.slot.get().send(GetPoolStatus);
            let queue = *queue;
            async move { status.await.map_err(|_| format!("{queue} pool")) }
        });
        let asked: Vec<_> = asked.collect();
        let writer = self.writer.slot.get().send(GetWriterState);
        let limiter = self.limiter.slot.get().send(Ping);
        let open_jobs = self.deps.run.one_shot.then(|| self.tickets.outstanding());
        let seats = self.seats();
        let restarts = seats.iter().map(|seat| seat.restarts).sum();
        Box::pin(async move {
            let (asked, writer, limiter) = tokio::join!(join_all(asked), writer, limiter);
            let (mut pools, mut silent) = (Vec::new(), Vec::new());
            for answer in asked {
                match answer {
                    Ok(status) => pools.push(status),
                    Err(name) => silent.push(name),
                }
            }
            silent.extend(limiter.is_err().then(|| "rate limiter".to_owned()));
            silent.extend(writer.is_err().then(|| "database actor".to_owned()));
            let writer = writer.unwrap_or_default();
            Status {
                pools,
                open_jobs,
                writes_waiting: writer.waiting,
                waiting_for_lock_s: writer.locked_for.map(|wait| wait.as_secs()),
                restarts,
                seats,
                silent,
            }
        })
    }
}

/// Takes no more work and replaces nobody; answers with those who are to be stopped.
#[derive(Message)]
#[rtype(result = "Staff")]
pub struct BeginStop;

/// Those who are to be stopped, in the engine's order.
pub struct Staff {
    /// The pools.
    pub pools: Vec<Addr<Pool>>,
    /// The limiter.
    pub limiter: Addr<RateLimiter>,
    /// The writer.
    pub writer: Addr<DbActor>,
}

impl Handler<BeginStop> for Supervisor {
    type Result = MessageResult<BeginStop>;

    fn handle(&mut self, _: BeginStop, _: &mut Self::Context) -> Self::Result {
        self.stopping = true;
        if let Some(upkeep) = &self.upkeep {
            upkeep.stop();
        }
        MessageResult(Staff {
            pools: self.pools.iter().map(|(_, seat)| seat.slot.get()).collect(),
            limiter: self.limiter.slot.get(),
            writer: self.writer.slot.get(),
        })
    }
}

/// Ends the pools and the supervisor itself; open tickets end without an answer.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Dissolve;

impl Handler<Dissolve> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Dissolve, context: &mut Self::Context) {
        for (_, seat) in &self.pools {
            seat.slot.get().do_send(Dismiss);
        }
        context.terminate();
    }
}
