//! Handing work to the durable queue.

use actix::{Handler, Message, Recipient};

use super::durable::{Answer, chunks};
use super::{SubmitError, Supervisor};
use crate::actors::worker::JobMoved;
use crate::domain::job::Kind;
use crate::store::{
    Enqueue, Enqueued, GroupId, Grouping, JobRequest, JobState, Operation, Scope, StoreError,
};

/// Queues work; answers after the commit.
#[derive(Message)]
#[rtype(result = "Result<(Vec<Enqueued>, Option<GroupId>), SubmitError>")]
pub struct EnqueueJobs {
    /// The work.
    pub requests: Vec<JobRequest>,
    /// Whether it is a group.
    pub grouping: Grouping,
}

/// Queues work and tells of the first job of each queue, so that whoever looks on sees that more wait:
/// before the commit is answered, for then a worker may tell that it has begun.
struct TellingEnqueue {
    enqueue: Enqueue,
    moves: Recipient<JobMoved>,
}

impl Operation for TellingEnqueue {
    type Output = <Enqueue as Operation>::Output;

    fn apply(&self, scope: &Scope<'_>) -> Result<Self::Output, StoreError> {
        self.enqueue.apply(scope)
    }

    fn committed(&self, (queued, _): &Self::Output) {
        let mut told = Vec::new();
        for (request, queued) in self.enqueue.requests.iter().zip(queued) {
            let queue = request.job.kind().queue();
            // Work without items has ended already.
            let is_new = !queued.duplicate && !request.job.is_empty() && !told.contains(&queue);
            let Some(first) = queued.ids.first().filter(|_| is_new) else {
                continue;
            };
            told.push(queue);
            let waits = request.delay_ms > 0;
            self.moves.do_send(JobMoved {
                id: *first,
                queue,
                state: if waits {
                    JobState::Scheduled
                } else {
                    JobState::Available
                },
                error: None,
                trace: request.trace,
            });
        }
    }
}

impl Supervisor {
    pub(super) fn enqueue_jobs(
        &self,
        jobs: EnqueueJobs,
    ) -> Answer<(Vec<Enqueued>, Option<GroupId>)> {
        let mut kinds: Vec<Kind> = jobs.requests.iter().map(|new| new.job.kind()).collect();
        kinds.dedup();
        let enqueue = Enqueue {
            requests: jobs.requests,
            grouping: jobs.grouping,
            chunks: chunks(&self.deps.config),
            now: self.deps.queue_now(),
        };
        let enqueue = TellingEnqueue {
            enqueue,
            moves: self.deps.moves.clone(),
        };
        self.steer(enqueue, move |actor, _| {
            for kind in kinds {
                actor.wake(kind.queue());
            }
        })
    }
}

impl Handler<EnqueueJobs> for Supervisor {
    type Result = Answer<(Vec<Enqueued>, Option<GroupId>)>;

    fn handle(&mut self, jobs: EnqueueJobs, _: &mut Self::Context) -> Self::Result {
        self.enqueue_jobs(jobs)
    }
}
