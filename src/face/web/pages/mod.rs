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
use actix_web::http::header::{ALLOW, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data};
use actix_web::{Error, HttpRequest, HttpResponse};
use askama::Template;

pub(super) use self::export::csv as checks_as_csv;
use self::frame::{Frame, Tab};
use self::straight::straight;
use super::problem::Problem;
use super::route::{get, post, resource};
use crate::face::protocol::{ErrorCode, RpcError};

/// Every page, and what pages need. It takes all paths, so it stands last.
pub(super) fn scope() -> impl HttpServiceFactory {
    web::scope("")
        .wrap(from_fn(told_as_a_page))
        .app_data(Data::new(pictures::Shrinking::default()))
        .service(resource("", [get(overview::overview)]))
        .service(resource("/", [get(overview::overview)]))
        .service(resource("/jobs", [get(jobs::jobs)]))
        .service(resource("/jobs/{id}", [get(job::job)]))
        .service(resource("/videos", [get(videos::videos)]))
        .service(resource("/video", [get(video::video)]))
        .service(resource("/thumbnails", [get(thumbnails::thumbnails)]))
        .service(resource("/links", [get(links::links)]))
        .service(resource("/links.csv", [get(export::csv)]))
        .service(resource("/links.json", [get(export::json)]))
        .service(resource("/pictures/{size}", [get(pictures::picture)]))
        .service(resource("/assets/{name}", [get(assets::asset_at)]))
        .service(resource("/login", [get(login::page), post(login::begin)]))
        .service(resource("/logout", [post(login::end)]))
        .service(resource("/act/queue", [post(act::queue)]))
        .service(resource("/act/jobs", [post(act::jobs)]))
        .service(resource("/act/ask", [post(act::ask)]))
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
    let mut page = wrong(response.request(), &problem);
    for header in [ALLOW, RETRY_AFTER] {
        if let Some(told) = response.headers().get(&header) {
            page.headers_mut().insert(header, told.clone());
        }
    }
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
    match page.render() {
        Ok(html) => html_of(status, html),
        Err(_) => HttpResponse::build(status).body(problem.detail().to_owned()),
    }
}

fn title_of(problem: &Problem) -> &'static str {
    match problem.status().as_u16() {
        400 => "That cannot be shown",
        401 | 403 => "That is not allowed",
        404 => "There is nothing here",
        405 => "That cannot be done here",
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
