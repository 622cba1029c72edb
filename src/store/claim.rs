//! Claiming jobs: in which order, under which lease, and suspects alone.

use std::time::Instant;

use rusqlite::{OptionalExtension, Row};

use super::ending::{Ending, end_job};
use super::error::StoreError;
use super::operation::{Operation, QueueHome, Scope};
use super::queue::{Claim, JobId, JobState, Lease, Moment};
use crate::domain::job::{Kind, Queue};
use crate::domain::trace::TraceParent;

/// Jobs that come due with one claim at most, so that no claim holds the writer long.
const DUE_AT_ONCE: usize = 1_000;

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
    /// Whether its suspects wait for those of the quicker queues, which are those before it: one that
    /// waits for permits would hold theirs up for half a minute each.
    pub yields: bool,
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
    /// Whether they wait for those of a quicker queue, none of which is tried now.
    pub yields: bool,
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
    /// When it was due, by the queue's clock.
    pub due_ms: Option<i64>,
    /// The trace it belongs to.
    pub trace: Option<TraceParent>,
    /// When it was claimed.
    pub claimed_at: Instant,
}

/// In the file a job's own number is its origin, from one process to the next.
const fn claimable(home: QueueHome) -> &'static str {
    match home {
        QueueHome::Memory => {
            "SELECT id, kind, coalesce(remaining, payload), attempts + 1, priority, result, origin, \
             run_at_ms, traceparent FROM temp.vvv_jobs WHERE queue = ?1 AND state = 'available' "
        }
        QueueHome::File => {
            "SELECT id, kind, coalesce(remaining, payload), attempts + 1, priority, result, id, \
             run_at_ms, traceparent FROM main.vvv_jobs WHERE queue = ?1 AND state = 'available' \
             AND queued_ms IS NOT NULL "
        }
    }
}

/// A job's number, and the job if its row can be read.
type Found = (JobId, Option<ClaimedJob>);

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
        // What is left of the due is as due the next time.
        scope
            .prepare_queue(&format!(
                "UPDATE queue.vvv_jobs SET state = 'available' WHERE id IN \
                 (SELECT id FROM queue.vvv_jobs WHERE queue = ?1 \
                   AND state IN ('scheduled', 'retryable') AND run_at_ms <= ?2 LIMIT {DUE_AT_ONCE})"
            ))?
            .execute((self.queue.name(), self.now.0))?;
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX);
        let claimable = claimable(scope.home);
        let found: Vec<Found> = scope
            .prepare(&format!(
                "{claimable} ORDER BY priority, run_at_ms, id LIMIT ?2"
            ))?
            .query_map((self.queue.name(), limit), |row| self.found(row))?
            .collect::<Result<_, _>>()?;
        let jobs = self.legible(scope, found)?;
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
            ..Claimed::default()
        })
    }

    fn touches_file(&self) -> bool {
        false
    }
}

impl ClaimJobs {
    /// The next suspect, if there is one; it is claimed only if nothing else of its queue is held,
    /// and no suspect of another queue is tried: a death must have one to blame.
    fn suspect(&self, scope: &Scope<'_>) -> Result<Option<Claimed>, StoreError> {
        let claimable = claimable(scope.home);
        let suspect = scope
            .prepare(&format!("{claimable} AND suspect = 1 ORDER BY id LIMIT 1"))?
            .query_row([self.queue.name()], |row| self.found(row))
            .optional()?;
        let Some(suspect) = suspect else {
            return Ok(None);
        };
        let another_is_tried = scope
            .prepare("SELECT 1 FROM main.vvv_jobs WHERE state = 'running' AND suspect >= 2")?
            .exists([])?;
        let yields = self.yields && !another_is_tried && self.a_quicker_one_waits(scope)?;
        let jobs = if self.alone && !another_is_tried && !yields {
            self.legible(scope, vec![suspect])?
        } else {
            Vec::new()
        };
        self.hold(scope, &jobs, 2)?;
        Ok(Some(Claimed {
            jobs,
            next_due_ms: None,
            suspects: true,
            yields,
        }))
    }

    /// Whether a queue before this one has a suspect that may be tried.
    fn a_quicker_one_waits(&self, scope: &Scope<'_>) -> Result<bool, StoreError> {
        let claimable = claimable(scope.home);
        let mut suspects = scope.prepare(&format!("{claimable} AND suspect = 1"))?;
        let quicker = |queue: &Queue| *queue != self.queue;
        for queue in Queue::ALL.into_iter().take_while(quicker) {
            if suspects.exists([queue.name()])? && !is_paused(scope, queue)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn found(&self, row: &Row<'_>) -> Result<Found, rusqlite::Error> {
        let id = JobId(row.get(0)?);
        let claim = Claim {
            job: id,
            lease: self.lease,
        };
        Ok((id, claimed(row, claim).ok()))
    }

    /// What was found less what cannot be read, which fails: somebody else has written to it.
    fn legible(&self, scope: &Scope<'_>, found: Vec<Found>) -> Result<Vec<ClaimedJob>, StoreError> {
        let mut jobs = Vec::with_capacity(found.len());
        for (id, job) in found {
            match job {
                Some(job) => jobs.push(job),
                None => {
                    let ending = Ending {
                        state: JobState::Failed,
                        error: Some("a column that is ours cannot be read"),
                        result: None,
                    };
                    end_job(scope, id, &ending, self.now)?;
                }
            }
        }
        Ok(jobs)
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

fn claimed(row: &Row<'_>, claim: Claim) -> Result<ClaimedJob, rusqlite::Error> {
    Ok(ClaimedJob {
        claim,
        kind: kind(row, 1)?,
        payload: row.get(2)?,
        attempts: row.get(3)?,
        priority: row.get(4)?,
        result: row.get(5)?,
        origin: row.get(6)?,
        // The site may have written anything there; it is only counted.
        due_ms: row.get(7).ok(),
        // What is none was not written by us, and costs the job nothing.
        trace: row.get(8).ok().and_then(|text: String| text.parse().ok()),
        claimed_at: Instant::now(),
    })
}

/// What the site wrote was read when it was taken in, so an unknown kind is an error of ours.
pub(super) fn kind(row: &Row<'_>, column: usize) -> Result<Kind, rusqlite::Error> {
    let name: String = row.get(column)?;
    Kind::from_name(&name).ok_or(rusqlite::Error::InvalidColumnName(name))
}
