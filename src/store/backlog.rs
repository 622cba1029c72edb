//! What is in the queue, counted.

use serde::Serialize;

use super::error::StoreError;
use super::operation::{Operation, Scope};
use super::queue::JobState;
use crate::domain::job::Queue;

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
        let mut count = scope
            .prepare_queue("SELECT count(*) FROM queue.vvv_jobs WHERE queue = ?1 AND state = ?2")?;
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
