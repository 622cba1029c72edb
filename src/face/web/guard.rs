//! Stands before everything that is served: who asks, under which name, and whether a write comes
//! from a page of ours.

use std::net::IpAddr;

use actix_web::body::BoxBody;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, FORWARDED, HOST, HeaderMap, HeaderName,
    HeaderValue, ORIGIN, REFERRER_POLICY, VIA, X_CONTENT_TYPE_OPTIONS, X_FORWARDED_FOR,
    X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, ResponseError};

use super::Shared;
use super::options::{Access, Options};
use super::problem::Problem;
use super::session::Session;

/// The cookie of a session.
pub(super) const COOKIE: &str = "vvv_session";
/// The header by which a page of ours shows that it is one.
pub(super) const CSRF: &str = "x-csrf-token";
/// What only browsers send: where the page that asks comes from.
const FETCH_SITE: &str = "sec-fetch-site";
const REAL_IP: &str = "x-real-ip";

/// Nothing of a third party's, nothing within a page, and no page within another's.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What is known of who asks. Handlers find it in the request's extensions.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    /// What it may do; none: only log in.
    pub(super) access: Option<Access>,
    /// Its session.
    pub(super) session: Option<Session>,
    /// The path under which all is served, without a slash at its end.
    pub(super) base: String,
}

/// Who asks.
pub(super) fn visitor(request: &HttpRequest) -> Option<Visitor> {
    request.extensions().get::<Visitor>().cloned()
}

/// How much a path lets those do who are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Whoever connects: whether we live, how to log in, what a page looks like.
    Open,
    /// A form, which brings its proof in its body; its handler looks.
    Form,
    /// Pages: who is not known is sent to the login.
    Page,
    /// All else.
    Closed,
}

fn door(path: &str) -> Door {
    match path {
        "/healthz" | "/readyz" | "/login" | "/logout" => Door::Open,
        _ if path.starts_with("/assets/") => Door::Open,
        _ if path.starts_with("/act/") => Door::Form,
        "/metrics" => Door::Closed,
        _ if path.starts_with("/api/") => Door::Closed,
        _ => Door::Page,
    }
}

/// Lets a request pass, or answers it.
pub(super) async fn guard(
    shared: &Shared,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = match admit(shared, &request) {
        Ok((visitor, cookie)) => {
            request.extensions_mut().insert(visitor.clone());
            let mut response = next.call(request).await?;
            if let Some(cookie) = cookie {
                let cookie = session_cookie(&visitor.base, cookie, is_secure(response.request()));
                // Our own value: it fits a header.
                let _ = response.response_mut().add_cookie(&cookie);
            }
            response
        }
        Err(refusal) => {
            let (request, _) = request.into_parts();
            ServiceResponse::new(request, refusal.answer())
        }
    };
    protect(response.headers_mut());
    Ok(response)
}

/// Why a request goes no further.
enum Refusal {
    Told(Problem),
    /// A person is sent to log in.
    Login(String),
}

impl Refusal {
    fn answer(self) -> actix_web::HttpResponse {
        match self {
            Self::Told(problem) => problem.error_response(),
            Self::Login(base) => actix_web::HttpResponse::SeeOther()
                .insert_header(("Location", format!("{base}/login")))
                .finish(),
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Told(problem)
    }
}

/// Who asks; the cookie of the session that was begun for it, if one was.
fn admit(shared: &Shared, request: &ServiceRequest) -> Result<(Visitor, Option<String>), Refusal> {
    let options = &shared.options;
    let base = base_of(request);
    let path = request.match_info().unprocessed().to_owned();
    let door = door(&path);
    let host = host_of(request.head());
    if !options.is_ours(host) {
        return Err(Problem::forbidden(format!(
            "the host {host:?} is no name of ours: add it to http.hosts"
        ))
        .into());
    }
    let (access, session, begun) = known(shared, request, door)?;
    let visitor = Visitor {
        access,
        session,
        base,
    };
    match (door, access) {
        (Door::Open, _) => return Ok((visitor, begun)),
        // A form of a session that is over: its person logs in and repeats it.
        (Door::Page | Door::Form, None) => return Err(Refusal::Login(visitor.base)),
        (Door::Closed, None) => {
            let detail = "give a token: Authorization: Bearer TOKEN";
            return Err(Problem::unauthorized(detail).into());
        }
        (Door::Form | Door::Page | Door::Closed, Some(_)) => {}
    }
    if is_write(request.method()) {
        may_write(request, &visitor, door)?;
    }
    Ok((visitor, begun))
}

type Known = (Option<Access>, Option<Session>, Option<String>);

/// By its token, its session, or because it is on this machine.
fn known(shared: &Shared, request: &ServiceRequest, door: Door) -> Result<Known, Refusal> {
    if let Some(token) = bearer(request.headers()) {
        return match shared.options.access_of(token) {
            Some(access) => Ok((Some(access), None, None)),
            None => Err(Problem::unauthorized("the token is none of ours").into()),
        };
    }
    let cookie = request.cookie(COOKIE);
    if let Some(session) = cookie.and_then(|cookie| shared.sessions.of(cookie.value())) {
        return Ok((Some(session.access), Some(session), None));
    }
    if !shared.options.is_open_on_loopback() {
        return Ok((None, None, None));
    }
    from_this_machine(request)?;
    // Pages need a session to prove that they are ours.
    if door == Door::Page && !is_write(request.method()) {
        let Some((cookie, session)) = shared.sessions.begin(Access::Write) else {
            return Err(Problem::forbidden("the system has no random bytes").into());
        };
        return Ok((Some(Access::Write), Some(session), Some(cookie)));
    }
    Ok((Some(Access::Write), None, None))
}

/// Without tokens only who is on this machine is let in, as far as that can be told.
fn from_this_machine(request: &ServiceRequest) -> Result<(), Problem> {
    let headers = request.headers();
    let relayed = [
        FORWARDED,
        VIA,
        X_FORWARDED_FOR,
        HeaderName::from_static(REAL_IP),
    ];
    if relayed.iter().any(|header| headers.contains_key(header)) {
        let detail = "a proxy passed this on, so who asks cannot be told: configure a token";
        return Err(Problem::forbidden(detail));
    }
    // A Unix socket has no address; who may connect is its file's mode.
    let peer = request.peer_addr().map(|peer| peer.ip());
    let is_near = peer.is_none_or(|peer| match peer {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.to_canonical().is_loopback(),
    });
    if !is_near || !Options::names_loopback(host_of(request.head())) {
        let detail = "without a token only this machine is let in: configure one";
        return Err(Problem::forbidden(detail));
    }
    Ok(())
}

fn may_write(request: &ServiceRequest, visitor: &Visitor, door: Door) -> Result<(), Problem> {
    if visitor.access < Some(Access::Write) {
        return Err(Problem::forbidden("this token may only look"));
    }
    let headers = request.headers();
    if bearer(headers).is_some() || door == Door::Form {
        return Ok(());
    }
    let forged = || {
        Problem::forbidden(
            "the request has no X-CSRF-Token of its session; a program sends a token instead",
        )
    };
    let Some(session) = &visitor.session else {
        // A program on this machine; a browser would say where it comes from.
        let is_browser = [ORIGIN, HeaderName::from_static(FETCH_SITE)]
            .iter()
            .any(|header| headers.contains_key(header));
        return if is_browser { Err(forged()) } else { Ok(()) };
    };
    let csrf = headers.get(CSRF).and_then(|csrf| csrf.to_str().ok());
    if csrf.is_some_and(|csrf| session.knows(csrf)) {
        Ok(())
    } else {
        Err(forged())
    }
}

fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The token that was sent. What a browser sends by itself, a password say, is none.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The path under which all is served: what of it was matched so far.
fn base_of(request: &ServiceRequest) -> String {
    // Both as the router reads them: in what was sent, letters may be written as %41.
    let matched = request.match_info();
    let base = matched.as_str().strip_suffix(matched.unprocessed());
    base.unwrap_or_default().trim_end_matches('/').to_owned()
}

/// The host that is asked, as it was sent: HTTP/2 has it in the address and need not send `Host`.
/// Never what a proxy says.
pub(super) fn host_of(head: &RequestHead) -> &str {
    match head.headers.get(HOST) {
        Some(host) => host.to_str().unwrap_or_default(),
        None => head.uri.authority().map_or("", |named| named.as_str()),
    }
}

pub(super) fn is_secure(request: &HttpRequest) -> bool {
    request.connection_info().scheme() == "https"
}

/// A cookie that no script reads and no other site's page sends.
pub(super) fn session_cookie(base: &str, value: String, secure: bool) -> Cookie<'static> {
    Cookie::build(COOKIE, value)
        .path(if base.is_empty() {
            "/".to_owned()
        } else {
            base.to_owned()
        })
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(secure)
        .finish()
}

fn protect(headers: &mut HeaderMap) {
    let fixed = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn the_host_is_named_by_its_header_or_by_an_address_of_http_2() {
        let named = |uri: &str, host: Option<&'static str>| {
            let request = TestRequest::get().uri(uri);
            let request = match host {
                Some(host) => request.insert_header((HOST, host)),
                None => request,
            };
            host_of(request.to_http_request().head()).to_owned()
        };
        assert_eq!(named("/jobs", Some("localhost:1")), "localhost:1");
        let http2 = "https://vault.example:8443/jobs";
        assert_eq!(named(http2, None), "vault.example:8443");
        assert_eq!(named(http2, Some("evil.example")), "evil.example");
        assert_eq!(named("/jobs", None), "");
    }
}
