//! What the file may hold about one video.

use serde::Serialize;

use super::cell::Cell;
use crate::domain::score::Snapshot;

/// What is known of a video.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VideoFacts {
    /// Which tables of the site's were not asked, since no index leads to the video.
    pub not_read: Vec<SiteTable>,
    /// The site's row; none where the site does not have it.
    pub site: Option<SiteVideo>,
    /// Its last snapshots, newest first.
    pub snapshots: Vec<KnownSnapshot>,
    /// Its row in `vvv_scores`.
    pub score: Option<StoredScore>,
    /// Its row in `vvv_video_status`.
    pub status: Option<StoredStatus>,
    /// The latest check of each address of its thumbnail, the newest first.
    pub thumbnails: Vec<ThumbnailCheck>,
    /// The latest time it was asked for.
    pub liveness: Option<LivenessCheck>,
}

/// A table of the site's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SiteTable {
    /// Its videos.
    Videos,
    /// Their snapshots.
    Snapshots,
}

/// A row of the site's videos.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SiteVideo {
    /// The score the site's pages see.
    pub virality_score: Cell,
    /// Where its thumbnail lies; none where the site has no such column.
    pub thumbnail_url: Option<Cell>,
    /// Its title; none where the site has no such column.
    pub title: Option<Cell>,
}

/// A snapshot as it stands and as the formula reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownSnapshot {
    /// When, as the site wrote it.
    pub fetched_at: Cell,
    /// What the formula reads.
    pub snapshot: Snapshot,
}

/// A row of `vvv_scores`. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredScore {
    /// The score.
    pub score: f64,
    /// The region whose baseline it was held against.
    pub region: Option<String>,
    /// Its class.
    pub label: String,
    /// Views an hour.
    pub velocity: Cell,
    /// Percent.
    pub engagement: f64,
    /// When.
    pub scored_at: i64,
}

/// A verdict with its reason and time, Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The verdict.
    pub verdict: String,
    /// Why.
    pub reason: Option<String>,
    /// When it was found.
    pub checked_at: Option<i64>,
}

/// A row of `vvv_video_status`: the last definitive verdicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStatus {
    /// On its thumbnail.
    pub thumbnail: Option<Known>,
    /// On the video itself.
    pub liveness: Option<Known>,
}

/// A row of `vvv_thumbnail_checks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThumbnailCheck {
    /// The address.
    pub url: String,
    /// What was found.
    pub found: Known,
    /// Width and height in pixels.
    pub size: Option<(i64, i64)>,
}

/// A row of `vvv_liveness_checks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivenessCheck {
    /// What was found.
    pub found: Known,
    /// The HTTP status it rests on.
    pub http_status: Option<i64>,
}
