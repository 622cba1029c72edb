//! Why an engine did not start, or does not go on.

use super::SubmitError;
use crate::store::StoreError;

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
    /// The HTTP client's settings cannot be used.
    #[error("start the engine: {0}")]
    Fetch(String),
    /// No thread or event loop was to be had.
    #[error("start the engine: {0}")]
    Thread(std::io::Error),
    /// The work was not taken.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The engine is gone; what it had committed stays.
    #[error("engine lost: its supervisor died")]
    Lost,
}

impl EngineError {
    /// Whether another process held the database for longer than was to be waited.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        matches!(self, Self::Store(StoreError::Locked))
    }
}
