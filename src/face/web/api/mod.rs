//! The JSON API: the commands of the socket as resources, and what the dashboard shows.

mod events;
mod groups;
mod jobs;
mod queues;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

pub(super) use self::events::places as event_places;
use super::Shared;
use super::asked::Query;
use super::problem::Problem;
use super::seen::seen;

/// What the API is, made of its types by a test.
const OPENAPI: &str = include_str!("../../../../conf/openapi.json");

/// Every resource. `openapi` describes each, and a test holds them together.
pub(super) fn routes(api: &mut ServiceConfig) {
    api.service(
        web::resource("/jobs")
            .get(jobs::list)
            .post(jobs::submit)
            .default_service(web::to(wrong_method)),
    );
    for (path, route) in [
        ("/jobs/cancel", web::post().to(jobs::cancel)),
        ("/jobs/retry", web::post().to(jobs::retry)),
        ("/jobs/{id}", web::get().to(jobs::get)),
        ("/jobs/{id}/wait", web::get().to(jobs::wait)),
        ("/batches", web::post().to(groups::submit)),
        ("/groups/{id}", web::get().to(groups::get)),
        ("/groups/{id}/wait", web::get().to(groups::wait)),
        ("/queues", web::get().to(queues::list)),
        ("/queues/{queue}/pause", web::post().to(queues::pause)),
        ("/queues/{queue}/resume", web::post().to(queues::resume)),
        ("/queues/{queue}/purge", web::post().to(queues::purge)),
        ("/status", web::get().to(status)),
        ("/events", web::get().to(events::events)),
        ("/openapi.json", web::get().to(openapi)),
    ] {
        let wrong = web::to(wrong_method);
        api.service(web::resource(path).route(route).default_service(wrong));
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
