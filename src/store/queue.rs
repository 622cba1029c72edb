//! The queue that pools work off: a table of the writer's connection alone in a one-shot run, a
//! table of the site's file for a daemon. What becomes of a claimed job is in `outcome`; how jobs
//! get into the durable one is in `enqueue`.

use std::collections::HashSet;
use std::fmt;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
pub use super::job_state::JobState;
use super::operation::{Operation, QueueHome, Scope};
use crate::domain::job::{Kind, Queue};
use crate::domain::trace::TraceParent;

/// Makes the queue's table, empty.
pub(super) fn create(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.execute_batch(include_str!("queue.sql"))?)
}

/// A trace as it is kept with a job.
pub(super) fn written(trace: Option<TraceParent>) -> Option<String> {
    trace.map(|trace| trace.to_string())
}

/// A job's number, unique within its queue's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A time on the clock that jobs wait by, milliseconds: Unix time for the durable queue, time since
/// boot for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

/// Names one claimant's turn; the caller takes care that no two turns share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease(pub i64);

/// A job in the hands of who claimed it, until an outcome or a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The job.
    pub job: JobId,
    /// The turn it was claimed in.
    pub lease: Lease,
}

/// A job to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// What it does; the kind names the queue.
    pub kind: Kind,
    /// Its items, JSON.
    pub payload: String,
    /// 0 (first) to 9.
    pub priority: u8,
    /// Not before this, milliseconds on the caller's clock.
    pub run_at_ms: i64,
    /// The submitter's own number for it, given back with each claim.
    pub origin: i64,
    /// The trace it belongs to.
    pub trace: Option<TraceParent>,
}

/// Queues jobs; their numbers in the same order.
#[derive(Debug, Clone)]
pub struct SubmitJobs {
    /// The jobs.
    pub jobs: Vec<NewJob>,
    /// Now.
    pub now: Moment,
}

impl Operation for SubmitJobs {
    type Output = Vec<JobId>;

    fn apply(&self, scope: &Scope<'_>) -> Result<Self::Output, StoreError> {
        let mut insert = scope.prepare(
            "INSERT INTO temp.vvv_jobs (kind, queue, payload, state, priority, run_at_ms, origin, \
             traceparent) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        let submit = |job: &NewJob| {
            let state = if job.run_at_ms > self.now.0 {
                JobState::Scheduled
            } else {
                JobState::Available
            };
            let id = insert.insert((
                job.kind.name(),
                job.kind.queue().name(),
                &job.payload,
                state.name(),
                job.priority,
                job.run_at_ms,
                job.origin,
                written(job.trace),
            ))?;
            Ok(JobId(id))
        };
        self.jobs.iter().map(submit).collect()
    }

    fn touches_file(&self) -> bool {
        false
    }
}

/// Takes work out of the queue that does not outlive the process, running or not: from now on it
/// can write nothing. Its jobs' numbers.
#[derive(Debug, Clone)]
pub struct WithdrawJobs {
    /// The submitter's own numbers for it.
    pub origins: Vec<i64>,
}

impl Operation for WithdrawJobs {
    type Output = Vec<JobId>;

    fn apply(&self, scope: &Scope<'_>) -> Result<Self::Output, StoreError> {
        let wanted: HashSet<i64> = self.origins.iter().copied().collect();
        let rows: Vec<(JobId, i64)> = scope
            .prepare(
                "SELECT id, origin FROM temp.vvv_jobs \
                 WHERE state <> 'succeeded' AND state <> 'failed' AND state <> 'cancelled'",
            )?
            .query_map([], |row| Ok((JobId(row.get(0)?), row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let mut delete = scope.prepare("DELETE FROM temp.vvv_jobs WHERE id = ?1")?;
        let mut withdrawn = Vec::with_capacity(wanted.len());
        for (id, _) in rows.iter().filter(|(_, origin)| wanted.contains(origin)) {
            delete.execute([id.0])?;
            withdrawn.push(*id);
        }
        Ok(withdrawn)
    }

    fn touches_file(&self) -> bool {
        false
    }
}

/// Gives claims back, to be claimed at once, their attempt not counted; how many still held.
#[derive(Debug, Clone)]
pub struct ReleaseJobs {
    /// The claims.
    pub claims: Vec<Claim>,
}

impl Operation for ReleaseJobs {
    type Output = usize;

    fn apply(&self, scope: &Scope<'_>) -> Result<usize, StoreError> {
        let mut release = scope.prepare_queue(
            "UPDATE queue.vvv_jobs SET state = 'available', lease = NULL, \
             attempts = attempts - 1, suspect = min(suspect, 1) \
             WHERE id = ?1 AND lease = ?2 AND state = 'running'",
        )?;
        let mut released = 0;
        for claim in &self.claims {
            released += release.execute((claim.job.0, claim.lease.0))?;
        }
        Ok(released)
    }

    fn touches_file(&self) -> bool {
        false
    }
}

/// Gives back what a claim holds whose answer was lost; how many jobs.
#[derive(Debug, Clone, Copy)]
pub struct ReleaseLease(pub Lease);

impl Operation for ReleaseLease {
    type Output = usize;

    fn apply(&self, scope: &Scope<'_>) -> Result<usize, StoreError> {
        let released = scope
            .prepare_queue(
                "UPDATE queue.vvv_jobs SET state = 'available', lease = NULL, \
                 attempts = attempts - 1, suspect = min(suspect, 1) \
                 WHERE lease = ?1 AND state = 'running'",
            )?
            .execute([self.0.0])?;
        Ok(released)
    }

    fn touches_file(&self) -> bool {
        false
    }
}

/// Gives back every claim of a queue whose pool died; in a one-shot run, the origins of all jobs the
/// queue still has to do. The attempts do not count, for most of these jobs nobody had begun; what
/// kills pools is bounded by their restart budget.
#[derive(Debug, Clone, Copy)]
pub struct ReleaseRunning {
    /// The queue.
    pub queue: Queue,
}

impl Operation for ReleaseRunning {
    type Output = Vec<i64>;

    fn apply(&self, scope: &Scope<'_>) -> Result<Vec<i64>, StoreError> {
        scope
            .prepare_queue(
                "UPDATE queue.vvv_jobs SET state = 'available', lease = NULL, \
                 attempts = max(attempts - 1, 0), suspect = min(suspect, 1) \
                 WHERE queue = ?1 AND state = 'running'",
            )?
            .execute([self.queue.name()])?;
        if scope.home == QueueHome::File {
            return Ok(Vec::new());
        }
        let origins = scope
            .prepare(
                "SELECT origin FROM temp.vvv_jobs WHERE queue = ?1 \
                 AND state NOT IN ('succeeded', 'failed', 'cancelled')",
            )?
            .query_map([self.queue.name()], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(origins)
    }

    fn touches_file(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
