//! The site's videos: their scores, what they are made of, and what was found of pictures and links.

use actix_web::web::{self, Data, Payload};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

use super::super::Shared;
use super::super::asked::{Query, body, traceparent};
use super::super::problem::Problem;
use super::super::seen::{accepted, seen};
use super::wire::{History, LivenessCheck, Paged, ScoredVideo, ThumbnailCheck};
use crate::engine::{
    CheckFilter, Kind, Label, LeaderboardFilter, PageCursor, ThumbnailStatus, Verdict,
};
use crate::face::protocol::{KindName, Submit};

/// Rows of a page that does not say.
const USUAL_PAGE: usize = 100;
const LONGEST_PAGE: usize = 1_000;
/// Snapshots of a history that does not say.
const USUAL_HISTORY: usize = 100;

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

/// The video that a path names. Any text can be an id, so what is written as %2F is read.
#[derive(Deserialize)]
struct Named {
    video_id: String,
}

async fn video_id(request: &HttpRequest) -> Result<String, Problem> {
    let named = web::Path::<Named>::extract(request).await;
    let named = named.map_err(|_| Problem::not_found("resource", request.path()))?;
    Ok(named.into_inner().video_id)
}

/// All that is known of a video.
pub(super) async fn get(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let id = video_id(&request).await?;
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
    let id = video_id(&request).await?;
    let (points, read) = shared
        .site
        .videos
        .look(move |view| Ok((view.history(&id, limit)?, view.reads_snapshots()?)))
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
    #[cfg_attr(test, schemars(range(max = 9)))]
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
    let video_ids = [video_id(&request).await?];
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
    // Whatever is mounted above us may be called so too.
    let (root, _) = path.rsplit_once("/videos/").unwrap_or_default();
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
