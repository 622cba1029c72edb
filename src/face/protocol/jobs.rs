//! Commands about jobs, and what a job looks like.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Command, GroupState, Job, JobDetail, KindName, Method, QueueName, Span, States, Time, Trace,
    WaitedJob,
};

pub(super) const fn default_priority() -> u8 {
    crate::engine::Job::DEFAULT_PRIORITY
}

const fn default_limit() -> usize {
    50
}

/// Queues work of any size; it is cut into jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Submit {
    /// What to do.
    pub kind: KindName,
    /// With what: `{"video_ids": […]}`, or `{"videos": [{"video_id", "thumbnail_url"}, …]}`.
    pub payload: Value,
    /// 0 (first) to 9.
    #[serde(default = "default_priority")]
    #[cfg_attr(test, schemars(range(max = 9)))]
    pub priority: u8,
    /// Not before so long from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// Not before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Time>,
    /// Queues nothing if a job with this key is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_key: Option<String>,
    /// So long from now a job that has ended keeps its key; for ever without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_for: Option<Span>,
    /// The trace it belongs to and the span that asks: W3C's `traceparent`, version 00. Over HTTP the
    /// header of that name says so where this does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Trace>,
}

/// What became of [`Submit`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Submitted {
    /// The jobs, in order; of a duplicate the one that was there.
    pub ids: Vec<i64>,
    /// Whether a job with this key was there, so that nothing was queued.
    pub duplicate: bool,
    /// The group they are in.
    pub group: Option<i64>,
}

impl Command for Submit {
    const METHOD: Method = Method::JobsSubmit;
    type Answer = Submitted;
}

/// Tells everything of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The job.
    pub id: i64,
}

/// What [`Get`] found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Got {
    /// The job.
    pub job: JobDetail,
}

impl Command for Get {
    const METHOD: Method = Method::JobsGet;
    type Answer = Got;
}

/// Waits until all these jobs, or all of a group, have ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// The jobs, 1,000 at most.
    #[cfg_attr(test, schemars(length(max = 1000)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<i64>,
    /// The group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<i64>,
    /// So long at most; without it as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// What [`Wait`] saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Waited {
    /// Whether all have ended.
    pub ended: bool,
    /// The jobs; of a group the newest 1,000.
    pub jobs: Vec<WaitedJob>,
    /// The group, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupState>,
}

impl Command for Wait {
    const METHOD: Method = Method::JobsWait;
    type Answer = Waited;
}

/// Lists jobs, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only in this state, or one of these.
    #[serde(default)]
    pub state: States,
    /// Only of this queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    /// Only of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<KindName>,
    /// Only of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<i64>,
    /// Only the one with this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_key: Option<String>,
    /// Only those whose payload, key or error holds this, 256 bytes at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Only those before this one: the last page's `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// How many, 1 to 1,000.
    #[serde(default = "default_limit")]
    pub limit: usize,
}

impl Default for List {
    fn default() -> Self {
        Self {
            state: States::default(),
            queue: None,
            kind: None,
            group: None,
            unique_key: None,
            text: None,
            before: None,
            limit: default_limit(),
        }
    }
}

/// A page of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Listed {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// `before` of the next page; null if this is the last.
    pub next: Option<i64>,
}

impl Command for List {
    const METHOD: Method = Method::JobsList;
    type Answer = Listed;
}
