//! `events.subscribe`: the moves of jobs and what is done to queues, as they come. Who reads too slowly is told and cut off,
//! for a stream with holes would pass for a whole one.

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::Sender;

use crate::engine::JobMoved;
use crate::face::protocol::{
    JOB_EVENT, JobEvent, LAGGED_EVENT, Lagged, QUEUE_EVENT, QueueEvent, Reply, Subscribe,
};

/// Where events come from.
pub(super) struct Feeds {
    pub(super) jobs: Receiver<JobMoved>,
    pub(super) queues: Receiver<QueueEvent>,
}

/// Passes events on until the peer is gone, or has missed some.
pub(super) async fn follow(wanted: &Subscribe, mut feeds: Feeds, answers: &Sender<Vec<u8>>) {
    loop {
        let heard = tokio::select! {
            moved = feeds.jobs.recv() => moved.map(|moved| {
                is_wanted(wanted, &moved).then(|| Reply::news(JOB_EVENT, &JobEvent::from(moved)))
            }),
            event = feeds.queues.recv() => event.map(|event| {
                is_told(wanted, event).then(|| Reply::news(QUEUE_EVENT, &event))
            }),
        };
        let line = match heard {
            Ok(Some(line)) => line,
            Ok(None) => continue,
            Err(RecvError::Lagged(missed)) => {
                if let Ok(line) = Reply::news(LAGGED_EVENT, &Lagged { missed }) {
                    let _ = answers.send(line).await;
                }
                return;
            }
            Err(RecvError::Closed) => return,
        };
        let Ok(line) = line else { return };
        if answers.send(line).await.is_err() {
            return;
        }
    }
}

fn is_wanted(wanted: &Subscribe, moved: &JobMoved) -> bool {
    let of_queue = wanted.queue.is_none_or(|queue| queue.0 == moved.queue);
    of_queue && wanted.states.holds(moved.state)
}

/// Who asks for states asks for jobs.
fn is_told(wanted: &Subscribe, event: QueueEvent) -> bool {
    wanted.states.0.is_empty() && wanted.queue.is_none_or(|queue| queue == event.queue)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{JobId, JobState, Queue};
    use crate::face::protocol::{QueueName, State, States};
    use serde_json::Value;
    use tokio::sync::{broadcast, mpsc};

    fn moved(id: i64, queue: Queue, state: JobState) -> JobMoved {
        JobMoved {
            id: JobId(id),
            queue,
            state,
            error: None,
            trace: None,
        }
    }

    async fn lines(mut answers: mpsc::Receiver<Vec<u8>>) -> Vec<Value> {
        let mut lines = Vec::new();
        while let Some(line) = answers.recv().await {
            lines.push(serde_json::from_slice(&line).unwrap());
        }
        lines
    }

    #[tokio::test]
    async fn only_what_is_wanted_is_passed_on() {
        let (events, listener) = broadcast::channel(8);
        for (id, queue, state) in [
            (1, Queue::Scoring, JobState::Failed),
            (2, Queue::Cleanup, JobState::Failed),
            (3, Queue::Cleanup, JobState::Running),
        ] {
            events.send(moved(id, queue, state)).unwrap();
        }
        drop(events);
        let wanted = Subscribe {
            queue: Some(QueueName(Queue::Cleanup)),
            states: States(vec![State(JobState::Failed)]),
        };
        let (answers, outgoing) = mpsc::channel(8);
        let (_queues, queues) = broadcast::channel(8);
        let jobs = listener;
        follow(&wanted, Feeds { jobs, queues }, &answers).await;
        drop(answers);
        let lines = lines(outgoing).await;
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["method"], "events.job");
        assert_eq!(lines[0]["params"]["id"], 2);
        assert!(lines[0]["params"]["at"].as_str().unwrap().ends_with('Z'));
    }

    #[tokio::test]
    async fn who_missed_some_is_told_and_hears_no_more() {
        let (events, listener) = broadcast::channel(2);
        for id in 0..5 {
            events
                .send(moved(id, Queue::Scoring, JobState::Running))
                .unwrap();
        }
        let (answers, outgoing) = mpsc::channel(8);
        let (_queues, queues) = broadcast::channel(8);
        let jobs = listener;
        follow(&Subscribe::default(), Feeds { jobs, queues }, &answers).await;
        drop(answers);
        let lines = lines(outgoing).await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["method"], "events.lagged");
        assert_eq!(lines[0]["params"]["missed"], 3);
    }
}
