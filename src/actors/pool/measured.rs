//! What a pool counts: claims, ends, and how it stands.

use std::time::Instant;

use super::Pool;
use super::workers::WorkerSlot;
use crate::actors::meters::{Outcome, Standing};
use crate::actors::tickets::TicketEvent;
use crate::store::ClaimedJob;

impl Pool {
    /// Shows how it stands.
    pub(super) fn show(&self) {
        let count = |is: fn(&WorkerSlot) -> bool| self.slots.iter().filter(|slot| is(slot)).count();
        let standing = Standing {
            workers: count(WorkerSlot::is_staffed),
            busy: count(WorkerSlot::is_busy),
            ready: self.ready.len(),
            uncommitted: self.uncommitted,
        };
        self.deps.meters.staff.stands(self.queue, standing);
    }

    /// A job was claimed.
    pub(super) fn count_claim(&self, job: &ClaimedJob) {
        self.deps.meters.jobs.claimed(job, self.deps.queue_now());
    }

    /// It was committed what became of a job.
    pub(super) fn count_end(&self, job: &ClaimedJob, outcome: Outcome) {
        self.deps.meters.jobs.ended(job, outcome, Instant::now());
    }

    /// Scores were committed, if that is the news.
    pub(super) fn count_scores(&self, event: &TicketEvent) {
        if let TicketEvent::Scored(scores) = event {
            self.deps.meters.jobs.scores(scores);
        }
    }
}
