//! What becomes of a claimed job. Every outcome is fenced by the claim's lease: a claim that was
//! taken back can write nothing.

use super::error::StoreError;
use super::operation::{Operation, Scope};
use super::queue::Claim;

/// Checks that a claim is still held, before anything is written on its behalf.
pub(super) fn fence(scope: &Scope<'_>, claim: Claim) -> Result<(), StoreError> {
    let held = scope
        .prepare("SELECT 1 FROM temp.vvv_jobs WHERE id = ?1 AND lease = ?2 AND state = 'running'")?
        .exists((claim.job.0, claim.lease.0))?;
    if held {
        Ok(())
    } else {
        Err(StoreError::LeaseLost)
    }
}

/// Ends a claimed job well. Its row goes: nothing is asked of it any more.
pub(super) fn succeed(scope: &Scope<'_>, claim: Claim) -> Result<(), StoreError> {
    let ended = scope
        .prepare("DELETE FROM temp.vvv_jobs WHERE id = ?1 AND lease = ?2 AND state = 'running'")?
        .execute((claim.job.0, claim.lease.0))?;
    one(ended)
}

const fn one(changed: usize) -> Result<(), StoreError> {
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::LeaseLost)
    }
}

/// Marks a job succeeded; its effects were recorded item by item.
#[derive(Debug, Clone, Copy)]
pub struct FinishJob {
    /// The claim it was worked on under.
    pub claim: Claim,
}

impl Operation for FinishJob {
    type Output = ();

    fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        succeed(scope, self.claim)
    }

    fn touches_file(&self) -> bool {
        false
    }
}

/// Puts a job back for another attempt.
#[derive(Debug, Clone)]
pub struct RetryJob {
    /// The claim it was worked on under.
    pub claim: Claim,
    /// What is left to do, JSON.
    pub payload: String,
    /// Not before this, on the clock of [`NewJob::run_at_ms`](super::NewJob::run_at_ms).
    pub run_at_ms: i64,
    /// Why.
    pub error: String,
    /// Whether this attempt does not count.
    pub give_back_attempt: bool,
}

impl Operation for RetryJob {
    type Output = ();

    fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        let retried = scope
            .prepare(
                "UPDATE temp.vvv_jobs SET state = 'retryable', lease = NULL, payload = ?3, \
                 run_at_ms = ?4, error = ?5, attempts = attempts - ?6 \
                 WHERE id = ?1 AND lease = ?2 AND state = 'running'",
            )?
            .execute((
                self.claim.job.0,
                self.claim.lease.0,
                &self.payload,
                self.run_at_ms,
                &self.error,
                self.give_back_attempt,
            ))?;
        one(retried)
    }

    fn touches_file(&self) -> bool {
        false
    }
}

/// Gives a job up.
#[derive(Debug, Clone)]
pub struct FailJob {
    /// The claim it was worked on under.
    pub claim: Claim,
    /// Why.
    pub error: String,
}

impl Operation for FailJob {
    type Output = ();

    fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        let failed = scope
            .prepare(
                "UPDATE temp.vvv_jobs SET state = 'failed', lease = NULL, error = ?3 \
                 WHERE id = ?1 AND lease = ?2 AND state = 'running'",
            )?
            .execute((self.claim.job.0, self.claim.lease.0, &self.error))?;
        one(failed)
    }

    fn touches_file(&self) -> bool {
        false
    }
}
