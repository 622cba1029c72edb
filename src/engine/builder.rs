//! What an engine starts with.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};

use super::metrics::Sight;
use super::{EngineError, EngineHandle, Phase, live, open_pictures};
use crate::actors::call_budget::CallBudget;
use crate::actors::faults::Faults;
use crate::actors::job_log::JobLog;
use crate::actors::meters::Meters;
use crate::actors::worker::RunOptions;
use crate::config::Config;
use crate::fetch::PictureCache;

/// Moves of jobs that a slow listener may be behind before it misses some.
const EVENTS_KEPT: usize = 4096;

/// What an engine starts with.
///
/// A setting that is not made is the default: the [embedded settings](Config::defaults), a
/// temporary queue, verdicts reused while they are fresh, and no bound but the rate limit.
#[must_use = "an engine runs once it is started"]
pub struct EngineBuilder {
    config: Option<Config>,
    database: Option<PathBuf>,
    run: RunOptions,
    faults: Faults,
    pictures: Option<Arc<PictureCache>>,
    keeps_pictures: bool,
    open_within: Option<Duration>,
}

/// What an engine starts with, every choice made.
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) run: RunOptions,
    pub(super) faults: Faults,
    pub(super) meters: Meters,
    pub(super) log: JobLog,
    pub(super) open_within: Option<Duration>,
    pub(super) pictures: Option<Arc<PictureCache>>,
}

impl EngineBuilder {
    pub(super) fn new() -> Self {
        Self {
            config: None,
            database: None,
            run: RunOptions {
                one_shot: true,
                ..RunOptions::default()
            },
            faults: Faults::default(),
            pictures: None,
            keeps_pictures: false,
            open_within: None,
        }
    }

    /// The settings; without them those of [`Config::defaults`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Works on this database rather than the configured one.
    pub fn database(mut self, path: impl Into<PathBuf>) -> Self {
        self.database = Some(path.into());
        self
    }

    /// Reuses no earlier verdict.
    pub const fn fresh(mut self, fresh: bool) -> Self {
        self.run.fresh = fresh;
        self
    }

    /// Writes no verdict and no score.
    pub const fn dry_run(mut self, dry_run: bool) -> Self {
        self.run.dry_run = dry_run;
        self
    }

    /// Bounds the calls to the rate-limited upstream.
    pub const fn max_calls(mut self, calls: Option<u64>) -> Self {
        self.run.max_calls = calls;
        self
    }

    /// How long starting waits for another process that holds the database; as long as it takes
    /// if there is no limit.
    pub const fn open_within(mut self, limit: Option<Duration>) -> Self {
        self.open_within = limit;
        self
    }

    /// Works off the durable queue in the file: `vvv_jobs`, a table beside the site's.
    ///
    /// Choose it when work must not be lost with the process, when the site queues some itself by
    /// plain SQL, or when [`SubmitOptions::unique_key`](super::SubmitOptions::unique_key), the
    /// schedule and `vvv-actors job list` are wanted. One process at a time works a database's
    /// queue off, held by the lock file `DATABASE-vvv-lock`: [`Self::start`] says who else does.
    ///
    /// Without it the queue is a TEMP table of one connection. No job of it is in the file, any
    /// number of engines may work beside each other, and jobs live as long as the engine does, known
    /// to their tickets alone. Verdicts, scores and the rate limit's permits are in the file either
    /// way, and so are all our tables, `vvv_jobs` among them: nobody does what is put there.
    pub const fn durable(mut self) -> Self {
        self.run.one_shot = false;
        self
    }

    /// Keeps small pictures that were fetched, for the dashboard to show: `http.thumbnail_cache` bytes
    /// of them, in `http.thumbnail_cache_folder`. Without it the dashboard shows none. Where the folder
    /// cannot be used, that is warned of and none are kept.
    pub const fn keep_pictures(mut self) -> Self {
        self.keeps_pictures = true;
        self
    }

    /// The same in a cache that the caller opened, to be shown by [`EngineHandle::picture`].
    pub fn pictures(mut self, cache: Option<Arc<PictureCache>>) -> Self {
        self.pictures = cache;
        self
    }

    /// Lets a test make things go wrong.
    #[doc(hidden)]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Starts the engine on threads of its own; returns when it takes work. It may be called from
    /// any thread, in a runtime or not.
    ///
    /// It opens the database, which is milliseconds, and for as long as another process holds the
    /// file it waits, unless [`Self::open_within`] bounds that. Where this thread has other things
    /// to do meanwhile, call it by the runtime's `spawn_blocking`.
    ///
    /// # Errors
    /// When the database cannot be used or is held by another process for too long, a setting
    /// cannot be used, or no thread is to be had.
    pub fn start(self) -> Result<EngineHandle, EngineError> {
        if cfg!(panic = "abort") {
            return Err(EngineError::PanicAborts);
        }
        let setup = self.decide()?;
        let (stop, stops) = mpsc::unbounded_channel();
        let (ready, started) = std_mpsc::channel();
        let (phase, phases) = watch::channel(Phase::Running);
        let calls = CallBudget::new(setup.run.max_calls);
        let made = calls.clone();
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let told = events.downgrade();
        let (pictures, log) = (setup.pictures.clone(), setup.log.clone());
        let durable = !setup.run.one_shot;
        let config = Arc::new(setup.config.clone());
        let sight = Sight::new(setup.meters.clone(), config, durable);
        let thread = thread::Builder::new()
            .name("vvv-engine".to_owned())
            .spawn(move || live(setup, calls, events, &ready, stops, &phase))
            .map_err(EngineError::Thread)?;
        match started.recv() {
            Ok(Ok(supervisor)) => Ok(EngineHandle {
                supervisor,
                durable,
                stop,
                phase: phases,
                calls: made,
                events: told,
                thread: Arc::new(Mutex::new(Some(thread))),
                pictures,
                log,
                sight,
            }),
            Ok(Err(error)) => {
                let _ = thread.join();
                Err(error)
            }
            Err(_) => Err(EngineError::Lost),
        }
    }

    fn decide(self) -> Result<Setup, EngineError> {
        let mut config = match self.config {
            Some(config) => config,
            None => Config::defaults().map_err(EngineError::Defaults)?,
        };
        if let Some(path) = self.database {
            config.database.path = path;
        }
        if config.database.path.as_os_str().is_empty() {
            return Err(EngineError::NoDatabase);
        }
        let config = with_whole_path(config);
        // It may be made by hand.
        config.validate().map_err(EngineError::Config)?;
        let pictures = self.pictures;
        let pictures = pictures.or_else(|| self.keeps_pictures.then(|| open_pictures(&config))?);
        Ok(Setup {
            config,
            run: self.run,
            faults: self.faults,
            meters: Meters::default(),
            log: JobLog::default(),
            pictures,
            open_within: self.open_within,
        })
    }
}

/// The same with the path from the root: a host may go to another folder meanwhile.
pub(super) fn with_whole_path(mut config: Config) -> Config {
    // What cannot be told is nothing, or in a folder that is gone.
    if let Ok(path) = std::path::absolute(&config.database.path) {
        config.database.path = path;
    }
    config
}
