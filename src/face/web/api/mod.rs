//! The JSON API: the commands of the socket as resources, and what the dashboard shows.

mod counts;
mod events;
mod groups;
mod jobs;
mod queues;
pub(super) mod videos;
pub(super) mod wire;

use actix_web::dev::HttpServiceFactory;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

pub(super) use self::counts::AllCounted;
pub(super) use self::events::places as event_places;
use super::Shared;
use super::asked::Query;
use super::pages::checks_as_csv;
use super::problem::Problem;
use super::route::{Does, get, post, resource};
use super::seen::seen;

/// What the API is, made of its types by a test.
const OPENAPI: &str = include_str!("../../../../conf/openapi.json");

/// A resource: its path, and what each method does with it.
type Resource = (&'static str, Vec<Does>);

/// Every resource. `openapi` describes each, and a test holds them together.
pub(super) fn resources() -> Vec<Resource> {
    vec![
        ("/jobs", vec![get(jobs::list), post(jobs::submit)]),
        ("/jobs/cancel", vec![post(jobs::cancel)]),
        ("/jobs/retry", vec![post(jobs::retry)]),
        ("/jobs/{id}", vec![get(jobs::get)]),
        ("/jobs/{id}/wait", vec![get(jobs::wait)]),
        ("/batches", vec![post(groups::submit)]),
        ("/groups/{id}", vec![get(groups::get)]),
        ("/groups/{id}/wait", vec![get(groups::wait)]),
        ("/groups/{id}/report", vec![get(groups::report)]),
        ("/queues", vec![get(queues::list)]),
        ("/queues/{queue}/pause", vec![post(queues::pause)]),
        ("/queues/{queue}/resume", vec![post(queues::resume)]),
        ("/queues/{queue}/purge", vec![post(queues::purge)]),
        ("/videos", vec![get(videos::list)]),
        ("/videos/{video_id}", vec![get(videos::get)]),
        ("/videos/{video_id}/history", vec![get(videos::history)]),
        ("/videos/{video_id}/check", vec![post(videos::check)]),
        ("/regions", vec![get(counts::regions)]),
        ("/thumbnails", vec![get(videos::thumbnails)]),
        ("/thumbnails/counts", vec![get(counts::thumbnails)]),
        ("/liveness", vec![get(videos::liveness)]),
        ("/liveness/counts", vec![get(counts::liveness)]),
        ("/liveness.csv", vec![get(checks_as_csv)]),
        ("/status", vec![get(status)]),
        ("/events", vec![get(events::events)]),
        ("/openapi.json", vec![get(openapi)]),
    ]
}

/// All that is below this path.
pub(super) fn scope(path: &str) -> impl HttpServiceFactory + use<> {
    let resources = resources().into_iter();
    let resources = resources.map(|(path, does)| resource(path, does));
    resources
        .fold(web::scope(path), actix_web::Scope::service)
        .default_service(web::to(nothing_here))
}

/// How everything fares.
async fn status(shared: Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    seen(&request, &shared.site.status().await?)
}

/// What the API is.
async fn openapi(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    Ok(super::seen::if_new(
        &request,
        "application/json",
        OPENAPI.into(),
    ))
}

/// There is no such resource.
pub(super) async fn nothing_here(request: HttpRequest) -> HttpResponse {
    Problem::not_found("resource", request.path()).error_response()
}

/// A number in a path.
fn number(request: &HttpRequest, what: &str) -> Result<i64, Problem> {
    let text = request.match_info().query("id");
    let number = text.parse().ok();
    number.ok_or_else(|| Problem::not_found(what, text))
}
