//! How a job of the durable queue ends, and how it is steered from outside: cancelled, tried
//! again, its queue paused or emptied. What a worker records itself is in `outcome`.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Row};

use super::error::StoreError;
use super::groups::{count_end, uncount_end};
use super::operation::{Operation, Scope};
use super::queue::{JobId, JobState, Moment};
use crate::domain::job::Queue;
use crate::domain::trace::TraceParent;

/// The end of a job.
pub(super) struct Ending<'a> {
    pub(super) state: JobState,
    pub(super) error: Option<&'a str>,
    pub(super) result: Option<&'a str>,
}

/// Ends a job, whoever holds it, and counts that in its group.
pub(super) fn end_job(
    scope: &Scope<'_>,
    job: JobId,
    ending: &Ending<'_>,
    now: Moment,
) -> Result<(), StoreError> {
    scope
        .prepare(
            "UPDATE main.vvv_jobs SET state = ?2, error = ?3, result = coalesce(?4, result), \
             lease = NULL, suspect = 0, remaining = NULL, ended_ms = ?5 WHERE id = ?1",
        )?
        .execute((
            job.0,
            ending.state.name(),
            ending.error,
            ending.result,
            now.0,
        ))?;
    count_end(scope, job, ending.state, now)
}

/// What became of jobs that were named, in the order they were; one that is named twice is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steered<T = JobId> {
    /// Those it was done to.
    pub done: Vec<T>,
    /// The others.
    pub left: Vec<LeftAlone>,
}

/// A job that was left as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftAlone {
    /// The job.
    pub id: JobId,
    /// Where it was in its life; none: there is no such job.
    pub state: Option<JobState>,
}

/// Does this to each job whose state allows it.
fn steer<T>(
    scope: &Scope<'_>,
    ids: &[JobId],
    may: fn(JobState) -> bool,
    act: impl Fn(JobId, JobState) -> Result<T, StoreError>,
) -> Result<Steered<T>, StoreError> {
    let (mut done, mut left) = (Vec::new(), Vec::new());
    let mut named = HashSet::new();
    for id in ids.iter().copied().filter(|id| named.insert(*id)) {
        match state_of(scope, id)? {
            Some(state) if may(state) => done.push(act(id, state)?),
            state => left.push(LeftAlone { id, state }),
        }
    }
    Ok(Steered { done, left })
}

/// Cancels jobs that have not ended, running ones too: from now on they can write nothing.
#[derive(Debug, Clone)]
pub struct CancelJobs {
    /// The jobs.
    pub ids: Vec<JobId>,
    /// Now.
    pub now: Moment,
}

/// A job that was cancelled, or is to be done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SteeredJob {
    /// Its number.
    pub id: JobId,
    /// Its queue, if it had been taken in.
    pub queue: Option<Queue>,
    /// The trace it belonged to.
    pub trace: Option<TraceParent>,
}

impl Operation for CancelJobs {
    /// Those that were cancelled.
    type Output = Steered<SteeredJob>;

    fn apply(&self, scope: &Scope<'_>) -> Result<Self::Output, StoreError> {
        let may = |state: JobState| !state.is_ended();
        steer(scope, &self.ids, may, |id, _| cancel(scope, id, self.now))
    }
}

fn cancel(scope: &Scope<'_>, id: JobId, now: Moment) -> Result<SteeredJob, StoreError> {
    let ending = Ending {
        state: JobState::Cancelled,
        error: None,
        result: None,
    };
    end_job(scope, id, &ending, now)?;
    steered(scope, id)
}

fn steered(scope: &Scope<'_>, id: JobId) -> Result<SteeredJob, StoreError> {
    let job = |row: &Row<'_>| {
        // The site may have written anything to a row that is not taken in.
        let text = |column| row.get::<_, String>(column).ok();
        Ok(SteeredJob {
            id,
            queue: text(0).and_then(|name| Queue::from_name(&name)),
            trace: text(1).and_then(|trace| trace.parse().ok()),
        })
    };
    let named = "SELECT queue, traceparent FROM main.vvv_jobs WHERE id = ?1";
    Ok(scope.prepare(named)?.query_row([id.0], job)?)
}

/// Has failed and cancelled jobs done again, from their first attempt, for the items that have no
/// record under them yet.
#[derive(Debug, Clone)]
pub struct RetryEnded {
    /// The jobs.
    pub ids: Vec<JobId>,
    /// Now.
    pub now: Moment,
}

impl Operation for RetryEnded {
    /// Those that are to be done again.
    type Output = Steered<SteeredJob>;

    fn apply(&self, scope: &Scope<'_>) -> Result<Self::Output, StoreError> {
        steer(
            scope,
            &self.ids,
            JobState::may_be_done_again,
            |id, ended| {
                // A row that was never understood is read once more.
                scope
                    .prepare(
                        "UPDATE main.vvv_jobs SET state = 'available', attempts = 0, crashes = 0, \
                     error = NULL, ended_ms = NULL, started_ms = NULL, run_at_ms = ?2, \
                     delay_ms = 0, queued_ms = CASE queue WHEN '' THEN NULL ELSE queued_ms END \
                     WHERE id = ?1",
                    )?
                    .execute((id.0, self.now.0))?;
                uncount_end(scope, id, ended)?;
                steered(scope, id)
            },
        )
    }
}

fn state_of(scope: &Scope<'_>, id: JobId) -> Result<Option<JobState>, StoreError> {
    let name: Option<String> = scope
        .prepare("SELECT state FROM main.vvv_jobs WHERE id = ?1")?
        .query_row([id.0], |row| row.get(0))
        .optional()?;
    Ok(name.and_then(|name| JobState::from_name(&name)))
}

/// Pauses a queue, or lets it go on, until told otherwise; whether that changed anything.
#[derive(Debug, Clone, Copy)]
pub struct PauseQueue {
    /// The queue.
    pub queue: Queue,
    /// Whether it is to pause.
    pub pause: bool,
    /// Now.
    pub now: Moment,
}

impl Operation for PauseQueue {
    type Output = bool;

    fn apply(&self, scope: &Scope<'_>) -> Result<bool, StoreError> {
        let queue = self.queue.name();
        let changed = if self.pause {
            scope
                .prepare(
                    "INSERT OR IGNORE INTO main.vvv_paused_queues (queue, paused_ms) \
                     VALUES (?1, ?2)",
                )?
                .execute((queue, self.now.0))?
        } else {
            scope
                .prepare("DELETE FROM main.vvv_paused_queues WHERE queue = ?1")?
                .execute([queue])?
        };
        Ok(changed > 0)
    }
}

/// Cancels jobs of a queue that wait, a thousand at most; those it cancelled.
#[derive(Debug, Clone, Copy)]
pub struct PurgeQueue {
    /// The queue.
    pub queue: Queue,
    /// Now.
    pub now: Moment,
}

impl Operation for PurgeQueue {
    type Output = Vec<SteeredJob>;

    fn apply(&self, scope: &Scope<'_>) -> Result<Self::Output, StoreError> {
        let waiting: Vec<JobId> = scope
            .prepare(
                "SELECT id FROM main.vvv_jobs WHERE queue = ?1 AND state = 'available' \
                 UNION ALL SELECT id FROM main.vvv_jobs WHERE queue = ?1 \
                 AND state IN ('scheduled', 'retryable') LIMIT 1000",
            )?
            .query_map([self.queue.name()], |row| row.get(0).map(JobId))?
            .collect::<Result<_, _>>()?;
        let cancelled = waiting.into_iter().map(|id| cancel(scope, id, self.now));
        cancelled.collect()
    }
}
