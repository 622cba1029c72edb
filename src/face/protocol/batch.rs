//! A batch file's work, handed in as one group.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::jobs::default_priority;
use super::{Command, KindName, Method, Span, Trace};
use crate::face::batch_file::NewVideo;

/// A job that follows the end of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FollowUp {
    /// What to do.
    pub kind: KindName,
    /// With what.
    pub payload: Value,
}

/// Queues all that a batch file asks for, as one group. A large batch comes in parts: `more` holds
/// the group open, and the next part names it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SubmitBatch {
    /// Videos to score and, where they have an address, whose thumbnails to check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_videos: Option<Vec<NewVideo>>,
    /// Videos to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_ids: Option<Vec<String>>,
    /// The database that is meant, as in a batch file: refused if it is another than the daemon's. Of
    /// a relative path only the file's name is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db_path: Option<String>,
    /// Only these kinds of work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<KindName>,
    /// 0 (first) to 9.
    #[serde(default = "default_priority")]
    #[cfg_attr(test, schemars(range(max = 9)))]
    pub priority: u8,
    /// Queued once when every job has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<FollowUp>,
    /// Queued once when every job has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_finish: Option<FollowUp>,
    /// The group this part belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<i64>,
    /// Whether another part follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// Queues nothing if a batch with this key is there, and answers its group. Said with the first
    /// part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_key: Option<String>,
    /// So long from now a batch that has ended keeps its key; for ever without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_for: Option<Span>,
    /// The trace it belongs to and the span that asks: W3C's `traceparent`, version 00. Over HTTP the
    /// header of that name says so where this does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Trace>,
}

/// What became of [`SubmitBatch`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Batch {
    /// The group; of a duplicate the one that was there.
    pub group: i64,
    /// Its new jobs.
    pub ids: BatchIds,
    /// Whether a batch with this key was there, so that nothing was queued.
    #[serde(default)]
    pub duplicate: bool,
}

/// Jobs by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BatchIds {
    /// Those that score.
    pub score: Vec<i64>,
    /// Those that check thumbnails.
    pub thumbnails: Vec<i64>,
    /// Those that ask for videos.
    pub liveness: Vec<i64>,
}

impl Command for SubmitBatch {
    const METHOD: Method = Method::JobsSubmitBatch;
    type Answer = Batch;
}
