//! The thread and the System all actors live in. A face or a host only ever holds an
//! [`EngineHandle`].
//!
//! Stop order, written here and nowhere else: faces are refused → pools claim no more and permit
//! waits end → running jobs finish until the drain deadline → what is unfinished is released →
//! the writer flushes → threads are ended and joined → the System stops.

mod builder;
pub mod database;
mod error;
mod handle;
mod lock_file;
mod pictures;
mod queue;
mod schedule;
mod selection;
mod site_view;
mod waiting;

use std::sync::{Arc, mpsc as std_mpsc};
use std::time::{Duration, Instant};

use actix::Addr;
use futures_util::future::join_all;
use tokio::sync::{broadcast, mpsc, oneshot};

pub use self::builder::EngineBuilder;
pub use self::error::EngineError;
pub use self::handle::{EngineHandle, Ticket};
pub use self::lock_file::LockFile;
pub use self::pictures::{open_pictures, resized};
pub use self::queue::{QueueView, RateStatus, enqueue_into_file};
pub use self::schedule::{Scheduled, scheduled};
pub use self::selection::{select, thumbnail_urls, unix_now};
pub use self::site_view::{HistoryPoint, SiteView};
use self::waiting::patiently;
pub use self::waiting::who_blocks;
use crate::actors::alarms::tell_last;
use crate::actors::arbiters::Arbiters;
use crate::actors::call_budget::CallBudget;
use crate::actors::clock::Clock;
use crate::actors::decoder::Decoder;
use crate::actors::faults::Faults;
use crate::actors::pool::Drain;
pub use crate::actors::pool::{PoolStatus, RunningJob};
use crate::actors::rate_limiter::StopGranting;
use crate::actors::supervisor::{BeginStop, Dissolve, Launch, Staff, Supervisor};
pub use crate::actors::supervisor::{Lost, Status, SubmitError};
pub use crate::actors::tickets::{Failure, TicketEvent};
pub use crate::actors::worker::JobMoved;
use crate::actors::worker::RunOptions;
use crate::config::Config;
pub use crate::domain::alarm::{Alarm, AlarmKind};
pub use crate::domain::finding::{Findings, LivenessFound, ScoreFound, ThumbnailFound};
pub use crate::domain::job::{
    Job, Kind, LivenessJob, Queue, ScoreJob, ThumbnailItem, ThumbnailsJob, once_each,
};
pub use crate::domain::liveness::{Judgement, Verdict};
pub use crate::domain::picture::PictureError;
pub use crate::domain::score::{Label, Score, Scored};
pub use crate::domain::thumbnail::{Status as ThumbnailStatus, Verdict as ThumbnailVerdict};
pub use crate::domain::trend::{Direction, Trend};
pub use crate::fetch::PictureCache;
use crate::store::Writer;
use crate::store::{BeginRun, Moment, QueueHome, Recover};
pub use crate::store::{
    CappedCount, CheckFilter, CheckedThumbnail, CheckedVideo, Enqueued, FollowUps, GroupId,
    GroupSummary, Grouping, JobDetail, JobFilter, JobId, JobRequest, JobState, JobSummary,
    LeaderboardFilter, LeaderboardRow, MINUTES, NoSuchPlace, Page, PageCursor, QueueRate,
    QueueSummary, ROWS_A_PAGE, SelectedVideo, Selection, StoreError, Tally,
};
use crate::{fetch, store};

/// How long threads may take to end once they were told to.
const JOIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last writes may take beyond the drain.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts engines.
pub struct Engine;

impl Engine {
    /// An engine to be configured.
    #[must_use]
    pub fn builder(config: Config) -> EngineBuilder {
        EngineBuilder {
            config,
            run: RunOptions {
                one_shot: true,
                ..RunOptions::default()
            },
            faults: Faults::default(),
            pictures: None,
            open_within: None,
        }
    }
}

/// A request to stop, and who waits for it.
struct StopRequest {
    drain: Duration,
    stopped: oneshot::Sender<()>,
}

type Ready = std_mpsc::Sender<Result<Addr<Supervisor>, EngineError>>;

/// The engine's thread, from its first moment to its last.
fn live(
    builder: EngineBuilder,
    calls: CallBudget,
    events: broadcast::Sender<JobMoved>,
    ready: &Ready,
    mut stops: mpsc::UnboundedReceiver<StopRequest>,
    lost: &tokio::sync::watch::Sender<Option<Lost>>,
) {
    let arbiters = Arbiters::default();
    let system = actix_rt::System::new();
    let request = system.block_on(async {
        let (alive, gone) = oneshot::channel::<Lost>();
        let (supervisor, _queue) = match launch(builder, calls, events, arbiters.clone(), alive) {
            Ok(launched) => launched,
            Err(error) => {
                let _ = ready.send(Err(error));
                return None;
            }
        };
        let _ = ready.send(Ok(supervisor.clone()));
        tokio::select! {
            // Whoever asks to stop may do so because the news ended with the supervisor.
            biased;
            why = gone => {
                let why = why.unwrap_or(Lost::Died);
                let _ = lost.send(Some(why));
                tracing::error!(%why, "the engine stops");
                None
            }
            request = stops.recv() => {
                let drain = request.as_ref().map_or(Duration::ZERO, |request| request.drain);
                stop(&supervisor, drain).await;
                request
            }
        }
    });
    for name in arbiters.stop_and_join(JOIN_TIMEOUT) {
        tracing::error!(
            thread = name,
            "a thread did not end in time and is left behind"
        );
    }
    actix_rt::System::current().stop();
    drop(system);
    if let Some(request) = request {
        let _ = request.stopped.send(());
    }
}

fn launch(
    builder: EngineBuilder,
    calls: CallBudget,
    events: broadcast::Sender<JobMoved>,
    arbiters: Arbiters,
    alive: oneshot::Sender<Lost>,
) -> Result<(Addr<Supervisor>, Option<LockFile>), EngineError> {
    let config = Arc::new(builder.config);
    let fetch_settings = fetch::Settings::new(&config.fetch)
        .map_err(|error| EngineError::Fetch(error.to_string()))?;
    let mut store = store_options(&config);
    let mut lock_file = None;
    if !builder.run.one_shot {
        store.queue = QueueHome::File;
        lock_file = Some(LockFile::take(&store.path)?);
    }
    let store = Arc::new(store);
    let opened = open(&store, &config, builder.run.one_shot, builder.open_within);
    if let (Err(EngineError::Store(error)), false) = (&opened, builder.run.one_shot) {
        tell_of_damage(&config, error);
    }
    let (writer, unclean) = opened?;
    warn_without_index(&writer, &store);
    let decoder = Decoder::start(
        config.thumbnails.max_pixels,
        config.engine.nice,
        &builder.faults,
    )
    .map_err(EngineError::Thread)?;
    let writer_arbiter = arbiters.start("database").map_err(EngineError::Thread)?;
    let supervisor = Supervisor::launch(Launch {
        config,
        run: builder.run,
        calls,
        store,
        fetch_settings,
        decoder,
        writer,
        writer_arbiter,
        arbiters,
        faults: builder.faults,
        pictures: builder.pictures,
        events,
        unclean,
        alive,
    });
    Ok((supervisor, lock_file))
}

/// The open writer, and whether the process before died. It opens before any reader: it makes the
/// tables they look for.
fn open(
    store: &store::Options,
    config: &Config,
    one_shot: bool,
    within: Option<Duration>,
) -> Result<(Writer, bool), EngineError> {
    let mut writer = patiently(&store.path, within, || Writer::open(store))?;
    let unclean = !one_shot && recover(&mut writer, config, within)?;
    Ok((writer, unclean))
}

/// Runs `alerts.command` for a database too damaged to start on.
fn tell_of_damage(config: &Config, error: &StoreError) {
    if let StoreError::Corrupt(_) | StoreError::NotADatabase { .. } = error {
        let (path, kind) = (&config.database.path, AlarmKind::DatabaseDamaged);
        let now_ms = Clock::system().unix_ms();
        tell_last(&config.alerts, path, kind, error.to_string(), now_ms);
    }
}

/// Takes back what a process that died had claimed, before anybody claims; whether one died.
fn recover(
    writer: &mut Writer,
    config: &Config,
    within: Option<Duration>,
) -> Result<bool, EngineError> {
    let recover = Recover {
        max_crashes: Queue::ALL.map(|queue| (queue, config.queues.get(queue).max_crashes)),
        now: Moment(Clock::system().unix_ms()),
    };
    let path = &config.database.path;
    let recovered = patiently(path, within, || writer.run(recover.clone()))?;
    if recovered.suspects > 0 || !recovered.given_up.is_empty() {
        tracing::warn!(
            suspects = recovered.suspects,
            given_up = recovered.given_up.len(),
            "the process before died with jobs in its hands; they are tried one at a time"
        );
    }
    Ok(patiently(path, within, || writer.run(BeginRun))?)
}

fn store_options(config: &Config) -> store::Options {
    store::Options {
        path: config.database.path.clone(),
        database: config.database.clone(),
        schema: config.schema.clone(),
        keep_details: config.scoring.keep_details,
        queue: QueueHome::Memory,
    }
}

/// Without it each lookup reads all snapshots, which is worth a word.
fn warn_without_index(writer: &Writer, store: &store::Options) {
    if !writer.has_snapshot_index() {
        let snapshots = &store.schema.snapshots;
        tracing::warn!(
            "no index on {} ({}, {}): scoring is slow; vvv-actors db doctor --create-index makes it",
            snapshots.table,
            snapshots.video_id,
            snapshots.fetched_at,
        );
    }
}

async fn stop(supervisor: &Addr<Supervisor>, drain: Duration) {
    let Ok(Staff {
        pools,
        limiter,
        writer,
    }) = supervisor.send(BeginStop).await
    else {
        return;
    };
    limiter.do_send(StopGranting);
    let deadline = Instant::now() + drain;
    let drained = join_all(pools.iter().map(|pool| pool.send(Drain { deadline })));
    if tokio::time::timeout(drain + FLUSH_TIMEOUT, drained)
        .await
        .is_err()
    {
        tracing::error!("running jobs did not end in time; what they had committed stays");
    }
    let flush = writer.send(crate::actors::db::Flush);
    if tokio::time::timeout(FLUSH_TIMEOUT, flush).await.is_err() {
        tracing::error!("the last writes are not done: another process holds the database");
    }
    let _ = supervisor.send(Dissolve).await;
}
