//! The stream of events.

use serde::{Deserialize, Serialize};

use super::{Command, Method, QueueName, State, States, Time};
use crate::engine::JobMoved;

/// The notification of a job's move.
pub const JOB_EVENT: &str = "events.job";
/// The notification of what was done to a queue.
pub const QUEUE_EVENT: &str = "events.queue";
/// The last notification of a reader that was too slow.
pub const LAGGED_EVENT: &str = "events.lagged";

/// Streams the moves of jobs from now on, as notifications `events.job`, and what is done to queues,
/// as `events.queue`. That jobs were handed in together is told of the first of each queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// Only of this queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    /// Only into these states; then nothing of queues.
    #[serde(default)]
    pub states: States,
}

/// The stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Subscribed {
    /// Always true.
    pub subscribed: bool,
}

impl Command for Subscribe {
    const METHOD: Method = Method::EventsSubscribe;
    type Answer = Subscribed;
}

/// A job is in another state now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct JobEvent {
    /// The job.
    pub id: i64,
    /// Its queue.
    pub queue: QueueName,
    /// Where it is now.
    pub state: State,
    /// Why it failed, or waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When we told of it.
    pub at: Time,
}

impl From<JobMoved> for JobEvent {
    fn from(moved: JobMoved) -> Self {
        Self {
            id: moved.id.0,
            queue: QueueName(moved.queue),
            state: State(moved.state),
            error: moved.error,
            at: Time::now(),
        }
    }
}

/// Something was done to a queue as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct QueueEvent {
    /// The queue.
    pub queue: QueueName,
    /// What was done.
    pub event: QueueMove,
    /// When we told of it.
    pub at: Time,
}

/// What is done to a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum QueueMove {
    /// Its jobs wait from now on.
    Paused,
    /// They go on.
    Resumed,
    /// Those that waited were cancelled.
    Purged,
}

/// The reader was too slow; nothing follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lagged {
    /// How many events it missed so far.
    pub missed: u64,
}
