//! The one read-write connection, and group commit: many operations to a transaction, one
//! savepoint each, and the answers only after the commit.
//!
//! A savepoint does not isolate everything. A trigger's RAISE(ROLLBACK), a full disk and a panic
//! take the whole transaction; then the operations of the group are applied again, one to a
//! transaction, so that only the culprit fails.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rusqlite::{Connection, InterruptHandle};

use super::Options;
use super::connection::connect;
use super::error::StoreError;
use super::migrations;
use super::operation::Pending;
use super::queue;
use super::write_connection::{Applied, Commit, Stop, WriteConnection};
use crate::config::JournalMode;

/// The most operations in one transaction: enough that a commit's cost is shared, few enough
/// that a replay one by one stays short.
const MAX_GROUP: usize = 256;

/// Room for the ids of some 100,000 videos with their scores: they are looked up all over.
const CACHE_MIB: u16 = 8;

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
    /// The connection is not to be trusted any more. If a commit failed and may have happened,
    /// its operations are answered [`StoreError::Unknown`]; the rest still waits. The writer
    /// must be opened again, with an empty queue.
    Reopen,
}

/// The read-write connection to the site's file.
pub struct Writer {
    file: WriteConnection,
    max_hold: Duration,
    is_wal: bool,
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
        let (mut connection, site) = connect(options, CACHE_MIB)?;
        if connection.is_readonly("main")? {
            return Err(StoreError::ReadOnly {
                path: options.path.clone(),
            });
        }
        let is_wal = journal_mode(&connection, options.database.journal_mode)?;
        migrations::migrate(&mut connection)?;
        queue::create(&connection)?;
        Ok(Self {
            file: WriteConnection {
                connection,
                site,
                keep_details: options.keep_details,
            },
            max_hold: options.database.max_write_hold,
            is_wal,
            doubt: "the transaction could not be rolled back".to_owned(),
        })
    }

    /// Whether the file's journal is a WAL: readers and this writer then do not block each other.
    #[must_use]
    pub const fn is_wal(&self) -> bool {
        self.is_wal
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

    /// Closes the connection; SQLite folds the WAL back if no one else has the file open.
    pub fn close(self) {
        if let Err((_, error)) = self.file.connection.close() {
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
        match self.file.begin(touches_file) {
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
                let held = begun.elapsed();
                answer(waiting, outcomes);
                GroupEnd::Committed { operations, held }
            }
            Commit::Locked => self.give_up(),
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

    /// Applies the first `count` operations in a transaction each.
    fn replay(&mut self, waiting: &mut VecDeque<Box<dyn Pending>>, count: usize) -> GroupEnd {
        let operations = count.min(waiting.len());
        let mut held = Duration::ZERO;
        for _ in 0..operations {
            let Some(next) = waiting.front_mut() else {
                break;
            };
            let begun = Instant::now();
            let (outcome, end) = match self.file.begin(next.touches_file()) {
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
    fn alone(&mut self, next: &mut dyn Pending) -> (Option<Applied>, Option<GroupEnd>) {
        let error = match self.file.apply(next) {
            Ok(Ok(())) => match self.file.commit() {
                Commit::Done => return (Some(Ok(())), None),
                Commit::Locked => return (None, Some(self.give_up())),
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
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::super::connection::LOCK_STEP;
    use super::super::fixture::{Fixture, JOURNALS, Line, rows, run};
    use super::super::operation::{Operation, Scope};
    use super::super::queue::{NewJob, SubmitJobs};
    use super::*;
    use crate::domain::job::Kind;

    /// Writes a line of the site's log, which the tests' triggers watch.
    struct Write(&'static str);

    impl Operation for Write {
        type Output = ();

        fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
            scope
                .prepare("INSERT INTO log (line) VALUES (?1)")?
                .execute([self.0])?;
            Ok(())
        }
    }

    /// Panics after it has written.
    struct Panic;

    impl Operation for Panic {
        type Output = ();

        fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
            Write("panicking").apply(scope)?;
            panic!("on purpose");
        }
    }

    /// Writes and counts how often it is applied.
    struct Counted(Arc<AtomicUsize>);

    impl Operation for Counted {
        type Output = ();

        fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Write("counted").apply(scope)
        }
    }

    fn with_log(journal: &str) -> Fixture {
        let fixture = Fixture::new(journal);
        fixture.sql(
            "CREATE TABLE log (line TEXT); \
             CREATE TRIGGER abort BEFORE INSERT ON log WHEN NEW.line = 'abort' \
               BEGIN SELECT RAISE(ABORT, 'no such line'); END; \
             CREATE TRIGGER roll BEFORE INSERT ON log WHEN NEW.line = 'rollback' \
               BEGIN SELECT RAISE(ROLLBACK, 'all of it'); END; \
             CREATE TRIGGER fail AFTER INSERT ON log WHEN NEW.line = 'fail' \
               BEGIN SELECT RAISE(FAIL, 'half of it'); END;",
        );
        fixture
    }

    fn log(fixture: &Fixture) -> Vec<String> {
        fixture.rows("SELECT line FROM log ORDER BY rowid")
    }

    fn line_of(lines: &[&'static str]) -> Line<()> {
        let mut line = Line::new();
        for text in lines {
            line.push(Write(text));
        }
        line
    }

    fn failed_places(line: &Line<()>) -> Vec<usize> {
        let answers = line.answers();
        let places: Vec<usize> = answers.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, (0..places.len()).collect::<Vec<_>>(), "in order");
        let failed = answers.into_iter().filter(|(_, answer)| answer.is_err());
        failed.map(|(place, _)| place).collect()
    }

    #[test]
    fn a_group_is_one_transaction_and_answers_in_order() {
        for journal in JOURNALS {
            let fixture = with_log(journal);
            let mut writer = fixture.writer();
            assert_eq!(writer.is_wal(), journal == "wal");
            let mut line = line_of(&["a", "b", "c"]);
            let end = writer.commit_group(&mut line.waiting);
            assert!(matches!(end, GroupEnd::Committed { operations: 3, .. }));
            assert_eq!(failed_places(&line), Vec::<usize>::new());
            assert_eq!(log(&fixture), ["a", "b", "c"]);
        }
    }

    #[test]
    fn a_failing_operation_leaves_nothing_and_the_others_go_on() {
        for journal in JOURNALS {
            for (culprit, why) in [
                ("abort", "no such line"),
                ("fail", "half of it"),
                ("rollback", "all of it"),
            ] {
                let fixture = with_log(journal);
                let mut writer = fixture.writer();
                let mut line = line_of(&["a", culprit, "b"]);
                while !line.waiting.is_empty() {
                    let end = writer.commit_group(&mut line.waiting);
                    assert!(matches!(end, GroupEnd::Committed { .. }), "{end:?}");
                }
                let answers = line.answers();
                let error = answers[1].1.as_ref().unwrap_err().to_string();
                assert_eq!(error, format!("run a statement: {why}"));
                assert!(answers[0].1.is_ok() && answers[2].1.is_ok());
                assert_eq!(log(&fixture), ["a", "b"], "{culprit}");
            }
        }
    }

    #[test]
    fn a_panic_costs_only_its_own_operation() {
        for journal in JOURNALS {
            let fixture = with_log(journal);
            let mut writer = fixture.writer();
            let applied = Arc::new(AtomicUsize::new(0));
            let mut line = line_of(&["a"]);
            line.push(Counted(applied.clone()));
            line.push(Panic);
            line.push(Write("b"));
            while !line.waiting.is_empty() {
                writer.commit_group(&mut line.waiting);
            }
            let answers = line.answers();
            let Err(StoreError::Panicked(text)) = &answers[2].1 else {
                panic!("{answers:?}")
            };
            assert_eq!(text, "on purpose");
            assert!([0, 1, 3].iter().all(|place| answers[*place].1.is_ok()));
            assert_eq!(log(&fixture), ["a", "counted", "b"]);
            assert_eq!(
                applied.load(Ordering::Relaxed),
                2,
                "once more in the replay"
            );
        }
    }

    #[test]
    fn a_constraint_that_waits_for_the_commit_fails_only_its_operation() {
        for journal in JOURNALS {
            let mut fixture = Fixture::new(journal);
            fixture.sql(
                "CREATE TABLE lines (line TEXT PRIMARY KEY); INSERT INTO lines VALUES ('a'), ('b'); \
                 CREATE TABLE log (line TEXT REFERENCES lines DEFERRABLE INITIALLY DEFERRED);",
            );
            fixture.options.database.foreign_keys = true;
            let mut writer = fixture.writer();
            let mut line = line_of(&["a", "dangling", "b"]);
            writer.commit_group(&mut line.waiting);
            assert_eq!(failed_places(&line), [1]);
            assert_eq!(log(&fixture), ["a", "b"]);
        }
    }

    #[test]
    fn a_foreign_lock_delays_and_loses_nothing() {
        for journal in JOURNALS {
            let fixture = with_log(journal);
            let mut writer = fixture.writer();
            let site = fixture.site();
            site.execute_batch("BEGIN IMMEDIATE").unwrap();
            let mut line = line_of(&["a", "b"]);
            let begun = Instant::now();
            assert_eq!(writer.commit_group(&mut line.waiting), GroupEnd::Locked);
            assert!(begun.elapsed() >= Duration::from_millis(200), "it waits");
            assert_eq!(line.waiting.len(), 2);
            assert!(line.answers().is_empty());
            site.execute_batch("ROLLBACK").unwrap();
            writer.commit_group(&mut line.waiting);
            assert_eq!(failed_places(&line), Vec::<usize>::new());
            assert_eq!(log(&fixture), ["a", "b"]);
        }
    }

    #[test]
    fn what_is_only_in_memory_does_not_wait_for_the_file() {
        for journal in JOURNALS {
            let fixture = with_log(journal);
            let mut writer = fixture.writer();
            let site = fixture.site();
            site.execute_batch("BEGIN EXCLUSIVE").unwrap();
            let job = NewJob {
                kind: Kind::Score,
                payload: "{}".to_owned(),
                priority: 5,
                run_at_ms: 0,
                origin: 0,
            };
            let jobs = vec![job];
            let ids = run(&mut writer, SubmitJobs { jobs, now_ms: 0 }).unwrap();
            assert_eq!(ids.len(), 1);
        }
    }

    #[test]
    fn a_reader_in_the_way_of_a_commit_is_waited_for() {
        let fixture = with_log("delete");
        fixture.sql("INSERT INTO log VALUES ('old')");
        let mut writer = fixture.writer();
        let site = fixture.site();
        site.execute_batch("BEGIN").unwrap();
        assert_eq!(rows(&site, "SELECT line FROM log"), ["old"]);
        let applied = Arc::new(AtomicUsize::new(0));
        let mut line = Line::new();
        line.push(Counted(applied.clone()));
        let (seen, pages) = (applied.clone(), &fixture);
        let end = thread::scope(|scope| {
            scope.spawn(move || {
                while seen.load(Ordering::Relaxed) == 0 {
                    thread::yield_now();
                }
                assert!(is_refused_for(pages, LOCK_STEP * 2));
                site.execute_batch("COMMIT").unwrap();
            });
            writer.commit_group(&mut line.waiting)
        });
        assert!(
            matches!(end, GroupEnd::Committed { operations: 1, .. }),
            "{end:?}"
        );
        assert!(line.answers()[0].1.is_ok());
        assert_eq!(
            applied.load(Ordering::Relaxed),
            1,
            "its transaction was kept"
        );
        assert_eq!(log(&fixture), ["old", "counted"]);
    }

    /// Waits until new readers are refused, for a COMMIT waits for those that are in, and goes
    /// on looking: whether they are refused for so long.
    fn is_refused_for(fixture: &Fixture, span: Duration) -> bool {
        let late = fixture.site();
        let is_refused = || {
            let read = late.query_row("SELECT count(*) FROM log", [], |_| Ok(()));
            read.is_err_and(|error| StoreError::from(error).is_locked())
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_refused() {
            if deadline < Instant::now() {
                return false;
            }
        }
        let first = Instant::now();
        while first.elapsed() < span {
            if !is_refused() {
                return false;
            }
        }
        true
    }

    #[test]
    fn a_reader_that_stays_in_the_way_is_given_way_to() {
        let fixture = with_log("delete");
        fixture.sql("INSERT INTO log VALUES ('old')");
        let mut writer = fixture.writer();
        let site = fixture.site();
        site.execute_batch("BEGIN").unwrap();
        assert_eq!(rows(&site, "SELECT line FROM log"), ["old"]);
        let mut line = line_of(&["a"]);
        assert_eq!(writer.commit_group(&mut line.waiting), GroupEnd::Locked);
        assert_eq!(line.waiting.len(), 1);
        assert_eq!(log(&fixture), ["old"], "new readers are let in again");
        site.execute_batch("COMMIT").unwrap();
        writer.commit_group(&mut line.waiting);
        assert_eq!(log(&fixture), ["old", "a"]);
    }

    #[test]
    fn a_full_disk_fails_what_does_not_fit_and_nothing_else() {
        for journal in JOURNALS {
            let fixture = with_log(journal);
            let mut writer = fixture.writer();
            let pages: i64 = writer
                .file
                .connection
                .query_row("PRAGMA page_count", [], |row| row.get(0))
                .unwrap();
            writer
                .file
                .connection
                .query_row(
                    &format!("PRAGMA max_page_count = {}", pages + 1),
                    [],
                    |_| Ok(()),
                )
                .unwrap();
            let huge: &'static str = Box::leak("x".repeat(100_000).into_boxed_str());
            let mut line = line_of(&["a", huge, "b"]);
            while !line.waiting.is_empty() {
                let end = writer.commit_group(&mut line.waiting);
                assert!(matches!(end, GroupEnd::Committed { .. }), "{end:?}");
            }
            let answers = line.answers();
            assert!(
                matches!(answers[1].1, Err(StoreError::StorageFull)),
                "{answers:?}"
            );
            assert!(answers[0].1.is_ok() && answers[2].1.is_ok(), "{answers:?}");
            assert_eq!(log(&fixture), ["a", "b"]);
        }
    }

    /// Writes, then makes the rollback journal impossible to delete, which is what commits.
    struct SpoilJournal(std::path::PathBuf);

    impl Operation for SpoilJournal {
        type Output = ();

        fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
            Write("spoilt").apply(scope)?;
            std::fs::remove_file(&self.0).unwrap();
            std::fs::create_dir(&self.0).unwrap();
            Ok(())
        }
    }

    #[test]
    fn a_commit_that_fails_on_the_disk_may_have_happened() {
        let fixture = with_log("delete");
        let mut writer = fixture.writer();
        let journal = fixture.beside("vault.db-journal");
        let mut line = line_of(&["a", "abort"]);
        line.push(SpoilJournal(journal.clone()));
        for _ in 0..254 {
            line.push(Write("b"));
        }
        assert_eq!(writer.commit_group(&mut line.waiting), GroupEnd::Reopen);
        assert_eq!(
            line.waiting.len(),
            1,
            "what was not in the group still waits"
        );
        let answers = line.answers();
        assert_eq!(answers.len(), 256);
        for (place, answer) in &answers {
            let is_unknown = matches!(answer, Err(StoreError::Unknown(_)));
            // The one that had failed by itself is in no doubt.
            assert_eq!(is_unknown, *place != 1, "{place}: {answer:?}");
        }
        writer.close();
        std::fs::remove_dir(journal).unwrap();
        let mut writer = fixture.writer();
        let end = writer.commit_group(&mut line.waiting);
        assert!(matches!(end, GroupEnd::Committed { operations: 1, .. }));
    }

    #[test]
    fn a_group_ends_when_it_has_held_the_lock_long_enough() {
        let mut fixture = with_log("wal");
        fixture.options.database.max_write_hold = Duration::ZERO;
        let mut writer = fixture.writer();
        let mut line = line_of(&["a", "b"]);
        let end = writer.commit_group(&mut line.waiting);
        assert!(matches!(end, GroupEnd::Committed { operations: 1, .. }));
        assert_eq!(line.waiting.len(), 1);
    }

    #[test]
    fn a_group_has_at_most_256_operations() {
        let fixture = with_log("wal");
        let mut writer = fixture.writer();
        let mut line = line_of(&["a"; 300]);
        let end = writer.commit_group(&mut line.waiting);
        assert!(matches!(
            end,
            GroupEnd::Committed {
                operations: 256,
                ..
            }
        ));
        assert_eq!(line.waiting.len(), 44);
    }

    #[test]
    fn an_error_at_the_beginning_reaches_every_operation() {
        let fixture = with_log("wal");
        let mut writer = fixture.writer();
        // A transaction left open by mistake makes every BEGIN fail.
        writer.file.connection.execute_batch("BEGIN").unwrap();
        let mut line = line_of(&["a", "b"]);
        let end = writer.commit_group(&mut line.waiting);
        assert!(matches!(end, GroupEnd::Committed { operations: 2, .. }));
        assert_eq!(failed_places(&line), [0, 1]);
    }

    #[test]
    fn the_journal_is_turned_to_a_wal_only_when_asked() {
        let mut fixture = Fixture::new("delete");
        assert!(!fixture.writer().is_wal());
        fixture.options.database.journal_mode = JournalMode::Wal;
        let writer = fixture.writer();
        assert!(writer.is_wal());
        writer.close();
        assert_eq!(fixture.rows("PRAGMA journal_mode"), ["wal"]);
    }

    #[test]
    fn a_statement_that_runs_is_interrupted() {
        struct Endless(mpsc::Sender<()>);
        impl Operation for Endless {
            type Output = ();
            fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
                self.0.send(()).unwrap();
                let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                               SELECT count(*) FROM n";
                Ok(scope.prepare(endless)?.query_row([], |_| Ok(()))?)
            }
        }
        let fixture = with_log("wal");
        let mut writer = fixture.writer();
        let (started, starts) = mpsc::channel();
        let handle = writer.interrupt_handle();
        let stop = thread::spawn(move || {
            starts.recv().unwrap();
            // Until the answer has come: an interrupt before the first step does nothing.
            while starts.try_recv() != Err(mpsc::TryRecvError::Disconnected) {
                handle.interrupt();
                thread::yield_now();
            }
        });
        let mut line = Line::new();
        line.push(Endless(started));
        writer.commit_group(&mut line.waiting);
        line.waiting.clear();
        stop.join().unwrap();
        assert!(matches!(line.answers()[0].1, Err(StoreError::Interrupted)));
    }
}
