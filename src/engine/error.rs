//! Why an engine did not start, or does not go on.

use std::path::PathBuf;

use super::{Lost, SubmitError};
use crate::config::ConfigError;
use crate::store::{JobId, StoreError};

/// Why an engine did not start, or is no more.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Supervision needs unwinding.
    #[error(
        "start the engine: this program is built with panic = \"abort\", but a panicking job is survived only with panic = \"unwind\""
    )]
    PanicAborts,
    /// No database was named.
    #[error(
        "start the engine: no database is named (database.path, --db or the batch file's db_path)"
    )]
    NoDatabase,
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process works off this database's queue.
    #[error("work off the queue: another process does ({holder}), it holds {}", path.display())]
    QueueTaken {
        /// The lock file.
        path: PathBuf,
        /// Who holds it.
        holder: String,
    },
    /// The lock file cannot be used.
    #[error("lock the queue by {}: {error}", path.display())]
    LockFile {
        /// The lock file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// There is no durable queue in the file.
    #[error("look into the queue: the database has none yet; vvv-actors daemon makes it")]
    NoQueue,
    /// The HTTP client's settings cannot be used.
    #[error("start the engine: {0}")]
    Fetch(String),
    /// The embedded defaults cannot be read, and no configuration was given.
    #[error("start the engine: {0}")]
    Defaults(ConfigError),
    /// No thread or event loop was to be had.
    #[error("start the engine: {0}")]
    Thread(std::io::Error),
    /// A setting cannot be used.
    #[error("use the configuration: {0}")]
    Config(ConfigError),
    /// The work was not taken.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// A job's row was deleted or pruned before its end was seen, so nobody knows what it found.
    #[error("wait for job {0}: its row is gone from the queue")]
    JobGone(JobId),
    /// The engine was stopped. What it had committed stays; jobs of a durable queue that had not
    /// ended wait there for the next start.
    #[error("the engine was stopped")]
    Stopped,
    /// The engine is gone; what it had committed stays.
    #[error("engine lost")]
    Lost,
}

impl From<Lost> for EngineError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Died => Self::Lost,
            Lost::DatabaseReplaced => Self::Store(StoreError::Replaced),
        }
    }
}

impl EngineError {
    /// Whether there was no room on the disk. Nothing was written.
    #[must_use]
    pub const fn is_storage_full(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::StorageFull)
                | Self::Submit(SubmitError::Store(StoreError::StorageFull))
        )
    }

    /// Whether another process held the database for longer than was to be waited.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        matches!(self, Self::Store(StoreError::Locked))
    }
}
