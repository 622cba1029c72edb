//! What becomes of a claimed job. Every outcome is fenced by the claim's lease: a claim that was
//! taken back can write nothing.

use super::ending::{Ending, end_job};
use super::error::StoreError;
use super::operation::{Operation, QueueHome, Scope};
use super::queue::{Claim, JobState, Moment};

/// Checks that a claim is still held, before anything is written on its behalf.
pub(super) fn fence(scope: &Scope<'_>, claim: Claim) -> Result<(), StoreError> {
    let held = scope
        .prepare_queue(
            "SELECT 1 FROM queue.vvv_jobs WHERE id = ?1 AND lease = ?2 AND state = 'running'",
        )?
        .exists((claim.job.0, claim.lease.0))?;
    if held {
        Ok(())
    } else {
        Err(StoreError::LeaseLost)
    }
}

/// The same for what is recorded of a job that goes on. A suspect that gets somewhere is not what kills
/// the process, or at most by an item that is left: its next death is no strike.
pub(super) fn fence_progress(scope: &Scope<'_>, claim: Claim) -> Result<(), StoreError> {
    fence(scope, claim)?;
    scope
        .prepare_queue("UPDATE queue.vvv_jobs SET suspect = 3 WHERE id = ?1 AND suspect = 2")?
        .execute([claim.job.0])?;
    Ok(())
}

/// Ends a claimed job well. In a one-shot run its row goes: nothing is asked of it any more.
pub(super) fn succeed(
    scope: &Scope<'_>,
    claim: Claim,
    result: Option<&str>,
    now: Moment,
) -> Result<(), StoreError> {
    fence(scope, claim)?;
    match scope.home {
        QueueHome::Memory => {
            scope
                .prepare("DELETE FROM temp.vvv_jobs WHERE id = ?1")?
                .execute([claim.job.0])?;
            Ok(())
        }
        QueueHome::File => {
            let ending = Ending {
                state: JobState::Succeeded,
                error: None,
                result,
            };
            end_job(scope, claim.job, &ending, now)
        }
    }
}

/// Marks a job succeeded; its effects were recorded item by item.
#[derive(Debug, Clone)]
pub struct FinishJob {
    /// The claim it was worked on under.
    pub claim: Claim,
    /// What was found, JSON, if it is to be kept.
    pub result: Option<String>,
    /// Now.
    pub now: Moment,
}

impl Operation for FinishJob {
    type Output = ();

    fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        succeed(scope, self.claim, self.result.as_deref(), self.now)
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
    /// What was found so far, JSON, if it is to be kept.
    pub result: Option<String>,
    /// How long it waits, milliseconds.
    pub delay_ms: i64,
    /// Now.
    pub now: Moment,
    /// Why.
    pub error: String,
    /// Whether this attempt does not count.
    pub give_back_attempt: bool,
}

impl Operation for RetryJob {
    type Output = ();

    fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        fence(scope, self.claim)?;
        let state = if self.delay_ms > 0 {
            JobState::Retryable
        } else {
            JobState::Available
        };
        scope
            .prepare_queue(
                "UPDATE queue.vvv_jobs SET state = ?8, lease = NULL, suspect = 0, \
                 remaining = ?2, run_at_ms = ?3, delay_ms = ?4, error = ?5, \
                 attempts = attempts - ?6, result = coalesce(?7, result) WHERE id = ?1",
            )?
            .execute((
                self.claim.job.0,
                &self.payload,
                self.now.0.saturating_add(self.delay_ms),
                self.delay_ms,
                &self.error,
                self.give_back_attempt,
                &self.result,
                state.name(),
            ))?;
        Ok(())
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
    /// Now.
    pub now: Moment,
}

impl Operation for FailJob {
    type Output = ();

    fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        fence(scope, self.claim)?;
        match scope.home {
            QueueHome::Memory => {
                scope
                    .prepare(
                        "UPDATE temp.vvv_jobs SET state = 'failed', lease = NULL, error = ?2 \
                         WHERE id = ?1",
                    )?
                    .execute((self.claim.job.0, &self.error))?;
                Ok(())
            }
            QueueHome::File => {
                let ending = Ending {
                    state: JobState::Failed,
                    error: Some(&self.error),
                    result: None,
                };
                end_job(scope, self.claim.job, &ending, self.now)
            }
        }
    }

    fn touches_file(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::backlog::ReadQueue;
    use super::super::claim::ClaimJobs;
    use super::super::fixture::{Fixture, claim, claim_next, run};
    use super::super::queue::{JobState, Lease, ReleaseJobs};
    use super::super::writer::Writer;
    use super::*;
    use crate::domain::job::{Kind, Queue};

    fn finish(claim: Claim) -> FinishJob {
        FinishJob {
            claim,
            result: None,
            now: Moment(0),
        }
    }

    fn retry(claim: Claim, give_back_attempt: bool) -> RetryJob {
        RetryJob {
            claim,
            payload: "the rest".to_owned(),
            result: None,
            delay_ms: 10,
            now: Moment(40),
            error: "no answer".to_owned(),
            give_back_attempt,
        }
    }

    fn states(writer: &mut Writer) -> Vec<JobState> {
        let counts = run(writer, ReadQueue).unwrap();
        counts.iter().map(|count| count.state).collect()
    }

    fn is_lost<T>(outcome: &Result<T, StoreError>) -> bool {
        matches!(outcome, Err(StoreError::LeaseLost))
    }

    #[test]
    fn a_claim_that_was_taken_back_can_end_nothing() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        let late = claim(&mut writer, Kind::Score);
        run(&mut writer, ReleaseJobs { claims: vec![late] }).unwrap();
        let error = "too late".to_owned();
        for _ in 0..2 {
            assert!(is_lost(&run(&mut writer, finish(late))));
            assert!(is_lost(&run(&mut writer, retry(late, false))));
            let fail = FailJob {
                claim: late,
                error: error.clone(),
                now: Moment(0),
            };
            assert!(is_lost(&run(&mut writer, fail)));
            // The second time the job is another's.
            if states(&mut writer) == [JobState::Available] {
                claim_next(&mut writer, Queue::Scoring, Lease(8));
            }
            assert_eq!(states(&mut writer), [JobState::Running]);
        }
    }

    #[test]
    fn a_job_ends_once() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        let claim = claim(&mut writer, Kind::Thumbnails);
        run(&mut writer, finish(claim)).unwrap();
        assert_eq!(states(&mut writer), []);
        assert!(is_lost(&run(&mut writer, finish(claim))));
    }

    #[test]
    fn a_retry_waits_for_its_time_with_what_is_left() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        let mut held = claim(&mut writer, Kind::Score);
        for (give_back_attempt, attempts) in [(false, 2), (true, 2), (false, 3)] {
            run(&mut writer, retry(held, give_back_attempt)).unwrap();
            assert_eq!(states(&mut writer), [JobState::Retryable]);
            let next = |now_ms| ClaimJobs {
                queue: Queue::Scoring,
                limit: 1,
                lease: Lease(9),
                alone: true,
                yields: false,
                now: Moment(now_ms),
            };
            let early = run(&mut writer, next(49)).unwrap();
            assert_eq!((early.jobs.len(), early.next_due_ms), (0, Some(50)));
            let due = run(&mut writer, next(50)).unwrap();
            assert_eq!(due.jobs[0].payload, "the rest");
            assert_eq!(due.jobs[0].attempts, attempts);
            held = due.jobs[0].claim;
        }
    }

    #[test]
    fn a_failed_job_is_kept_and_never_claimed_again() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        let claim = claim(&mut writer, Kind::Score);
        let error = "crashed".to_owned();
        run(
            &mut writer,
            FailJob {
                claim,
                error,
                now: Moment(0),
            },
        )
        .unwrap();
        assert_eq!(states(&mut writer), [JobState::Failed]);
        let next = ClaimJobs {
            queue: Queue::Scoring,
            limit: 1,
            lease: Lease(9),
            alone: true,
            yields: false,
            now: Moment(i64::MAX),
        };
        assert_eq!(run(&mut writer, next).unwrap().jobs, []);
    }
}
