//! Looking into the durable queue: its jobs, groups and queues.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row, params_from_iter};
use serde::Serialize;

use super::error::StoreError;
use super::groups::GroupId;
use super::job_filter::JobFilter;
use super::queue::{JobId, JobState};
use super::reader::Reader;
use crate::domain::job::Queue;
use crate::domain::trace::TraceParent;

/// A job in a list. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobSummary {
    /// Its number.
    pub id: JobId,
    /// What it does, as it was handed in.
    pub kind: Option<String>,
    /// Its queue; none until it was taken in, or if its kind cannot be read.
    pub queue: Option<Queue>,
    /// Where it is in its life.
    pub state: JobState,
    /// 0 (first) to 9.
    pub priority: i64,
    /// Its items.
    pub items: u64,
    /// Answers so far, this attempt included.
    pub attempts: u32,
    /// Deaths of the process while it ran as the suspect.
    pub crashes: u32,
    /// Its group.
    pub group: Option<GroupId>,
    /// Its key.
    pub unique_key: Option<String>,
    /// Why it failed, or waits.
    pub error: Option<String>,
    /// Not before this.
    pub run_at_ms: i64,
    /// When it was taken in.
    pub queued_ms: Option<i64>,
    /// When its last attempt began.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
}

/// Everything of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobDetail {
    /// What lists show.
    #[serde(flatten)]
    pub summary: JobSummary,
    /// Its items, JSON; as it was handed in.
    pub payload: Option<String>,
    /// What is left of them after an attempt, JSON; none: all, or the job has ended.
    pub remaining: Option<String>,
    /// What was found, JSON, as `domain::finding::Findings` has it.
    pub result: Option<String>,
    /// The trace it belongs to.
    pub trace: Option<TraceParent>,
}

/// A group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GroupSummary {
    /// Its number.
    pub id: GroupId,
    /// Its jobs.
    pub jobs: u64,
    /// Those that succeeded.
    pub succeeded: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were cancelled.
    pub cancelled: u64,
    /// When it was handed in, Unix milliseconds.
    pub queued_ms: i64,
    /// When its last job ended.
    pub ended_ms: Option<i64>,
}

/// The items of a row that nobody has taken in yet are counted where they stand.
const SUMMARY: &str = "SELECT id, kind, queue, state, priority, \
     CASE WHEN queued_ms IS NULL AND json_valid(payload) THEN coalesce(\
       json_array_length(payload, '$.video_ids'), json_array_length(payload, '$.videos'), 0) \
     ELSE items END, attempts, crashes, group_id, unique_key, error, run_at_ms, queued_ms, started_ms, ended_ms FROM main.vvv_jobs ";

impl Reader {
    /// Whether the file has a durable queue.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn has_queue(&self) -> Result<bool, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM main.sqlite_master WHERE name = 'vvv_jobs'")?
            .exists([])?)
    }

    /// Lists jobs, newest first.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobSummary>, StoreError> {
        let (condition, bound) = filter.condition();
        let mut statement = self.connection.prepare(&listing(&condition))?;
        let jobs = statement.query_map(params_from_iter(bound), summary)?;
        Ok(jobs.collect::<Result<_, _>>()?)
    }

    /// Everything of one job.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn job(&self, id: JobId) -> Result<Option<JobDetail>, StoreError> {
        // Nobody may have migrated the file since an older program made it.
        let traced = self
            .connection
            .prepare_cached(
                "SELECT 1 FROM pragma_table_info('vvv_jobs', 'main') WHERE name = 'traceparent'",
            )?
            .exists([])?;
        let trace = if traced { "traceparent" } else { "NULL" };
        let columns = format!("ended_ms, payload, remaining, result, {trace} FROM");
        let sql = SUMMARY.replace("ended_ms FROM", &columns);
        let job = self
            .connection
            .prepare_cached(&format!("{sql} WHERE id = ?1"))?
            .query_row([id.0], |row| {
                Ok(JobDetail {
                    summary: summary(row)?,
                    payload: text(row, 15),
                    remaining: text(row, 16),
                    result: text(row, 17),
                    trace: text(row, 18).and_then(|text| text.parse().ok()),
                })
            })
            .optional()?;
        Ok(job)
    }

    /// One group.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn group(&self, id: GroupId) -> Result<Option<GroupSummary>, StoreError> {
        let group = self
            .connection
            .prepare_cached(
                "SELECT id, jobs, succeeded, failed, cancelled, queued_ms, ended_ms \
                 FROM main.vvv_groups WHERE id = ?1",
            )?
            .query_row([id.0], |row| {
                Ok(GroupSummary {
                    id: GroupId(row.get(0)?),
                    jobs: row.get::<_, i64>(1)?.unsigned_abs(),
                    succeeded: row.get::<_, i64>(2)?.unsigned_abs(),
                    failed: row.get::<_, i64>(3)?.unsigned_abs(),
                    cancelled: row.get::<_, i64>(4)?.unsigned_abs(),
                    queued_ms: row.get(5)?,
                    ended_ms: row.get(6)?,
                })
            })
            .optional()?;
        Ok(group)
    }
}

/// The jobs that meet a condition, as `JobFilter` makes it.
pub(super) fn listing(condition: &str) -> String {
    format!("{SUMMARY} WHERE {condition} ORDER BY id DESC LIMIT ?2")
}

fn summary(row: &Row<'_>) -> Result<JobSummary, rusqlite::Error> {
    let state: String = row.get(3)?;
    let number = |column| {
        row.get::<_, i64>(column)
            .map(|n| u32::try_from(n).unwrap_or(0))
    };
    Ok(JobSummary {
        id: JobId(row.get(0)?),
        kind: text(row, 1),
        queue: text(row, 2).and_then(|name| Queue::from_name(&name)),
        // The site may have written another; the row is refused when it is taken in.
        state: JobState::from_name(&state).unwrap_or(JobState::Available),
        priority: row.get(4).unwrap_or_default(),
        items: row.get::<_, i64>(5)?.unsigned_abs(),
        attempts: number(6)?,
        crashes: number(7)?,
        group: row.get::<_, Option<i64>>(8)?.map(GroupId),
        unique_key: text(row, 9),
        error: text(row, 10),
        run_at_ms: row.get(11).unwrap_or_default(),
        queued_ms: row.get(12)?,
        started_ms: row.get(13)?,
        ended_ms: row.get(14)?,
    })
}

/// What the site wrote may be anything.
fn text(row: &Row<'_>, column: usize) -> Option<String> {
    match row.get_ref(column) {
        Ok(ValueRef::Text(text)) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    }
}
