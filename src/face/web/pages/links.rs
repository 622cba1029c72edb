//! Videos by whether they still exist, with the evidence.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::format::{Moment, cut};
use super::frame::{Frame, Tab};
use super::page;
use super::thumbnails::{Count, counts};
use crate::engine::{CheckFilter, CheckedVideo, PageCursor, Verdict};
use crate::face::web::Shared;
use crate::face::web::asked::Query;
use crate::face::web::problem::Problem;

const VIDEOS_A_PAGE: usize = 100;
/// What is wrong comes first.
const ORDER: [Verdict; 4] = [
    Verdict::Dead,
    Verdict::Invalid,
    Verdict::Unknown,
    Verdict::Alive,
];

#[derive(Template)]
#[template(path = "links.html")]
struct Links {
    frame: Frame,
    counts: Vec<Count>,
    chosen: Option<&'static str>,
    rows: Vec<Row>,
    is_first: bool,
    older: Option<String>,
}

struct Row {
    link: String,
    id: String,
    verdict: String,
    reason: String,
    http_status: Option<i64>,
    at: Moment,
}

/// Lists videos by verdict, newest check first.
pub(super) async fn links(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let frame = Frame::live(&request, Tab::Links, "Links", &mut query);
    let asked = asked(&mut query)?;
    let before: Option<PageCursor> = query.value("before")?;
    query.end()?;
    let filter = CheckFilter {
        found: asked,
        before,
        limit: VIDEOS_A_PAGE,
    };
    let (found, tallies) = shared
        .site
        .videos
        .look(move |view| Ok((view.liveness_checks(&filter)?, view.liveness_counts()?)))
        .await?;
    let chosen = asked.map(Verdict::name);
    let kept = chosen.map(|name| format!("verdict={name}&"));
    let older = found
        .next
        .map(|next| format!("{}before={next}", kept.unwrap_or_default()));
    let rows = found.rows.into_iter().map(|video| row(&frame, video));
    page(&Links {
        counts: counts(ORDER.map(Verdict::name), &tallies, chosen),
        chosen,
        rows: rows.collect(),
        is_first: before.is_none(),
        older,
        frame,
    })
}

/// The verdict that a query asks for.
pub(super) fn asked(query: &mut Query) -> Result<Option<Verdict>, Problem> {
    let Some(name) = query.text("verdict") else {
        return Ok(None);
    };
    let verdict = Verdict::from_name(&name);
    verdict.map(Some).ok_or_else(|| {
        let names = ORDER.map(Verdict::name).join(", ");
        Problem::params("verdict", format!("must be one of {names}"))
    })
}

fn row(frame: &Frame, video: CheckedVideo) -> Row {
    Row {
        link: frame.video(&video.video_id),
        verdict: video.verdict,
        reason: cut(&video.reason, 200),
        http_status: video.http_status,
        at: Moment::of_seconds(video.checked_at),
        id: video.video_id,
    }
}
