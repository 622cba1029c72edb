//! All SQL: the site's SQLite file as typed reads and writes.
//!
//! One [`Writer`] a process applies [`Operation`]s, many to a transaction; any number of
//! [`Reader`]s look. What the site owns is read under its mapped names and only its score column
//! is written; everything else is in tables of our own. Nothing here knows an actor, and nothing
//! opens the file by other means than SQLite: closing a plain file handle would drop every lock
//! SQLite holds on it.

mod backlog;
mod cell;
mod checks;
mod claim;
mod connection;
mod copy;
mod doctor;
mod due;
mod ending;
mod enqueue;
mod error;
mod facts;
mod groups;
mod identity;
mod inspect;
mod intake;
mod integrity;
mod job_filter;
mod job_state;
mod known;
mod leaderboard;
mod listing;
mod liveness;
mod maintenance;
mod migrations;
mod operation;
mod outcome;
mod page;
mod patience;
mod permits;
mod placing;
mod queue;
mod queues;
mod ranking;
mod rates;
mod reader;
mod recovery;
mod retention;
mod sample;
mod scores;
mod selection;
mod site;
mod snapshots;
mod table;
mod thumbnails;
mod ticks;
mod video;
mod window;
mod write_connection;
mod writer;

#[cfg(test)]
mod fixture;

use std::path::PathBuf;

pub use backlog::{QueueCount, ReadQueue};
pub use cell::{Cell, seconds};
pub use checks::{CheckFilter, CheckedThumbnail, CheckedVideo};
pub use claim::{ClaimJobs, Claimed, ClaimedJob};
pub use copy::Copied;
pub use doctor::{Integrity, KnownSite, NeededIndex, Window};
pub use ending::{CancelJobs, LeftAlone, PauseQueue, PurgeQueue, RetryEnded, Steered, SteeredJob};
pub use enqueue::{Chunks, Enqueue, Enqueued, FollowUps, Grouping, JobRequest};
pub use error::{Missing, StoreError};
pub use facts::{
    Known, KnownSnapshot, LivenessCheck, SiteTable, SiteVideo, StoredScore, StoredStatus,
    ThumbnailCheck, VideoFacts,
};
pub use groups::{GroupId, LetGroupsGo};
pub use identity::FileIdentity;
pub use inspect::{Inspector, Intent, with_suffix};
pub use intake::{Refused, TakeIn, TakenIn};
pub use integrity::{Background, check_in_background};
pub use job_filter::JobFilter;
pub use known::Since;
pub use leaderboard::{LeaderboardFilter, LeaderboardRow};
pub use listing::{GroupSummary, JobDetail, JobSummary};
pub use liveness::RecordLiveness;
pub use maintenance::{OwnObject, Pages, Rows};
pub use operation::{Operation, Pending, QueueHome, Scope, pending};
pub use outcome::{FailJob, FinishJob, RetryJob};
pub use page::{NoSuchPlace, Page, PageCursor, ROWS_A_PAGE};
pub use patience::Patience;
pub use permits::{
    ParkUpstream, PermitAnswer, PermitId, ReleasePermit, TakePermit, UnparkUpstream,
};
pub use queue::{
    Claim, JobId, JobState, Lease, Moment, NewJob, ReleaseJobs, ReleaseLease, ReleaseRunning,
    SubmitJobs, WithdrawJobs,
};
pub use queues::QueueSummary;
pub use ranking::{CappedCount, Tally};
pub use rates::{MINUTES, QueueRate};
pub use reader::Reader;
pub use recovery::{Recover, Recovered, ShortenWaits};
pub use retention::{Expired, Expiring, GiveKeysUp, Prune, ROWS_A_SLICE};
pub use rusqlite::InterruptHandle;
pub use sample::SampledTime;
pub use scores::FinishScores;
pub use selection::{SelectedVideo, Selection};
pub use thumbnails::RecordThumbnail;
pub use ticks::{BeginRun, EndRun, ITEMS_A_SLICE, Optimize, RunTick};
pub use window::RateWindow;
pub use writer::{GroupEnd, WalLength, Writer};

use crate::config;

/// The latest time that a right clock can have written by now, Unix seconds, with some room for one
/// that is set by little. What lies after it was stamped while the clock ran ahead, and counts for
/// nothing: else it would be fresh until the clock is there again.
const LATEST: &str = "(SELECT CAST(strftime('%s', 'now') AS INTEGER) + 60)";

/// How to open the site's file.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file. It must exist.
    pub path: PathBuf,
    /// Journal, foreign keys and how long a transaction may last; its own path is not looked at.
    pub database: config::Database,
    /// What the site calls its tables and columns.
    pub schema: config::Schema,
    /// Whether `vvv_scores` is kept, and when a video without a score was last tried.
    pub keep_details: bool,
    /// Where the queue is.
    pub queue: QueueHome,
}
