//! `video show`: all that is known of one video, and why.

use serde::Serialize;

use super::{DatabaseError, fetched_at, options};
use crate::config::Config;
use crate::domain::score::{Baselines, Count, Score, Snapshot, score};
use crate::store::{
    Cell, Inspector, Intent, Known, KnownSnapshot, LivenessCheck, Patience, StoredScore,
    ThumbnailCheck, VideoFacts,
};

/// All that is known of a video. Times are RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VideoCard {
    /// The id.
    pub video_id: String,
    /// Whether the site has it.
    pub in_site: bool,
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
    /// What the formula gives now.
    pub now: Score,
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
    /// Region of the latest snapshot.
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

/// Gathers what is known of a video; none: nobody knows it.
///
/// # Errors
/// When the database cannot be opened or read, or tables of the site's are missing.
pub fn show_video(
    config: &Config,
    id: &str,
    patience: &mut Patience<'_>,
) -> Result<Option<VideoCard>, DatabaseError> {
    let options = options(config)?;
    let inspector = Inspector::open(&options.path, Intent::Look, patience)?;
    let site = patience.wait(|| inspector.site(&options))?;
    let facts = patience.wait(|| inspector.video(&site, id))?;
    Ok((facts != VideoFacts::default()).then(|| card(config, id, facts)))
}

fn card(config: &Config, id: &str, facts: VideoFacts) -> VideoCard {
    let VideoFacts {
        site,
        snapshots,
        score,
        status,
        thumbnails,
        liveness,
    } = facts;
    let in_site = site.is_some();
    let (virality_score, thumbnail_url) = site.map_or((Cell::Null, Cell::Null), |site| {
        (
            site.virality_score,
            site.thumbnail_url.unwrap_or(Cell::Null),
        )
    });
    let (thumbnail, alive) =
        status.map_or((None, None), |status| (status.thumbnail, status.liveness));
    VideoCard {
        video_id: id.to_owned(),
        in_site,
        score: score_card(config, &snapshots, score, &virality_score),
        virality_score,
        thumbnail_url,
        snapshots: shown(&snapshots),
        thumbnail: ThumbnailCard {
            verdict: thumbnail.map(check),
            checks: thumbnails.into_iter().map(thumbnail_evidence).collect(),
        },
        liveness: LivenessCard {
            verdict: alive.map(check),
            latest: liveness.map(liveness_evidence),
        },
    }
}

fn score_card(
    config: &Config,
    snapshots: &[KnownSnapshot],
    stored: Option<StoredScore>,
    on_pages: &Cell,
) -> ScoreCard {
    let newest_first: Vec<Snapshot> = snapshots
        .iter()
        .map(|known| known.snapshot.clone())
        .collect();
    let configured = &config.scoring.baselines;
    let baselines = Baselines::new(configured);
    let region = newest_first
        .first()
        .and_then(|latest| latest.region.clone());
    let baseline = baselines.of(region.as_deref());
    let now = score(&newest_first, &baselines);
    ScoreCard {
        note: note(&now, on_pages),
        now,
        baseline: BaselineUsed {
            is_own: region
                .as_ref()
                .is_some_and(|region| configured.contains_key(region)),
            region,
            velocity: baseline.velocity,
            engagement: baseline.engagement,
        },
        stored: stored.map(|stored| StoredScoreCard {
            score: stored.score,
            velocity: stored.velocity,
            engagement: stored.engagement,
            region: stored.region,
            label: stored.label,
            scored_at: fetched_at::time(stored.scored_at),
        }),
    }
}

/// Why what the pages see is what it is.
fn note(now: &Score, on_pages: &Cell) -> String {
    let seen = match on_pages {
        Cell::Null => None,
        Cell::Integer(integer) => Some(*integer as f64),
        Cell::Real(real) => Some(*real),
        Cell::Text(_) | Cell::Blob(_) => return "the site holds no number as its score".to_owned(),
    };
    match (now, seen) {
        (Score::Unscored(reason), None) => format!("no score: {reason}"),
        (Score::Unscored(reason), Some(_)) => {
            format!("{reason}, so the site keeps the score it has")
        }
        (Score::Scored(scored), Some(seen)) if seen == scored.score => {
            "the site has this score".to_owned()
        }
        (Score::Scored(_), Some(_)) => {
            "the site has another score; the next run writes this one".to_owned()
        }
        (Score::Scored(_), None) => "not written yet; the next run does".to_owned(),
    }
}

fn shown(snapshots: &[KnownSnapshot]) -> Vec<ShownSnapshot> {
    snapshots
        .iter()
        .enumerate()
        .map(|(place, known)| {
            let before = snapshots.get(place + 1).map(|before| &before.snapshot);
            let KnownSnapshot {
                fetched_at,
                snapshot,
            } = known;
            let seconds = before.and_then(|before| elapsed(snapshot, before));
            ShownSnapshot {
                fetched_at: fetched_at.clone(),
                time: snapshot.seconds.map(fetched_at::time),
                views: number(snapshot.views),
                likes: number(snapshot.likes),
                comments: number(snapshot.comments),
                region: snapshot.region.clone(),
                seconds,
                velocity: before
                    .zip(seconds)
                    .and_then(|(before, seconds)| velocity(snapshot, before, seconds)),
            }
        })
        .collect()
}

fn elapsed(snapshot: &Snapshot, before: &Snapshot) -> Option<i64> {
    snapshot.seconds?.checked_sub(before.seconds?)
}

/// Views an hour; none where no time has passed.
fn velocity(snapshot: &Snapshot, before: &Snapshot, seconds: i64) -> Option<f64> {
    let gained = match (number(snapshot.views)?, number(before.views)?) {
        (Number::Integer(now), Number::Integer(then)) => {
            (i128::from(now) - i128::from(then)) as f64
        }
        (now, then) => now.as_float() - then.as_float(),
    };
    (seconds > 0).then(|| gained / seconds as f64 * 3600.0)
}

impl Number {
    /// Rounded to the nearest double.
    const fn as_float(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Real(real) => real,
        }
    }
}

const fn number(count: Count) -> Option<Number> {
    match count {
        Count::Integer(integer) => Some(Number::Integer(integer)),
        Count::Real(real) => Some(Number::Real(real)),
        Count::Missing | Count::Unreadable => None,
    }
}

fn check(known: Known) -> Check {
    Check {
        verdict: known.verdict,
        reason: known.reason,
        checked_at: known.checked_at.map(fetched_at::time),
    }
}

fn thumbnail_evidence(checked: ThumbnailCheck) -> Evidence {
    Evidence {
        found: check(checked.found),
        url: Some(checked.url),
        size: checked
            .size
            .map(|(width, height)| format!("{width}x{height}")),
        http_status: None,
    }
}

fn liveness_evidence(checked: LivenessCheck) -> Evidence {
    Evidence {
        found: check(checked.found),
        url: None,
        size: None,
        http_status: checked.http_status,
    }
}
