//! What becomes of a job after an attempt, and the commit that says so.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tracing::{Instrument, Span};

use super::Pool;
use crate::actors::job_log::LogLevel;
use crate::actors::meters::Outcome;
use crate::actors::spans;
use crate::actors::tickets::{Failure, Origin, TicketEvent};
use crate::actors::worker::{AttemptEnd, JobMoved, Why};
use crate::domain::backoff;
use crate::domain::finding::{Findings, ScoreFound};
use crate::domain::job::Job;
use crate::domain::score::Score;
use crate::store::FinishScores;
use crate::store::{ClaimedJob, FailJob, FinishJob, JobState, RetryJob};
use crate::store::{Operation, StoreError};

impl Pool {
    /// Decides what follows an attempt and has it committed.
    pub(super) fn attempt_ended(
        &mut self,
        claimed: ClaimedJob,
        end: AttemptEnd,
        context: &mut Context<Self>,
    ) {
        match end {
            AttemptEnd::Scored { scores, rest } => self.scored(claimed, scores, rest, context),
            AttemptEnd::Finished { found } => self.finished(claimed, found, context),
            AttemptEnd::Unfinished {
                remaining,
                why,
                found,
            } => self.left_over(claimed, &remaining, why, found, context),
            AttemptEnd::Dropped if self.draining.is_some() => {
                let why = "dropped at the end of a drain";
                self.go_back(claimed, Duration::ZERO, why, context);
            }
            AttemptEnd::Dropped => {
                let error = "dropped at its time limit".to_owned();
                self.attempt_failed(claimed, error, None, context);
            }
            AttemptEnd::Failed(error) => self.attempt_failed(claimed, error, None, context),
        }
    }

    fn finished(
        &mut self,
        claimed: ClaimedJob,
        found: Option<Findings>,
        context: &mut Context<Self>,
    ) {
        let finish = FinishJob {
            claim: claimed.claim,
            result: with_found(claimed.clone(), found).result,
            now: self.deps.queue_now(),
        };
        self.commit(claimed, finish, vec![TicketEvent::End], context);
    }

    fn scored(
        &mut self,
        claimed: ClaimedJob,
        scores: Arc<Vec<(String, Score)>>,
        rest: Option<Job>,
        context: &mut Context<Self>,
    ) {
        let found = (!self.deps.run.one_shot).then(|| {
            let found = scores.iter().map(|(id, score)| ScoreFound::new(id, score));
            Findings::Score(found.collect())
        });
        let claimed = with_found(claimed, found);
        let rest = match rest.map(|rest| rest.payload()).transpose() {
            Ok(rest) => {
                rest.map(|payload| self.retry(&claimed, payload, Duration::ZERO, "asked to stop"))
            }
            Err(error) => return self.fail(claimed, error.to_string(), context),
        };
        let ends = rest.is_none();
        let finish = FinishScores {
            claim: claimed.claim,
            scores: Arc::clone(&scores),
            scored_at: self.deps.clock.unix(),
            result: claimed.result.clone(),
            now: self.deps.queue_now(),
            rest,
            effects: !self.deps.run.dry_run,
            more_follow: !self.ready.is_empty(),
        };
        let news = [TicketEvent::Scored(scores)]
            .into_iter()
            .chain(ends.then_some(TicketEvent::End));
        self.commit(claimed, finish, news.collect(), context);
    }

    fn left_over(
        &mut self,
        claimed: ClaimedJob,
        remaining: &Job,
        why: Why,
        found: Option<Findings>,
        context: &mut Context<Self>,
    ) {
        let payload = match remaining.payload() {
            Ok(payload) => payload,
            Err(error) => return self.fail(claimed, error.to_string(), context),
        };
        let claimed = ClaimedJob {
            payload,
            ..with_found(claimed, found)
        };
        match why {
            Why::Transient { error, retry_after } => {
                self.attempt_failed(claimed, error, retry_after, context);
            }
            Why::Parked(wait) => self.go_back(claimed, wait, "upstream parked", context),
            Why::Stopped => self.go_back(claimed, Duration::ZERO, "asked to stop", context),
            Why::CallsSpent => self.finished(claimed, None, context),
        }
    }

    /// A spent try: another follows after the backoff, or the job has failed.
    fn attempt_failed(
        &mut self,
        claimed: ClaimedJob,
        error: String,
        retry_after: Option<Duration>,
        context: &mut Context<Self>,
    ) {
        let settings = self.settings();
        if claimed.attempts > settings.max_retries {
            return self.fail(claimed, error, context);
        }
        let wait = backoff::delay(
            claimed.attempts,
            settings.retry_delay,
            fastrand::f64(),
            retry_after,
        );
        tracing::debug!(queue = %self.queue, job = %claimed.claim.job, attempt = claimed.attempts,
            %error, wait_ms = wait.as_millis(), "an attempt failed; the job is tried again");
        self.put_back(claimed, wait, error, false, context);
    }

    /// Back to the queue without a spent try.
    fn go_back(
        &mut self,
        claimed: ClaimedJob,
        wait: Duration,
        why: &str,
        context: &mut Context<Self>,
    ) {
        self.put_back(claimed, wait, why.to_owned(), true, context);
    }

    fn put_back(
        &mut self,
        claimed: ClaimedJob,
        wait: Duration,
        error: String,
        give_back_attempt: bool,
        context: &mut Context<Self>,
    ) {
        let retry = RetryJob {
            give_back_attempt,
            ..self.retry(&claimed, claimed.payload.clone(), wait, &error)
        };
        let outcome = if give_back_attempt {
            Outcome::Released
        } else {
            Outcome::Retried
        };
        self.write_surely(
            retry,
            context,
            move |pool, written, context| match written {
                Ok(()) => {
                    let state = if wait.is_zero() {
                        JobState::Available
                    } else {
                        JobState::Retryable
                    };
                    pool.count_end(&claimed, outcome);
                    pool.note_return(&claimed, wait, outcome, &error);
                    pool.moved(&claimed, state, Some(error));
                    pool.look_again_at_once(context);
                }
                Err(StoreError::LeaseLost | StoreError::Unknown(_)) => {
                    pool.no_longer_ours(&claimed);
                }
                Err(error) => pool.fail(claimed, error.to_string(), context),
            },
        );
    }

    fn retry(&self, claimed: &ClaimedJob, payload: String, wait: Duration, why: &str) -> RetryJob {
        RetryJob {
            claim: claimed.claim,
            payload,
            result: claimed.result.clone(),
            delay_ms: i64::try_from(wait.as_millis()).unwrap_or(i64::MAX),
            now: self.deps.queue_now(),
            error: why.to_owned(),
            give_back_attempt: true,
        }
    }

    /// The job's end without an answer for its items.
    pub(super) fn fail(&mut self, claimed: ClaimedJob, error: String, context: &mut Context<Self>) {
        let failure = Failure::of(claimed.kind, &claimed.payload, error.clone());
        let fail = FailJob {
            claim: claimed.claim,
            error: error.clone(),
            now: self.deps.queue_now(),
        };
        let news = vec![TicketEvent::Failed(failure), TicketEvent::End];
        self.write_surely(fail, context, move |pool, written, context| match written {
            Err(StoreError::LeaseLost | StoreError::Unknown(_)) => pool.no_longer_ours(&claimed),
            // Not even the failure could be written: it is told all the same.
            Ok(()) | Err(_) => {
                tracing::warn!(queue = %pool.queue, job = %claimed.claim.job, %error, "job failed");
                pool.tell(&claimed, news);
                pool.look_again_at_once(context);
            }
        });
    }

    /// Commits what became of a job, then tells those who wait.
    fn commit<O: Operation<Output = ()> + Sync>(
        &mut self,
        claimed: ClaimedJob,
        operation: O,
        news: Vec<TicketEvent>,
        context: &mut Context<Self>,
    ) {
        self.write(
            operation,
            context,
            move |pool, written, context| match written {
                Ok(()) => {
                    pool.tell(&claimed, news);
                    pool.look_again_at_once(context);
                }
                Err(StoreError::LeaseLost | StoreError::Unknown(_)) => {
                    pool.no_longer_ours(&claimed);
                }
                Err(error) => pool.attempt_failed(claimed, error.to_string(), None, context),
            },
        );
    }

    /// Notes what happened to a durable job.
    pub(super) fn note(
        &self,
        claimed: &ClaimedJob,
        level: LogLevel,
        text: impl FnOnce() -> String,
    ) {
        self.deps.note(self.queue, claimed.claim.job, level, text);
    }

    fn note_return(&self, claimed: &ClaimedJob, wait: Duration, outcome: Outcome, why: &str) {
        let level = match outcome {
            Outcome::Retried => LogLevel::Warn,
            Outcome::Succeeded | Outcome::Failed | Outcome::Cancelled | Outcome::Released => {
                LogLevel::Info
            }
        };
        self.note(claimed, level, || {
            let when = match wait.as_secs_f64() {
                0.0 => "at once".to_owned(),
                seconds => format!("in {seconds:.1} s"),
            };
            format!("attempt {}: {why}; goes on {when}", claimed.attempts)
        });
    }

    /// Tells where a durable job is now.
    pub(super) fn moved(&self, claimed: &ClaimedJob, state: JobState, error: Option<String>) {
        self.deps.moved(JobMoved {
            id: claimed.claim.job,
            queue: self.queue,
            state,
            error,
            trace: claimed.trace,
        });
    }

    fn tell(&self, claimed: &ClaimedJob, news: Vec<TicketEvent>) {
        match &*news {
            [TicketEvent::Failed(failure), ..] => {
                let error = Some(failure.error.clone());
                self.count_end(claimed, Outcome::Failed);
                self.note(claimed, LogLevel::Warn, || {
                    format!("failed at attempt {}: {}", claimed.attempts, failure.error)
                });
                self.moved(claimed, JobState::Failed, error);
            }
            [.., TicketEvent::End] => {
                self.count_end(claimed, Outcome::Succeeded);
                self.note(claimed, LogLevel::Info, || {
                    format!("succeeded at attempt {}", claimed.attempts)
                });
                self.moved(claimed, JobState::Succeeded, None);
            }
            _ => {
                self.count_end(claimed, Outcome::Released);
                self.note(claimed, LogLevel::Info, || {
                    format!("attempt {}: asked to stop", claimed.attempts)
                });
                self.moved(claimed, JobState::Available, None);
            }
        }
        for event in news {
            self.count_scores(&event);
            self.deps.tell(Origin(claimed.origin), event);
        }
    }

    /// The queue's rows went with their connection; the supervisor submits the work once more.
    fn no_longer_ours(&self, claimed: &ClaimedJob) {
        tracing::debug!(queue = %self.queue, job = %claimed.claim.job, "the job is no longer ours");
    }

    /// Writes; a durable engine tries until there is room, and until it knows.
    fn write<O: Operation + Sync>(
        &mut self,
        operation: O,
        context: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Result<O::Output, StoreError>, &mut Context<Self>) + 'static,
    ) {
        self.write_while(StoreError::is_of_the_disk, operation, context, then);
    }

    /// Writes what must not be left unsaid, or nobody would ever run the job again: a durable
    /// engine tries until the claim is given up or lost.
    pub(super) fn write_surely<O: Operation + Sync>(
        &mut self,
        operation: O,
        context: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Result<O::Output, StoreError>, &mut Context<Self>) + 'static,
    ) {
        let again = |error: &_| !matches!(error, StoreError::LeaseLost | StoreError::Replaced);
        self.write_while(again, operation, context, then);
    }

    fn write_while<O: Operation + Sync>(
        &mut self,
        again: fn(&StoreError) -> bool,
        operation: O,
        context: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Result<O::Output, StoreError>, &mut Context<Self>) + 'static,
    ) {
        self.uncommitted += 1;
        let db = self.deps.db.clone();
        let durable = !self.deps.run.one_shot;
        // The claim outlasts it: nobody else does the job meanwhile, and if it was written after
        // all, the claim is gone and nothing is written twice.
        let write = async move {
            db.write_while(operation, |error| durable && again(error))
                .await
        };
        let job = Span::current();
        let commit = spans::commit(&job);
        let write = write.instrument(commit).into_actor(self);
        context.spawn(write.map(move |written, pool, context| {
            pool.uncommitted -= 1;
            job.in_scope(|| then(pool, written, context));
            pool.go_on(context);
        }));
    }

    /// A job came back: it may be due before anything that was claimed last.
    pub(super) fn look_again_at_once(&mut self, context: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        (self.may_hold_more, self.woken) = (true, true);
    }
}

/// The job with what this attempt found beside what was found before.
fn with_found(mut claimed: ClaimedJob, found: Option<Findings>) -> ClaimedJob {
    let Some(found) = found else { return claimed };
    let before = claimed.result.as_deref().map(Findings::from_json);
    let found = match before {
        Some(Ok(before)) => before.and(found),
        // What cannot be read is not ours, and is written over.
        Some(Err(_)) | None => found,
    };
    claimed.result = found.to_json().ok();
    claimed
}
