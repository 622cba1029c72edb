//! The dashboard: pages made here, each whole without a script. What they show was written by
//! strangers; templates escape all of it, and an outside address is text, never a link.

mod act;
mod assets;
mod back;
mod chart;
mod export;
mod form;
mod format;
mod frame;
mod job;
mod jobs;
mod links;
mod login;
mod overview;
mod pictures;
mod straight;
#[cfg(test)]
mod tests;
mod thumbnails;
mod tiles;
mod video;
mod videos;

use actix_web::body::BoxBody;
use actix_web::dev::{HttpServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data};
use actix_web::{Error, HttpRequest, HttpResponse};
use askama::Template;

pub(super) use self::export::csv as checks_as_csv;
use self::frame::{Frame, Tab};
use self::straight::straight;
use super::problem::Problem;
use crate::face::protocol::{ErrorCode, RpcError};

/// Every page, and what pages need. It takes all paths, so it stands last.
pub(super) fn scope() -> impl HttpServiceFactory {
    web::scope("")
        .wrap(from_fn(told_as_a_page))
        .app_data(Data::new(pictures::Shrinking::default()))
        .route("", web::get().to(overview::overview))
        .route("/", web::get().to(overview::overview))
        .route("/jobs", web::get().to(jobs::jobs))
        .route("/jobs/{id}", web::get().to(job::job))
        .route("/videos", web::get().to(videos::videos))
        .route("/video", web::get().to(video::video))
        .route("/thumbnails", web::get().to(thumbnails::thumbnails))
        .route("/links", web::get().to(links::links))
        .route("/links.csv", web::get().to(export::csv))
        .route("/links.json", web::get().to(export::json))
        .route("/pictures/{size}", web::get().to(pictures::picture))
        .route("/assets/{name}", web::get().to(assets::asset_at))
        .route("/login", web::get().to(login::page))
        .route("/login", web::post().to(login::begin))
        .route("/logout", web::post().to(login::end))
        .route("/act/queue", web::post().to(act::queue))
        .route("/act/jobs", web::post().to(act::jobs))
        .route("/act/ask", web::post().to(act::ask))
        .default_service(web::to(nothing_here))
}

async fn nothing_here(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::not_found("page", request.path()))
}

/// A page that says what went wrong.
#[derive(Template)]
#[template(path = "error.html")]
struct Wrong {
    frame: Frame,
    title: &'static str,
    detail: String,
    /// Whether it may go better in a moment.
    again: bool,
}

/// What a handler could not do is a page here, not JSON.
async fn told_as_a_page(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(request).await?;
    let error = response.response().error();
    let Some(problem) = error.and_then(Error::as_error::<Problem>).cloned() else {
        return Ok(response);
    };
    let page = wrong(response.request(), &problem);
    Ok(response.into_response(page))
}

fn wrong(request: &HttpRequest, problem: &Problem) -> HttpResponse {
    let status = problem.status();
    let title = title_of(problem);
    let page = Wrong {
        frame: Frame::plain(request, Tab::None, title),
        title,
        detail: problem.detail().to_owned(),
        // A form is not sent again by a link.
        again: problem.may_pass() && request.method() == Method::GET,
    };
    let mut response = match page.render() {
        Ok(html) => html_of(status, html),
        Err(_) => HttpResponse::build(status).body(problem.detail().to_owned()),
    };
    if problem.may_pass() {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn title_of(problem: &Problem) -> &'static str {
    match problem.status().as_u16() {
        400 => "That cannot be shown",
        401 | 403 => "That is not allowed",
        404 => "There is nothing here",
        503 if problem.may_pass() => "Busy",
        503 => "That takes too long",
        _ => "Something went wrong",
    }
}

/// A page that was made.
fn page(template: &impl Template) -> Result<HttpResponse, Problem> {
    let html = template.render().map_err(|error| {
        let message = format!("make the page: {error}");
        Problem::from(RpcError::new(ErrorCode::Internal, message))
    })?;
    Ok(html_of(StatusCode::OK, html))
}

fn html_of(status: StatusCode, html: String) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .body(straight(html))
}

/// On to another page, which a reload then shows again instead of repeating a write.
fn see(place: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header(("Location", place))
        .finish()
}
