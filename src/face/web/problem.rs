//! What goes wrong, as RFC 9457 has it told: a status for programs, a sentence for people.

use std::fmt;

use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Map, Value, json};

use crate::engine::EngineError;
use crate::face::protocol::{ErrorCode, RpcError};

/// What problem details are called on the wire.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// Why a request got no answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Problem {
    status: StatusCode,
    /// Names the kind of problem, as the socket does.
    name: &'static str,
    detail: String,
    data: Map<String, Value>,
    /// What the resource takes instead.
    allow: Option<HeaderValue>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            name,
            detail: detail.into(),
            data: Map::new(),
            allow: None,
        }
    }

    /// The resource takes other methods.
    pub(super) fn method(asked: &Method, taken: &str) -> Self {
        let detail = format!("{asked} is not what this resource takes");
        Self {
            allow: HeaderValue::from_str(taken).ok(),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail)
        }
    }

    /// A parameter or a key of a body that cannot be used.
    pub(super) fn params(key: &str, reason: impl fmt::Display) -> Self {
        RpcError::params(key, reason).into()
    }

    /// Nothing is there under this name.
    pub(super) fn not_found(what: &str, name: &str) -> Self {
        // The name is the asker's own, but it need not be echoed at any length.
        let name: String = name.chars().take(64).collect();
        let detail = format!("{what} {name:?}: there is none");
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// Whoever asks must say who it is.
    pub(super) fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// Whoever asks may not.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether the same may go better in a moment.
    pub(super) fn may_pass(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE && self.name != ErrorCode::Timeout.name()
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl From<RpcError> for Problem {
    fn from(error: RpcError) -> Self {
        let status = match error.code {
            ErrorCode::Parse | ErrorCode::Request | ErrorCode::Method | ErrorCode::Params => {
                StatusCode::BAD_REQUEST
            }
            ErrorCode::LineTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::NotDurable => StatusCode::CONFLICT,
            ErrorCode::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
            ErrorCode::Busy | ErrorCode::Stopping | ErrorCode::Timeout => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ErrorCode::Unknown | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut data = error.data;
        data.remove("error");
        Self {
            data,
            ..Self::new(status, error.code.name(), error.message)
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        RpcError::from(error).into()
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut body = self.data.clone();
        body.extend([
            (
                "type".to_owned(),
                json!(format!("urn:vvv-actors:{}", self.name)),
            ),
            ("title".to_owned(), json!(self.status.canonical_reason())),
            ("status".to_owned(), json!(self.status.as_u16())),
            ("detail".to_owned(), json!(self.detail)),
        ]);
        let mut response = HttpResponse::build(self.status).body(Value::Object(body).to_string());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if self.may_pass() {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(taken) = &self.allow {
            headers.insert(ALLOW, taken.clone());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer realm=\"vvv-actors\"");
            headers.insert(actix_web::http::header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_problem_has_status_type_title_detail_and_data() {
        let response = Problem::params("limit", "must be 1 to 1000").error_response();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), PROBLEM_JSON);
        let body = actix_web::body::to_bytes(response.into_body())
            .await
            .unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            json!({"type": "urn:vvv-actors:params", "title": "Bad Request", "status": 400,
                   "detail": "limit: must be 1 to 1000", "key": "limit"})
        );
    }

    #[test]
    fn who_may_try_again_is_told_when() {
        let busy = Problem::from(RpcError::new(ErrorCode::Busy, "locked")).error_response();
        assert_eq!(
            (
                busy.status().as_u16(),
                busy.headers().get(RETRY_AFTER).unwrap()
            ),
            (503, &"1".parse().unwrap())
        );
        let too_long = RpcError::new(ErrorCode::Timeout, "ask for less");
        let too_long = Problem::from(too_long).error_response();
        assert_eq!(too_long.status(), 503);
        assert!(!too_long.headers().contains_key(RETRY_AFTER));
    }
}
