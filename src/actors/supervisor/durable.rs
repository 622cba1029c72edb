//! The durable queue's side of the supervisor: jobs cancelled and tried again, queues paused and
//! emptied, rows of the site's taken in, and a clock that is set.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture, WrapFuture,
};

use super::{SubmitError, Supervisor};
use crate::actors::db::FileChanged;
use crate::actors::job_log::LogLevel;
use crate::actors::pool::{Abandon, LetGo};
use crate::actors::worker::JobMoved;
use crate::config::Config;
use crate::domain::job::{Kind, Queue};
use crate::store::{
    CancelJobs, Chunks, JobId, JobState, Operation, PauseQueue, PurgeQueue, Refused, RetryEnded,
    ShortenWaits, Steered, SteeredJob, TakeIn, TakenIn,
};

/// A wall clock that runs apart from the clock since boot by more than this was set.
const CLOCK_WAS_SET_MS: i64 = 1_000;

/// After rows could not be taken in.
const TAKE_IN_AGAIN: Duration = Duration::from_secs(2);

/// Where work is cut into jobs.
#[must_use]
pub const fn chunks(config: &Config) -> Chunks {
    Chunks {
        scoring: config.queues.scoring.chunk,
        thumbnails: config.queues.thumbnails.chunk,
        cleanup: config.queues.cleanup.chunk,
    }
}

pub(super) type Answer<T> = ResponseActFuture<Supervisor, Result<T, SubmitError>>;

impl Supervisor {
    /// Writes to the durable queue, then lets `then` act on what was written.
    pub(super) fn steer<O: Operation>(
        &self,
        operation: O,
        then: impl FnOnce(&mut Self, &O::Output) + 'static,
    ) -> Answer<O::Output> {
        let refusal = if self.deps.run.one_shot {
            Some(SubmitError::NotDurable)
        } else if self.stopping {
            Some(SubmitError::Stopping)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return Box::pin(async { Err(refusal) }.into_actor(self));
        }
        let db = self.deps.db.clone();
        let write = async move { db.write(operation).await };
        Box::pin(write.into_actor(self).map(|written, actor, _| {
            let written = written?;
            then(actor, &written);
            Ok(written)
        }))
    }

    /// Lets go of cancelled jobs and tells of those that had been taken in.
    fn cancelled(&self, jobs: &[SteeredJob]) {
        self.tell_of_steered(jobs, JobState::Cancelled, "cancelled");
        let queues = jobs.iter().filter_map(|job| job.queue);
        queues.for_each(|queue| self.deps.meters.jobs.cancelled(queue.kind()));
        let taken_in = jobs.iter().filter(|job| job.queue.is_some());
        self.abandon(&taken_in.map(|job| job.id).collect());
    }

    /// Tells where jobs are now that had been taken in.
    fn tell_of_steered(&self, jobs: &[SteeredJob], state: JobState, text: &str) {
        for SteeredJob { id, queue, trace } in jobs.iter().copied() {
            let Some(queue) = queue else { continue };
            self.deps
                .note(queue, id, LogLevel::Info, || text.to_owned());
            let _ = self.events.send(JobMoved {
                id,
                queue,
                state,
                error: None,
                trace,
            });
        }
    }

    pub(super) fn abandon(&self, ids: &Arc<[JobId]>) {
        for (_, seat) in &self.pools {
            seat.slot.get().do_send(Abandon(Arc::clone(ids)));
        }
    }

    fn let_go(&self, queue: Queue) {
        for (_, seat) in self.pools.iter().filter(|(of, _)| *of == queue) {
            seat.slot.get().do_send(LetGo);
        }
    }

    pub(super) fn wake_all(&self) {
        for queue in Queue::ALL {
            self.wake(queue);
        }
    }

    /// Takes in what the site inserted itself, a turn at a time.
    pub(super) fn take_in(&mut self, context: &mut Context<Self>) {
        if self.deps.run.one_shot || self.stopping {
            return;
        }
        if self.taking_in {
            self.take_in_again = true;
            return;
        }
        self.taking_in = true;
        let take_in = TakeIn {
            chunks: chunks(&self.deps.config),
            now: self.deps.queue_now(),
        };
        let db = self.deps.db.clone();
        let write = async move { db.write(take_in).await };
        context.spawn(write.into_actor(self).map(|taken, actor, context| {
            actor.taking_in = false;
            let again = std::mem::take(&mut actor.take_in_again);
            match taken {
                Ok(TakenIn {
                    rows,
                    more,
                    refused,
                }) => {
                    actor.tell_of_refused(refused);
                    if rows > 0 {
                        actor.wake_all();
                    }
                    if more || again {
                        actor.take_in(context);
                    }
                }
                // Our own rows, and a full disk that has room again, are no change of the file.
                Err(error) => {
                    tracing::warn!(%error, "failed to take in jobs; trying again");
                    context.run_later(TAKE_IN_AGAIN, Self::take_in);
                }
            }
        }));
    }

    /// Rows of the site's own that could not be read have nobody who waits for an answer.
    fn tell_of_refused(&self, refused: Vec<Refused>) {
        let Some(first) = refused.first() else { return };
        tracing::warn!(
            job = first.id.0,
            reason = first.reason,
            trace_id = first.trace.map(|trace| display(trace.trace())),
            others = refused.len() - 1,
            "a row of the site's could not be read and has failed"
        );
        self.deps.meters.jobs.refused(refused.len());
        for refused in refused {
            let Refused {
                id,
                kind,
                reason,
                trace,
            } = refused;
            let Some(queue) = kind.map(Kind::queue) else {
                continue;
            };
            self.deps.note(queue, id, LogLevel::Warn, || reason.clone());
            // Nobody may be listening.
            let _ = self.events.send(JobMoved {
                id,
                queue,
                state: JobState::Failed,
                error: Some(reason),
                trace,
            });
        }
    }

    /// After the clock was set back no job waits longer than it was told to.
    pub(super) fn mind_clock(&mut self, context: &mut Context<Self>) {
        let offset_ms = self
            .deps
            .clock
            .unix_ms()
            .saturating_sub(self.deps.clock.boot().ms);
        let was_set = (offset_ms - self.clock_offset_ms).abs() > CLOCK_WAS_SET_MS;
        self.clock_offset_ms = offset_ms;
        if !was_set || self.deps.run.one_shot {
            return;
        }
        tracing::warn!("the clock was set; waits are measured anew");
        self.shorten_waits(context);
    }

    /// No job waits longer than it was told to, however the clock was set meanwhile.
    pub(super) fn shorten_waits(&self, context: &mut Context<Self>) {
        let shorten = ShortenWaits {
            now: self.deps.queue_now(),
        };
        let db = self.deps.db.clone();
        let write = async move { db.write(shorten).await };
        context.spawn(write.into_actor(self).map(|shortened, actor, _| {
            if let Err(error) = shortened {
                tracing::warn!(%error, "failed to shorten waits");
            }
            actor.wake_all();
        }));
    }
}

impl Handler<FileChanged> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: FileChanged, context: &mut Self::Context) {
        self.take_in(context);
    }
}

/// Cancels jobs; answers with those it cancelled, and those it did not.
#[derive(Message)]
#[rtype(result = "Result<Steered, SubmitError>")]
pub struct Cancel(pub Vec<JobId>);

impl Handler<Cancel> for Supervisor {
    type Result = Answer<Steered>;

    fn handle(&mut self, Cancel(ids): Cancel, _: &mut Self::Context) -> Self::Result {
        let now = self.deps.queue_now();
        let cancel = self.steer(CancelJobs { ids, now }, |actor, cancelled| {
            actor.cancelled(&cancelled.done);
        });
        Box::pin(cancel.map(|cancelled, _, _| Ok(numbers(cancelled?))))
    }
}

fn numbers(Steered { done, left }: Steered<SteeredJob>) -> Steered {
    let done = done.into_iter().map(|job| job.id).collect();
    Steered { done, left }
}

/// Has failed and cancelled jobs done again; answers with those that will be, and those that will not.
#[derive(Message)]
#[rtype(result = "Result<Steered, SubmitError>")]
pub struct Retry(pub Vec<JobId>);

impl Handler<Retry> for Supervisor {
    type Result = Answer<Steered>;

    fn handle(&mut self, Retry(ids): Retry, context: &mut Self::Context) -> Self::Result {
        let now = self.deps.queue_now();
        let address = context.address();
        let retry = self.steer(RetryEnded { ids, now }, move |actor, again| {
            if !again.done.is_empty() {
                actor.tell_of_steered(&again.done, JobState::Available, "to be done again");
                actor.wake_all();
                // Rows that were never understood are read once more.
                address.do_send(FileChanged);
            }
        });
        Box::pin(retry.map(|again, _, _| Ok(numbers(again?))))
    }
}

/// Pauses a queue or lets it go on; answers whether that changed anything.
#[derive(Message)]
#[rtype(result = "Result<bool, SubmitError>")]
pub struct Pause {
    /// The queue.
    pub queue: Queue,
    /// Whether it is to pause.
    pub pause: bool,
}

impl Handler<Pause> for Supervisor {
    type Result = Answer<bool>;

    fn handle(&mut self, Pause { queue, pause }: Pause, _: &mut Self::Context) -> Self::Result {
        let now = self.deps.queue_now();
        let operation = PauseQueue { queue, pause, now };
        self.steer(operation, move |actor, _| {
            if pause {
                actor.let_go(queue);
            }
            actor.wake(queue);
        })
    }
}

/// Cancels jobs of a queue that wait, a thousand at most; answers with those it cancelled.
#[derive(Message)]
#[rtype(result = "Result<Vec<SteeredJob>, SubmitError>")]
pub struct Purge(pub Queue);

impl Handler<Purge> for Supervisor {
    type Result = Answer<Vec<SteeredJob>>;

    fn handle(&mut self, Purge(queue): Purge, _: &mut Self::Context) -> Self::Result {
        let now = self.deps.queue_now();
        self.steer(PurgeQueue { queue, now }, |actor, purged| {
            actor.cancelled(purged);
        })
    }
}
