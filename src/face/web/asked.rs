//! What a request asks for: the keys of its query and the JSON of its body, read strictly.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Payload;
use actix_web::{HttpRequest, http::header::HeaderMap};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StringDeserializer};
use tokio::time::timeout;

use super::problem::Problem;
use crate::engine::TraceParent;
use crate::face::protocol::{LONGEST_LINE, Trace};

/// A body that is not here by then is not waited for: it holds a connection.
const TO_ARRIVE: Duration = Duration::from_secs(30);

/// The keys of a query, each at most once. What is not taken is refused by name.
#[derive(Debug)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        Self::read(request.query_string())
    }

    pub(super) fn read(query: &str) -> Result<Self, Problem> {
        let mut keys = BTreeMap::new();
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let (key, value) = (key.into_owned(), value.into_owned());
            if keys.insert(key.clone(), value).is_some() {
                return Err(Problem::params(&key, "must be given once"));
            }
        }
        Ok(Self(keys))
    }

    /// A text; an empty one is none, as a form sends it.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.0.remove(key).filter(|text| !text.is_empty())
    }

    /// A number.
    pub(super) fn number<T: FromStr>(&mut self, key: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        let number = text.parse().ok();
        let wrong = || Problem::params(key, "must be a whole number");
        number.map(Some).ok_or_else(wrong)
    }

    /// A value of the protocol that is written as text.
    pub(super) fn value<T: for<'de> Deserialize<'de>>(
        &mut self,
        key: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        read_value(text)
            .map(Some)
            .map_err(|error| Problem::params(key, error))
    }

    /// Values of the protocol, set apart by commas.
    pub(super) fn values<T: for<'de> Deserialize<'de>>(
        &mut self,
        key: &str,
    ) -> Result<Vec<T>, Problem> {
        let text = self.text(key).unwrap_or_default();
        let each = text.split(',').filter(|part| !part.is_empty());
        each.map(|part| read_value(part.to_owned()).map_err(|error| Problem::params(key, error)))
            .collect()
    }

    /// Nothing else was asked for.
    pub(super) fn end(self) -> Result<(), Problem> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(key) => {
                let key: String = key.chars().take(64).collect();
                Err(Problem::params(&key, "there is no such parameter"))
            }
        }
    }
}

fn read_value<T: for<'de> Deserialize<'de>>(text: String) -> Result<T, ValueError> {
    let text: StringDeserializer<ValueError> = text.into_deserializer();
    T::deserialize(text)
}

/// The trace that a request belongs to. By the rules of W3C a header that is none counts as absent.
pub(super) fn traceparent(request: &HttpRequest) -> Option<Trace> {
    let mut headers = request.headers().get_all("traceparent");
    let header = headers.next()?;
    let read = header
        .to_str()
        .ok()
        .and_then(|text| text.parse::<TraceParent>().ok())
        .filter(|_| headers.next().is_none());
    if read.is_none() {
        tracing::debug!(?header, "a traceparent that is none is ignored");
    }
    read.map(Trace)
}

/// The body of a request, 1 MiB at most.
pub(super) async fn bytes(payload: Payload) -> Result<Vec<u8>, Problem> {
    bytes_within(payload, TO_ARRIVE).await
}

async fn bytes_within(payload: Payload, within: Duration) -> Result<Vec<u8>, Problem> {
    match timeout(within, payload.to_bytes_limited(LONGEST_LINE)).await {
        Ok(Ok(Ok(bytes))) => Ok(bytes.to_vec()),
        Ok(Ok(Err(error))) => Err(Problem::params("body", error)),
        Ok(Err(_)) => {
            let detail = format!("the body has {LONGEST_LINE} bytes at most");
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            Err(Problem::new(status, "body_too_large", detail))
        }
        Err(_) => {
            let detail = format!("the body was not here within {} s", within.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail))
        }
    }
}

/// The body of a request as what it is to hold. A key that cannot be used is named.
pub(super) async fn body<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
) -> Result<T, Problem> {
    if !is_sent_as(request.headers(), "application/json") {
        let detail = "the body must be JSON, and its Content-Type application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Problem::new(status, "request", detail));
    }
    let body = bytes(payload).await?;
    read_json(&body)
}

fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if let Ok(read) = serde_json::from_slice(body) {
        return Ok(read);
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Err(error) => {
            let path = error.path().to_string();
            let key = if path == "." { "body" } else { &path };
            Err(Problem::params(key, error.inner()))
        }
        Ok(_) => Err(Problem::params("body", "something stands after its end")),
    }
}

/// Whether the body is said to be of this type.
pub(super) fn is_sent_as(headers: &HeaderMap, wanted: &str) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::protocol::{QueueName, State, Submit};
    use actix_web::test::TestRequest;
    use actix_web::{FromRequest, dev};
    use futures_util::StreamExt;

    #[test]
    fn a_query_is_read_strictly() {
        let mut query = Query::read("limit=7&queue=scoring&state=failed,running&text=").unwrap();
        assert_eq!(query.number::<i64>("limit").unwrap(), Some(7));
        assert!(query.value::<QueueName>("queue").unwrap().is_some());
        assert_eq!(query.values::<State>("state").unwrap().len(), 2);
        assert_eq!(query.text("text"), None);
        query.end().unwrap();
        let detail = |result: Result<(), Problem>| result.unwrap_err().detail().to_owned();
        assert_eq!(
            detail(
                Query::read("limit=x")
                    .unwrap()
                    .number::<u8>("limit")
                    .map(drop)
            ),
            "limit: must be a whole number"
        );
        assert!(
            detail(
                Query::read("queue=x")
                    .unwrap()
                    .value::<QueueName>("queue")
                    .map(drop)
            )
            .starts_with("queue: must be one of")
        );
        assert_eq!(
            detail(Query::read("a=1&a=2").map(drop)),
            "a: must be given once"
        );
        let rest = Query::read("limitt=7").unwrap().end();
        assert_eq!(detail(rest), "limitt: there is no such parameter");
    }

    #[actix_rt::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let silent = futures_util::stream::pending().boxed_local();
        let mut silent = dev::Payload::Stream { payload: silent };
        let request = TestRequest::post().to_http_request();
        let payload = Payload::from_request(&request, &mut silent).await.unwrap();
        let refused = bytes_within(payload, Duration::from_millis(1)).await;
        assert_eq!(refused.unwrap_err().status(), 408);
    }

    #[test]
    fn a_wrong_body_is_told_by_its_key() {
        let wrong = read_json::<Submit>(br#"{"kind": "score", "payload": {}, "delay": "never"}"#);
        let wrong = wrong.unwrap_err().detail().to_owned();
        assert!(wrong.starts_with("delay: "), "{wrong}");
        let rest = read_json::<Vec<u8>>(b"[] x")
            .unwrap_err()
            .detail()
            .to_owned();
        assert_eq!(rest, "body: something stands after its end");
    }
}
