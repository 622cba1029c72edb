//! Commands about queues.

use serde::{Deserialize, Serialize};

use super::{Command, Method, QueueName, Time};

/// Lists the queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ListQueues {}

/// The queues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Queues {
    /// Each with what waits in it.
    pub queues: Vec<QueueState>,
}

impl Command for ListQueues {
    const METHOD: Method = Method::QueuesList;
    type Answer = Queues;
}

/// A queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct QueueState {
    /// Its name.
    pub queue: QueueName,
    /// Since when it is paused; null: it is not.
    pub paused_at: Option<Time>,
    /// Jobs that wait for a worker.
    pub available: u64,
    /// Jobs that wait for their time.
    pub scheduled: u64,
    /// Jobs that wait for their next attempt.
    pub retryable: u64,
    /// Jobs at work.
    pub running: u64,
    /// Since when the one that waits longest for a worker is due.
    pub oldest_at: Option<Time>,
}

/// Pauses a queue until it is resumed, restarts or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// The queue.
    pub queue: QueueName,
}

/// Lets a queue go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// The queue.
    pub queue: QueueName,
}

/// What [`Pause`] or [`Resume`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Changed {
    /// The queue.
    pub queue: QueueName,
    /// Whether it was otherwise before.
    pub changed: bool,
}

impl Command for Pause {
    const METHOD: Method = Method::QueuesPause;
    type Answer = Changed;
}

impl Command for Resume {
    const METHOD: Method = Method::QueuesResume;
    type Answer = Changed;
}

/// Cancels every job of a queue that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// The queue.
    pub queue: QueueName,
}

/// What [`Purge`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Purged {
    /// The queue.
    pub queue: QueueName,
    /// How many jobs were cancelled.
    pub cancelled: usize,
}

impl Command for Purge {
    const METHOD: Method = Method::QueuesPurge;
    type Answer = Purged;
}
