//! The queue that pools work off: a table of the writer's connection alone in a one-shot run, a
//! table of the site's file for a daemon. What becomes of a claimed job is in `outcome`; how jobs
//! get into the durable one is in `enqueue`.

use std::fmt;

use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::operation::{Operation, QueueHome, Scope};
use crate::domain::job::{Kind, Queue};

/// Makes the queue's table, empty.
pub(super) fn create(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.execute_batch(include_str!("queue.sql"))?)
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

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits for its time.
    Scheduled,
    /// Waits for a worker.
    Available,
    /// Claimed.
    Running,
    /// Waits for its next attempt.
    Retryable,
    /// Done.
    Succeeded,
    /// Given up, with a reason.
    Failed,
    /// Not wanted any more.
    Cancelled,
}

impl JobState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Available,
        Self::Running,
        Self::Retryable,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Its name in status and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Available => "available",
            Self::Running => "running",
            Self::Retryable => "retryable",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads a state by its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing more is done.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
            Self::Scheduled | Self::Available | Self::Running | Self::Retryable => false,
        }
    }
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
            "INSERT INTO temp.vvv_jobs (kind, queue, payload, state, priority, run_at_ms, origin) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
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
            ))?;
            Ok(JobId(id))
        };
        self.jobs.iter().map(submit).collect()
    }

    fn touches_file(&self) -> bool {
        false
    }
}

/// Claims the next jobs of a queue that are due, by priority, then time, then number. A suspect
/// goes before all others, and alone.
#[derive(Debug, Clone)]
pub struct ClaimJobs {
    /// The queue.
    pub queue: Queue,
    /// How many at most.
    pub limit: usize,
    /// The lease they are held under.
    pub lease: Lease,
    /// Whether no job of the queue is held: only then may a suspect be tried.
    pub alone: bool,
    /// Now.
    pub now: Moment,
}

/// What [`ClaimJobs`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    /// The jobs, in the order they are to run.
    pub jobs: Vec<ClaimedJob>,
    /// When the next waiting job of the queue is due; none when none waits for a time.
    pub next_due_ms: Option<i64>,
    /// Whether suspects are left or tried now: until they are cleared nothing else may run.
    pub suspects: bool,
}

/// A claimed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedJob {
    /// What its outcome is recorded by.
    pub claim: Claim,
    /// What it does.
    pub kind: Kind,
    /// The items that are left, JSON.
    pub payload: String,
    /// What earlier attempts found, JSON.
    pub result: Option<String>,
    /// Attempts so far, this one included.
    pub attempts: u32,
    /// 0 (first) to 9.
    pub priority: u8,
    /// The submitter's own number for it.
    pub origin: i64,
}

const CLAIMABLE: &str = "SELECT id, kind, coalesce(remaining, payload), attempts + 1, priority, \
     origin, result FROM queue.vvv_jobs WHERE queue = ?1 AND state = 'available' ";

impl Operation for ClaimJobs {
    type Output = Claimed;

    fn apply(&self, scope: &Scope<'_>) -> Result<Claimed, StoreError> {
        if scope.home == QueueHome::File {
            if is_paused(scope, self.queue)? {
                return Ok(Claimed::default());
            }
            if let Some(claimed) = self.suspect(scope)? {
                return Ok(claimed);
            }
        }
        scope
            .prepare_queue(
                "UPDATE queue.vvv_jobs SET state = 'available' WHERE queue = ?1 \
                 AND state IN ('scheduled', 'retryable') AND run_at_ms <= ?2",
            )?
            .execute((self.queue.name(), self.now.0))?;
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX);
        let jobs: Vec<ClaimedJob> = scope
            .prepare_queue(&format!(
                "{CLAIMABLE} ORDER BY priority, run_at_ms, id LIMIT ?2"
            ))?
            .query_map((self.queue.name(), limit), |row| claimed(row, self.lease))?
            .collect::<Result<_, _>>()?;
        self.hold(scope, &jobs, 0)?;
        let next_due_ms = scope
            .prepare_queue(
                "SELECT run_at_ms FROM queue.vvv_jobs WHERE queue = ?1 \
                 AND state IN ('scheduled', 'retryable') ORDER BY run_at_ms LIMIT 1",
            )?
            .query_row([self.queue.name()], |row| row.get(0))
            .optional()?;
        Ok(Claimed {
            jobs,
            next_due_ms,
            suspects: false,
        })
    }

    fn touches_file(&self) -> bool {
        false
    }
}

impl ClaimJobs {
    /// The next suspect, if there is one; it is claimed only if nothing else is held.
    fn suspect(&self, scope: &Scope<'_>) -> Result<Option<Claimed>, StoreError> {
        let suspect = scope
            .prepare_queue(&format!("{CLAIMABLE} AND suspect = 1 ORDER BY id LIMIT 1"))?
            .query_row([self.queue.name()], |row| claimed(row, self.lease))
            .optional()?;
        let Some(job) = suspect else { return Ok(None) };
        let jobs = if self.alone { vec![job] } else { Vec::new() };
        self.hold(scope, &jobs, 2)?;
        Ok(Some(Claimed {
            jobs,
            next_due_ms: None,
            suspects: true,
        }))
    }

    fn hold(&self, scope: &Scope<'_>, jobs: &[ClaimedJob], suspect: u8) -> Result<(), StoreError> {
        let mut hold = scope.prepare_queue(
            "UPDATE queue.vvv_jobs SET state = 'running', lease = ?2, attempts = ?3, \
             error = NULL, suspect = ?4, started_ms = ?5 WHERE id = ?1",
        )?;
        for job in jobs {
            hold.execute((
                job.claim.job.0,
                self.lease.0,
                job.attempts,
                suspect,
                self.now.0,
            ))?;
        }
        Ok(())
    }
}

fn is_paused(scope: &Scope<'_>, queue: Queue) -> Result<bool, StoreError> {
    Ok(scope
        .prepare("SELECT 1 FROM main.vvv_paused_queues WHERE queue = ?1")?
        .exists([queue.name()])?)
}

fn claimed(row: &Row<'_>, lease: Lease) -> Result<ClaimedJob, rusqlite::Error> {
    Ok(ClaimedJob {
        claim: Claim {
            job: JobId(row.get(0)?),
            lease,
        },
        kind: kind(row, 1)?,
        payload: row.get(2)?,
        attempts: row.get(3)?,
        priority: row.get(4)?,
        origin: row.get(5)?,
        result: row.get(6)?,
    })
}

/// Only [`SubmitJobs`] writes kinds, so an unknown one is an error of ours.
pub(super) fn kind(row: &Row<'_>, column: usize) -> Result<Kind, rusqlite::Error> {
    let name: String = row.get(column)?;
    Kind::from_name(&name).ok_or(rusqlite::Error::InvalidColumnName(name))
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

/// Gives back every claim of a queue whose pool died; the origins of all jobs the queue still has
/// to do. The attempts count: one of these jobs may be what killed it.
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
                 suspect = min(suspect, 1) WHERE queue = ?1 AND state = 'running'",
            )?
            .execute([self.queue.name()])?;
        let origins = scope
            .prepare_queue(
                "SELECT origin FROM queue.vvv_jobs WHERE queue = ?1 \
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
