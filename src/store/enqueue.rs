//! Handing jobs to the durable queue: by a call, or by rows that the site inserted itself.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row};

use super::ending::{Ending, end_job};
use super::error::StoreError;
use super::groups::{GroupId, open_group, widen_group};
use super::operation::{Operation, Scope};
use super::queue::{JobId, JobState, Moment};
use crate::domain::job::{Job, Kind, Queue, ScoreJob};

/// Rows taken in by one operation, so that none holds the writer long.
const ROWS_A_TURN: i64 = 200;

/// How many items a job of each queue holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    /// Of scores.
    pub scoring: usize,
    /// Of thumbnails.
    pub thumbnails: usize,
    /// Of liveness checks.
    pub cleanup: usize,
}

impl Chunks {
    const fn of(self, queue: Queue) -> usize {
        match queue {
            Queue::Scoring => self.scoring,
            Queue::Thumbnails => self.thumbnails,
            Queue::Cleanup => self.cleanup,
        }
    }
}

/// Work to be queued. It may hold any number of items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest {
    /// What to do.
    pub job: Job,
    /// 0 (first) to 9.
    pub priority: u8,
    /// Milliseconds from now before it may run.
    pub delay_ms: i64,
    /// No two jobs have the same.
    pub unique_key: Option<String>,
    /// Seconds from now on after which a job that has ended gives its key up; none: never.
    pub unique_for: Option<i64>,
}

/// What follows the last end of a group, once: a kind and a payload, JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FollowUps {
    /// If every job succeeded.
    pub on_success: Option<String>,
    /// In any case.
    pub on_finish: Option<String>,
}

/// Queues work; all of it or, after an error, nothing.
#[derive(Debug, Clone)]
pub struct Enqueue {
    /// The work.
    pub requests: Vec<JobRequest>,
    /// Whether all of it is one group, and what follows its end.
    pub group: Option<FollowUps>,
    /// Where it is cut.
    pub chunks: Chunks,
    /// Now.
    pub now: Moment,
}

/// What [`Enqueue`] made of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueued {
    /// Its jobs, in order. Of a duplicate, the one that was there before.
    pub ids: Vec<JobId>,
    /// Whether a job with its key was there before, so that nothing was queued.
    pub duplicate: bool,
}

impl Operation for Enqueue {
    type Output = (Vec<Enqueued>, Option<GroupId>);

    fn apply(&self, scope: &Scope<'_>) -> Result<Self::Output, StoreError> {
        let group = match &self.group {
            Some(follow_ups) => Some(open_group(scope, 0, follow_ups, self.now)?),
            None => None,
        };
        let mut queued = Vec::with_capacity(self.requests.len());
        for request in &self.requests {
            queued.push(self.enqueue(scope, request, group)?);
        }
        Ok((queued, group))
    }
}

impl Enqueue {
    fn enqueue(
        &self,
        scope: &Scope<'_>,
        request: &JobRequest,
        group: Option<GroupId>,
    ) -> Result<Enqueued, StoreError> {
        if let Some(key) = &request.unique_key
            && let Some(id) = holder_of(scope, key, self.now)?
        {
            return Ok(Enqueued {
                ids: vec![id],
                duplicate: true,
            });
        }
        let placing = Placing {
            row: None,
            priority: request.priority,
            run_at_ms: self.now.0.saturating_add(request.delay_ms),
            unique_key: request.unique_key.as_deref(),
            unique_for: request.unique_for,
            group,
            now: self.now,
        };
        let ids = placing.place(scope, request.job.clone(), self.chunks)?;
        Ok(Enqueued {
            ids,
            duplicate: false,
        })
    }
}

/// The job that holds a key, unless it has ended and its time is over: then it gives the key up.
fn holder_of(scope: &Scope<'_>, key: &str, now: Moment) -> Result<Option<JobId>, StoreError> {
    scope
        .prepare(
            "UPDATE main.vvv_jobs SET unique_key = NULL WHERE unique_key = ?1 \
             AND ended_ms IS NOT NULL AND queued_ms + unique_for * 1000 <= ?2",
        )?
        .execute((key, now.0))?;
    let holder = scope
        .prepare("SELECT id FROM main.vvv_jobs WHERE unique_key = ?1")?
        .query_row([key], |row| row.get(0).map(JobId))
        .optional()?;
    Ok(holder)
}

/// Takes in the rows that were inserted by plain SQL; how many, and whether there may be more.
#[derive(Debug, Clone, Copy)]
pub struct TakeIn {
    /// Where work is cut.
    pub chunks: Chunks,
    /// Now.
    pub now: Moment,
}

/// What [`TakeIn`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenIn {
    /// Rows looked at.
    pub rows: usize,
    /// Whether there may be more of them.
    pub more: bool,
}

impl Operation for TakeIn {
    type Output = TakenIn;

    fn apply(&self, scope: &Scope<'_>) -> Result<TakenIn, StoreError> {
        let rows: Vec<(JobId, Result<SiteRow, String>)> = scope
            .prepare(
                "SELECT id, kind, payload, priority, run_at_ms, unique_for, state \
                 FROM main.vvv_jobs WHERE queue IS NULL ORDER BY id LIMIT ?1",
            )?
            .query_map([ROWS_A_TURN], |row| Ok((JobId(row.get(0)?), read(row))))?
            .collect::<Result<_, _>>()?;
        for (id, row) in &rows {
            match row {
                Ok(row) => {
                    let placing = Placing {
                        row: Some(*id),
                        priority: row.priority,
                        run_at_ms: row.run_at_ms,
                        unique_key: None,
                        unique_for: None,
                        group: None,
                        now: self.now,
                    };
                    placing.place(scope, row.job.clone(), self.chunks)?;
                }
                Err(reason) => refuse(scope, *id, reason, self.now)?,
            }
        }
        Ok(TakenIn {
            more: i64::try_from(rows.len()) == Ok(ROWS_A_TURN),
            rows: rows.len(),
        })
    }
}

/// A row of the site's, read.
struct SiteRow {
    job: Job,
    priority: u8,
    run_at_ms: i64,
}

/// Reads a row that anything may have been written to.
fn read(row: &Row<'_>) -> Result<SiteRow, String> {
    let kind = text(row, 1).ok_or("kind: must be text")?;
    let kind = Kind::from_name(&kind).ok_or_else(|| {
        let names = Kind::ALL.map(Kind::name).join(", ");
        format!("kind = {kind:?}: must be one of {names}")
    })?;
    let payload = text(row, 2).ok_or("payload: must be JSON text")?;
    let job = Job::from_payload(kind, &payload).map_err(|error| error.to_string())?;
    let whole = |column, name: &str| match row.get_ref(column) {
        Ok(ValueRef::Integer(whole)) => Ok(Some(whole)),
        Ok(ValueRef::Null) => Ok(None),
        _ => Err(format!("{name}: must be a whole number")),
    };
    let priority = whole(3, "priority")?.unwrap_or(i64::from(Job::DEFAULT_PRIORITY));
    let priority = u8::try_from(priority)
        .ok()
        .filter(|priority| *priority <= 9)
        .ok_or_else(|| format!("priority = {priority}: must be 0 to 9"))?;
    let run_at_ms = whole(4, "run_at_ms")?.unwrap_or_default();
    whole(5, "unique_for")?;
    match text(row, 6).as_deref() {
        Some("available" | "scheduled") => {}
        state => return Err(format!("state = {state:?}: leave it to us")),
    }
    Ok(SiteRow {
        job,
        priority,
        run_at_ms,
    })
}

fn text(row: &Row<'_>, column: usize) -> Option<String> {
    match row.get_ref(column) {
        Ok(ValueRef::Text(text)) => String::from_utf8(text.to_vec()).ok(),
        _ => None,
    }
}

/// An unreadable row ends at once, in the queue its kind names if it names one.
fn refuse(scope: &Scope<'_>, id: JobId, reason: &str, now: Moment) -> Result<(), StoreError> {
    scope
        .prepare("UPDATE main.vvv_jobs SET queue = '', queued_ms = ?2 WHERE id = ?1")?
        .execute((id.0, now.0))?;
    let ending = Ending {
        state: JobState::Failed,
        error: Some(reason),
        result: None,
    };
    end_job(scope, id, &ending, now)
}

/// Where and how the chunks of one piece of work are put.
struct Placing<'a> {
    /// The row that is there already.
    row: Option<JobId>,
    priority: u8,
    run_at_ms: i64,
    unique_key: Option<&'a str>,
    unique_for: Option<i64>,
    group: Option<GroupId>,
    now: Moment,
}

impl Placing<'_> {
    /// Cuts the work and writes a row a chunk. More than one of them are a group.
    fn place(&self, scope: &Scope<'_>, job: Job, chunks: Chunks) -> Result<Vec<JobId>, StoreError> {
        let kind = job.kind();
        let mut pieces = in_order(scope, job)?.into_chunks(chunks.of(kind.queue()));
        let is_empty = pieces.is_empty();
        if is_empty {
            pieces.push(Job::nothing(kind));
        }
        let group = match self.group {
            Some(group) => {
                widen_group(scope, group, pieces.len())?;
                Some(group)
            }
            None if pieces.len() > 1 => {
                let follow_ups = FollowUps::default();
                Some(open_group(scope, pieces.len(), &follow_ups, self.now)?)
            }
            None => None,
        };
        let mut ids = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let first = ids.is_empty();
            ids.push(self.write(scope, &piece, group, first)?);
        }
        if is_empty && let Some(id) = ids.first() {
            let ending = Ending {
                state: JobState::Succeeded,
                error: None,
                result: None,
            };
            end_job(scope, *id, &ending, self.now)?;
        }
        Ok(ids)
    }

    fn write(
        &self,
        scope: &Scope<'_>,
        piece: &Job,
        group: Option<GroupId>,
        first: bool,
    ) -> Result<JobId, StoreError> {
        let run_at_ms = self.run_at_ms.max(self.now.0);
        let delay_ms = run_at_ms.saturating_sub(self.now.0);
        let state = if delay_ms > 0 {
            JobState::Scheduled
        } else {
            JobState::Available
        };
        let payload = piece.payload().map_err(StoreError::Payload)?;
        let kind = piece.kind();
        let items = i64::try_from(piece.len()).unwrap_or(i64::MAX);
        let group = group.map(|group| group.0);
        let row = self.row.filter(|_| first);
        if let Some(JobId(id)) = row {
            scope
                .prepare(
                    "UPDATE main.vvv_jobs SET kind = ?2, payload = ?3, priority = ?4, \
                     run_at_ms = ?5, queue = ?6, state = ?7, group_id = ?8, delay_ms = ?9, \
                     items = ?10, queued_ms = ?11, origin = id WHERE id = ?1",
                )?
                .execute((
                    id,
                    kind.name(),
                    payload,
                    self.priority,
                    run_at_ms,
                    kind.queue().name(),
                    state.name(),
                    group,
                    delay_ms,
                    items,
                    self.now.0,
                ))?;
            return Ok(JobId(id));
        }
        let key = self.unique_key.filter(|_| first);
        let id = scope
            .prepare(
                "INSERT INTO main.vvv_jobs (kind, payload, priority, run_at_ms, queue, state, \
                 group_id, delay_ms, items, queued_ms, unique_key, unique_for) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .insert((
                kind.name(),
                payload,
                self.priority,
                run_at_ms,
                kind.queue().name(),
                state.name(),
                group,
                delay_ms,
                items,
                self.now.0,
                key,
                self.unique_for.filter(|_| first),
            ))?;
        Ok(JobId(id))
    }
}

/// Each item once; ids to score in the order of the site's rows, which makes writing them several
/// times faster.
fn in_order(scope: &Scope<'_>, job: Job) -> Result<Job, StoreError> {
    let video_ids = match job.once_each() {
        Job::Score(ScoreJob { video_ids }) => video_ids,
        other @ (Job::Thumbnails(_) | Job::Liveness(_)) => return Ok(other),
    };
    let Some(rowid_of) = &scope.site.rowid_of else {
        return Ok(Job::Score(ScoreJob { video_ids }));
    };
    let mut lookup = scope.prepare(rowid_of)?;
    let mut placed = Vec::with_capacity(video_ids.len());
    for (at, id) in video_ids.into_iter().enumerate() {
        let rowid: Option<i64> = lookup.query_row([&id], |row| row.get(0)).optional()?;
        placed.push((rowid.is_none(), rowid, at, id));
    }
    placed.sort_unstable();
    let video_ids = placed.into_iter().map(|(.., id)| id).collect();
    Ok(Job::Score(ScoreJob { video_ids }))
}

#[cfg(test)]
mod tests;
