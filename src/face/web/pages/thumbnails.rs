//! A wall of pictures by verdict: one sees what is broken or stands for something else.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::format::{Moment, count, cut};
use super::frame::{Frame, Tab};
use super::page;
use crate::engine::{
    CheckFilter, CheckedThumbnail, EngineError, PageCursor, SiteView, Tally, ThumbnailStatus,
};
use crate::face::web::Shared;
use crate::face::web::asked::Query;
use crate::face::web::problem::Problem;

/// Pictures of one verdict on a page of their own.
const A_PAGE: usize = 60;
/// Pictures of one verdict beside the others.
const A_SECTION: usize = 12;
/// What is wrong comes first.
const ORDER: [ThumbnailStatus; 5] = [
    ThumbnailStatus::Broken,
    ThumbnailStatus::Placeholder,
    ThumbnailStatus::Error,
    ThumbnailStatus::Unknown,
    ThumbnailStatus::Valid,
];

#[derive(Template)]
#[template(path = "thumbnails.html")]
struct Wall {
    frame: Frame,
    counts: Vec<Count>,
    sections: Vec<Section>,
    /// Whether one verdict was asked for.
    alone: bool,
    is_first: bool,
    keeps_pictures: bool,
    older: Option<String>,
}

/// How many came out so.
pub(super) struct Count {
    pub(super) name: &'static str,
    pub(super) count: String,
    pub(super) chosen: bool,
}

struct Section {
    name: &'static str,
    why: &'static str,
    cards: Vec<Card>,
    more: bool,
}

struct Card {
    link: String,
    picture: String,
    id: String,
    status: String,
    reason: String,
    size: Option<String>,
    url: String,
    at: Moment,
}

/// Shows the wall.
pub(super) async fn thumbnails(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let frame = Frame::live(&request, Tab::Thumbnails, "Thumbnails", &mut query);
    let asked = query.text("status");
    let before: Option<PageCursor> = query.value("before")?;
    query.end()?;
    let asked = asked.as_deref().map(status).transpose()?;
    let (found, tallies) = shared
        .site
        .videos
        .look(move |view| Ok((sections(view, asked, before)?, view.thumbnail_counts()?)))
        .await?;
    let mut older = None;
    let mut shown = Vec::new();
    for (status, rows, next) in found {
        let (cards, name) = (rows.into_iter().map(|row| card(&frame, row)), status.name());
        shown.push(Section {
            name,
            why: why(status),
            cards: cards.collect(),
            more: next.is_some(),
        });
        older = next.map(|next| format!("status={name}&before={next}"));
    }
    page(&Wall {
        counts: counts(
            ORDER.map(ThumbnailStatus::name),
            &tallies,
            asked.map(ThumbnailStatus::name),
        ),
        sections: shown,
        alone: asked.is_some(),
        is_first: before.is_none(),
        keeps_pictures: shared.site.engine.keeps_pictures(),
        older: older.filter(|_| asked.is_some()),
        frame,
    })
}

fn status(name: &str) -> Result<ThumbnailStatus, Problem> {
    ThumbnailStatus::from_name(name).ok_or_else(|| {
        let names = ORDER.map(ThumbnailStatus::name).join(", ");
        Problem::params("status", format!("must be one of {names}"))
    })
}

type Found = (ThumbnailStatus, Vec<CheckedThumbnail>, Option<PageCursor>);

fn sections(
    view: &SiteView,
    asked: Option<ThumbnailStatus>,
    before: Option<PageCursor>,
) -> Result<Vec<Found>, EngineError> {
    let section = |status, before, limit| {
        let found = view.thumbnail_checks(&CheckFilter {
            found: Some(status),
            before,
            limit,
        })?;
        Ok((status, found.rows, found.next))
    };
    match asked {
        Some(status) => Ok(vec![section(status, before, A_PAGE)?]),
        None => ORDER
            .into_iter()
            .map(|status| section(status, None, A_SECTION))
            .collect(),
    }
}

const fn why(status: ThumbnailStatus) -> &'static str {
    match status {
        ThumbnailStatus::Valid => "A picture, large enough.",
        ThumbnailStatus::Placeholder => "A picture too small to be the video's own.",
        ThumbnailStatus::Broken => "There is none: its server says so.",
        ThumbnailStatus::Error => "There is something that cannot be shown.",
        ThumbnailStatus::Unknown => "Nobody could tell.",
    }
}

fn card(frame: &Frame, row: CheckedThumbnail) -> Card {
    Card {
        link: frame.video(&row.video_id),
        picture: frame.picture("small", &row.video_id, &row.url),
        status: row.status,
        reason: cut(&row.reason.unwrap_or_default(), 160),
        size: row
            .width
            .zip(row.height)
            .map(|(width, height)| format!("{width} × {height}")),
        url: cut(&row.url, 300),
        at: Moment::of_seconds(row.checked_at),
        id: row.video_id,
    }
}

/// Verdicts with how many came out so, in their order.
pub(super) fn counts<const N: usize>(
    names: [&'static str; N],
    tallies: &[Tally],
    chosen: Option<&str>,
) -> Vec<Count> {
    let counted = |name: &'static str| {
        let tally = tallies
            .iter()
            .find(|tally| tally.name.as_deref() == Some(name));
        let more = if tally.is_some_and(|tally| tally.rows.capped) {
            "+"
        } else {
            ""
        };
        Count {
            name,
            count: count(tally.map_or(0, |tally| tally.rows.count)) + more,
            chosen: chosen == Some(name),
        }
    };
    names.map(counted).into()
}
