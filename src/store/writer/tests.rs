//! Group commit against real files: what a failure costs, and whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::super::connection::LOCK_STEP;
use super::super::fixture::{Fixture, JOURNALS, Line, rows, run};
use super::super::operation::{Operation, Scope};
use super::super::queue::{Moment, NewJob, SubmitJobs};
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

/// Finds nothing to write.
struct Nothing;

impl Operation for Nothing {
    type Output = ();

    fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        scope.prepare("DELETE FROM log WHERE 0")?.execute([])?;
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
            trace: None,
        };
        let jobs = vec![job];
        let now = Moment(0);
        let ids = run(&mut writer, SubmitJobs { jobs, now }).unwrap();
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
            assert!(is_refused_for(pages, LOCK_STEP / 2));
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
    let end = writer.commit_group(&mut line.waiting);
    assert_eq!(end, GroupEnd::ReadersInTheWay);
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
        // Only what was written, and not refused after, says that there is room.
        writer.run(Nothing).unwrap();
        assert!(!writer.has_written());
        writer.commit_group(&mut line_of(&["a", huge]).waiting);
        assert!(!writer.has_written());
        writer.run(Write("b")).unwrap();
        assert!(writer.has_written() && !writer.has_written());
        fixture.sql("DELETE FROM log");
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
struct SpoilJournal(PathBuf);

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
