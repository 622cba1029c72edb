//! Looking into the durable queue: its jobs, groups and queues.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row, ToSql};
use serde::Serialize;

use super::error::StoreError;
use super::groups::GroupId;
use super::queue::{JobId, JobState};
use super::reader::Reader;
use crate::domain::job::Queue;
use crate::domain::trace::TraceParent;

/// Which jobs to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFilter {
    /// Only in these states; any if empty.
    pub states: Vec<JobState>,
    /// Only of this queue.
    pub queue: Option<Queue>,
    /// Only of this group.
    pub group: Option<GroupId>,
    /// Only the one with this key.
    pub unique_key: Option<String>,
    /// Only those whose payload, key or error holds this.
    pub text: Option<String>,
    /// Only those before this one: where the last page ended.
    pub before: Option<JobId>,
    /// How many at most.
    pub limit: usize,
}

impl Default for JobFilter {
    fn default() -> Self {
        Self {
            states: Vec::new(),
            queue: None,
            group: None,
            unique_key: None,
            text: None,
            before: None,
            limit: 50,
        }
    }
}

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
        let mut sql = format!("{SUMMARY} WHERE id < ?1");
        let before = filter.before.map_or(i64::MAX, |id| id.0);
        let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
        let queue = filter.queue.map(Queue::name);
        let group = filter.group.map(|group| group.0);
        let text = filter
            .text
            .as_ref()
            .map(|text| format!("%{}%", escaped(text)));
        let mut bound: Vec<&dyn ToSql> = vec![&before, &limit];
        if let Some(queue) = &queue {
            bound.push(queue);
            let names = filter.queue.map_or_else(String::new, quoted_names);
            sql += &format!(
                " AND (queue = ?{} OR queued_ms IS NULL AND kind IN ({names}))",
                bound.len()
            );
        }
        if let Some(group) = &group {
            bound.push(group);
            sql += &format!(" AND group_id = ?{}", bound.len());
        }
        if let Some(key) = &filter.unique_key {
            bound.push(key);
            sql += &format!(" AND unique_key = ?{}", bound.len());
        }
        if let Some(text) = &text {
            bound.push(text);
            let n = bound.len();
            sql += &format!(
                " AND (payload LIKE ?{n} ESCAPE '\\' OR unique_key LIKE ?{n} ESCAPE '\\' \
                 OR error LIKE ?{n} ESCAPE '\\')"
            );
        }
        if !filter.states.is_empty() {
            let names: Vec<String> = filter
                .states
                .iter()
                .map(|state| format!("'{}'", state.name()))
                .collect();
            sql += &format!(" AND state IN ({})", names.join(", "));
        }
        sql += " ORDER BY id DESC LIMIT ?2";
        let mut statement = self.connection.prepare(&sql)?;
        let jobs = statement.query_map(&*bound, summary)?;
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

/// Whatever a row of the site's may call work of this queue.
fn quoted_names(queue: Queue) -> String {
    let kind = queue.kind();
    let names = [kind.name(), kind.alias(), kind.section(), queue.name()];
    names.map(|name| format!("'{name}'")).join(", ")
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

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
}
