//! The configuration as types, one struct a section. Every key is documented in
//! `conf/default.toml`, which also holds the defaults; nothing here repeats them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Http;
use super::units::{self, Rate};
use crate::domain::job::Queue;
use crate::domain::schedule::Task;
use crate::domain::score::Baseline;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The site's SQLite file.
    pub database: Database,
    /// What the site calls its tables and columns.
    pub schema: Schema,
    /// The engine's thread and its restarts.
    pub engine: Engine,
    /// The pools.
    pub queues: Queues,
    /// Virality scores.
    pub scoring: Scoring,
    /// Thumbnail checks.
    pub thumbnails: Thumbnails,
    /// Dead-video detection.
    pub liveness: Liveness,
    /// How often upstreams may be asked.
    pub rate_limits: RateLimits,
    /// The HTTP client.
    pub fetch: Fetch,
    /// What the daemon does by itself, and when.
    pub schedule: Schedule,
    /// How long what we wrote is kept.
    pub retention: Retention,
    /// Who hears of alarms.
    pub alerts: Alerts,
    /// The daemon and its socket.
    pub daemon: Daemon,
    /// The API and the dashboard.
    pub http: Http,
    /// Logs.
    pub log: Log,
}

/// `[database]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The site's file; a batch file's `db_path` and `--db` stand above it. Empty = not set.
    pub path: PathBuf,
    /// Whether the journal mode is kept or turned to WAL.
    pub journal_mode: JournalMode,
    /// The longest a write transaction of ours may hold the lock.
    #[serde(with = "units::duration")]
    pub max_write_hold: Duration,
    /// Whether our connections enforce the site's foreign keys.
    pub foreign_keys: bool,
    /// Whether the daemon folds the WAL back into the file.
    pub checkpoint: Checkpoint,
}

/// Who folds the WAL back into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checkpoint {
    /// We do, when there is nothing else to do and at a stop.
    Idle,
    /// Somebody else does, such as Litestream.
    Never,
}

/// What to do with the file's journal mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JournalMode {
    /// Leave it as the site has it.
    Keep,
    /// Turn it to WAL when a writer opens it.
    Wal,
}

/// `[schema]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// How `fetched_at` is written.
    pub fetched_at: FetchedAt,
    /// The table of videos.
    pub videos: VideosTable,
    /// The table of snapshots.
    pub snapshots: SnapshotsTable,
}

/// How the site writes `fetched_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FetchedAt {
    /// As text that SQLite's date functions read.
    Text,
    /// As Unix seconds.
    Unix,
    /// As Unix milliseconds.
    UnixMs,
}

/// `[schema.videos]`: names in the site's table of videos.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideosTable {
    /// The table.
    pub table: String,
    /// Column of the id.
    pub video_id: String,
    /// Column of the score we write.
    pub virality_score: String,
    /// Column of the thumbnail's address; the column may be missing.
    pub thumbnail_url: String,
}

/// `[schema.snapshots]`: names in the site's table of snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotsTable {
    /// The table.
    pub table: String,
    /// Column of the video's id.
    pub video_id: String,
    /// Column of the views.
    pub view_count: String,
    /// Column of the likes.
    pub likes: String,
    /// Column of the comments.
    pub comments: String,
    /// Column of the region.
    pub region: String,
    /// Column of the time.
    pub fetched_at: String,
}

/// `[engine]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Niceness of all threads but the writer's, 0 to 19 (Linux).
    pub nice: u8,
    /// How long running jobs may take to finish at a stop.
    #[serde(with = "units::duration")]
    pub drain_timeout: Duration,
    /// How many replacements of a dead actor fit in `restart_window`.
    pub max_restarts: u32,
    /// The window restarts are counted in.
    #[serde(with = "units::duration")]
    pub restart_window: Duration,
}

/// `[queues.*]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queues {
    /// `[queues.scoring]`
    pub scoring: QueueSettings,
    /// `[queues.thumbnails]`
    pub thumbnails: QueueSettings,
    /// `[queues.cleanup]`
    pub cleanup: QueueSettings,
}

impl Queues {
    /// The settings of one queue.
    #[must_use]
    pub const fn get(&self, queue: Queue) -> &QueueSettings {
        match queue {
            Queue::Scoring => &self.scoring,
            Queue::Thumbnails => &self.thumbnails,
            Queue::Cleanup => &self.cleanup,
        }
    }

    /// The same, to be changed.
    #[must_use]
    pub const fn get_mut(&mut self, queue: Queue) -> &mut QueueSettings {
        match queue {
            Queue::Scoring => &mut self.scoring,
            Queue::Thumbnails => &mut self.thumbnails,
            Queue::Cleanup => &mut self.cleanup,
        }
    }
}

/// One queue: its pool, its jobs, their retries and time limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// Workers, an arbiter each; 0 switches the queue off.
    pub workers: usize,
    /// Items of one job worked on at once.
    pub in_flight: usize,
    /// Items a job holds at most.
    pub chunk: usize,
    /// Retries after the first attempt.
    pub max_retries: u32,
    /// Deaths of the process that a job of the durable queue may be suspected of.
    pub max_crashes: u32,
    /// The wait before the first retry; it doubles.
    #[serde(with = "units::duration")]
    pub retry_delay: Duration,
    /// After this a job commits what is done and goes back for the rest.
    #[serde(with = "units::duration")]
    pub soft_limit: Duration,
    /// After this a job's work is dropped: a failed attempt.
    #[serde(with = "units::duration")]
    pub hard_limit: Duration,
}

/// `[scoring]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scoring {
    /// Whether `vvv_scores` is kept beside `videos.virality_score`.
    pub keep_details: bool,
    /// Baselines by region; GB's serves unknown regions.
    pub baselines: BTreeMap<String, Baseline>,
}

/// `[thumbnails]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thumbnails {
    /// How an unanswered fetch counts.
    pub policy: ThumbnailPolicy,
    /// Narrower than this is a placeholder, pixels.
    pub min_width: u32,
    /// Lower than this is a placeholder, pixels.
    pub min_height: u32,
    /// The largest body read, decoded bytes.
    #[serde(with = "units::bytes")]
    pub max_bytes: u64,
    /// The largest picture decoded, pixels.
    pub max_pixels: u64,
    /// The whole request, redirects and body included.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// How long a verdict for the same address is reused.
    #[serde(with = "units::duration")]
    pub fresh_for: Duration,
}

/// How thumbnails without a definitive answer count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThumbnailPolicy {
    /// `unknown`, apart from `broken`.
    Careful,
    /// As the article does: broken.
    Article,
}

/// `[liveness]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Liveness {
    /// What an answer means.
    pub policy: LivenessPolicy,
    /// The oEmbed endpoint.
    pub endpoint: String,
    /// The largest body read, decoded bytes.
    #[serde(with = "units::bytes")]
    pub max_bytes: u64,
    /// The whole request, body included.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// How long a definitive verdict is reused.
    #[serde(with = "units::duration")]
    pub fresh_for: Duration,
    /// A one-shot run ends with the rest `unknown` if the upstream is parked longer.
    #[serde(with = "units::duration")]
    pub give_up_after: Duration,
}

/// What an oEmbed answer means for a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LivenessPolicy {
    /// Only a definitive answer is a verdict.
    Careful,
    /// As the article does: 200 is alive, anything else dead.
    #[serde(rename = "http-200")]
    Http200,
}

/// `[rate_limits]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimits {
    /// Calls to the oEmbed endpoint.
    pub oembed: Rate,
}

/// `[fetch]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// The only exceptions to the address and port rules: `host:port` or a network.
    pub allow: Vec<String>,
    /// Connections to one host at once.
    pub max_per_host: usize,
    /// Redirects followed.
    pub max_redirects: u8,
    /// Named in the User-Agent, so that an upstream can reach the operator.
    pub contact: String,
}

/// `[daemon]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Daemon {
    /// Where it listens. Empty: where the machine or the user keeps sockets.
    pub socket: PathBuf,
    /// Who may connect, octal: 0600 or, with `socket_group`, 0660.
    pub socket_mode: String,
    /// The group that may connect, by name or number. Empty: none.
    pub socket_group: String,
    /// How long running jobs may take to finish at a stop.
    #[serde(with = "units::duration")]
    pub drain_timeout: Duration,
}

/// `[schedule]`: a line a task, empty where it is off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The zone the lines are in.
    pub timezone: String,
    /// When videos with new snapshots are scored.
    pub rescore: String,
    /// When thumbnails are validated.
    pub thumbnails: String,
    /// Those that were not validated for this long.
    #[serde(with = "units::duration")]
    pub thumbnails_after: Duration,
    /// When it is asked which videos are gone.
    pub liveness: String,
    /// When what `[retention]` keeps no longer is deleted.
    pub prune: String,
    /// When SQLite looks after its statistics.
    pub optimize: String,
}

impl Schedule {
    /// The line of one task.
    #[must_use]
    pub fn line(&self, task: Task) -> &str {
        match task {
            Task::Rescore => &self.rescore,
            Task::Thumbnails => &self.thumbnails,
            Task::Liveness => &self.liveness,
            Task::Prune => &self.prune,
            Task::Optimize => &self.optimize,
        }
    }
}

/// `[retention]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Jobs and groups that have ended.
    #[serde(with = "units::duration")]
    pub results: Duration,
    /// The most rows of each that have ended.
    pub jobs_max_rows: u64,
    /// Verdicts, and tries without one.
    #[serde(with = "units::duration")]
    pub checks: Duration,
    /// The most rows of each table of them, and of scores.
    pub checks_max_rows: u64,
    /// Scores that were not renewed.
    #[serde(with = "units::duration")]
    pub scores: Duration,
}

/// `[alerts]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// Is run with each alarm as JSON on its standard input: a program and its arguments.
    pub command: Vec<String>,
    /// The longest it may run.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// Between two runs at least.
    #[serde(with = "units::duration")]
    pub min_interval: Duration,
    /// A queue that grows and of which nothing is claimed for this long is an alarm.
    #[serde(with = "units::duration")]
    pub backlog_after: Duration,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// A tracing filter.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// One object a line.
    Json,
}
