//! What an engine tells of its durable queue: as a stream, and of one job what it told before.

use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{EngineHandle, JobMoved, LogLine};
use crate::store::JobId;

/// News of the durable queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineEvent {
    /// A job is in another state now.
    Moved(JobMoved),
    /// So many were missed, because they were read too slowly.
    Missed(u64),
}

impl EngineHandle {
    /// What was told of a job of the durable queue: its attempts, items without an answer, and why it
    /// went back or failed. The last [`LINES_KEPT`](super::LINES_KEPT) lines of each queue are kept, in
    /// memory.
    #[must_use]
    pub fn job_log(&self, id: JobId) -> Vec<LogLine> {
        self.log.of(id)
    }
}

pub(super) fn stream(moves: Receiver<JobMoved>) -> impl Stream<Item = EngineEvent> + Send + Unpin {
    stream::unfold(moves, |mut moves| async move {
        let event = match moves.recv().await {
            Ok(moved) => EngineEvent::Moved(moved),
            Err(RecvError::Lagged(missed)) => EngineEvent::Missed(missed),
            Err(RecvError::Closed) => return None,
        };
        Some((event, moves))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{JobId, JobState, Queue};
    use tokio::sync::broadcast;

    #[tokio::test]
    async fn who_reads_slowly_is_told_what_it_missed_and_hears_the_end() {
        let moved = |id| JobMoved {
            id: JobId(id),
            queue: Queue::Scoring,
            state: JobState::Running,
            error: None,
            trace: None,
        };
        let (sender, receiver) = broadcast::channel(2);
        for id in 0..5 {
            sender.send(moved(id)).unwrap();
        }
        drop(sender);
        let events: Vec<EngineEvent> = stream(receiver).collect().await;
        let last = [EngineEvent::Moved(moved(3)), EngineEvent::Moved(moved(4))];
        assert_eq!(events, [&[EngineEvent::Missed(3)], &last[..]].concat());
    }
}
