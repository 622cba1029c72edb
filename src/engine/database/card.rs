//! What `video show` shows, as its JSON has it.

use serde::Serialize;

use crate::domain::score::Score;
use crate::store::{Cell, SiteTable};

/// All that is known of a video. Times are RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VideoCard {
    /// The id.
    pub video_id: String,
    /// Whether the site has it.
    pub in_site: bool,
    /// The site's tables that were not asked, since no index leads to a video in them: what they
    /// hold of it is left out. `video show` asks them all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_read: Vec<SiteTable>,
    /// Its title, where the site has a column of that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Cell>,
    /// The score the site's pages see.
    pub virality_score: Cell,
    /// Where its thumbnail lies.
    pub thumbnail_url: Cell,
    /// Its last five snapshots, newest first.
    pub snapshots: Vec<ShownSnapshot>,
    /// Its score.
    pub score: ScoreCard,
    /// Its thumbnail.
    pub thumbnail: ThumbnailCard,
    /// Whether it still exists.
    pub liveness: LivenessCard,
}

/// A snapshot, and the way from the one before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownSnapshot {
    /// When, as the site wrote it.
    pub fetched_at: Cell,
    /// When; none where the formula cannot read it.
    pub time: Option<String>,
    /// Views, none where they are missing or no number.
    pub views: Option<Number>,
    /// Likes.
    pub likes: Option<Number>,
    /// Comments.
    pub comments: Option<Number>,
    /// Region.
    pub region: Option<String>,
    /// Seconds since the one before.
    pub seconds: Option<i64>,
    /// Views an hour since the one before.
    pub velocity: Option<f64>,
}

/// A count as the site holds it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Number {
    /// Whole.
    Integer(i64),
    /// Not.
    Real(f64),
}

/// A score, now and as it was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreCard {
    /// What the formula gives now; none where its snapshots are not read.
    pub now: Option<Score>,
    /// What it was held against.
    pub baseline: BaselineUsed,
    /// What was written last, with what it was made of.
    pub stored: Option<StoredScoreCard>,
    /// What to make of it.
    pub note: String,
}

/// The baseline of a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BaselineUsed {
    /// Region of the latest snapshot; where none is there or read, that of the score written last.
    pub region: Option<String>,
    /// Whether that region has a baseline of its own; else GB's serves.
    pub is_own: bool,
    /// Views an hour.
    pub velocity: f64,
    /// Percent.
    pub engagement: f64,
}

/// A row of `vvv_scores`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredScoreCard {
    /// The score.
    pub score: f64,
    /// Views an hour.
    pub velocity: Cell,
    /// Percent.
    pub engagement: f64,
    /// The region.
    pub region: Option<String>,
    /// Its class.
    pub label: String,
    /// When.
    pub scored_at: String,
}

/// A verdict with its grounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The verdict.
    pub verdict: String,
    /// Why.
    pub reason: Option<String>,
    /// When it was found.
    pub checked_at: Option<String>,
}

/// What is known of a thumbnail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ThumbnailCard {
    /// The last definitive verdict, the one the site's pages see.
    pub verdict: Option<Check>,
    /// The latest check of each address, definitive or not, newest first.
    pub checks: Vec<Evidence>,
}

/// What is known of a video's existence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LivenessCard {
    /// The last definitive verdict, the one the site's pages see.
    pub verdict: Option<Check>,
    /// The latest check, definitive or not.
    pub latest: Option<Evidence>,
}

/// One check with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What was found.
    #[serde(flatten)]
    pub found: Check,
    /// The address asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The picture's size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<i64>,
}
