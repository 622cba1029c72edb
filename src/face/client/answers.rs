//! What the daemon answers, as far as the verbs look at it; and the same made of what the file
//! holds, for when no daemon answers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::{
    GroupId, JobDetail, JobId, JobState, JobSummary, Queue, QueueSummary,
};

/// A job. Times are RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What it does, as it was handed in.
    #[serde(default)]
    pub kind: Option<String>,
    /// Its queue.
    #[serde(default)]
    pub queue: Option<Queue>,
    /// Where it is in its life.
    pub state: JobState,
    /// 0 (first) to 9.
    #[serde(default)]
    pub priority: i64,
    /// Its items.
    #[serde(default)]
    pub items: u64,
    /// Answers so far.
    #[serde(default)]
    pub attempts: u32,
    /// Deaths of the process while it ran.
    #[serde(default)]
    pub crashes: u32,
    /// Its group.
    #[serde(default)]
    pub group: Option<GroupId>,
    /// Its key.
    #[serde(default)]
    pub unique_key: Option<String>,
    /// Why it failed, or waits.
    #[serde(default)]
    pub error: Option<String>,
    /// Not before this.
    #[serde(default)]
    pub run_at: Option<Timestamp>,
    /// When it was taken in.
    #[serde(default)]
    pub queued_at: Option<Timestamp>,
    /// When its last attempt began.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// Its items, if all of it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// What is left of them after an attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<Value>,
    /// What was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

/// The answer to `jobs.get`.
#[derive(Debug, Serialize, Deserialize)]
pub struct OneJob {
    /// The job.
    pub job: Job,
}

/// The answer to `jobs.list`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Jobs {
    /// Newest first.
    pub jobs: Vec<Job>,
    /// Where the next page begins.
    #[serde(default)]
    pub next: Option<JobId>,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueLine {
    /// Its name.
    pub queue: Queue,
    /// Since when it is paused.
    #[serde(default)]
    pub paused_at: Option<Timestamp>,
    /// Jobs that wait for a worker.
    #[serde(default)]
    pub available: u64,
    /// Jobs that wait for their time.
    #[serde(default)]
    pub scheduled: u64,
    /// Jobs that wait for their next attempt.
    #[serde(default)]
    pub retryable: u64,
    /// Claimed jobs.
    #[serde(default)]
    pub running: u64,
    /// Since when the one that waits longest is due.
    #[serde(default)]
    pub oldest_at: Option<Timestamp>,
}

/// The answer to `queues.list`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Queues {
    /// Every queue.
    pub queues: Vec<QueueLine>,
}

/// A pool, of which only its trouble is looked at.
#[derive(Debug, Clone, Deserialize)]
pub struct Pool {
    /// Its queue.
    pub queue: Queue,
    /// Workers that live.
    #[serde(default)]
    pub workers: u64,
    /// Workers at work.
    #[serde(default)]
    pub busy: u64,
    /// Whether the restart budget is spent.
    #[serde(default)]
    pub degraded: bool,
}

/// The window of a limited upstream.
#[derive(Debug, Clone, Deserialize)]
pub struct Rate {
    /// Whose.
    pub upstream: String,
    /// Calls that count now.
    pub used: u64,
    /// The most.
    pub limit: u64,
    /// In how many seconds.
    pub window_s: u64,
    /// Seconds until the next call.
    #[serde(default)]
    pub next_s: Option<u64>,
    /// Seconds it is left alone yet.
    #[serde(default)]
    pub parked_s: Option<u64>,
}

/// The answer to `daemon.status`.
#[derive(Debug, Clone, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// Its database.
    pub database: String,
    /// `running` or `draining`.
    pub state: String,
    /// Every queue.
    #[serde(default)]
    pub queues: Vec<QueueLine>,
    /// Every pool.
    #[serde(default)]
    pub pools: Vec<Pool>,
    /// Seconds another process has held the database.
    #[serde(default)]
    pub waiting_for_lock_s: Option<u64>,
    /// The limited upstream.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// What is wrong.
    #[serde(default)]
    pub alarms: Vec<Value>,
}

impl Status {
    /// The alarms in words.
    pub fn alarms(&self) -> impl Iterator<Item = String> {
        self.alarms.iter().map(|alarm| {
            let told = ["message", "text", "what", "name"]
                .iter()
                .find_map(|key| alarm.get(key)?.as_str());
            told.or(alarm.as_str())
                .map_or_else(|| alarm.to_string(), str::to_owned)
        })
    }
}

/// A move of a job, as it is told to subscribers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// The job.
    pub id: JobId,
    /// Its queue.
    #[serde(default)]
    pub queue: Option<Queue>,
    /// Where it went.
    pub state: JobState,
    /// Why it failed, or waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// The answer to `jobs.submit`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Submitted {
    /// The jobs it was cut into, or the one that was there before.
    pub ids: Vec<JobId>,
    /// Whether it was there before.
    #[serde(default)]
    pub duplicate: bool,
    /// Their group, if there are several.
    #[serde(default)]
    pub group: Option<GroupId>,
}

fn time(ms: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_millisecond(ms?).ok()
}

/// What could not be read as JSON is shown as the text it is.
fn json(text: Option<String>) -> Option<Value> {
    text.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

impl From<JobSummary> for Job {
    fn from(summary: JobSummary) -> Self {
        Self {
            id: summary.id,
            kind: summary.kind,
            queue: summary.queue,
            state: summary.state,
            priority: summary.priority,
            items: summary.items,
            attempts: summary.attempts,
            crashes: summary.crashes,
            group: summary.group,
            unique_key: summary.unique_key,
            error: summary.error,
            run_at: time(Some(summary.run_at_ms)),
            queued_at: time(summary.queued_ms),
            started_at: time(summary.started_ms),
            ended_at: time(summary.ended_ms),
            payload: None,
            remaining: None,
            result: None,
        }
    }
}

impl From<JobDetail> for Job {
    fn from(detail: JobDetail) -> Self {
        Self {
            payload: json(detail.payload),
            remaining: json(detail.remaining),
            result: json(detail.result),
            ..Self::from(detail.summary)
        }
    }
}

impl From<QueueSummary> for QueueLine {
    fn from(summary: QueueSummary) -> Self {
        Self {
            queue: summary.queue,
            paused_at: time(summary.paused_ms),
            available: summary.available,
            scheduled: summary.scheduled,
            retryable: summary.retryable,
            running: summary.running,
            oldest_at: time(summary.oldest_ms),
        }
    }
}
