//! What the API tells of the site's videos. Times are RFC 3339, counts are the site's own numbers.

use serde::Serialize;

use crate::engine::database::{Cell, Number};
use crate::engine::{
    CheckedThumbnail, CheckedVideo, Direction, HistoryPoint, LeaderboardRow, Page, Tally,
};
use crate::face::protocol::Time;

/// Some events were missed; those that follow come after them.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in super::super) struct Lagged {
    /// How many; null: nobody knows, for `Last-Event-ID` names no event since the start.
    pub(in super::super) missed: Option<u64>,
}

/// A page of a list.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in super::super) struct Paged<T> {
    /// The rows.
    pub(in super::super) rows: Vec<T>,
    /// `after` of the next page; null if this is the last.
    pub(in super::super) next: Option<String>,
}

impl<T> Paged<T> {
    pub(super) fn of<R: Into<T>>(page: Page<R>) -> Self {
        Self {
            rows: page.rows.into_iter().map(Into::into).collect(),
            next: page.next.map(|next| next.to_string()),
        }
    }
}

/// A video and its score.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in super::super) struct ScoredVideo {
    /// The site's id.
    video_id: String,
    /// Its title, a stranger's text; null where the site has none.
    title: Option<String>,
    /// Where its thumbnail lies, untrusted.
    thumbnail_url: Option<String>,
    /// At most 100.
    score: f64,
    /// `VIRAL`, `TRENDING` or `NORMAL`.
    label: String,
    /// Region of its latest snapshot.
    region: Option<String>,
    /// Views an hour.
    velocity: Option<f64>,
    /// Percent.
    engagement: f64,
    /// When it was scored.
    scored_at: Time,
    /// The last definitive verdict on its thumbnail.
    thumbnail: Option<String>,
    /// The last definitive verdict on the video.
    liveness: Option<String>,
    /// `rising`, `steady` or `falling`; null without three snapshots.
    trend: Option<&'static str>,
}

impl From<LeaderboardRow> for ScoredVideo {
    fn from(row: LeaderboardRow) -> Self {
        Self {
            video_id: row.video_id,
            title: row.title,
            thumbnail_url: row.thumbnail_url,
            score: row.score,
            label: row.label,
            region: row.region,
            velocity: match row.velocity {
                Cell::Integer(integer) => Some(integer as f64),
                Cell::Real(real) => of_real(real),
                Cell::Null | Cell::Text(_) | Cell::Blob(_) => None,
            },
            engagement: row.engagement,
            scored_at: at(row.scored_at),
            thumbnail: row.thumbnail,
            liveness: row.liveness,
            trend: row.trend.map(|trend| match trend.direction {
                Direction::Rising => "rising",
                Direction::Steady => "steady",
                Direction::Falling => "falling",
            }),
        }
    }
}

/// A snapshot of a video's counts.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in super::super) struct Snapshot {
    /// When; null where it cannot be read.
    at: Option<Time>,
    /// Views up to then.
    view_count: Option<f64>,
    /// Likes up to then.
    likes: Option<f64>,
    /// Comments up to then.
    comments: Option<f64>,
    /// Region.
    region: Option<String>,
    /// Views an hour since the one before.
    velocity: Option<f64>,
}

impl From<HistoryPoint> for Snapshot {
    fn from(point: HistoryPoint) -> Self {
        let count = |number: Option<Number>| match number? {
            Number::Integer(integer) => Some(integer as f64),
            Number::Real(real) => of_real(real),
        };
        Self {
            at: point.seconds.map(at),
            view_count: count(point.view_count),
            likes: count(point.likes),
            comments: count(point.comments),
            region: point.region,
            velocity: point.velocity,
        }
    }
}

/// The snapshots of a video.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in super::super) struct History {
    /// Newest first.
    pub(super) snapshots: Vec<Snapshot>,
    /// Whether they were looked for; not where the site's table has no index on the video's id.
    pub(super) read: bool,
}

/// The latest check of an address.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in super::super) struct ThumbnailCheck {
    /// The site's id of the video.
    video_id: String,
    /// The address, untrusted.
    url: String,
    /// `valid`, `placeholder`, `broken`, `error` or `unknown`.
    status: String,
    /// Why.
    reason: Option<String>,
    /// Pixels.
    width: Option<i64>,
    /// Pixels.
    height: Option<i64>,
    /// When.
    checked_at: Time,
}

impl From<CheckedThumbnail> for ThumbnailCheck {
    fn from(check: CheckedThumbnail) -> Self {
        Self {
            video_id: check.video_id,
            url: check.url,
            status: check.status,
            reason: check.reason,
            width: check.width,
            height: check.height,
            checked_at: at(check.checked_at),
        }
    }
}

/// The latest check of a video.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in super::super) struct LivenessCheck {
    /// The site's id.
    video_id: String,
    /// `alive`, `dead`, `invalid` or `unknown`.
    verdict: String,
    /// Why.
    reason: String,
    /// The status of the answer it rests on.
    http_status: Option<i64>,
    /// When.
    checked_at: Time,
}

impl From<CheckedVideo> for LivenessCheck {
    fn from(check: CheckedVideo) -> Self {
        Self {
            video_id: check.video_id,
            verdict: check.verdict,
            reason: check.reason,
            http_status: check.http_status,
            checked_at: at(check.checked_at),
        }
    }
}

/// How many there are of each.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in super::super) struct Counts {
    /// By name.
    pub(super) counts: Vec<Count>,
}

/// How many there are of one.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in super::super) struct Count {
    /// Its name; null: rows without one.
    name: Option<String>,
    /// So many.
    count: u64,
    /// Whether there are more than were counted.
    capped: bool,
}

impl From<Tally> for Count {
    fn from(tally: Tally) -> Self {
        Self {
            name: tally.name,
            count: tally.rows.count,
            capped: tally.rows.capped,
        }
    }
}

/// JSON has no infinity.
fn of_real(real: f64) -> Option<f64> {
    real.is_finite().then_some(real)
}

/// Unix seconds.
fn at(seconds: i64) -> Time {
    Time(seconds.saturating_mul(1000))
}
