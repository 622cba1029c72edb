//! The one read-write connection, and group commit: many operations to a transaction, one
//! savepoint each, and the answers only after the commit.
//!
//! A savepoint does not isolate everything. A trigger's RAISE(ROLLBACK), a full disk and a panic
//! take the whole transaction; then the operations of the group are applied again, one to a
//! transaction, so that only the culprit fails.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, InterruptHandle};

use super::Options;
use super::connection::{LOCK_STEP, connect, patiently};
use super::error::StoreError;
use super::migrations;
use super::operation::{Pending, Scope};
use super::queue;
use super::site::Site;
use crate::config::JournalMode;

/// The most operations in one transaction: enough that a commit's cost is shared, few enough
/// that a replay one by one stays short.
const MAX_GROUP: usize = 256;

/// How long a COMMIT is retried while readers of a rollback journal hold their locks. Meanwhile
/// no new reader gets in, so it ends.
const COMMIT_PATIENCE: Duration = Duration::from_secs(2);

/// What came of one turn of [`Writer::commit_group`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupEnd {
    /// The first operations of the line are answered.
    Committed {
        /// How many.
        operations: usize,
        /// How long the write lock was held.
        held: Duration,
    },
    /// Another connection holds the lock: what is not answered still waits, in order.
    Locked,
    /// A commit failed and may have happened: its operations are answered
    /// [`StoreError::Unknown`], the rest still waits. The writer must be opened again.
    Reopen,
}

/// The read-write connection to the site's file.
pub struct Writer {
    connection: Connection,
    site: Site,
    keep_details: bool,
    max_hold: Duration,
    is_wal: bool,
}

/// Why a transaction cannot go on as it is.
enum Stop {
    /// A lock of another's is in the way; nothing is lost.
    Locked,
    /// The operation failed and may have taken the transaction with it.
    Broken(StoreError),
}

/// What came of one operation within a transaction that goes on.
type Applied = Result<(), StoreError>;

/// What came of a COMMIT.
enum Commit {
    Done,
    Locked,
    /// Refused (a deferred constraint, an interrupt); the transaction is still there.
    Refused(StoreError),
    /// The file is in doubt.
    Unknown(String),
}

impl Writer {
    /// Opens the file, makes or extends our tables in it and an empty queue in memory.
    ///
    /// Waits up to 30 s for others' locks.
    ///
    /// # Errors
    /// When there is no usable database, it is read-only, or tables of the site's are missing.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        patiently(|| Self::try_open(options))
    }

    fn try_open(options: &Options) -> Result<Self, StoreError> {
        let (mut connection, site) = connect(options)?;
        if connection.is_readonly("main")? {
            return Err(StoreError::ReadOnly {
                path: options.path.clone(),
            });
        }
        let is_wal = journal_mode(&connection, options.database.journal_mode)?;
        migrations::migrate(&mut connection)?;
        queue::create(&connection)?;
        Ok(Self {
            connection,
            site,
            keep_details: options.keep_details,
            max_hold: options.database.max_write_hold,
            is_wal,
        })
    }

    /// Whether the file's journal is a WAL: readers and this writer then do not block each other.
    #[must_use]
    pub const fn is_wal(&self) -> bool {
        self.is_wal
    }

    /// Stops, from another thread, the statement that runs now.
    #[must_use]
    pub fn interrupt_handle(&self) -> InterruptHandle {
        self.connection.get_interrupt_handle()
    }

    /// Closes the connection; SQLite folds the WAL back if no one else has the file open.
    pub fn close(self) {
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "failed to close the database");
        }
    }

    /// Applies the first operations in line in one transaction and answers them, in order.
    ///
    /// Takes no more than 256 and no longer than `database.max_write_hold`, but at least one.
    /// Blocks up to 250 ms for a lock, up to 2 s for the readers of a rollback journal.
    pub fn commit_group(&mut self, waiting: &mut VecDeque<Box<dyn Pending>>) -> GroupEnd {
        let touches_file = waiting
            .iter()
            .take(MAX_GROUP)
            .any(|next| next.touches_file());
        match self.begin(touches_file) {
            Ok(()) => {}
            Err(StoreError::Locked) => return GroupEnd::Locked,
            // Each operation meets the error itself.
            Err(_) => return self.replay(waiting, MAX_GROUP),
        }
        let begun = Instant::now();
        let mut outcomes = Vec::with_capacity(waiting.len().min(MAX_GROUP));
        for next in waiting.iter_mut().take(MAX_GROUP) {
            if !outcomes.is_empty() && begun.elapsed() >= self.max_hold {
                break;
            }
            match self.apply(next.as_mut()) {
                Ok(outcome) => outcomes.push(outcome),
                Err(Stop::Locked) => return self.give_up(),
                Err(Stop::Broken(_)) if self.roll_back() => {
                    return self.replay(waiting, outcomes.len() + 1);
                }
                Err(Stop::Broken(_)) => return GroupEnd::Reopen,
            }
        }
        let operations = outcomes.len();
        match self.commit() {
            Commit::Done => {
                let held = begun.elapsed();
                answer(waiting, outcomes);
                GroupEnd::Committed { operations, held }
            }
            Commit::Locked => self.give_up(),
            Commit::Refused(_) if self.roll_back() => self.replay(waiting, operations),
            Commit::Refused(_) => GroupEnd::Reopen,
            Commit::Unknown(reason) => {
                let unknown = |_| Err(StoreError::Unknown(reason.clone()));
                answer(waiting, outcomes.into_iter().map(unknown));
                GroupEnd::Reopen
            }
        }
    }

    /// Applies the first `count` operations in a transaction each.
    fn replay(&mut self, waiting: &mut VecDeque<Box<dyn Pending>>, count: usize) -> GroupEnd {
        let operations = count.min(waiting.len());
        let mut held = Duration::ZERO;
        for _ in 0..operations {
            let Some(next) = waiting.front_mut() else {
                break;
            };
            let begun = Instant::now();
            let (outcome, end) = match self.begin(next.touches_file()) {
                Ok(()) => self.alone(next.as_mut()),
                Err(StoreError::Locked) => (None, Some(GroupEnd::Locked)),
                Err(error) => (Some(Err(error)), None),
            };
            held += begun.elapsed();
            answer(waiting, outcome);
            if let Some(end) = end {
                return end;
            }
        }
        GroupEnd::Committed { operations, held }
    }

    /// Applies one operation in the transaction just begun, and ends it: the answer, if there is
    /// one, and what ends the turn, if something does.
    fn alone(&self, next: &mut dyn Pending) -> (Option<Applied>, Option<GroupEnd>) {
        let error = match self.apply(next) {
            Ok(Ok(())) => match self.commit() {
                Commit::Done => return (Some(Ok(())), None),
                Commit::Locked => return (None, Some(self.give_up())),
                Commit::Refused(error) => error,
                Commit::Unknown(reason) => {
                    let unknown = StoreError::Unknown(reason);
                    return (Some(Err(unknown)), Some(GroupEnd::Reopen));
                }
            },
            Ok(Err(error)) | Err(Stop::Broken(error)) => error,
            Err(Stop::Locked) => return (None, Some(self.give_up())),
        };
        let end = (!self.roll_back()).then_some(GroupEnd::Reopen);
        (Some(Err(error)), end)
    }

    /// Applies an operation within its savepoint. An operation that fails leaves nothing behind.
    fn apply(&self, next: &mut dyn Pending) -> Result<Applied, Stop> {
        self.run("SAVEPOINT operation").map_err(Stop::Broken)?;
        let scope = Scope {
            connection: &self.connection,
            site: &self.site,
            keep_details: self.keep_details,
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

    fn begin(&self, touches_file: bool) -> Result<(), StoreError> {
        // A transaction that reads first and writes later loses its place to another writer.
        self.run(if touches_file {
            "BEGIN IMMEDIATE"
        } else {
            "BEGIN"
        })
    }

    fn commit(&self) -> Commit {
        let deadline = Instant::now() + COMMIT_PATIENCE;
        loop {
            let Err(error) = self.try_commit() else {
                return Commit::Done;
            };
            match error.sqlite_error_code() {
                // SQLite keeps the transaction, so asking again loses nothing.
                Some(ErrorCode::DatabaseBusy) if Instant::now() + LOCK_STEP < deadline => {}
                Some(ErrorCode::DatabaseBusy) => return Commit::Locked,
                Some(ErrorCode::ConstraintViolation | ErrorCode::OperationInterrupted) => {
                    return Commit::Refused(error.into());
                }
                _ => return Commit::Unknown(error.to_string()),
            }
        }
    }

    fn try_commit(&self) -> Result<usize, rusqlite::Error> {
        self.connection.prepare_cached("COMMIT")?.execute([])
    }

    /// Rolls back, if SQLite has not done so; whether the connection is clean now.
    fn roll_back(&self) -> bool {
        if self.connection.is_autocommit() {
            return true;
        }
        let outcome = self.run("ROLLBACK");
        if let Err(error) = &outcome {
            tracing::warn!(%error, "failed to roll back");
        }
        self.connection.is_autocommit()
    }

    fn give_up(&self) -> GroupEnd {
        if self.roll_back() {
            GroupEnd::Locked
        } else {
            GroupEnd::Reopen
        }
    }

    fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

fn answer(waiting: &mut VecDeque<Box<dyn Pending>>, outcomes: impl IntoIterator<Item = Applied>) {
    for outcome in outcomes {
        if let Some(first) = waiting.pop_front() {
            first.answer(outcome);
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned())
}

/// Turns the journal to a WAL if asked to; whether it is one.
fn journal_mode(connection: &Connection, wanted: JournalMode) -> Result<bool, StoreError> {
    let sql = match wanted {
        JournalMode::Keep => "PRAGMA main.journal_mode",
        JournalMode::Wal => "PRAGMA main.journal_mode = wal",
    };
    let mode: String = connection.query_row(sql, [], |row| row.get(0))?;
    let is_wal = mode.eq_ignore_ascii_case("wal");
    if wanted == JournalMode::Wal && !is_wal {
        tracing::warn!(
            mode,
            "the file system allows no WAL; the journal stays as it is"
        );
    }
    Ok(is_wal)
}
