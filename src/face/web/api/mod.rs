//! The JSON API: the commands of the socket as resources, and what the dashboard shows.

mod events;
mod groups;
mod jobs;
mod queues;
pub(super) mod videos;
pub(super) mod wire;

use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError, Route};

pub(super) use self::events::places as event_places;
use super::Shared;
use super::asked::Query;
use super::problem::Problem;
use super::seen::seen;

/// What the API is, made of its types by a test.
const OPENAPI: &str = include_str!("../../../../conf/openapi.json");

/// A resource: its path, and what each method does with it.
type Resource = (&'static str, Vec<(Method, Route)>);

/// Every resource. `openapi` describes each, and a test holds them together.
pub(super) fn resources() -> Vec<Resource> {
    let get = |route: Route| vec![(Method::GET, route)];
    let post = |route: Route| vec![(Method::POST, route)];
    vec![
        (
            "/jobs",
            vec![
                (Method::GET, web::get().to(jobs::list)),
                (Method::POST, web::post().to(jobs::submit)),
            ],
        ),
        ("/jobs/cancel", post(web::post().to(jobs::cancel))),
        ("/jobs/retry", post(web::post().to(jobs::retry))),
        ("/jobs/{id}", get(web::get().to(jobs::get))),
        ("/jobs/{id}/wait", get(web::get().to(jobs::wait))),
        ("/batches", post(web::post().to(groups::submit))),
        ("/groups/{id}", get(web::get().to(groups::get))),
        ("/groups/{id}/wait", get(web::get().to(groups::wait))),
        ("/groups/{id}/report", get(web::get().to(groups::report))),
        ("/queues", get(web::get().to(queues::list))),
        ("/queues/{queue}/pause", post(web::post().to(queues::pause))),
        (
            "/queues/{queue}/resume",
            post(web::post().to(queues::resume)),
        ),
        ("/queues/{queue}/purge", post(web::post().to(queues::purge))),
        ("/videos", get(web::get().to(videos::list))),
        ("/videos/{video_id}", get(web::get().to(videos::get))),
        (
            "/videos/{video_id}/history",
            get(web::get().to(videos::history)),
        ),
        (
            "/videos/{video_id}/check",
            post(web::post().to(videos::check)),
        ),
        ("/regions", get(web::get().to(videos::regions))),
        ("/thumbnails", get(web::get().to(videos::thumbnails))),
        (
            "/thumbnails/counts",
            get(web::get().to(videos::thumbnail_counts)),
        ),
        ("/liveness", get(web::get().to(videos::liveness))),
        (
            "/liveness/counts",
            get(web::get().to(videos::liveness_counts)),
        ),
        ("/liveness.csv", get(web::get().to(videos::liveness_csv))),
        ("/status", get(web::get().to(status))),
        ("/events", get(web::get().to(events::events))),
        ("/openapi.json", get(web::get().to(openapi))),
    ]
}

/// Routes them.
pub(super) fn routes(api: &mut ServiceConfig) {
    for (path, routes) in resources() {
        let resource = web::resource(path).default_service(web::to(wrong_method));
        let add = |resource: actix_web::Resource, (_, route)| resource.route(route);
        api.service(routes.into_iter().fold(resource, add));
    }
    api.default_service(web::to(nothing_here));
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

/// The resource is there, and takes another method.
async fn wrong_method(request: HttpRequest) -> HttpResponse {
    let detail = format!("{} is not what this resource takes", request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail).error_response()
}

/// A number in a path.
fn number(request: &HttpRequest, what: &str) -> Result<i64, Problem> {
    let text = request.match_info().query("id");
    let number = text.parse().ok();
    number.ok_or_else(|| Problem::not_found(what, text))
}
