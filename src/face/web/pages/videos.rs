//! The leaderboard: which videos rise, by region.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::format::{Moment, cell, count, cut, short};
use super::frame::{Frame, Tab, encoded};
use super::jobs::{Choice, choices};
use super::page;
use crate::engine::{
    Direction, Label, LeaderboardFilter, LeaderboardRow, PageCursor, Tally, Trend,
};
use crate::face::web::Shared;
use crate::face::web::asked::Query;
use crate::face::web::problem::Problem;

const VIDEOS_A_PAGE: usize = 50;
/// The most of a title, in characters.
pub(super) const LONGEST_TITLE: usize = 200;

#[derive(Template)]
#[template(path = "videos.html")]
struct Videos {
    frame: Frame,
    regions: Vec<Region>,
    labels: Vec<Choice>,
    rows: Vec<Row>,
    filtered: bool,
    is_first: bool,
    older: Option<String>,
}

struct Region {
    name: String,
    videos: String,
    chosen: bool,
}

/// A video on the board.
struct Row {
    link: String,
    picture: Option<String>,
    id: String,
    title: Option<String>,
    label: String,
    /// The label as a class.
    tone: &'static str,
    score: String,
    /// The score within 0 and 100.
    share: f64,
    velocity: String,
    trend: Option<Rise>,
    engagement: String,
    region: String,
    thumbnail: Option<String>,
    liveness: Option<String>,
    scored: Moment,
}

/// Where a velocity goes.
struct Rise {
    name: &'static str,
    arrow: &'static str,
    /// From what to what.
    told: String,
}

/// Shows the board.
pub(super) async fn videos(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let frame = Frame::live(&request, Tab::Videos, "Videos", &mut query);
    let region = query.text("region");
    let label: Option<Label> = query.value("label")?;
    let after: Option<PageCursor> = query.value("after")?;
    query.end()?;
    let filter = LeaderboardFilter {
        region: region.clone(),
        label,
        after,
        limit: VIDEOS_A_PAGE,
    };
    let (board, regions) = shared
        .site
        .videos
        .look(move |view| Ok((view.leaderboard(&filter)?, view.regions()?)))
        .await?;
    let kept = kept(region.as_deref(), label);
    let rows = board.rows.into_iter().map(|video| row(&frame, video));
    page(&Videos {
        rows: rows.collect(),
        regions: regions
            .into_iter()
            .filter_map(|tally| named(tally, region.as_deref()))
            .collect(),
        labels: choices(
            [Label::Viral, Label::Trending, Label::Normal].map(Label::name),
            label.map(Label::name),
        ),
        filtered: region.is_some() || label.is_some(),
        is_first: after.is_none(),
        older: board.next.map(|next| format!("{kept}after={next}")),
        frame,
    })
}

fn kept(region: Option<&str>, label: Option<Label>) -> String {
    let region = region.map(|region| format!("region={}&", encoded(region)));
    let label = label.map(|label| format!("label={}&", label.name()));
    region.unwrap_or_default() + &label.unwrap_or_default()
}

fn named(tally: Tally, chosen: Option<&str>) -> Option<Region> {
    let name = tally.name.filter(|name| !name.is_empty())?;
    let more = if tally.rows.capped { "+" } else { "" };
    Some(Region {
        videos: count(tally.rows.count) + more,
        chosen: chosen == Some(name.as_str()),
        name,
    })
}

fn row(frame: &Frame, video: LeaderboardRow) -> Row {
    let url = video.thumbnail_url.as_deref();
    Row {
        link: frame.video(&video.video_id),
        picture: url.map(|url| frame.picture("small", &video.video_id, url)),
        title: video.title.map(|title| cut(&title, LONGEST_TITLE)),
        tone: tone(&video.label),
        score: format!("{:.1}", video.score),
        share: video.score.clamp(0.0, 100.0),
        velocity: cell(&video.velocity),
        trend: video.trend.map(rise),
        engagement: format!("{:.2} %", video.engagement),
        region: video.region.unwrap_or_else(|| "–".to_owned()),
        thumbnail: video.thumbnail,
        liveness: video.liveness,
        scored: Moment::of_seconds(video.scored_at),
        label: video.label,
        id: video.video_id,
    }
}

/// How a label is coloured.
pub(super) fn tone(label: &str) -> &'static str {
    match label {
        "VIRAL" => "viral",
        "TRENDING" => "trending",
        _ => "normal",
    }
}

fn rise(trend: Trend) -> Rise {
    let (name, arrow) = match trend.direction {
        Direction::Rising => ("rising", "▲"),
        Direction::Steady => ("steady", "▶"),
        Direction::Falling => ("falling", "▼"),
    };
    let (before, latest) = (short(trend.before), short(trend.latest));
    Rise {
        name,
        arrow,
        told: format!("from {before} to {latest} views an hour"),
    }
}
