//! What an engine starts with.

use std::path::PathBuf;
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};

use super::{EngineError, EngineHandle, live};
use crate::actors::call_budget::CallBudget;
use crate::actors::faults::Faults;
use crate::actors::worker::RunOptions;
use crate::config::Config;
use crate::fetch::PictureCache;

/// Moves of jobs that a slow listener may be behind before it misses some.
const EVENTS_KEPT: usize = 4096;

/// What an engine starts with.
pub struct EngineBuilder {
    pub(super) config: Config,
    pub(super) run: RunOptions,
    pub(super) faults: Faults,
    pub(super) open_within: Option<Duration>,
    pub(super) pictures: Option<Arc<PictureCache>>,
}

impl EngineBuilder {
    /// Works on this database rather than the configured one.
    #[must_use]
    pub fn database(mut self, path: PathBuf) -> Self {
        self.config.database.path = path;
        self
    }

    /// Reuses no earlier verdict.
    #[must_use]
    pub const fn fresh(mut self, fresh: bool) -> Self {
        self.run.fresh = fresh;
        self
    }

    /// Writes no verdict and no score.
    #[must_use]
    pub const fn dry_run(mut self, dry_run: bool) -> Self {
        self.run.dry_run = dry_run;
        self
    }

    /// Bounds the calls to the rate-limited upstream.
    #[must_use]
    pub const fn max_calls(mut self, calls: Option<u64>) -> Self {
        self.run.max_calls = calls;
        self
    }

    /// How long starting waits for another process that holds the database; as long as it takes
    /// if there is no limit.
    #[must_use]
    pub const fn open_within(mut self, limit: Option<Duration>) -> Self {
        self.open_within = limit;
        self
    }

    /// Works off the durable queue in the file, which no other process may do meanwhile. Jobs
    /// outlive the engine.
    #[must_use]
    pub const fn durable(mut self) -> Self {
        self.run.one_shot = false;
        self
    }

    /// Keeps small pictures that were fetched, to be shown by [`EngineHandle::picture`].
    #[must_use]
    pub fn pictures(mut self, cache: Option<Arc<PictureCache>>) -> Self {
        self.pictures = cache;
        self
    }

    /// Lets a test make things go wrong.
    #[doc(hidden)]
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Starts the engine on a thread of its own; returns when it takes work.
    ///
    /// # Errors
    /// When the database cannot be used or is held by another process for too long, a setting
    /// cannot be used, or no thread is to be had.
    pub fn start(self) -> Result<EngineHandle, EngineError> {
        if cfg!(panic = "abort") {
            return Err(EngineError::PanicAborts);
        }
        if self.config.database.path.as_os_str().is_empty() {
            return Err(EngineError::NoDatabase);
        }
        let (stop, stops) = mpsc::unbounded_channel();
        let (ready, started) = std_mpsc::channel();
        let (lost, is_lost) = tokio::sync::watch::channel(None);
        let calls = CallBudget::new(self.run.max_calls);
        let made = calls.clone();
        let pictures = self.pictures.clone();
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let told = events.clone();
        let config = Arc::new(self.config.clone());
        let thread = thread::Builder::new()
            .name("vvv-engine".to_owned())
            .spawn(move || live(self, calls, events, &ready, stops, &lost))
            .map_err(EngineError::Thread)?;
        match started.recv() {
            Ok(Ok(supervisor)) => {
                let handle =
                    EngineHandle::new(supervisor, stop, is_lost, made, told, thread, config);
                Ok(handle.showing(pictures))
            }
            Ok(Err(error)) => {
                let _ = thread.join();
                Err(error)
            }
            Err(_) => Err(EngineError::Lost),
        }
    }
}
