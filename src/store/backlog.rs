//! What is left in the queue: for status, and for starting over after the connection was lost.

use serde::Serialize;

use super::error::StoreError;
use super::operation::{Operation, Scope};
use super::queue::{JobId, JobState, kind};
use crate::domain::job::{Kind, Queue};

/// How many jobs of a queue are in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QueueCount {
    /// The queue.
    pub queue: Queue,
    /// The state.
    pub state: JobState,
    /// Jobs; never 0.
    pub jobs: u64,
}

/// Counts the jobs by queue and state. Succeeded ones are gone.
#[derive(Debug, Clone, Copy)]
pub struct ReadQueue;

impl Operation for ReadQueue {
    type Output = Vec<QueueCount>;

    fn apply(&self, scope: &Scope<'_>) -> Result<Self::Output, StoreError> {
        let mut counts = Vec::new();
        let mut count =
            scope.prepare("SELECT count(*) FROM temp.vvv_jobs WHERE queue = ?1 AND state = ?2")?;
        for queue in Queue::ALL {
            for state in JobState::ALL {
                let jobs: i64 = count.query_row((queue.name(), state.name()), |row| row.get(0))?;
                if let Ok(jobs @ 1..) = u64::try_from(jobs) {
                    counts.push(QueueCount { queue, state, jobs });
                }
            }
        }
        Ok(counts)
    }

    fn touches_file(&self) -> bool {
        false
    }
}

/// A job without an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedJob {
    /// Its number.
    pub id: JobId,
    /// What it does.
    pub kind: Kind,
    /// What is left of its items, JSON.
    pub payload: String,
}

/// Lists the jobs that have neither succeeded, failed nor been cancelled, by number.
#[derive(Debug, Clone, Copy)]
pub struct UnfinishedJobs;

impl Operation for UnfinishedJobs {
    type Output = Vec<UnfinishedJob>;

    fn apply(&self, scope: &Scope<'_>) -> Result<Self::Output, StoreError> {
        let unfinished = scope
            .prepare(
                "SELECT id, kind, payload FROM temp.vvv_jobs \
                 WHERE state NOT IN ('succeeded', 'failed', 'cancelled') ORDER BY id",
            )?
            .query_map([], |row| {
                Ok(UnfinishedJob {
                    id: JobId(row.get(0)?),
                    kind: kind(row, 1)?,
                    payload: row.get(2)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        Ok(unfinished)
    }

    fn touches_file(&self) -> bool {
        false
    }
}
