//! A site's file in a folder of its own, for the tests of this module.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use super::claim::ClaimJobs;
use super::queue::{Lease, Moment, NewJob, SubmitJobs};
use super::{
    Claim, GroupEnd, Operation, Options, Patience, Pending, QueueHome, Reader, StoreError, Writer,
    pending,
};
use crate::config::{
    Checkpoint, Database, FetchedAt, JournalMode, Schema, SnapshotsTable, VideosTable,
};
use crate::domain::job::{Kind, Queue};

/// The journals a site may have.
pub(super) const JOURNALS: [&str; 2] = ["delete", "wal"];

/// What a site looks like that never heard of us.
const TABLES: &str = "CREATE TABLE videos (video_id TEXT PRIMARY KEY, title TEXT, \
       virality_score REAL, thumbnail_url TEXT); \
     CREATE TABLE video_snapshots (id INTEGER PRIMARY KEY, video_id TEXT, view_count INTEGER, \
       likes INTEGER, comments INTEGER, region TEXT, fetched_at TEXT); \
     CREATE INDEX by_time ON video_snapshots (video_id, fetched_at);";

/// A site's file; it goes with the value.
pub(super) struct Fixture {
    pub(super) options: Options,
    folder: TempDir,
}

impl Fixture {
    /// The usual tables.
    pub(super) fn new(journal: &str) -> Self {
        Self::with_tables(journal, TABLES)
    }

    /// Other tables.
    pub(super) fn with_tables(journal: &str, tables: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixture = Self {
            options: options(folder.path().join("vault.db")),
            folder,
        };
        let site = Connection::open(&fixture.options.path).unwrap();
        let set: String = site
            .query_row(&format!("PRAGMA journal_mode = {journal}"), [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(set, journal);
        site.execute_batch(tables).unwrap();
        fixture
    }

    /// A path beside the file.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A connection as the site's own pages have it; it waits for no lock.
    pub(super) fn site(&self) -> Connection {
        let site = Connection::open(&self.options.path).unwrap();
        site.busy_timeout(Duration::ZERO).unwrap();
        site
    }

    /// Runs statements as the site.
    pub(super) fn sql(&self, sql: &str) {
        self.site().execute_batch(sql).unwrap();
    }

    /// The rows of a query as text, as the site sees them.
    pub(super) fn rows(&self, sql: &str) -> Vec<String> {
        rows(&self.site(), sql)
    }

    pub(super) fn writer(&self) -> Writer {
        patiently(|| Writer::open(&self.options))
    }

    pub(super) fn reader(&self) -> Reader {
        patiently(|| Reader::open(&self.options))
    }
}

/// Others may be at the file, of this test or of SQLite's own cleaning up.
pub(super) fn patiently<T>(open: impl FnMut() -> Result<T, StoreError>) -> T {
    Patience::endless(&mut |_| {}).wait(open).unwrap()
}

/// The rows of a query, cells as text joined by `|`.
pub(super) fn rows(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut seen = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let cells: Vec<String> = (0..columns)
            .map(|column| match row.get(column).unwrap() {
                rusqlite::types::Value::Null => "-".to_owned(),
                rusqlite::types::Value::Integer(integer) => integer.to_string(),
                rusqlite::types::Value::Real(real) => format!("{real:?}"),
                rusqlite::types::Value::Text(text) => text,
                rusqlite::types::Value::Blob(blob) => format!("{blob:?}"),
            })
            .collect();
        seen.push(cells.join("|"));
    }
    seen
}

/// How a statement is run; it must read no table from end to end and sort nothing.
#[track_caller]
pub(super) fn searches(reader: &Reader, sql: &str) -> String {
    let explain = format!("EXPLAIN QUERY PLAN {sql}");
    let mut statement = reader.connection.prepare(&explain).unwrap();
    // Nothing is bound: a plan does not depend on it.
    let mut steps = statement.raw_query();
    let mut plan = Vec::new();
    while let Some(step) = steps.next().unwrap() {
        let step: String = step.get(3).unwrap();
        let reads_all = step.starts_with("SCAN ") && !step.starts_with("SCAN (");
        assert!(!reads_all && !step.contains("TEMP B-TREE"), "{sql}: {step}");
        plan.push(step);
    }
    plan.join("\n")
}

fn options(path: PathBuf) -> Options {
    let name = str::to_owned;
    Options {
        path,
        database: Database {
            path: PathBuf::new(),
            journal_mode: JournalMode::Keep,
            max_write_hold: Duration::from_secs(3600),
            foreign_keys: false,
            checkpoint: Checkpoint::Idle,
        },
        schema: Schema {
            fetched_at: FetchedAt::Text,
            videos: VideosTable {
                table: name("videos"),
                video_id: name("video_id"),
                virality_score: name("virality_score"),
                thumbnail_url: name("thumbnail_url"),
            },
            snapshots: SnapshotsTable {
                table: name("video_snapshots"),
                video_id: name("video_id"),
                view_count: name("view_count"),
                likes: name("likes"),
                comments: name("comments"),
                region: name("region"),
                fetched_at: name("fetched_at"),
            },
        },
        keep_details: true,
        queue: QueueHome::Memory,
    }
}

/// Operations in line, and their answers in the order they came.
pub(super) struct Line<T> {
    pub(super) waiting: VecDeque<Box<dyn Pending>>,
    answers: mpsc::Receiver<(usize, Result<T, StoreError>)>,
    sender: mpsc::Sender<(usize, Result<T, StoreError>)>,
    pushed: usize,
}

impl<T: Send + 'static> Line<T> {
    pub(super) fn new() -> Self {
        let (sender, answers) = mpsc::channel();
        Self {
            waiting: VecDeque::new(),
            answers,
            sender,
            pushed: 0,
        }
    }

    pub(super) fn push(&mut self, operation: impl Operation<Output = T>) {
        let (sender, place) = (self.sender.clone(), self.pushed);
        self.pushed += 1;
        self.waiting.push_back(pending(operation, move |answer| {
            sender.send((place, answer)).unwrap();
        }));
    }

    /// The answers since the last call, with the places of their operations.
    pub(super) fn answers(&self) -> Vec<(usize, Result<T, StoreError>)> {
        self.answers.try_iter().collect()
    }
}

/// Runs one operation to its answer.
pub(super) fn run<O: Operation>(
    writer: &mut Writer,
    operation: O,
) -> Result<O::Output, StoreError> {
    let mut line = Line::new();
    line.push(operation);
    let end = writer.commit_group(&mut line.waiting);
    assert!(
        matches!(end, GroupEnd::Committed { operations: 1, .. }),
        "{end:?}"
    );
    let mut answers = line.answers();
    assert_eq!(answers.len(), 1);
    answers.remove(0).1
}

/// A claim on a job that waits for outcomes.
pub(super) fn claim(writer: &mut Writer, kind: Kind) -> Claim {
    let job = NewJob {
        kind,
        payload: "{}".to_owned(),
        priority: 5,
        run_at_ms: 0,
        origin: 0,
        trace: None,
    };
    let jobs = vec![job];
    let now = Moment(0);
    run(writer, SubmitJobs { jobs, now }).unwrap();
    claim_next(writer, kind.queue(), Lease(7))
}

/// Claims the next job of a queue.
pub(super) fn claim_next(writer: &mut Writer, queue: Queue, lease: Lease) -> Claim {
    let next = ClaimJobs {
        queue,
        limit: 1,
        lease,
        alone: true,
        yields: false,
        now: Moment(0),
    };
    run(writer, next).unwrap().jobs[0].claim
}
