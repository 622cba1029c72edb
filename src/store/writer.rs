//! The one read-write connection, and group commit: many operations to a transaction, one
//! savepoint each, and the answers only after the commit.
//!
//! A savepoint does not isolate everything. A trigger's RAISE(ROLLBACK), a full disk and a panic
//! take the whole transaction; then the operations of the group are applied again, one to a
//! transaction, so that only the culprit fails.

use std::cell::Cell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rusqlite::hooks::Wal;
use rusqlite::{Connection, InterruptHandle};

use super::Options;
use super::connection::connect;
use super::error::StoreError;
use super::identity::{FileIdentity, OpenFiles};
use super::inspect::with_suffix;
use super::migrations;
use super::operation::{Operation, Pending, QueueHome, pending};
use super::queue;
use super::write_connection::{Applied, Commit, Stop, WriteConnection};
use crate::config::{Checkpoint, JournalMode};

/// The most operations in one transaction: enough that a commit's cost is shared, few enough
/// that a replay one by one stays short.
const MAX_GROUP: usize = 256;

/// Pages, 4 KiB each as a rule: half of what makes a site's own commit fold the WAL back, and wait.
const LONG_WAL: i32 = 500;
/// 64 MiB: from there on every reader feels it.
const LONGEST_WAL: i32 = 16_384;

/// Room for the ids of some 100,000 videos with their scores: they are looked up all over.
const CACHE_MIB: u16 = 8;

/// How long a WAL has grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalLength {
    /// Not worth a word.
    Short,
    /// To be folded back as soon as nothing waits.
    Long,
    /// To be folded back now.
    TooLong,
}

/// What came of one turn of [`Writer::commit_group`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupEnd {
    /// The first operations of the line are answered.
    Committed {
        /// How many.
        operations: usize,
        /// How long the file's write lock was held.
        held: Duration,
    },
    /// Another connection holds the lock: what is not answered still waits, in order.
    Locked,
    /// Readers of a rollback journal kept the commit from its lock, and it kept new readers out
    /// meanwhile; it was rolled back. What is not answered still waits, in order.
    ReadersInTheWay,
    /// The connection is not to be trusted any more. If a commit failed and may have happened,
    /// its operations are answered [`StoreError::Unknown`]; the rest still waits. The writer
    /// must be opened again, with an empty queue.
    Reopen,
}

/// The read-write connection to the site's file.
pub struct Writer {
    pub(super) file: WriteConnection,
    max_hold: Duration,
    /// What the file's version was when it was last looked at.
    seen_version: i64,
    is_wal: bool,
    /// Whether anything was written, and nothing was refused since that the disk was to take.
    has_written: bool,
    checkpoint: Checkpoint,
    /// Pages in the WAL after the last commit.
    wal_pages: Arc<AtomicI32>,
    files: OpenFiles,
    /// Why the writer must be opened again, once it must.
    doubt: String,
}

impl Writer {
    /// Opens the file, makes or extends our tables in it and an empty queue in memory.
    ///
    /// Waits up to 250 ms for a lock and then answers [`StoreError::Locked`]: a
    /// [`Patience`](super::Patience) waits longer.
    ///
    /// # Errors
    /// When there is no usable database, it is read-only or locked, or tables of the site's are
    /// missing.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        let mut files = OpenFiles::default();
        // Before it is opened: a file that takes its place meanwhile is then another.
        files.note(&options.path);
        let (mut connection, site) = connect(options, CACHE_MIB)?;
        if connection.is_readonly("main")? {
            return Err(StoreError::ReadOnly {
                path: options.path.clone(),
            });
        }
        let is_wal = journal_mode(&connection, options.database.journal_mode)?;
        migrations::migrate(&mut connection)?;
        if options.queue == QueueHome::Memory {
            queue::create(&connection)?;
        }
        if is_wal {
            // While a connection is open nobody may rightly remove them: what is committed into a WAL
            // without a name is gone with us.
            for companion in companions(&connection).into_iter().flatten() {
                files.note(&companion);
            }
        }
        let wal_pages = Arc::new(AtomicI32::new(0));
        if options.queue == QueueHome::File && options.database.checkpoint == Checkpoint::Idle {
            // In the place of SQLite's own, which folds the WAL back while somebody waits.
            let pages = Arc::clone(&wal_pages);
            connection.wal_hook(Some(move |_: &mut Wal, count| {
                pages.store(count, Ordering::Relaxed);
                Ok(())
            }))?;
        }
        Ok(Self {
            file: WriteConnection {
                connection,
                site,
                keep_details: options.keep_details,
                home: options.queue,
                new_rows: Cell::new(false),
            },
            max_hold: options.database.max_write_hold,
            seen_version: 0,
            is_wal,
            has_written: false,
            checkpoint: options.database.checkpoint,
            wal_pages,
            files,
            doubt: "the transaction could not be rolled back".to_owned(),
        })
    }

    /// Whether the file's journal is a WAL: readers and this writer then do not block each other.
    #[must_use]
    pub const fn is_wal(&self) -> bool {
        self.is_wal
    }

    /// Which file it was that was opened; none if that could not be told.
    #[must_use]
    pub fn file(&self) -> Option<FileIdentity> {
        self.files.first()
    }

    /// Whether the file, or what SQLite keeps beside it, was replaced or removed since: what is
    /// written then is lost.
    #[must_use]
    pub fn has_lost_its_file(&self) -> bool {
        self.files.have_left()
    }

    /// Whether a video's last snapshots are found without reading all; without an index on its
    /// id and the time a lookup takes thousands of times longer.
    #[must_use]
    pub const fn has_snapshot_index(&self) -> bool {
        self.file.site.has_snapshot_index
    }

    /// Why it had to answer [`GroupEnd::Reopen`].
    #[must_use]
    pub fn doubt(&self) -> &str {
        &self.doubt
    }

    /// Stops, from another thread, the statement that runs now.
    #[must_use]
    pub fn interrupt_handle(&self) -> InterruptHandle {
        self.file.connection.get_interrupt_handle()
    }

    /// Runs one operation in a transaction of its own.
    ///
    /// # Errors
    /// The operation's; [`StoreError::Locked`] if another connection was in the way.
    pub fn run<O: Operation>(&mut self, operation: O) -> Result<O::Output, StoreError> {
        let (answer, answered) = mpsc::channel();
        let operation = pending(operation, move |result| {
            let _ = answer.send(result);
        });
        self.commit_group(&mut VecDeque::from([operation]));
        answered.try_recv().unwrap_or(Err(StoreError::Locked))
    }

    /// Whether another connection has committed since the last call.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn has_changed(&mut self) -> Result<bool, StoreError> {
        let version: i64 = self
            .file
            .connection
            .prepare_cached("PRAGMA main.data_version")?
            .query_row([], |row| row.get(0))?;
        Ok(std::mem::replace(&mut self.seen_version, version) != version)
    }

    /// Whether rows were put in since the last call that wait to be taken in.
    pub fn has_new_rows(&mut self) -> bool {
        self.file.new_rows.take()
    }

    /// Whether any row was written since the last call, and the disk refused nothing after it.
    pub const fn has_written(&mut self) -> bool {
        std::mem::replace(&mut self.has_written, false)
    }

    /// How long the WAL has grown.
    #[must_use]
    pub fn wal_length(&self) -> WalLength {
        match self.wal_pages.load(Ordering::Relaxed) {
            ..LONG_WAL => WalLength::Short,
            LONG_WAL..LONGEST_WAL => WalLength::Long,
            LONGEST_WAL.. => WalLength::TooLong,
        }
    }

    /// Folds as much of a WAL back into the file as is possible without waiting; with `whole` all
    /// of it, if no one else looks at it, and leaves it empty. Does nothing where
    /// `database.checkpoint` is "never".
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn fold_wal(&self, whole: bool) -> Result<(), StoreError> {
        if !self.is_wal || self.checkpoint == Checkpoint::Never {
            return Ok(());
        }
        let sql = if whole {
            "PRAGMA main.wal_checkpoint(TRUNCATE)"
        } else {
            "PRAGMA main.wal_checkpoint(PASSIVE)"
        };
        self.wal_pages.store(0, Ordering::Relaxed);
        // Its answer says how far it got, which is as far as it could.
        self.file.connection.query_row(sql, [], |_| Ok(()))?;
        Ok(())
    }

    /// Leaves the connection open for good, for its file is no longer the one at its path: closing
    /// it would delete the WAL of the file that is there now.
    pub fn abandon(self) {
        std::mem::forget(self);
    }

    /// Closes the connection; SQLite folds the WAL back if no one else has the file open.
    pub fn close(self) {
        if let Err((_, error)) = self.file.connection.close() {
            tracing::warn!(%error, "failed to close the database");
        }
    }

    /// Applies the first operations in line in one transaction and answers them, in order.
    ///
    /// Takes no more than 256 and no longer than `database.max_write_hold`, but at least one.
    /// Blocks up to 250 ms for a lock, up to 500 ms for the readers of a rollback journal.
    pub fn commit_group(&mut self, waiting: &mut VecDeque<Box<dyn Pending>>) -> GroupEnd {
        let touches_file = waiting
            .iter()
            .take(MAX_GROUP)
            .any(|next| self.touches_file(next.as_ref()));
        match self.file.begin(touches_file) {
            Ok(()) => {}
            Err(StoreError::Locked) => return GroupEnd::Locked,
            // Each operation meets the error itself.
            Err(_) => return self.replay(waiting, MAX_GROUP),
        }
        let begun = Instant::now();
        let changes = self.file.connection.total_changes();
        let mut outcomes = Vec::with_capacity(waiting.len().min(MAX_GROUP));
        for next in waiting.iter_mut().take(MAX_GROUP) {
            if !outcomes.is_empty() && begun.elapsed() >= self.max_hold {
                break;
            }
            match self.file.apply(next.as_mut()) {
                Ok(outcome) => outcomes.push(outcome),
                Err(Stop::Locked) => return self.give_up(),
                Err(Stop::Broken(_)) if self.file.roll_back() => {
                    return self.replay(waiting, outcomes.len() + 1);
                }
                Err(Stop::Broken(_)) => return GroupEnd::Reopen,
            }
        }
        let operations = outcomes.len();
        match self.file.commit() {
            Commit::Done => {
                self.note_written(changes, &outcomes);
                let held = if touches_file {
                    begun.elapsed()
                } else {
                    Duration::ZERO
                };
                answer(waiting, outcomes);
                GroupEnd::Committed { operations, held }
            }
            Commit::Locked => self.give_way(),
            Commit::Refused(_) if self.file.roll_back() => self.replay(waiting, operations),
            Commit::Refused(_) => GroupEnd::Reopen,
            Commit::Unknown(reason) => {
                // What failed by itself is not in doubt.
                let doubt = |outcome: Applied| {
                    outcome.and_then(|()| Err(StoreError::Unknown(reason.clone())))
                };
                answer(waiting, outcomes.into_iter().map(doubt));
                self.doubt = reason;
                GroupEnd::Reopen
            }
        }
    }

    /// Takes note of whether these operations wrote anything since there were so many changes.
    fn note_written(&mut self, changes: u64, outcomes: &[Applied]) {
        let is_refused = |outcome: &Applied| {
            let error = outcome.as_ref().err();
            error.is_some_and(StoreError::is_of_the_disk)
        };
        if outcomes.iter().any(is_refused) {
            self.has_written = false;
        } else if outcomes.iter().any(Result::is_ok) {
            self.has_written |= self.file.connection.total_changes() != changes;
        }
    }

    /// A queue in the file is the file.
    fn touches_file(&self, next: &dyn Pending) -> bool {
        self.file.home == QueueHome::File || next.touches_file()
    }

    /// Applies the first `count` operations in a transaction each.
    fn replay(&mut self, waiting: &mut VecDeque<Box<dyn Pending>>, count: usize) -> GroupEnd {
        let operations = count.min(waiting.len());
        let mut held = Duration::ZERO;
        for _ in 0..operations {
            let Some(next) = waiting.front_mut() else {
                break;
            };
            let touches_file = self.file.home == QueueHome::File || next.touches_file();
            let begun = Instant::now();
            let changes = self.file.connection.total_changes();
            let (outcome, end) = match self.file.begin(touches_file) {
                Ok(()) => self.alone(next.as_mut()),
                Err(StoreError::Locked) => (None, Some(GroupEnd::Locked)),
                Err(error) => (Some(Err(error)), None),
            };
            held += begun.elapsed();
            self.note_written(changes, outcome.as_slice());
            answer(waiting, outcome);
            if let Some(end) = end {
                return end;
            }
        }
        GroupEnd::Committed { operations, held }
    }

    /// Applies one operation in the transaction just begun, and ends it: the answer, if there is
    /// one, and what ends the turn, if something does.
    fn alone(&mut self, next: &mut dyn Pending) -> (Option<Applied>, Option<GroupEnd>) {
        let error = match self.file.apply(next) {
            Ok(Ok(())) => match self.file.commit() {
                Commit::Done => return (Some(Ok(())), None),
                Commit::Locked => return (None, Some(self.give_way())),
                Commit::Refused(error) => error,
                Commit::Unknown(reason) => {
                    self.doubt.clone_from(&reason);
                    let unknown = StoreError::Unknown(reason);
                    return (Some(Err(unknown)), Some(GroupEnd::Reopen));
                }
            },
            Ok(Err(error)) | Err(Stop::Broken(error)) => error,
            Err(Stop::Locked) => return (None, Some(self.give_up())),
        };
        let end = (!self.file.roll_back()).then_some(GroupEnd::Reopen);
        (Some(Err(error)), end)
    }

    fn give_way(&self) -> GroupEnd {
        match self.give_up() {
            GroupEnd::Locked => GroupEnd::ReadersInTheWay,
            end => end,
        }
    }

    fn give_up(&self) -> GroupEnd {
        if self.file.roll_back() {
            GroupEnd::Locked
        } else {
            GroupEnd::Reopen
        }
    }
}

fn answer(waiting: &mut VecDeque<Box<dyn Pending>>, outcomes: impl IntoIterator<Item = Applied>) {
    for outcome in outcomes {
        if let Some(first) = waiting.pop_front() {
            first.answer(outcome);
        }
    }
}

/// The WAL and its index, beside the file that a link may lead to.
fn companions(connection: &Connection) -> Option<[PathBuf; 2]> {
    let path = Path::new(connection.path()?);
    Some(["-wal", "-shm"].map(|suffix| with_suffix(path, suffix)))
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

#[cfg(test)]
mod tests;
