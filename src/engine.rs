//! The thread and the System all actors live in. A face or a host only ever holds an
//! [`EngineHandle`].
//!
//! Stop order, written here and nowhere else: faces are refused → pools claim no more and permit
//! waits end → running jobs finish until the drain deadline → what is unfinished is released →
//! the writer flushes → who waits for durable jobs hears of the last ends → threads are ended and
//! joined → the System stops. Who asks once more to stop may bring the deadline forward.

mod asking;
mod blocking;
mod builder;
pub mod database;
mod error;
mod events;
mod handle;
mod job_events;
mod lock_file;
mod metrics;
mod opening;
mod patient_reader;
mod pictures;
mod queue;
mod report;
mod schedule;
mod selection;
mod site_view;
mod steering;
mod stop;
mod ticket;
mod waiting;
mod work;

use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use actix::Addr;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub use self::blocking::{BlockingEngine, BlockingTicket};
pub use self::builder::EngineBuilder;
use self::builder::Setup;
pub use self::error::EngineError;
pub use self::events::EngineEvent;
pub use self::handle::EngineHandle;
pub use self::job_events::JobEvents;
pub use self::lock_file::LockFile;
use self::opening::{open, warn_without_index};
pub use self::pictures::{open_pictures, resized};
pub use self::queue::{QueueView, RateStatus, enqueue_into_file};
pub use self::report::{Found, LivenessReport, News, Report, ScoreReport, ThumbnailsReport};
pub use self::schedule::{Scheduled, scheduled};
pub use self::selection::{select, thumbnail_urls, unix_now};
pub use self::site_view::{HistoryPoint, SiteView};
use self::stop::{StopRequest, stop};
pub use self::ticket::Ticket;
pub use self::waiting::who_blocks;
pub use self::work::{SubmitOptions, Work};
use crate::actors::arbiters::{Arbiters, be_nice};
use crate::actors::call_budget::CallBudget;
use crate::actors::decoder::Decoder;
pub use crate::actors::job_log::{LINES_KEPT, LogLevel, LogLine};
pub use crate::actors::pool::{PoolStatus, RunningJob};
use crate::actors::supervisor::{Launch, Supervisor};
pub use crate::actors::supervisor::{Lost, SeatStatus, Status, SubmitError};
pub use crate::actors::tickets::{Failure, TicketEvent};
pub use crate::actors::worker::JobMoved;
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
pub use crate::domain::trace::{Hex, NoTraceParent, TraceParent};
pub use crate::domain::trend::{Direction, Trend};
pub use crate::fetch::PictureCache;
use crate::store::QueueHome;
pub use crate::store::{
    CappedCount, CheckFilter, CheckedThumbnail, CheckedVideo, Enqueued, FollowUps, GroupId,
    GroupSummary, Grouping, JobDetail, JobFilter, JobId, JobRequest, JobState, JobSummary,
    LeaderboardFilter, LeaderboardRow, LeftAlone, MINUTES, NoSuchPlace, Page, PageCursor,
    QueueRate, QueueSummary, ROWS_A_PAGE, SelectedVideo, Selection, Steered, StoreError, Tally,
};
use crate::{fetch, store};

/// How long threads may take to end once they were told to.
const JOIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts engines.
pub struct Engine;

impl Engine {
    /// An engine to be configured and started.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::new()
    }
}

/// Where an engine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It works.
    Running,
    /// It was told to stop, or has stopped.
    Stopping,
    /// It died.
    Lost(Lost),
}

impl Phase {
    /// Why an engine that does not answer any more does not.
    fn gone(self) -> EngineError {
        match self {
            Self::Stopping => EngineError::Stopped,
            Self::Running => EngineError::Lost,
            Self::Lost(why) => why.into(),
        }
    }
}

type Ready = std_mpsc::Sender<Result<Addr<Supervisor>, EngineError>>;

/// The engine's thread, from its first moment to its last.
fn live(
    setup: Setup,
    calls: CallBudget,
    events: broadcast::Sender<JobMoved>,
    ready: &Ready,
    stops: mpsc::UnboundedReceiver<StopRequest>,
    phase: &watch::Sender<Phase>,
) {
    let arbiters = Arbiters::default();
    let system = actix_rt::System::new();
    let (requests, queue) = system.block_on(async {
        let (alive, gone) = oneshot::channel::<Lost>();
        let (supervisor, queue) = match launch(setup, calls, events, arbiters.clone(), alive) {
            Ok(launched) => launched,
            Err(error) => {
                let _ = ready.send(Err(error));
                return (Vec::new(), None);
            }
        };
        let _ = ready.send(Ok(supervisor.clone()));
        let requests = until_stopped(&supervisor, gone, stops, phase).await;
        (requests, queue)
    });
    for name in arbiters.stop_and_join(JOIN_TIMEOUT) {
        tracing::error!(
            thread = name,
            "a thread did not end in time and is left behind"
        );
    }
    // Not before: a thread of ours may still hold a job of it.
    drop(queue);
    actix_rt::System::current().stop();
    drop(system);
    for request in requests {
        let _ = request.stopped.send(());
    }
}

/// Works until it is told to stop, or until the supervisor is gone; those who asked for it.
async fn until_stopped(
    supervisor: &Addr<Supervisor>,
    gone: oneshot::Receiver<Lost>,
    mut stops: mpsc::UnboundedReceiver<StopRequest>,
    phase: &watch::Sender<Phase>,
) -> Vec<StopRequest> {
    tokio::select! {
        // Whoever asks to stop may do so because the news ended with the supervisor.
        biased;
        why = gone => {
            let why = why.unwrap_or(Lost::Died);
            phase.send_replace(Phase::Lost(why));
            tracing::error!(%why, "the engine stops");
            Vec::new()
        }
        request = stops.recv() => {
            // Before anything closes: whoever waits then knows why.
            phase.send_replace(Phase::Stopping);
            stop(supervisor, request, &mut stops).await
        }
    }
}

fn launch(
    setup: Setup,
    calls: CallBudget,
    events: broadcast::Sender<JobMoved>,
    arbiters: Arbiters,
    alive: oneshot::Sender<Lost>,
) -> Result<(Addr<Supervisor>, Option<LockFile>), EngineError> {
    let config = Arc::new(setup.config);
    let fetch_settings = fetch::Settings::new(&config.fetch)
        .map_err(|error| EngineError::Fetch(error.to_string()))?;
    let durable = !setup.run.one_shot;
    let mut store = store_options(&config);
    if durable {
        store.queue = QueueHome::File;
    }
    let store = Arc::new(store);
    let queue = durable.then(|| LockFile::take(&store.path)).transpose()?;
    let (writer, unclean) = open(&store, &config, setup.run.one_shot, setup.open_within)?;
    warn_without_index(&writer, &store);
    let writer_arbiter = arbiters.start("database").map_err(EngineError::Thread)?;
    let writer_maker = arbiters.start("maker").map_err(EngineError::Thread)?;
    // All threads but the writer's: it holds the lock that the site waits for. Whoever takes its place
    // is started from one that did not step back either.
    be_nice(config.engine.nice);
    let decoder =
        Decoder::start(config.thumbnails.max_pixels, &setup.faults).map_err(EngineError::Thread)?;
    let supervisor = Supervisor::launch(Launch {
        config,
        run: setup.run,
        calls,
        store,
        fetch_settings,
        decoder,
        writer,
        writer_arbiter,
        writer_maker,
        arbiters,
        faults: setup.faults,
        pictures: setup.pictures,
        meters: setup.meters,
        log: setup.log,
        events,
        unclean,
        alive,
    });
    Ok((supervisor, queue))
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
