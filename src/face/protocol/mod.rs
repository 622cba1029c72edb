//! What goes over the socket: JSON-RPC 2.0, one object a line. The types here are the contract;
//! `conf/protocol.schema.json` is made of them. Server and client share them, so a command and its
//! answer cannot drift apart.
//!
//! A command is a type: what it asks for, the method that names it, and the type of its answer.
//! What we read is strict (an unknown key is refused by name); what a client reads is not, so that
//! an answer may grow.

mod batch;
mod convert;
mod daemon;
mod envelope;
mod error;
mod events;
mod job;
mod jobs;
mod method;
mod queues;
#[cfg(test)]
mod schema;
mod steering;
mod values;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::batch::{Batch, BatchIds, FollowUp, SubmitBatch};
#[cfg(test)]
pub use self::convert::LONGEST_TEXT;
pub use self::convert::job_ids;
pub use self::daemon::{
    Activity, AtWork, Drain, PoolState, Rate, Reload, Reloaded, Shutdown, Status, StatusReport,
    Stopping,
};
pub use self::envelope::{Id, Reply, Request, params, result_of};
pub use self::error::{ErrorCode, NO_PLACE, RpcError};
pub use self::events::{
    JOB_EVENT, JobEvent, LAGGED_EVENT, Lagged, QUEUE_EVENT, QueueEvent, QueueMove, Subscribe,
    Subscribed,
};
pub use self::job::{GroupState, Job, JobDetail, JobLine, WaitedJob};
pub use self::jobs::{Get, Got, List, Listed, Submit, Submitted, Wait, Waited};
pub use self::method::Method;
pub use self::queues::{Changed, ListQueues, Pause, Purge, Purged, QueueState, Queues, Resume};
pub use self::steering::{Cancel, Cancelled, LeftAlone, Retried, Retry};
pub use self::values::{KindName, QueueName, Span, State, States, Time, Trace};

/// The longest line that is read, its end included.
pub const LONGEST_LINE: usize = 1024 * 1024;
/// The most jobs one page of a list holds.
pub const LONGEST_PAGE: usize = 1000;
/// The most jobs one command may name, and one `jobs.wait` tells of.
pub const MOST_IDS: usize = 1000;

/// What a client can ask for.
pub trait Command: Serialize + DeserializeOwned {
    /// The method that names it.
    const METHOD: Method;
    /// What the daemon answers.
    type Answer: Serialize + DeserializeOwned;
}
