//! What the daemon logs of its work: a line for each job that ended, and each minute a summary of
//! each queue that had something to do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};
use tracing::field::display;

use super::manager;
use crate::engine::{JobMoved, JobState, Queue};
use crate::face::protocol::QueueState;
use crate::face::site::Site;

const SUMMARY_EVERY: Duration = Duration::from_secs(60);

/// What ended in a queue since the last summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ends {
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    retried: u64,
}

impl Ends {
    const fn count(&mut self, state: JobState) {
        match state {
            JobState::Succeeded => self.succeeded += 1,
            JobState::Failed => self.failed += 1,
            JobState::Cancelled => self.cancelled += 1,
            JobState::Retryable => self.retried += 1,
            JobState::Scheduled | JobState::Available | JobState::Running => {}
        }
    }
}

/// Keeps the log until the engine is gone.
pub(super) async fn keep(mut events: Receiver<JobMoved>, site: Arc<Site>) {
    let mut minute = interval(SUMMARY_EVERY);
    minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
    minute.tick().await;
    let mut ends: BTreeMap<Queue, Ends> = BTreeMap::new();
    loop {
        tokio::select! {
            moved = events.recv() => match moved {
                Ok(moved) => {
                    ends.entry(moved.queue).or_default().count(moved.state);
                    note(&moved);
                }
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "jobs ended faster than they could be logged");
                }
                Err(RecvError::Closed) => return,
            },
            _ = minute.tick() => match site.queues().await {
                Ok(queues) => summarise(&queues.queues, &std::mem::take(&mut ends)),
                Err(error) => tracing::warn!(%error, "failed to sum up"),
            }
        }
    }
}

fn note(moved: &JobMoved) {
    let JobMoved {
        id,
        queue,
        state,
        error,
        trace,
    } = moved;
    let (id, queue, state_name) = (id.0, queue.name(), state.name());
    let error = error.as_deref().unwrap_or_default();
    let trace_id = trace.map(|trace| display(trace.trace()));
    match state {
        JobState::Succeeded | JobState::Cancelled => {
            tracing::info!(job = id, trace_id, queue, state = state_name, "job ended");
        }
        JobState::Failed => {
            tracing::warn!(
                job = id,
                trace_id,
                queue,
                state = state_name,
                error,
                "job ended"
            );
        }
        JobState::Retryable => {
            tracing::info!(
                job = id,
                trace_id,
                queue,
                state = state_name,
                error,
                "job goes back"
            );
        }
        JobState::Scheduled | JobState::Available | JobState::Running => {
            tracing::debug!(job = id, trace_id, queue, state = state_name, "job moved");
        }
    }
}

fn summarise(queues: &[QueueState], ends: &BTreeMap<Queue, Ends>) {
    let mut waiting = 0;
    let mut running = 0;
    for queue in queues {
        let name = queue.queue.0;
        let ended = ends.get(&name).copied().unwrap_or_default();
        let waits = queue.available + queue.scheduled + queue.retryable;
        (waiting, running) = (waiting + waits, running + queue.running);
        if ended == Ends::default() && waits == 0 && queue.running == 0 {
            continue;
        }
        tracing::info!(
            queue = name.name(),
            succeeded = ended.succeeded,
            failed = ended.failed,
            cancelled = ended.cancelled,
            retried = ended.retried,
            running = queue.running,
            available = queue.available,
            scheduled = queue.scheduled,
            retryable = queue.retryable,
            paused = queue.paused_at.is_some(),
            "the last minute"
        );
    }
    manager::status(&format!("{running} jobs run, {waiting} wait"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ends_and_returns_are_counted() {
        let mut ends = Ends::default();
        for state in JobState::ALL {
            ends.count(state);
        }
        let one_each = Ends {
            succeeded: 1,
            failed: 1,
            cancelled: 1,
            retried: 1,
        };
        assert_eq!(ends, one_each);
    }
}
