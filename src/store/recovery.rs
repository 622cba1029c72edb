//! What a start finds of the process before: jobs it had claimed. And waits that a clock which was
//! set back made longer.

use super::ending::{Ending, end_job};
use super::error::StoreError;
use super::operation::{Operation, Scope};
use super::queue::{JobId, JobState, Moment};
use crate::domain::job::Queue;

/// Takes back what a process that died had claimed. Every such job is a suspect and will run
/// alone; one that was a suspect already when it ran, and got nowhere, has a strike more.
#[derive(Debug, Clone)]
pub struct Recover {
    /// How many strikes each queue's jobs may have.
    pub max_crashes: [(Queue, u32); 3],
    /// Now.
    pub now: Moment,
}

/// What [`Recover`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Jobs that go back to their queues.
    pub suspects: usize,
    /// Jobs given up.
    pub given_up: Vec<JobId>,
}

impl Operation for Recover {
    type Output = Recovered;

    fn apply(&self, scope: &Scope<'_>) -> Result<Recovered, StoreError> {
        scope
            .prepare(
                "UPDATE main.vvv_jobs SET crashes = crashes + 1 \
                 WHERE state = 'running' AND suspect = 2",
            )?
            .execute([])?;
        let mut recovered = Recovered::default();
        for (queue, most) in self.max_crashes {
            let culprits: Vec<(JobId, u32)> = scope
                .prepare(
                    "SELECT id, crashes FROM main.vvv_jobs \
                     WHERE state = 'running' AND queue = ?1 AND suspect = 2 AND crashes >= ?2",
                )?
                .query_map((queue.name(), most), |row| {
                    Ok((JobId(row.get(0)?), row.get(1)?))
                })?
                .collect::<Result<_, _>>()?;
            for (id, crashes) in culprits {
                let error = format!("crashed {crashes} times");
                let ending = Ending {
                    state: JobState::Failed,
                    error: Some(&error),
                    result: None,
                };
                end_job(scope, id, &ending, self.now)?;
                recovered.given_up.push(id);
            }
        }
        recovered.suspects = scope
            .prepare(
                "UPDATE main.vvv_jobs SET state = 'available', lease = NULL, suspect = 1, \
                 attempts = max(attempts - 1, 0) WHERE state = 'running'",
            )?
            .execute([])?;
        Ok(recovered)
    }
}

/// After the clock was set: no job waits longer than it was told to.
#[derive(Debug, Clone, Copy)]
pub struct ShortenWaits {
    /// Now, by the clock as it is set.
    pub now: Moment,
}

impl Operation for ShortenWaits {
    /// How many jobs would have waited longer.
    type Output = usize;

    fn apply(&self, scope: &Scope<'_>) -> Result<usize, StoreError> {
        let shortened = scope
            .prepare(
                "UPDATE main.vvv_jobs SET run_at_ms = ?1 + delay_ms \
                 WHERE state IN ('scheduled', 'retryable') AND run_at_ms > ?1 + delay_ms",
            )?
            .execute([self.now.0])?;
        Ok(shortened)
    }
}
