//! What jobs and groups look like.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{QueueName, State, Time, Trace};
use crate::engine::LogLine;

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Job {
    /// Its number.
    pub id: i64,
    /// What it does, as it was handed in.
    pub kind: Option<String>,
    /// Its queue; null until it was taken in, or if its kind cannot be read.
    pub queue: Option<QueueName>,
    /// Where it is in its life.
    pub state: State,
    /// 0 (first) to 9.
    pub priority: i64,
    /// Its items.
    pub items: u64,
    /// Answers so far, this attempt included.
    pub attempts: u32,
    /// Deaths of the daemon while it ran as the suspect.
    pub crashes: u32,
    /// Its group.
    pub group: Option<i64>,
    /// Its key.
    pub unique_key: Option<String>,
    /// Why it failed, or waits.
    pub error: Option<String>,
    /// Not before this; null: at once.
    pub run_at: Option<Time>,
    /// When it was taken in.
    pub queued_at: Option<Time>,
    /// When its last attempt began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
}

/// Everything of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct JobDetail {
    /// What lists show.
    #[serde(flatten)]
    pub summary: Job,
    /// Its items, as handed in; text if they are no JSON.
    pub payload: Value,
    /// What is left of them after an attempt; null: all, or the job has ended.
    pub remaining: Option<Value>,
    /// What was found: `{"score": […]}`, `{"thumbnails": […]}` or `{"liveness": […]}`.
    pub result: Option<Value>,
    /// The trace it belongs to, as W3C's `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Trace>,
    /// What the daemon told of it since it started, as far as it is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<JobLine>,
}

/// A line about a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct JobLine {
    /// When.
    pub at: Time,
    /// `info`, or `warn` if something did not work.
    pub level: String,
    /// What happened. Strangers' texts may be part of it.
    pub text: String,
}

impl From<LogLine> for JobLine {
    fn from(line: LogLine) -> Self {
        Self {
            at: Time(line.at_ms),
            level: line.level.name().to_owned(),
            text: line.text,
        }
    }
}

/// One of the jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WaitedJob {
    /// Its number.
    pub id: i64,
    /// Where it is.
    pub state: State,
    /// Why it failed, or waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it found so far: `{"score": […]}`, `{"thumbnails": […]}` or `{"liveness": […]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GroupState {
    /// Its number.
    pub id: i64,
    /// Its jobs.
    pub jobs: u64,
    /// Those that succeeded.
    pub succeeded: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were cancelled.
    pub cancelled: u64,
    /// When it was handed in.
    pub queued_at: Time,
    /// When its last job ended.
    pub ended_at: Option<Time>,
}
