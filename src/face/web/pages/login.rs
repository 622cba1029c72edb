//! Logging in with a token, and out.

use actix_web::cookie::{Cookie, time::Duration};
use actix_web::dev::RequestHead;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, ORIGIN};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::form::{Form, base};
use super::frame::{Frame, Tab};
use super::{html_of, page as shown, see};
use crate::face::web::Shared;
use crate::face::web::guard::{FETCH_SITE, host_of, session_cookie, visitor};
use crate::face::web::problem::Problem;

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    frame: Frame,
    wrong: bool,
}

impl Login {
    fn new(request: &HttpRequest, wrong: bool) -> Self {
        let frame = Frame::plain(request, Tab::None, "Log in");
        Self { frame, wrong }
    }
}

/// The form.
pub(super) async fn page(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let is_in = visitor(&request).is_some_and(|visitor| visitor.access.is_some());
    if is_in || shared.entrance.terms().open.is_some() {
        return Ok(see(&format!("{}/", base(&request))));
    }
    shown(&Login::new(&request, false))
}

/// Takes a token and begins a session.
pub(super) async fn begin(
    shared: Data<Shared>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    if !is_from_here(request.head()) {
        let detail = "another site's page sent this: log in on a page of ours";
        return Err(Problem::forbidden(detail));
    }
    let form = Form::read(&request, payload).await?;
    let begun = shared.entrance.log_in(form.one("token").trim());
    let Some(cookie) = begun.map_err(|error| Problem::forbidden(error.to_string()))? else {
        shared.strangers.came(request.peer_addr());
        let again = shown(&Login::new(&request, true))?;
        let body = again.into_body();
        return Ok(html_of(StatusCode::FORBIDDEN, String::new()).set_body(body));
    };
    // Whoever was in here before is out.
    if let Some(cookie) = request.cookie(&shared.cookie) {
        shared.entrance.log_out(cookie.value());
    }
    let mut response = see(&format!("{}/", base(&request)));
    add(&mut response, &session_cookie(&shared, &request, cookie));
    Ok(response)
}

/// Ends the session.
pub(super) async fn end(
    shared: Data<Shared>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let form = Form::read(&request, payload).await?;
    form.is_of_ours(&request)?;
    if let Some(cookie) = request.cookie(&shared.cookie) {
        shared.entrance.log_out(cookie.value());
    }
    let mut over = session_cookie(&shared, &request, String::new());
    over.set_max_age(Duration::ZERO);
    let mut response = see(&format!("{}/login", base(&request)));
    add(&mut response, &over);
    Ok(response)
}

fn add(response: &mut HttpResponse, cookie: &Cookie<'_>) {
    // Our own value: it fits a header.
    let _ = response.add_cookie(cookie);
}

/// Whether a page of ours sent it, as far as a browser says; a program says nothing.
fn is_from_here(head: &RequestHead) -> bool {
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
    // Where it is said it is right; a proxy may have changed the host since.
    if let Some(site) = head.headers.get(FETCH_SITE).and_then(text) {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = head.headers.get(ORIGIN).and_then(text) else {
        return true;
    };
    let named = origin.split_once("://").map(|(_, name)| name);
    named.is_some_and(|name| name.eq_ignore_ascii_case(host_of(head)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_login_comes_from_a_page_of_ours_or_a_program() {
        let from_here = |pairs: &[(&'static str, &'static str)]| {
            let request = TestRequest::post().insert_header(("host", "127.0.0.1:8321"));
            let request = pairs
                .iter()
                .fold(request, |request, pair| request.insert_header(*pair));
            is_from_here(request.to_http_request().head())
        };
        assert!(from_here(&[]));
        assert!(from_here(&[("sec-fetch-site", "same-origin")]));
        assert!(from_here(&[("origin", "http://127.0.0.1:8321")]));
        assert!(!from_here(&[("sec-fetch-site", "cross-site")]));
        assert!(!from_here(&[("sec-fetch-site", "same-site")]));
        assert!(!from_here(&[("origin", "null")]));
        assert!(!from_here(&[("origin", "http://127.0.0.1:9")]));
        // HTTP/2 names the host in the address.
        let of_http2 = TestRequest::post().uri("https://vault.example/login");
        let of_http2 = of_http2.insert_header(("origin", "https://vault.example"));
        assert!(is_from_here(of_http2.to_http_request().head()));
    }
}
