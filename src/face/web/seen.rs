//! Answers to those who only look: JSON with an ETag, and 304 for whoever has seen it.

use std::hash::{DefaultHasher, Hash, Hasher};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::problem::Problem;
use crate::face::protocol::{ErrorCode, RpcError};

/// An answer as JSON, or word that it is the one the asker has.
pub(super) fn seen<T: Serialize>(
    request: &HttpRequest,
    answer: &T,
) -> Result<HttpResponse, Problem> {
    Ok(if_new(request, "application/json", json(answer)?))
}

/// The same for an answer that takes a while to write, on a thread that may.
pub(super) async fn seen_large<T: Serialize + Send + 'static>(
    request: &HttpRequest,
    answer: T,
) -> Result<HttpResponse, Problem> {
    let written = web::block(move || {
        let body = json(&answer)?;
        Ok((tag_of(&body), body))
    });
    let failed = |error| RpcError::new(ErrorCode::Internal, format!("write the answer: {error}"));
    let written: Result<_, Problem> = written.await.map_err(failed)?;
    let (tag, body) = written?;
    Ok(if_new_tag(request, "application/json", &tag, body))
}

/// The same for an answer of any kind that is written already.
pub(super) fn if_new(request: &HttpRequest, kind: &'static str, body: Vec<u8>) -> HttpResponse {
    if_new_tag(request, kind, &tag_of(&body), body)
}

fn tag_of(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("W/\"{:016x}\"", hasher.finish())
}

fn if_new_tag(request: &HttpRequest, kind: &'static str, tag: &str, body: Vec<u8>) -> HttpResponse {
    let known = request.headers().get_all(IF_NONE_MATCH);
    let is_known = known
        .filter_map(|tags| tags.to_str().ok())
        .flat_map(|tags| tags.split(','))
        .any(|known| known.trim() == tag || known.trim() == "*");
    let mut response = if is_known {
        HttpResponse::NotModified().finish()
    } else {
        HttpResponse::Ok().body(body)
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(ETAG, tag);
    }
    response
}

/// What became of a write.
pub(super) fn done<T: Serialize>(answer: &T) -> Result<HttpResponse, Problem> {
    let body = json(answer)?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(body))
}

/// Work was taken and will be done.
pub(super) fn accepted<T: Serialize>(answer: &T, at: &str) -> Result<HttpResponse, Problem> {
    let body = json(answer)?;
    Ok(HttpResponse::Accepted()
        .content_type("application/json")
        .insert_header(("Location", at))
        .body(body))
}

fn json<T: Serialize>(answer: &T) -> Result<Vec<u8>, Problem> {
    let written = serde_json::to_vec(answer);
    let failed = |error| RpcError::new(ErrorCode::Internal, format!("write the answer: {error}"));
    written.map_err(|error| failed(error).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn what_was_seen_is_not_sent_again() {
        let first = seen(&TestRequest::get().to_http_request(), &[1, 2]).unwrap();
        assert_eq!(first.status(), 200);
        let tag = first.headers().get(ETAG).unwrap().clone();
        let again = TestRequest::get()
            .insert_header((IF_NONE_MATCH, tag))
            .to_http_request();
        assert_eq!(seen(&again, &[1, 2]).unwrap().status(), 304);
        assert_eq!(seen(&again, &[1, 3]).unwrap().status(), 200);
    }
}
