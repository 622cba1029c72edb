//! What of the schedule has run, and whether the process before ended well: rows of `vvv_meta`.

use rusqlite::{Connection, OptionalExtension};

use super::enqueue::{Chunks, Enqueue, Grouping, JobRequest};
use super::error::StoreError;
use super::operation::{Operation, Scope};
use super::queue::{JobId, Moment};
use super::reader::Reader;
use crate::domain::job::Job;
use crate::domain::schedule::Task;

/// Set while an engine works on the durable queue.
const RUNNING: &str = "running";

/// Runs one tick of a task: the record that it ran, and its work, together or not at all.
#[derive(Debug, Clone)]
pub struct RunTick {
    /// The task.
    pub task: Task,
    /// When it was due.
    pub tick: Moment,
    /// Whether ticks only count from here on: nothing is queued, and a later record gives way.
    pub begins: bool,
    /// What is to be queued.
    pub work: Option<Job>,
    /// Where it is cut.
    pub chunks: Chunks,
    /// Now.
    pub now: Moment,
}

impl Operation for RunTick {
    /// The jobs; none: this tick or a later one ran before.
    type Output = Option<Vec<JobId>>;

    fn apply(&self, scope: &Scope<'_>) -> Result<Self::Output, StoreError> {
        let ran = last_tick(scope.connection, self.task)?;
        if !self.begins && ran.is_some_and(|ran| ran >= self.tick.0) {
            return Ok(None);
        }
        set(scope, &key(self.task), self.tick.0)?;
        let Some(job) = self.work.clone().filter(|job| !job.is_empty()) else {
            return Ok(Some(Vec::new()));
        };
        let request = JobRequest {
            job,
            priority: Job::DEFAULT_PRIORITY,
            delay_ms: 0,
            unique_key: Some(format!("schedule:{}:{}", self.task, self.tick.0)),
            unique_for: None,
        };
        let enqueue = Enqueue {
            requests: vec![request],
            grouping: Grouping::None,
            chunks: self.chunks,
            now: self.now,
        };
        let (queued, _) = enqueue.apply(scope)?;
        Ok(Some(
            queued.into_iter().flat_map(|queued| queued.ids).collect(),
        ))
    }
}

fn key(task: Task) -> String {
    format!("schedule:{task}")
}

fn last_tick(connection: &Connection, task: Task) -> Result<Option<i64>, StoreError> {
    let tick = connection
        .prepare_cached("SELECT CAST(value AS INTEGER) FROM main.vvv_meta WHERE key = ?1")?
        .query_row([key(task)], |row| row.get(0))
        .optional()?;
    Ok(tick)
}

fn set(scope: &Scope<'_>, key: &str, value: i64) -> Result<(), StoreError> {
    scope
        .prepare("INSERT OR REPLACE INTO main.vvv_meta (key, value) VALUES (?1, ?2)")?
        .execute((key, value))?;
    Ok(())
}

impl Reader {
    /// The last tick of a task that ran, Unix milliseconds.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn last_tick(&self, task: Task) -> Result<Option<i64>, StoreError> {
        last_tick(&self.connection, task)
    }
}

/// An engine begins to work on the durable queue; whether the one before never said that it ended.
#[derive(Debug, Clone, Copy)]
pub struct BeginRun;

impl Operation for BeginRun {
    type Output = bool;

    fn apply(&self, scope: &Scope<'_>) -> Result<bool, StoreError> {
        let unclean = scope
            .prepare("SELECT 1 FROM main.vvv_meta WHERE key = ?1")?
            .exists([RUNNING])?;
        set(scope, RUNNING, 1)?;
        Ok(unclean)
    }
}

/// The engine ends, and all it had to write is written.
#[derive(Debug, Clone, Copy)]
pub struct EndRun;

impl Operation for EndRun {
    type Output = ();

    fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        scope
            .prepare("DELETE FROM main.vvv_meta WHERE key = ?1")?
            .execute([RUNNING])?;
        Ok(())
    }
}

/// Has SQLite renew statistics that are out of date; it reads no more than a sample.
#[derive(Debug, Clone, Copy)]
pub struct Optimize;

impl Operation for Optimize {
    type Output = ();

    fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        let mut optimize = scope.prepare("PRAGMA main.optimize(0xfffe)")?;
        let mut rows = optimize.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::QueueHome;
    use super::super::fixture::Fixture;
    use super::*;
    use crate::domain::job::ScoreJob;

    fn tick(tick: i64) -> RunTick {
        RunTick {
            task: Task::Rescore,
            tick: Moment(tick),
            begins: false,
            work: Some(Job::Score(ScoreJob {
                video_ids: vec!["a".to_owned(), "b".to_owned(), "c".to_owned()],
            })),
            chunks: Chunks {
                scoring: 2,
                thumbnails: 2,
                cleanup: 2,
            },
            now: Moment(tick + 5),
        }
    }

    #[test]
    fn a_tick_runs_once_and_one_before_it_never() {
        let mut fixture = Fixture::new("wal");
        fixture.options.queue = QueueHome::File;
        let mut writer = fixture.writer();
        assert_eq!(fixture.reader().last_tick(Task::Rescore).unwrap(), None);
        assert_eq!(writer.run(tick(1000)).unwrap().unwrap().len(), 2);
        assert_eq!(writer.run(tick(1000)).unwrap(), None);
        assert_eq!(writer.run(tick(900)).unwrap(), None);
        let reader = fixture.reader();
        assert_eq!(reader.last_tick(Task::Rescore).unwrap(), Some(1000));
        assert_eq!(reader.last_tick(Task::Liveness).unwrap(), None);
        assert_eq!(
            fixture.rows("SELECT unique_key, state FROM vvv_jobs ORDER BY id"),
            ["schedule:rescore:1000|available", "-|available"]
        );
        // A clock that had been ahead: the record gives way, and the key still holds.
        let begin = RunTick {
            begins: true,
            work: None,
            ..tick(500)
        };
        assert_eq!(writer.run(begin).unwrap(), Some(Vec::new()));
        assert_eq!(writer.run(tick(1000)).unwrap().unwrap().len(), 1);
        assert_eq!(fixture.rows("SELECT count(*) FROM vvv_jobs"), ["2"]);
    }

    #[test]
    fn an_end_that_nobody_told_is_noticed_at_the_next_start() {
        let mut fixture = Fixture::new("delete");
        fixture.options.queue = QueueHome::File;
        let mut writer = fixture.writer();
        assert!(!writer.run(BeginRun).unwrap());
        assert!(writer.run(BeginRun).unwrap());
        writer.run(EndRun).unwrap();
        assert!(!writer.run(BeginRun).unwrap());
        writer.run(Optimize).unwrap();
    }
}
