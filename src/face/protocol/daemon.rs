//! Commands about the daemon itself.

use serde::{Deserialize, Serialize};

use super::{Command, Method, QueueName, QueueState};
use crate::config;
use crate::engine::{PoolStatus, RateStatus, RunningJob};

/// Tells how the daemon fares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// Whether the daemon takes work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// It does.
    Running,
    /// It is about to stop: running jobs may finish.
    Draining,
}

/// How the daemon fares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StatusReport {
    /// The program's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// The database.
    pub database: String,
    /// The socket.
    pub socket: String,
    /// Whether it takes work.
    pub state: Activity,
    /// What waits; nothing where `queue_error` is told.
    pub queues: Vec<QueueState>,
    /// Who works.
    pub pools: Vec<PoolState>,
    /// Operations that wait to be written.
    pub writes_waiting: usize,
    /// Seconds another process has held the lock we wait for.
    pub waiting_for_lock_s: Option<u64>,
    /// Actors replaced so far, workers not counted.
    pub restarts: u64,
    /// How much of the rate window is used; null where `queue_error` is told.
    pub rate: Option<Rate>,
    /// Why the queue cannot be looked at now: another process holds the database, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_error: Option<String>,
    /// What somebody should look at.
    pub alarms: Vec<String>,
}

/// A queue's workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PoolState {
    /// The queue.
    pub queue: QueueName,
    /// Workers that live.
    pub workers: usize,
    /// Workers at work.
    pub busy: usize,
    /// Jobs claimed and not begun.
    pub ready: usize,
    /// Outcomes on their way to the database.
    pub uncommitted: usize,
    /// Workers replaced so far.
    pub restarts: u64,
    /// Whether the restart budget is spent.
    pub degraded: bool,
    /// How far each running job has come.
    #[serde(default)]
    pub running: Vec<AtWork>,
}

/// How far a running job has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AtWork {
    /// The job.
    pub id: i64,
    /// Items of this attempt.
    pub items: usize,
    /// Items that have their answer.
    pub done: usize,
}

/// The window of a rate-limited upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rate {
    /// Its name.
    pub upstream: String,
    /// Calls that count now.
    pub used: u32,
    /// The most that may.
    pub limit: u32,
    /// The window's length in seconds.
    pub window_s: u64,
    /// Seconds until the next call may be made; null: at once.
    pub next_s: Option<u64>,
    /// Seconds the upstream is left alone; null: it is not.
    pub parked_s: Option<u64>,
}

impl Command for Status {
    const METHOD: Method = Method::DaemonStatus;
    type Answer = StatusReport;
}

/// Stops the daemon as SIGTERM does: running jobs may finish, the rest is for the next start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Drain {}

/// Stops the daemon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// Whether running jobs are left for the next start too.
    #[serde(default)]
    pub now: bool,
}

/// The daemon is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stopping {
    /// Always true.
    pub stopping: bool,
}

impl Command for Drain {
    const METHOD: Method = Method::DaemonDrain;
    type Answer = Stopping;
}

impl Command for Shutdown {
    const METHOD: Method = Method::DaemonShutdown;
    type Answer = Stopping;
}

/// Reads the configuration again, as SIGHUP does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Reload {}

/// What [`Reload`] changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reloaded {
    /// Keys whose new value is in force.
    pub applied: Vec<String>,
    /// Keys whose new value waits for a restart.
    pub needs_restart: Vec<String>,
}

impl From<config::Reloaded> for Reloaded {
    fn from(reloaded: config::Reloaded) -> Self {
        Self {
            applied: reloaded.applied,
            needs_restart: reloaded.needs_restart,
        }
    }
}

impl Command for Reload {
    const METHOD: Method = Method::DaemonReload;
    type Answer = Reloaded;
}

impl From<PoolStatus> for PoolState {
    fn from(pool: PoolStatus) -> Self {
        Self {
            queue: QueueName(pool.queue),
            workers: pool.workers,
            busy: pool.busy,
            ready: pool.ready,
            uncommitted: pool.uncommitted,
            restarts: pool.restarts,
            degraded: pool.degraded,
            running: pool.running.into_iter().map(AtWork::from).collect(),
        }
    }
}

impl From<RunningJob> for AtWork {
    fn from(job: RunningJob) -> Self {
        Self {
            id: job.id.0,
            items: job.items,
            done: job.done,
        }
    }
}

impl From<RateStatus> for Rate {
    fn from(rate: RateStatus) -> Self {
        Self {
            upstream: rate.upstream.to_owned(),
            used: rate.used,
            limit: rate.limit,
            window_s: rate.window_s,
            next_s: rate.next_s,
            parked_s: rate.parked_s,
        }
    }
}
