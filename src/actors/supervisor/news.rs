//! What the supervisor tells of jobs of the durable queue that no worker had in hand: cancelled, to be
//! done again, or never understood.

use super::Supervisor;
use crate::actors::job_log::LogLevel;
use crate::actors::worker::JobMoved;
use crate::domain::job::Kind;
use crate::store::{JobState, Refused, SteeredJob};

impl Supervisor {
    /// Lets go of cancelled jobs and tells of those that had been taken in.
    pub(super) fn cancelled(&self, jobs: &[SteeredJob]) {
        self.tell_of_steered(jobs, JobState::Cancelled, "cancelled");
        let queues = jobs.iter().filter_map(|job| job.queue);
        queues.for_each(|queue| self.deps.meters.jobs.cancelled(queue.kind()));
        let taken_in = jobs.iter().filter(|job| job.queue.is_some());
        self.abandon(&taken_in.map(|job| job.id).collect());
    }

    /// Tells where jobs are now that had been taken in.
    pub(super) fn tell_of_steered(&self, jobs: &[SteeredJob], state: JobState, text: &str) {
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

    /// Rows of the site's own that could not be read have nobody who waits for an answer.
    pub(super) fn tell_of_refused(&self, refused: Vec<Refused>) {
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
}
