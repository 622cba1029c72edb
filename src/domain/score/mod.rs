//! The article's virality score: velocity and engagement of the last two snapshots, each against
//! its region's baseline.
//!
//! Results equal the article's Python to the last digit, so a site can switch over without its
//! ranking moving. Where that Python would raise for a whole batch, one video gets a reason.

mod number;

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use number::{Number, at_most_hundred, round_to_integer};

pub use number::round_half_even;

/// What a region's ordinary success looks like.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Views an hour.
    pub velocity: f64,
    /// Engagement, percent.
    pub engagement: f64,
}

/// The region whose baseline serves all regions without their own.
const FALLBACK_REGION: &str = "GB";

/// The article's baseline of [`FALLBACK_REGION`].
const FALLBACK: Baseline = Baseline {
    velocity: 20_000.0,
    engagement: 4.5,
};

/// The baselines by region.
#[derive(Debug, Clone, PartialEq)]
pub struct Baselines {
    by_region: BTreeMap<String, Baseline>,
    fallback: Baseline,
}

impl Baselines {
    /// Takes the configured ones; without GB among them the article's stands in.
    #[must_use]
    pub fn new(by_region: &BTreeMap<String, Baseline>) -> Self {
        Self {
            by_region: by_region.clone(),
            fallback: by_region.get(FALLBACK_REGION).copied().unwrap_or(FALLBACK),
        }
    }

    /// The baseline of a region, GB's for an unknown one.
    #[must_use]
    pub fn of(&self, region: Option<&str>) -> Baseline {
        region
            .and_then(|region| self.by_region.get(region))
            .copied()
            .unwrap_or(self.fallback)
    }
}

/// A cell of the site's views, likes or comments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Count {
    /// NULL.
    Missing,
    /// An INTEGER.
    Integer(i64),
    /// A REAL.
    Real(f64),
    /// Text or a blob: nothing to calculate with.
    Unreadable,
}

/// What the site recorded of a video at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Views up to then.
    pub views: Count,
    /// Likes up to then.
    pub likes: Count,
    /// Comments up to then.
    pub comments: Count,
    /// Where the video trended.
    pub region: Option<String>,
    /// When, Unix seconds; none where the date cannot be read.
    pub seconds: Option<i64>,
    /// Whether the region is text that is no UTF-8.
    pub region_is_unreadable: bool,
}

/// What became of one video.
#[derive(Debug, Clone, PartialEq)]
pub enum Score {
    /// A score.
    Scored(Scored),
    /// None, and why.
    Unscored(Reason),
}

/// A score with what it is made of, rounded as the report shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scored {
    /// At most 100, no lower bound; 1 decimal.
    pub score: f64,
    /// Views an hour, whole.
    pub velocity: i128,
    /// Likes and twice the comments by views, percent; 2 decimals.
    pub engagement: f64,
    /// Region of the latest snapshot.
    pub region: Option<String>,
    /// Judged on the unrounded score.
    pub label: Label,
}

/// The class of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Label {
    /// 85 and above.
    Viral,
    /// 60 and above.
    Trending,
    /// The rest.
    Normal,
}

impl Label {
    /// The article's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viral => "VIRAL",
            Self::Trending => "TRENDING",
            Self::Normal => "NORMAL",
        }
    }

    fn of(score: f64) -> Self {
        if score >= 85.0 {
            Self::Viral
        } else if score >= 60.0 {
            Self::Trending
        } else {
            Self::Normal
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A count a score needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Views of the latest or the previous snapshot.
    Views,
    /// Likes of the latest.
    Likes,
    /// Comments of the latest.
    Comments,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Views => "views",
            Self::Likes => "likes",
            Self::Comments => "comments",
        })
    }
}

/// Why a video has no score. Its stored one stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Fewer than two snapshots.
    #[error("insufficient data")]
    InsufficientData,
    /// The last two snapshots are of one time, or in the wrong order.
    #[error("no time delta")]
    NoTimeDelta,
    /// A date of the last two snapshots is missing or cannot be read.
    #[error("unreadable date")]
    UnreadableDate,
    /// A count is NULL.
    #[error("no {0}")]
    Missing(Field),
    /// A count is text or a blob.
    #[error("unreadable {0}")]
    Unreadable(Field),
    /// The region of one of the last two snapshots is no UTF-8.
    #[error("unreadable region")]
    UnreadableRegion,
    /// A count, a baseline or a result that no finite number can hold.
    #[error("out of range")]
    OutOfRange,
}

impl Serialize for Score {
    /// The report's shape; without a score `{"score": 0, "reason": …}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Scored(scored) => scored.serialize(serializer),
            Self::Unscored(reason) => {
                let mut fields = serializer.serialize_struct("Unscored", 2)?;
                fields.serialize_field("score", &0)?;
                fields.serialize_field("reason", &reason.to_string())?;
                fields.end()
            }
        }
    }
}

/// Scores a video from its snapshots, newest first; only the first two count.
#[must_use]
pub fn score(newest_first: &[Snapshot], baselines: &Baselines) -> Score {
    match newest_first {
        [latest, previous, ..] => {
            rate(latest, previous, baselines).map_or_else(Score::Unscored, Score::Scored)
        }
        _ => Score::Unscored(Reason::InsufficientData),
    }
}

fn rate(latest: &Snapshot, previous: &Snapshot, baselines: &Baselines) -> Result<Scored, Reason> {
    if latest.region_is_unreadable || previous.region_is_unreadable {
        return Err(Reason::UnreadableRegion);
    }
    let (Some(now), Some(then)) = (latest.seconds, previous.seconds) else {
        return Err(Reason::UnreadableDate);
    };
    let elapsed = i128::from(now) - i128::from(then);
    if elapsed <= 0 {
        return Err(Reason::NoTimeDelta);
    }
    let views = number(latest.views, Field::Views)?;
    let gained = views.minus(number(previous.views, Field::Views)?);
    let likes = number(latest.likes, Field::Likes)?;
    let comments = number(latest.comments, Field::Comments)?;
    let baseline = baselines.of(latest.region.as_deref());

    // The article's operations in the article's order; another order rounds otherwise.
    let velocity = gained.over(Number::Int(elapsed)) * 3600.0;
    let engagement = likes.plus(comments.doubled()).over(views.at_least_one()) * 100.0;
    let score =
        share(velocity, baseline.velocity)? * 0.55 + share(engagement, baseline.engagement)? * 0.45;
    if !score.is_finite() {
        return Err(Reason::OutOfRange);
    }
    Ok(Scored {
        score: round_half_even(score, 1),
        velocity: round_to_integer(velocity).ok_or(Reason::OutOfRange)?,
        engagement: round_half_even(engagement, 2),
        region: latest.region.clone(),
        label: Label::of(score),
    })
}

/// A value as percent of its baseline, capped at 100.
fn share(value: f64, baseline: f64) -> Result<f64, Reason> {
    if !value.is_finite() || baseline == 0.0 {
        return Err(Reason::OutOfRange);
    }
    Ok(at_most_hundred(value / baseline * 100.0))
}

fn number(count: Count, field: Field) -> Result<Number, Reason> {
    match count {
        Count::Integer(integer) => Ok(Number::Int(integer.into())),
        Count::Real(real) => Ok(Number::Float(real)),
        Count::Missing => Err(Reason::Missing(field)),
        Count::Unreadable => Err(Reason::Unreadable(field)),
    }
}
