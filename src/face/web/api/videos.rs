//! The site's videos: their scores, what they are made of, and what was found of pictures and links.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

use super::super::Shared;
use super::super::asked::{Query, body, traceparent};
use super::super::problem::Problem;
use super::super::seen::{accepted, if_new, seen};
use super::wire::{Counts, History, LivenessCheck, Paged, ScoredVideo, ThumbnailCheck};
use crate::engine::{
    CheckFilter, EngineError, Kind, Label, LeaderboardFilter, PageCursor, SiteView, Tally,
    ThumbnailStatus, Verdict,
};
use crate::face::protocol::{KindName, Submit};

/// Rows of a page that does not say.
const USUAL_PAGE: usize = 100;
const LONGEST_PAGE: usize = 1_000;
/// Snapshots of a history that does not say.
const USUAL_HISTORY: usize = 100;
/// Rows of an export.
const LONGEST_EXPORT: usize = 100_000;

/// Videos by score, highest first.
pub(super) async fn list(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let filter = LeaderboardFilter {
        region: query.text("region"),
        label: query.value::<Label>("label")?,
        after: query.value::<PageCursor>("after")?,
        limit: limit(&mut query)?,
    };
    query.end()?;
    let page = shared
        .site
        .videos
        .look(move |view| view.leaderboard(&filter))
        .await?;
    seen(&request, &Paged::<ScoredVideo>::of(page))
}

fn limit(query: &mut Query) -> Result<usize, Problem> {
    let limit = query.number("limit")?.unwrap_or(USUAL_PAGE);
    if (1..=LONGEST_PAGE).contains(&limit) {
        Ok(limit)
    } else {
        Err(Problem::params("limit", "must be 1 to 1000"))
    }
}

/// How many scores each region has.
pub(super) async fn regions(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    counts(&shared, &request, SiteView::regions).await
}

/// How many there are of each, as a look tells.
async fn counts(
    shared: &Shared,
    request: &HttpRequest,
    look: impl FnOnce(&SiteView) -> Result<Vec<Tally>, EngineError> + Send + 'static,
) -> Result<HttpResponse, Problem> {
    Query::of(request)?.end()?;
    let tallies = shared.site.videos.look(look).await?;
    let counts = tallies.into_iter().map(Into::into).collect();
    seen(request, &Counts { counts })
}

fn video_id(request: &HttpRequest) -> String {
    request.match_info().query("video_id").to_owned()
}

/// All that is known of a video.
pub(super) async fn get(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let id = video_id(&request);
    let wanted = id.clone();
    let video = shared
        .site
        .videos
        .look(move |view| view.video(&wanted))
        .await?;
    let video = video.ok_or_else(|| Problem::not_found("video", &id))?;
    seen(&request, &video)
}

/// The snapshots of a video.
pub(super) async fn history(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let limit = query.number("limit")?.unwrap_or(USUAL_HISTORY);
    query.end()?;
    if !(1..=500).contains(&limit) {
        return Err(Problem::params("limit", "must be 1 to 500"));
    }
    let id = video_id(&request);
    let (points, read) = shared
        .site
        .videos
        .look(move |view| Ok((view.history(&id, limit)?, view.reads_snapshots())))
        .await?;
    let snapshots = points.into_iter().map(Into::into).collect();
    seen(&request, &History { snapshots, read })
}

/// What is to be looked at anew.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Check {
    /// `score` or `liveness`.
    kind: KindName,
    /// 0 (first) to 9.
    #[serde(default)]
    priority: u8,
}

/// Has a video scored or asked for anew, through the same window as all others.
pub(super) async fn check(
    shared: Data<Shared>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let Check { kind, priority } = body(&request, payload).await?;
    if kind.0 == Kind::Thumbnails {
        let reason = "must be score or liveness: a thumbnail's job names its address";
        return Err(Problem::params("kind", reason));
    }
    let video_ids = [video_id(&request)];
    let asked = if kind.0 == Kind::Liveness {
        // Whoever asks for one video wants to know how it is now.
        json!({"video_ids": video_ids, "fresh": true})
    } else {
        json!({"video_ids": video_ids})
    };
    let submit = json!({
        "kind": kind, "payload": asked, "priority": priority,
        "traceparent": traceparent(&request),
    });
    let submit: Submit =
        serde_json::from_value(submit).map_err(|error| Problem::params("body", error))?;
    let submitted = shared.site.submit(submit).await?;
    let first = submitted.ids.first().copied().unwrap_or_default();
    let path = request.path();
    let root = path.split("/videos/").next().unwrap_or_default();
    accepted(&submitted, &format!("{root}/jobs/{first}"))
}

/// The checks of thumbnails, newest first.
pub(super) async fn thumbnails(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let filter = checks(&request, "status", ThumbnailStatus::from_name)?;
    let page = shared
        .site
        .videos
        .look(move |view| view.thumbnail_checks(&filter))
        .await?;
    seen(&request, &Paged::<ThumbnailCheck>::of(page))
}

/// How many checks of thumbnails came out how.
pub(super) async fn thumbnail_counts(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    counts(&shared, &request, SiteView::thumbnail_counts).await
}

/// A page of checks, of those that came out as the query names.
fn checks<T>(
    request: &HttpRequest,
    key: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<CheckFilter<T>, Problem> {
    let mut query = Query::of(request)?;
    let filter = CheckFilter {
        found: named(&mut query, key, read)?,
        before: query.value::<PageCursor>("after")?,
        limit: limit(&mut query)?,
    };
    query.end()?;
    Ok(filter)
}

fn named<T>(
    query: &mut Query,
    key: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let Some(name) = query.text(key) else {
        return Ok(None);
    };
    let known = read(&name);
    known
        .map(Some)
        .ok_or_else(|| Problem::params(key, "there is no such verdict"))
}

/// The checks of videos, newest first.
pub(super) async fn liveness(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let filter = checks(&request, "verdict", Verdict::from_name)?;
    let page = shared
        .site
        .videos
        .look(move |view| view.liveness_checks(&filter))
        .await?;
    seen(&request, &Paged::<LivenessCheck>::of(page))
}

/// How many checks of videos came out how.
pub(super) async fn liveness_counts(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    counts(&shared, &request, SiteView::liveness_counts).await
}

/// The checks of videos as CSV, all of them up to 100,000.
pub(super) async fn liveness_csv(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let found = named(&mut query, "verdict", Verdict::from_name)?;
    query.end()?;
    let mut csv = String::from("video_id,verdict,reason,http_status,checked_at\r\n");
    let (mut before, mut rows) = (None, 0);
    while rows < LONGEST_EXPORT {
        let filter = CheckFilter {
            found,
            before,
            limit: LONGEST_PAGE,
        };
        let page = shared
            .site
            .videos
            .look(move |view| view.liveness_checks(&filter))
            .await?;
        rows += page.rows.len();
        for check in page.rows {
            csv += &LivenessCheck::from(check).csv();
        }
        match page.next {
            Some(next) => before = Some(next),
            None => break,
        }
    }
    let mut response = if_new(&request, "text/csv; charset=utf-8", csv.into_bytes());
    let name =
        actix_web::http::header::HeaderValue::from_static("attachment; filename=\"links.csv\"");
    response
        .headers_mut()
        .insert(actix_web::http::header::CONTENT_DISPOSITION, name);
    Ok(response)
}
