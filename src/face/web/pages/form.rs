//! Forms: what they say, and whether they may.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Payload;

use crate::face::web::asked::{bytes, is_sent_as};
use crate::face::web::guard::{bearer, visitor};
use crate::face::web::options::Access;
use crate::face::web::problem::Problem;

/// What a form is sent as.
const FORM: &str = "application/x-www-form-urlencoded";

/// What a form says.
#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads one as a browser sends it.
    pub(super) async fn read(request: &HttpRequest, payload: Payload) -> Result<Self, Problem> {
        if !is_sent_as(request.headers(), FORM) {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let detail = format!("only a form is taken here: {FORM}");
            return Err(Problem::new(status, "request", detail));
        }
        let body = bytes(payload).await?;
        let pairs = url::form_urlencoded::parse(&body).into_owned();
        Ok(Self(pairs.collect()))
    }

    /// What it says of a thing; empty if nothing.
    pub(super) fn one(&self, key: &'static str) -> &str {
        self.all(key).next().unwrap_or_default()
    }

    /// All it says of a thing.
    pub(super) fn all(&self, key: &'static str) -> impl Iterator<Item = &str> {
        let pairs = self.0.iter().filter(move |(name, _)| name == key);
        pairs.map(|(_, value)| value.as_str())
    }

    /// That it comes from a page of ours, sent by one who may change things.
    pub(super) fn may_write(&self, request: &HttpRequest) -> Result<(), Problem> {
        let access = visitor(request).and_then(|visitor| visitor.access);
        if access < Some(Access::Write) {
            return Err(Problem::forbidden("this token may only look"));
        }
        self.is_of_ours(request)
    }

    /// That it comes from a page of ours.
    pub(super) fn is_of_ours(&self, request: &HttpRequest) -> Result<(), Problem> {
        // No page of a stranger's can send a token.
        if bearer(request.headers()).is_some() {
            return Ok(());
        }
        let session = visitor(request).and_then(|visitor| visitor.session);
        if session.is_some_and(|session| session.knows(self.one("csrf"))) {
            return Ok(());
        }
        Err(Problem::forbidden(
            "the page this was sent from is of an earlier session, or not ours: load it again, then \
             repeat what you did",
        ))
    }
}

/// The path under which all is served.
pub(super) fn base(request: &HttpRequest) -> String {
    visitor(request)
        .map(|visitor| visitor.base)
        .unwrap_or_default()
}
