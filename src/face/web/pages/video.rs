//! A video: how it fares, its thumbnail as it was seen, and whether it still exists.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::chart::{Chart, chart};
use super::format::{Moment, cut, float, short};
use super::frame::{Frame, Tab};
use super::page;
use super::videos::{LONGEST_TITLE, tone};
use crate::engine::database::{Cell, Check, Evidence, Number, ScoreCard, SiteTable, VideoCard};
use crate::engine::{HistoryPoint, Score};
use crate::face::web::Shared;
use crate::face::web::asked::Query;
use crate::face::web::problem::Problem;

/// Snapshots in a chart.
const HISTORY: usize = 200;
/// Snapshots in the table.
const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "video.html")]
struct Video {
    frame: Frame,
    id: String,
    title: Option<String>,
    /// Whether the site was asked and does not have it.
    is_unknown: bool,
    /// What of the site's was not asked.
    not_read: Option<&'static str>,
    on_pages: String,
    score: Facts,
    charts: Vec<Chart>,
    points: Vec<Point>,
    more: usize,
    picture: Option<String>,
    url: Option<String>,
    thumbnail: Option<Verdict>,
    thumbnail_checks: Vec<Verdict>,
    liveness: Option<Verdict>,
    asked: Option<Verdict>,
}

/// What the score is made of.
struct Facts {
    label: Option<String>,
    tone: &'static str,
    now: String,
    velocity: String,
    engagement: String,
    baseline: String,
    note: String,
    stored: Option<(String, Moment)>,
}

/// A snapshot.
struct Point {
    at: String,
    views: String,
    likes: String,
    comments: String,
    velocity: String,
    region: String,
}

/// What was found, and why.
struct Verdict {
    name: String,
    reason: String,
    at: Option<Moment>,
    url: Option<String>,
    size: Option<String>,
    status: Option<i64>,
}

/// Shows a video.
pub(super) async fn video(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let mut frame = Frame::live(&request, Tab::Videos, "Video", &mut query);
    let id = query.text("id");
    query.end()?;
    let id = id.ok_or_else(|| Problem::params("id", "must name a video"))?;
    let asked = id.clone();
    let found = shared
        .site
        .videos
        .look(move |view| match view.video(&asked)? {
            None => Ok(None),
            Some(card) => Ok(Some((card, view.history(&asked, HISTORY)?))),
        })
        .await?;
    let (card, history) = found.ok_or_else(|| Problem::not_found("video", &id))?;
    let title = text(card.title.as_ref());
    frame.title = cut(title.as_deref().unwrap_or(&id), LONGEST_TITLE);
    page(&shown(frame, title, card, &history))
}

fn shown(frame: Frame, title: Option<String>, card: VideoCard, history: &[HistoryPoint]) -> Video {
    let url = text(Some(&card.thumbnail_url));
    let picture = url
        .as_deref()
        .map(|url| frame.picture("large", &card.video_id, url));
    Video {
        frame,
        title: title.map(|title| cut(&title, LONGEST_TITLE)),
        is_unknown: !card.in_site && !card.not_read.contains(&SiteTable::Videos),
        not_read: not_read(&card.not_read),
        on_pages: match &card.virality_score {
            Cell::Null => "none".to_owned(),
            other => cut(&other.to_string(), 64),
        },
        score: facts(&card.score),
        charts: charts(history),
        points: history.iter().take(ROWS).map(point).collect(),
        more: history.len().saturating_sub(ROWS),
        picture,
        url,
        thumbnail: card.thumbnail.verdict.map(verdict),
        thumbnail_checks: card.thumbnail.checks.into_iter().map(evidence).collect(),
        liveness: card.liveness.verdict.map(verdict),
        asked: card.liveness.latest.map(evidence),
        id: card.video_id,
    }
}

fn not_read(tables: &[SiteTable]) -> Option<&'static str> {
    match tables {
        [] => None,
        [SiteTable::Videos] => Some("videos"),
        [SiteTable::Snapshots] => Some("snapshots"),
        _ => Some("videos and snapshots"),
    }
}

fn text(cell: Option<&Cell>) -> Option<String> {
    match cell? {
        Cell::Text(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

fn facts(card: &ScoreCard) -> Facts {
    let baseline = &card.baseline;
    let whose = match (&baseline.region, baseline.is_own) {
        (Some(region), true) => region.as_str(),
        _ => "GB",
    };
    // Where nobody has read of which region it is, it may be held against any.
    let is_known = card.now.is_some() || baseline.region.is_some();
    let stored = card.stored.as_ref();
    let mut facts = Facts {
        label: None,
        tone: "normal",
        now: "none".to_owned(),
        velocity: "–".to_owned(),
        engagement: "–".to_owned(),
        baseline: if is_known {
            let (velocity, engagement) = (short(baseline.velocity), baseline.engagement);
            format!("{velocity} views an hour and {engagement} % ({whose})")
        } else {
            "–".to_owned()
        },
        note: card.note.clone(),
        stored: stored.map(|stored| {
            let score = format!("{:.1} {}", stored.score, stored.label);
            (score, Moment::of_text(&stored.scored_at))
        }),
    };
    if let Some(Score::Scored(scored)) = &card.now {
        let label = scored.label.name();
        facts.label = Some(label.to_owned());
        facts.tone = tone(label);
        facts.now = format!("{:.1}", scored.score);
        facts.velocity = short(scored.velocity as f64);
        facts.engagement = format!("{:.2} %", scored.engagement);
    }
    facts
}

fn charts(history: &[HistoryPoint]) -> Vec<Chart> {
    let views: Vec<(i64, f64)> = history
        .iter()
        .filter_map(|point| Some((point.seconds?, float(point.view_count?))))
        .collect();
    let velocity: Vec<(i64, f64)> = history
        .iter()
        .filter_map(|point| Some((point.seconds?, point.velocity?)))
        .collect();
    let views = chart("Views", &views);
    let velocity = chart("Views an hour", &velocity);
    views.into_iter().chain(velocity).collect()
}

fn point(point: &HistoryPoint) -> Point {
    let shown = |number: Option<f64>| number.map_or_else(|| "–".to_owned(), short);
    let number = |number: Option<Number>| shown(number.map(float));
    let unreadable = || "a time that cannot be read".to_owned();
    Point {
        at: point.seconds.map_or_else(unreadable, Moment::to_the_minute),
        views: number(point.view_count),
        likes: number(point.likes),
        comments: number(point.comments),
        velocity: shown(point.velocity),
        region: point.region.clone().unwrap_or_else(|| "–".to_owned()),
    }
}

fn verdict(check: Check) -> Verdict {
    Verdict {
        name: check.verdict,
        reason: check.reason.unwrap_or_default(),
        at: check.checked_at.as_deref().map(Moment::of_text),
        url: None,
        size: None,
        status: None,
    }
}

fn evidence(evidence: Evidence) -> Verdict {
    Verdict {
        url: evidence.url,
        size: evidence.size,
        status: evidence.http_status,
        ..verdict(evidence.found)
    }
}
