//! Stands before everything that is served: who asks, under which name, and whether a write comes
//! from a page of ours.

use std::net::IpAddr;

use actix_web::body::BoxBody;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    AUTHORIZATION, FORWARDED, HOST, HeaderMap, HeaderName, ORIGIN, VIA, X_FORWARDED_FOR,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, ResponseError};

use super::Shared;
use super::answered::{protect, without_body};
use super::entrance::Terms;
use super::options::{Access, Options};
use super::problem::Problem;
use super::session::Session;
use super::unread::Held;

/// The header by which a page of ours shows that it is one.
pub(super) const CSRF: &str = "x-csrf-token";
/// What only browsers send: where the page that asks comes from.
pub(super) const FETCH_SITE: &str = "sec-fetch-site";
const FETCH_MODE: &str = "sec-fetch-mode";
const FETCH_DEST: &str = "sec-fetch-dest";
const REAL_IP: &str = "x-real-ip";

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
    /// Whoever connects, by whatever name: whether we live.
    Probe,
    /// Whoever connects: how to log in, what a page looks like.
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
        "/healthz" | "/readyz" => Door::Probe,
        "/login" | "/logout" => Door::Open,
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
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_head = request.method() == Method::HEAD;
    if is_head {
        // Whatever answers GET answers HEAD, and no handler has to know.
        request.head_mut().method = Method::GET;
    }
    let held = Held::of(&mut request);
    let mut response = match admit(shared, &request) {
        Ok(visitor) => {
            request.extensions_mut().insert(visitor);
            next.call(request).await?
        }
        Err(refusal) => {
            let (request, _) = request.into_parts();
            ServiceResponse::new(request, refusal.answer())
        }
    };
    protect(response.headers_mut());
    if is_head {
        response = without_body(response);
    }
    Ok(match held {
        Some(held) => held.until_sent(response),
        None => response,
    })
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

/// Who asks, if it may go on.
fn admit(shared: &Shared, request: &ServiceRequest) -> Result<Visitor, Refusal> {
    let door = door(request.match_info().unprocessed());
    let host = host_of(request.head());
    let terms = shared.entrance.terms();
    // Probes go by whatever address they find, and are told nothing that is worth a name.
    if door != Door::Probe && !terms.options.is_ours(host) {
        return Err(Problem::forbidden(format!(
            "the host {host:?} is no name of ours: add it to http.hosts"
        ))
        .into());
    }
    let (access, session) = match known(shared, &terms, request) {
        // Who asks whether we live need not be anybody, nor who logs in.
        Err(_) if matches!(door, Door::Open | Door::Probe) => (None, None),
        known => known?,
    };
    let visitor = Visitor {
        access,
        session,
        base: base_of(request),
    };
    match (door, access) {
        (Door::Open | Door::Probe, _) => return Ok(visitor),
        // A form of a session that is over: its person logs in and repeats it.
        (Door::Page | Door::Form, None) => return Err(Refusal::Login(visitor.base)),
        (Door::Closed, None) => {
            let detail = "give a token: Authorization: Bearer TOKEN";
            return Err(Problem::unauthorized(detail).into());
        }
        (Door::Form | Door::Page | Door::Closed, Some(_)) => {}
    }
    // A form's proof is in its body.
    if is_write(request.method()) {
        may_write(request, &visitor, door == Door::Form, terms.open.is_some())?;
    }
    Ok(visitor)
}

type Known = (Option<Access>, Option<Session>);

/// By its token, its session, or because it is on this machine.
fn known(shared: &Shared, terms: &Terms, request: &ServiceRequest) -> Result<Known, Problem> {
    if let Some(token) = bearer(request.headers()) {
        return match terms.options.access_of(token) {
            Some(access) => Ok((Some(access), None)),
            None => {
                shared.strangers.came(request.peer_addr());
                Err(Problem::unauthorized("the token is none of ours"))
            }
        };
    }
    if let Some(open) = &terms.open {
        from_this_machine(request)?;
        return Ok((Some(open.access), Some(open.clone())));
    }
    let cookie = request.cookie(&shared.cookie);
    let session = cookie.and_then(|cookie| shared.entrance.session(cookie.value()));
    Ok((session.as_ref().map(|session| session.access), session))
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
    // A stranger's page can send what it likes, though read no answer. It may lead here, in no frame.
    let says = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_strangers = says(FETCH_SITE).is_some_and(|site| site != "same-origin" && site != "none");
    let leads_here = says(FETCH_MODE) == Some("navigate")
        && says(FETCH_DEST).is_none_or(|shown_as| shown_as == "document");
    if is_strangers && !leads_here {
        return Err(Problem::forbidden("another site's page asks for this"));
    }
    Ok(())
}

fn may_write(
    request: &ServiceRequest,
    visitor: &Visitor,
    is_form: bool,
    is_open: bool,
) -> Result<(), Problem> {
    if visitor.access < Some(Access::Write) {
        return Err(Problem::forbidden("this token may only look"));
    }
    let headers = request.headers();
    if bearer(headers).is_some() || is_form {
        return Ok(());
    }
    let csrf = headers.get(CSRF).and_then(|csrf| csrf.to_str().ok());
    let proof = visitor.session.as_ref().zip(csrf);
    let is_ours = proof.is_some_and(|(session, csrf)| session.knows(csrf));
    // A program on this machine has no proof; a browser would say where it comes from.
    let mut tells = [ORIGIN, HeaderName::from_static(FETCH_SITE)].into_iter();
    let is_program = is_open && !tells.any(|header| headers.contains_key(header));
    if is_ours || is_program {
        return Ok(());
    }
    let detail = "the request has no X-CSRF-Token of its session; a program sends a token instead";
    Err(Problem::forbidden(detail))
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

/// A cookie that no script reads and no other site's page sends.
pub(super) fn session_cookie(
    shared: &Shared,
    request: &HttpRequest,
    value: String,
) -> Cookie<'static> {
    let base = visitor(request).map(|visitor| visitor.base);
    let base = base.filter(|base| !base.is_empty());
    Cookie::build(shared.cookie.clone(), value)
        .path(base.unwrap_or_else(|| "/".to_owned()))
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(request.connection_info().scheme() == "https")
        .finish()
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
