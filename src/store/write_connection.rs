//! One write transaction, step by step: begun, operations applied each in its savepoint, then
//! committed or rolled back, with every way each step can fail told apart.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::connection::LOCK_STEP;
use super::error::{StoreError, is_no_room};
use super::operation::{Pending, QueueHome, Scope};
use super::site::Site;

/// How long a COMMIT is retried while readers of a rollback journal hold their locks. Meanwhile
/// no new reader gets in: those of a moment are soon gone, and for one that stays all others
/// must not be kept out.
const COMMIT_PATIENCE: Duration = Duration::from_millis(500);

/// How often a ROLLBACK is tried that interrupts keep hitting.
const MAX_ROLLBACKS: usize = 1000;

/// The connection that writes.
pub(super) struct WriteConnection {
    pub(super) connection: Connection,
    pub(super) site: Site,
    pub(super) keep_details: bool,
    pub(super) home: QueueHome,
    /// Whether a transaction put in rows that wait to be taken in.
    pub(super) new_rows: Cell<bool>,
}

/// Why a transaction cannot go on as it is.
pub(super) enum Stop {
    /// A lock of another's is in the way; nothing is lost.
    Locked,
    /// The operation failed and may have taken the transaction with it.
    Broken(StoreError),
}

/// What came of one operation within a transaction that goes on.
pub(super) type Applied = Result<(), StoreError>;

/// What came of a COMMIT.
pub(super) enum Commit {
    Done,
    Locked,
    /// Refused (a deferred constraint, an interrupt, a full disk); nothing is in doubt.
    Refused(StoreError),
    /// The file is in doubt.
    Unknown(String),
}

impl WriteConnection {
    /// Applies an operation within its savepoint. An operation that fails leaves nothing behind.
    pub(super) fn apply(&self, next: &mut dyn Pending) -> Result<Applied, Stop> {
        self.run("SAVEPOINT operation").map_err(Stop::Broken)?;
        let scope = Scope {
            connection: &self.connection,
            site: &self.site,
            keep_details: self.keep_details,
            home: self.home,
            new_rows: &self.new_rows,
        };
        // Nothing of the connection outlives the transaction that is rolled back after a panic.
        let outcome = match catch_unwind(AssertUnwindSafe(|| next.apply(&scope))) {
            Ok(outcome) => outcome,
            Err(panic) => {
                return Err(Stop::Broken(StoreError::Panicked(panic_text(
                    panic.as_ref(),
                ))));
            }
        };
        match outcome {
            Err(StoreError::Locked) => Err(Stop::Locked),
            Err(error) if self.connection.is_autocommit() => Err(Stop::Broken(error)),
            Err(error) => {
                self.run("ROLLBACK TO operation").map_err(Stop::Broken)?;
                self.run("RELEASE operation").map_err(Stop::Broken)?;
                Ok(Err(error))
            }
            // Without its transaction this fails too, and rightly so.
            Ok(()) => self.run("RELEASE operation").map_err(Stop::Broken).map(Ok),
        }
    }

    /// Begins a transaction, with the write lock if it is to touch the file.
    pub(super) fn begin(&self, touches_file: bool) -> Result<(), StoreError> {
        // A transaction that reads first and writes later loses its place to another writer.
        self.run(if touches_file {
            "BEGIN IMMEDIATE"
        } else {
            "BEGIN"
        })
    }

    /// Commits, retrying for [`COMMIT_PATIENCE`] while readers are in the way.
    pub(super) fn commit(&self) -> Commit {
        let deadline = Instant::now() + COMMIT_PATIENCE;
        loop {
            let Err(error) = self.try_commit() else {
                return Commit::Done;
            };
            match error.sqlite_error_code() {
                // SQLite keeps the transaction, so asking again loses nothing.
                Some(ErrorCode::DatabaseBusy) if Instant::now() + LOCK_STEP < deadline => {
                    thread::sleep(Duration::from_millis(1));
                }
                Some(ErrorCode::DatabaseBusy) => return Commit::Locked,
                Some(ErrorCode::ConstraintViolation | ErrorCode::OperationInterrupted) => {
                    return Commit::Refused(error.into());
                }
                // SQLite has rolled back what did not fit.
                _ if is_no_room(&error) => return Commit::Refused(StoreError::StorageFull),
                _ => return Commit::Unknown(error.to_string()),
            }
        }
    }

    fn try_commit(&self) -> Result<usize, rusqlite::Error> {
        self.connection.prepare_cached("COMMIT")?.execute([])
    }

    /// Rolls back, if SQLite has not done so; whether the connection is clean now.
    pub(super) fn roll_back(&self) -> bool {
        for _ in 0..MAX_ROLLBACKS {
            if self.connection.is_autocommit() {
                return true;
            }
            match self.run("ROLLBACK") {
                Ok(()) => {}
                // Whoever interrupts means the work, not its undoing.
                Err(StoreError::Interrupted) => {}
                Err(error) => {
                    tracing::warn!(%error, "failed to roll back");
                    break;
                }
            }
        }
        self.connection.is_autocommit()
    }

    fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned())
}
