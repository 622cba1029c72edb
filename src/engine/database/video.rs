//! `video show`: all that is known of one video, and why.

use super::card::{
    BaselineUsed, Check, Evidence, LivenessCard, Number, ScoreCard, ShownSnapshot, StoredScoreCard,
    ThumbnailCard, VideoCard,
};
use super::{DatabaseError, fetched_at, options};
use crate::config::Config;
use crate::domain::score::{Baselines, Count, Score, Snapshot, score};
use crate::domain::trend::{elapsed, velocity};
use crate::store::{
    Cell, Inspector, Intent, Known, KnownSnapshot, LivenessCheck, Patience, SiteTable, StoredScore,
    ThumbnailCheck, VideoFacts,
};

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
    Ok(card(config, id, facts))
}

/// Why a table of the site's was not asked.
const NOT_READ: &str =
    "not all is read, since no index leads to it: vvv-actors db doctor says which is missing";

/// What the file holds of a video as it is shown; none where it holds nothing.
pub(in crate::engine) fn card(config: &Config, id: &str, facts: VideoFacts) -> Option<VideoCard> {
    let nothing = VideoFacts {
        not_read: facts.not_read.clone(),
        ..VideoFacts::default()
    };
    // Where the site's videos are not read, nobody can tell that it has none of that name.
    let may_be = facts.not_read.contains(&SiteTable::Videos);
    (may_be || facts != nothing).then(|| filled(config, id, facts))
}

fn filled(config: &Config, id: &str, facts: VideoFacts) -> VideoCard {
    let VideoFacts {
        not_read,
        site,
        snapshots,
        score,
        status,
        thumbnails,
        liveness,
    } = facts;
    let in_site = site.is_some();
    let site = site.unwrap_or_default();
    let (thumbnail, alive) =
        status.map_or((None, None), |status| (status.thumbnail, status.liveness));
    let card = score_card(config, &snapshots, score, &site.virality_score);
    VideoCard {
        video_id: id.to_owned(),
        in_site,
        title: site.title,
        score: if not_read.is_empty() {
            card
        } else {
            ScoreCard {
                now: card
                    .now
                    .filter(|_| !not_read.contains(&SiteTable::Snapshots)),
                note: NOT_READ.to_owned(),
                ..card
            }
        },
        not_read,
        virality_score: site.virality_score,
        thumbnail_url: site.thumbnail_url.unwrap_or(Cell::Null),
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
    let region = match newest_first.first() {
        Some(latest) => latest.region.clone(),
        None => stored.as_ref().and_then(|stored| stored.region.clone()),
    };
    let baseline = baselines.of(region.as_deref());
    let now = score(&newest_first, &baselines);
    ScoreCard {
        note: note(&now, on_pages),
        now: Some(now),
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
            ShownSnapshot {
                fetched_at: fetched_at.clone(),
                time: snapshot.seconds.map(fetched_at::time),
                views: number(snapshot.views),
                likes: number(snapshot.likes),
                comments: number(snapshot.comments),
                region: snapshot.region.clone(),
                seconds: before.and_then(|before| elapsed(snapshot, before)),
                velocity: before.and_then(|before| velocity(snapshot, before)),
            }
        })
        .collect()
}

pub(in crate::engine) const fn number(count: Count) -> Option<Number> {
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
