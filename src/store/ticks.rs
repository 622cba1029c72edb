//! What of the schedule has run, and whether the process before ended well: rows of `vvv_meta`.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension};

use super::enqueue::{Chunks, Enqueue, FollowUps, Grouping, JobRequest, holder_of};
use super::error::StoreError;
use super::groups::GroupId;
use super::operation::{Operation, Scope};
use super::queue::{JobId, Moment};
use super::reader::Reader;
use crate::domain::job::{Job, Kind};
use crate::domain::schedule::Task;

/// Set while an engine works on the durable queue.
const RUNNING: &str = "running";

/// Items of a tick queued by one operation, so that none holds the writer long; fewer than have their
/// order looked up, for they come in order.
pub const ITEMS_A_SLICE: usize = 4_000;

/// Runs one tick of a task, a slice of its work at a time. The last slice records that it ran, so
/// until then it is due; those before it are in a group that is held for the rest.
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
    /// Whether it is not the last of it.
    pub more: bool,
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
        let begun = begun(scope.connection, self.task)?;
        let unique_key = format!("schedule:{}:{}", self.task, self.tick.0);
        if begun.is_none()
            && let Some(id) = holder_of(scope, &unique_key, self.now)?
        {
            set(scope, &key(self.task), self.tick.0)?;
            return Ok(Some(vec![id]));
        }
        let work = self.work.clone().filter(|job| !job.is_empty());
        let request = work.map(|job| JobRequest {
            job,
            priority: Job::DEFAULT_PRIORITY,
            delay_ms: 0,
            unique_key: begun.is_none().then_some(unique_key),
            unique_for: None,
            trace: None,
        });
        let (open, follow_ups) = (self.more, FollowUps::default());
        let enqueue = Enqueue {
            requests: request.into_iter().collect(),
            grouping: match begun {
                Some(group) => Grouping::Join { group, open },
                None if open => Grouping::New { follow_ups, open },
                None => Grouping::None,
            },
            chunks: self.chunks,
            now: self.now,
        };
        let (queued, group) = enqueue.apply(scope)?;
        match group.filter(|_| open) {
            Some(group) => set(scope, &begun_key(self.task), group.0)?,
            None => {
                clear(scope, &begun_key(self.task))?;
                set(scope, &key(self.task), self.tick.0)?;
            }
        }
        Ok(Some(
            queued.into_iter().flat_map(|queued| queued.ids).collect(),
        ))
    }
}

/// Where the group stands of a tick that was begun.
fn begun_key(task: Task) -> String {
    format!("schedule:{task}:begun")
}

/// The group of a tick that was begun and still waits for the rest of it.
fn begun(connection: &Connection, task: Task) -> Result<Option<GroupId>, StoreError> {
    let group = connection
        .prepare_cached(
            "SELECT id FROM main.vvv_groups WHERE ended_ms IS NULL AND id = \
             (SELECT CAST(value AS INTEGER) FROM main.vvv_meta WHERE key = ?1)",
        )?
        .query_row([begun_key(task)], |row| row.get(0).map(GroupId))
        .optional()?;
    Ok(group)
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

fn clear(scope: &Scope<'_>, key: &str) -> Result<(), StoreError> {
    scope
        .prepare("DELETE FROM main.vvv_meta WHERE key = ?1")?
        .execute([key])?;
    Ok(())
}

impl Reader {
    /// The videos that a tick of this task queued before it was cut short.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn begun_by_tick(&self, task: Task) -> Result<HashSet<String>, StoreError> {
        let mut videos = HashSet::new();
        let Some(group) = begun(&self.connection, task)? else {
            return Ok(videos);
        };
        let mut jobs = self
            .connection
            .prepare("SELECT kind, payload FROM main.vvv_jobs WHERE group_id = ?1")?;
        let mut rows = jobs.query([group.0])?;
        while let Some(row) = rows.next()? {
            let (kind, payload): (String, String) = (row.get(0)?, row.get(1)?);
            let job = Kind::from_name(&kind).map(|kind| Job::from_payload(kind, &payload));
            if let Some(Ok(job)) = job {
                videos.extend(job.video_ids());
            }
        }
        Ok(videos)
    }

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
        clear(scope, RUNNING)
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
            more: false,
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

    fn slice(ids: std::ops::Range<usize>, more: bool) -> RunTick {
        RunTick {
            work: Some(Job::Score(ScoreJob {
                video_ids: ids.map(|id| format!("{id:0>11}")).collect(),
            })),
            more,
            ..tick(1000)
        }
    }

    #[test]
    fn a_tick_in_slices_is_one_group_and_goes_on_where_it_was_cut_short() {
        let mut fixture = Fixture::new("wal");
        fixture.options.queue = QueueHome::File;
        let mut writer = fixture.writer();
        writer.run(slice(0..2, true)).unwrap().unwrap();
        writer.run(slice(2..6, true)).unwrap().unwrap();
        // The process died here: the tick is due, but not what of it is queued.
        let reader = fixture.reader();
        assert_eq!(reader.last_tick(Task::Rescore).unwrap(), None);
        assert_eq!(reader.begun_by_tick(Task::Rescore).unwrap().len(), 6);
        let rest = RunTick {
            tick: Moment(2000),
            ..slice(6..8, false)
        };
        writer.run(rest.clone()).unwrap().unwrap();
        assert_eq!(writer.run(rest).unwrap(), None);
        assert_eq!(reader.last_tick(Task::Rescore).unwrap(), Some(2000));
        assert!(reader.begun_by_tick(Task::Rescore).unwrap().is_empty());
        assert_eq!(fixture.rows("SELECT jobs, held FROM vvv_groups"), ["4|0"]);
        assert_eq!(
            fixture.rows("SELECT count(*), count(unique_key) FROM vvv_jobs WHERE group_id = 1"),
            ["4|1"]
        );
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
