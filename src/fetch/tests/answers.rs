//! Heads and bodies as servers send them.

use std::time::Duration;

use super::server::{Server, answer, nobody, ok};
use super::*;

#[actix_rt::test]
async fn an_answer_has_its_status_type_address_and_body() {
    let server = Server::answering(answer("200 OK", "Content-Type: image/png\r\n", "picture"));
    let answer = client_for(&[&server])
        .get(request(&server.url("/a?b=c#d")))
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.content_type.as_deref(), Some("image/png"));
    assert_eq!(answer.final_url, server.url("/a?b=c"));
    assert_eq!(answer.body, b"picture");
    assert!(!answer.is_large());
}

#[actix_rt::test]
async fn a_request_says_who_asks_and_for_what() {
    let server = Server::answering(ok(""));
    fetched(&server).await.unwrap();
    let head = server.requests().remove(0).to_lowercase();
    let host = format!("host: {}", server.address());
    for line in [
        "get / http/1.1",
        &host,
        "user-agent: vvv-actors/test (+https://site.example)",
        "accept: image/*",
        "accept-encoding: gzip",
    ] {
        assert!(
            head.lines().any(|sent| sent == line),
            "{line} is not in {head}"
        );
    }
    assert!(
        !head.contains("referer") && !head.contains("cookie"),
        "{head}"
    );
}

#[actix_rt::test]
async fn a_body_that_is_not_wanted_is_not_waited_for() {
    let server = Server::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 404 Not Found\r\nContent-Length: 99999999\r\n\r\nno");
        peer.hold();
    });
    let answer = fetched(&server).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (404, 0));
}

#[actix_rt::test]
async fn a_retry_after_is_answered_as_a_wait() {
    for (value, wait) in [
        ("7", Duration::from_secs(7)),
        ("Sun, 01 Nov 2026 00:01:00 GMT", Duration::from_secs(60)),
    ] {
        let server = Server::answering(answer(
            "429 Too Many Requests",
            &format!("Retry-After: {value}\r\n"),
            "",
        ));
        let answer = fetched(&server).await.unwrap();
        assert_eq!((answer.status, answer.retry_after), (429, Some(wait)));
    }
}

#[actix_rt::test]
async fn a_body_may_end_by_closing() {
    for version in ["1.0", "1.1"] {
        let body = "x".repeat(100_000);
        let server = Server::answering_once(format!("HTTP/{version} 200 OK\r\n\r\n{body}"));
        let answer = fetched(&server).await.unwrap();
        assert_eq!(answer.body, body.as_bytes(), "HTTP/{version}");
    }
}

#[actix_rt::test]
async fn interim_answers_are_passed_over() {
    let mut bytes = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_vec();
    bytes.extend(ok("the answer"));
    let server = Server::answering(bytes);
    let answer = fetched(&server).await.unwrap();
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (200, &b"the answer"[..])
    );
}

#[actix_rt::test]
async fn statuses_without_a_body_are_answers() {
    for status in [204, 304] {
        let server = Server::answering(format!("HTTP/1.1 {status} Nothing\r\n\r\n"));
        assert_eq!(fetched(&server).await.unwrap().status, status);
    }
}

#[actix_rt::test]
async fn what_is_no_http_is_a_protocol_error() {
    for bytes in [
        "220 mail.example ESMTP\r\n\r\n".to_owned(),
        "HTTP/1.1 abc OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(200_000)),
    ] {
        let server = Server::start(move |peer| {
            peer.request();
            peer.send(&bytes);
            peer.hold();
        });
        let error = fetched(&server).await.unwrap_err();
        assert!(matches!(error, FetchError::Protocol(_)), "{error:?}");
        assert!(error.is_transient());
    }
}

#[actix_rt::test]
async fn a_connection_closed_without_an_answer_is_broken() {
    for bytes in ["", "HTTP/1.1 200 OK\r\nContent-"] {
        let server = Server::answering_once(bytes);
        let error = fetched(&server).await.unwrap_err();
        assert!(matches!(error, FetchError::Broken(_)), "{error:?}");
        assert!(error.is_transient());
    }
}

#[actix_rt::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let address = nobody();
    let mut settings = settings();
    settings.allow.push(AllowRule::Address(address));
    let url = format!("http://{address}/");
    let error = client(&settings).get(request(&url)).await.unwrap_err();
    assert_eq!(error, FetchError::Connect("connection refused".to_owned()));
    assert!(error.is_transient());
}

#[actix_rt::test]
async fn what_is_no_url_is_told_so() {
    let server = Server::answering(ok(""));
    let client = client_for(&[&server]);
    for url in [
        "",
        "not a url",
        "//host/path",
        "/path",
        "http://",
        "http://[::1",
        "http://a b/",
    ] {
        let error = client.get(request(url)).await.unwrap_err();
        assert!(matches!(error, FetchError::BadUrl(_)), "{url}: {error:?}");
        assert!(!error.is_transient());
    }
}
