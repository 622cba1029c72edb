//! The queue of a one-shot run: jobs in a TEMP table of the writer's connection, so nothing is
//! left behind. What becomes of a claimed job is in `outcome`, what is left in `backlog`.

use std::fmt;

use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;

use super::error::StoreError;
use super::operation::{Operation, Scope};
use crate::domain::job::{Kind, Queue};

/// Makes the queue's table, empty.
pub(super) fn create(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.execute_batch(include_str!("queue.sql"))?)
}

/// A job's number, unique within its queue's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct JobId(pub(super) i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
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
    pub(super) const ALL: [Self; 7] = [
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
    /// Now, on the clock of their `run_at_ms`.
    pub now_ms: i64,
}

impl Operation for SubmitJobs {
    type Output = Vec<JobId>;

    fn apply(&self, scope: &Scope<'_>) -> Result<Self::Output, StoreError> {
        let mut insert = scope.prepare(
            "INSERT INTO temp.vvv_jobs (kind, queue, payload, state, priority, run_at_ms, origin) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        let submit = |job: &NewJob| {
            let state = if job.run_at_ms > self.now_ms {
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

/// Claims the next jobs of a queue that are due, by priority, then time, then number.
#[derive(Debug, Clone)]
pub struct ClaimJobs {
    /// The queue.
    pub queue: Queue,
    /// How many at most.
    pub limit: usize,
    /// The lease they are held under.
    pub lease: Lease,
    /// Now, on the clock of `run_at_ms`.
    pub now_ms: i64,
}

/// What [`ClaimJobs`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The jobs, in the order they are to run.
    pub jobs: Vec<ClaimedJob>,
    /// When the next waiting job of the queue is due; none when none waits for a time.
    pub next_due_ms: Option<i64>,
}

/// A claimed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedJob {
    /// What its outcome is recorded by.
    pub claim: Claim,
    /// What it does.
    pub kind: Kind,
    /// Its items, JSON.
    pub payload: String,
    /// Attempts so far, this one included.
    pub attempts: u32,
    /// 0 (first) to 9.
    pub priority: u8,
    /// The submitter's own number for it.
    pub origin: i64,
}

impl Operation for ClaimJobs {
    type Output = Claimed;

    fn apply(&self, scope: &Scope<'_>) -> Result<Claimed, StoreError> {
        let queue = self.queue.name();
        scope
            .prepare(
                "UPDATE temp.vvv_jobs SET state = 'available' WHERE queue = ?1 \
                 AND state IN ('scheduled', 'retryable') AND run_at_ms <= ?2",
            )?
            .execute((queue, self.now_ms))?;
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX);
        let jobs: Vec<ClaimedJob> = scope
            .prepare(
                "SELECT id, kind, payload, attempts + 1, priority, origin FROM temp.vvv_jobs \
                 WHERE queue = ?1 AND state = 'available' \
                 ORDER BY priority, run_at_ms, id LIMIT ?2",
            )?
            .query_map((queue, limit), |row| claimed(row, self.lease))?
            .collect::<Result<_, _>>()?;
        let mut claim = scope.prepare(
            "UPDATE temp.vvv_jobs SET state = 'running', lease = ?2, attempts = ?3, error = NULL \
             WHERE id = ?1",
        )?;
        for job in &jobs {
            claim.execute((job.claim.job.0, self.lease.0, job.attempts))?;
        }
        let next_due_ms = scope
            .prepare(
                "SELECT run_at_ms FROM temp.vvv_jobs WHERE queue = ?1 \
                 AND state IN ('scheduled', 'retryable') ORDER BY run_at_ms LIMIT 1",
            )?
            .query_row([queue], |row| row.get(0))
            .optional()?;
        Ok(Claimed { jobs, next_due_ms })
    }

    fn touches_file(&self) -> bool {
        false
    }
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
        let mut release = scope.prepare(
            "UPDATE temp.vvv_jobs SET state = 'available', lease = NULL, attempts = attempts - 1 \
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
            .prepare(
                "UPDATE temp.vvv_jobs SET state = 'available', lease = NULL \
                 WHERE queue = ?1 AND state = 'running'",
            )?
            .execute([self.queue.name()])?;
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
mod tests {
    use super::super::backlog::ReadQueue;
    use super::super::fixture::{Fixture, run};
    use super::super::outcome::FinishJob;
    use super::super::writer::Writer;
    use super::*;

    fn job(kind: Kind, priority: u8, run_at_ms: i64) -> NewJob {
        NewJob {
            kind,
            payload: format!("{priority} at {run_at_ms}"),
            priority,
            run_at_ms,
            origin: run_at_ms,
        }
    }

    fn submit(writer: &mut Writer, jobs: Vec<NewJob>, now_ms: i64) -> Vec<JobId> {
        run(writer, SubmitJobs { jobs, now_ms }).unwrap()
    }

    fn claim(writer: &mut Writer, limit: usize, lease: i64, now_ms: i64) -> Claimed {
        let next = ClaimJobs {
            queue: Queue::Scoring,
            limit,
            lease: Lease(lease),
            now_ms,
        };
        run(writer, next).unwrap()
    }

    fn payloads(claimed: &Claimed) -> Vec<&str> {
        let payloads = claimed.jobs.iter().map(|job| job.payload.as_str());
        payloads.collect()
    }

    #[test]
    fn jobs_are_claimed_by_priority_then_time_then_number() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        let mut jobs = vec![
            job(Kind::Score, 5, 30),
            job(Kind::Score, 5, 10),
            job(Kind::Score, 9, 0),
            job(Kind::Liveness, 0, 0),
            job(Kind::Score, 0, 100),
            job(Kind::Score, 0, 101),
        ];
        jobs.push(job(Kind::Score, 5, 10));
        let ids = submit(&mut writer, jobs, 20);
        let first = claim(&mut writer, 3, 1, 100);
        assert_eq!(payloads(&first), ["0 at 100", "5 at 10", "5 at 10"]);
        let claimed: Vec<JobId> = first.jobs.iter().map(|job| job.claim.job).collect();
        assert_eq!(claimed, [ids[4], ids[1], ids[6]]);
        assert_eq!(first.next_due_ms, Some(101));
        assert_eq!(first.jobs[0].origin, 100);
        let rest = claim(&mut writer, 9, 2, 101);
        assert_eq!(payloads(&rest), ["0 at 101", "5 at 30", "9 at 0"]);
        assert_eq!(rest.next_due_ms, None);
        assert_eq!(claim(&mut writer, 9, 3, 999).jobs, []);
    }

    #[test]
    fn a_released_job_comes_back_with_its_attempt_not_counted() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        submit(&mut writer, vec![job(Kind::Score, 5, 0); 2], 0);
        let claims: Vec<Claim> = claim(&mut writer, 2, 1, 0)
            .jobs
            .iter()
            .map(|job| job.claim)
            .collect();
        let stranger = Claim {
            lease: Lease(99),
            ..claims[0]
        };
        let released =
            |writer: &mut Writer, claims: Vec<Claim>| run(writer, ReleaseJobs { claims }).unwrap();
        assert_eq!(released(&mut writer, vec![stranger]), 0);
        assert_eq!(released(&mut writer, claims.clone()), 2);
        assert_eq!(released(&mut writer, claims), 0);
        let again = claim(&mut writer, 2, 2, 0);
        assert_eq!(
            again
                .jobs
                .iter()
                .map(|job| job.attempts)
                .collect::<Vec<_>>(),
            [1, 1]
        );
    }

    #[test]
    fn what_a_dead_pool_held_comes_back_with_its_attempt_counted() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        submit(
            &mut writer,
            vec![job(Kind::Score, 5, 0), job(Kind::Liveness, 5, 0)],
            0,
        );
        submit(&mut writer, vec![job(Kind::Score, 5, 7)], 0);
        let first = claim(&mut writer, 1, 1, 0).jobs[0].claim;
        run(&mut writer, FinishJob { claim: first }).unwrap();
        submit(&mut writer, vec![job(Kind::Score, 5, 9)], 0);
        claim(&mut writer, 1, 1, 9);
        for (queue, left) in [
            (Queue::Cleanup, vec![0]),
            (Queue::Scoring, vec![7, 9]),
            (Queue::Thumbnails, vec![]),
        ] {
            assert_eq!(run(&mut writer, ReleaseRunning { queue }).unwrap(), left);
        }
        assert_eq!(claim(&mut writer, 1, 2, 9).jobs[0].attempts, 2);
    }

    #[test]
    fn jobs_are_counted_by_queue_and_state() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        assert_eq!(run(&mut writer, ReadQueue).unwrap(), []);
        let jobs = vec![
            job(Kind::Score, 5, 0),
            job(Kind::Score, 5, 0),
            job(Kind::Score, 5, 7),
            job(Kind::Liveness, 5, 0),
        ];
        submit(&mut writer, jobs, 0);
        claim(&mut writer, 1, 1, 0);
        let counts: Vec<_> = run(&mut writer, ReadQueue)
            .unwrap()
            .iter()
            .map(|count| (count.queue, count.state, count.jobs))
            .collect();
        assert_eq!(
            counts,
            [
                (Queue::Scoring, JobState::Scheduled, 1),
                (Queue::Scoring, JobState::Available, 1),
                (Queue::Scoring, JobState::Running, 1),
                (Queue::Cleanup, JobState::Available, 1),
            ]
        );
    }

    #[test]
    fn a_queue_is_its_writers_alone_and_leaves_nothing_behind() {
        let fixture = Fixture::new("wal");
        let (mut one, mut other) = (fixture.writer(), fixture.writer());
        submit(&mut one, vec![job(Kind::Score, 5, 0)], 0);
        assert_eq!(claim(&mut other, 9, 1, 0).jobs, []);
        one.close();
        assert_eq!(run(&mut fixture.writer(), ReadQueue).unwrap(), []);
        let tables = fixture.rows("SELECT name FROM sqlite_master WHERE name LIKE '%jobs%'");
        assert_eq!(tables, [""; 0]);
    }
}
