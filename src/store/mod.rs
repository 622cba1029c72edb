//! All SQL: the site's SQLite file as typed reads and writes.
//!
//! One [`Writer`] a process applies [`Operation`]s, many to a transaction; any number of
//! [`Reader`]s look. What the site owns is read under its mapped names and only its score column
//! is written; everything else is in tables of our own. Nothing here knows an actor, and nothing
//! opens the file by other means than SQLite: closing a plain file handle would drop every lock
//! SQLite holds on it.

mod backlog;
mod connection;
mod error;
mod known;
mod liveness;
mod migrations;
mod operation;
mod outcome;
mod permits;
mod queue;
mod reader;
mod scores;
mod selection;
mod site;
mod snapshots;
mod table;
mod thumbnails;
mod write_connection;
mod writer;

#[cfg(test)]
mod fixture;

use std::path::PathBuf;

pub use backlog::{QueueCount, ReadQueue, UnfinishedJob, UnfinishedJobs};
pub use error::{Missing, StoreError};
pub use known::Since;
pub use liveness::RecordLiveness;
pub use operation::{Operation, Pending, Scope, pending};
pub use outcome::{FailJob, FinishJob, RetryJob};
pub use permits::{
    CountPermits, ParkUpstream, PermitAnswer, PermitId, ReleasePermit, TakePermit, UnparkUpstream,
};
pub use queue::{
    Claim, ClaimJobs, Claimed, ClaimedJob, JobId, JobState, Lease, NewJob, ReleaseJobs,
    ReleaseRunning, SubmitJobs,
};
pub use reader::Reader;
pub use rusqlite::InterruptHandle;
pub use scores::FinishScores;
pub use selection::{SelectedVideo, Selection};
pub use thumbnails::RecordThumbnail;
pub use writer::{GroupEnd, Writer};

use crate::config;

/// How to open the site's file.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file. It must exist.
    pub path: PathBuf,
    /// Journal, foreign keys and how long a transaction may last; its own path is not looked at.
    pub database: config::Database,
    /// What the site calls its tables and columns.
    pub schema: config::Schema,
    /// Whether `vvv_scores` is kept.
    pub keep_details: bool,
}
