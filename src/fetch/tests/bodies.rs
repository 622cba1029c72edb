//! Bodies that are too long, too short, encoded, or not what they should be.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::server::{Peer, Server, answer, ok};
use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gzipped(body: impl AsRef<[u8]>) -> Vec<u8> {
    answer("200 OK", "Content-Encoding: gzip\r\n", body)
}

const MAX: u64 = 10_000;

async fn capped(server: &Server) -> Result<Answer, FetchError> {
    let url = server.url("/");
    let request = Request {
        max_bytes: MAX,
        ..request(&url)
    };
    client_for(&[server]).get(request).await
}

fn is_too_large(result: Result<Answer, FetchError>) {
    assert_eq!(result.unwrap_err(), FetchError::TooLarge { max: MAX });
}

#[actix_rt::test]
async fn a_body_of_just_the_cap_is_read() {
    let server = Server::answering(ok(vec![7; 10_000]));
    assert_eq!(capped(&server).await.unwrap().body.len(), 10_000);
}

#[actix_rt::test]
async fn an_announced_length_over_the_cap_is_not_read() {
    let server = Server::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10001\r\n\r\n");
        peer.hold();
    });
    is_too_large(capped(&server).await);
}

#[actix_rt::test]
async fn an_endless_body_is_cut_at_the_cap() {
    for head in ["Transfer-Encoding: chunked\r\n", "Connection: close\r\n"] {
        let server = Server::start(move |peer| {
            peer.request();
            peer.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n"));
            while peer.send("400\r\n") && peer.send([b'x'; 0x400]) && peer.send("\r\n") {}
        });
        is_too_large(capped(&server).await);
    }
}

#[actix_rt::test]
async fn a_gzip_bomb_is_cut_at_the_cap() {
    // 64 MiB in 64 KiB; the cap is met within the first hundred bytes.
    let server = Server::answering(gzipped(gzip(&vec![0; 64 * 1024 * 1024])));
    let url = server.url("/");
    let max = 1024 * 1024;
    let bomb = Request {
        max_bytes: max,
        ..request(&url)
    };
    let error = client_for(&[&server]).get(bomb).await.unwrap_err();
    assert_eq!(error, FetchError::TooLarge { max });
}

#[actix_rt::test]
async fn gzip_that_decodes_to_nothing_is_cut_at_the_cap_too() {
    let server = Server::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
        // A gzip header, then empty stored blocks for ever.
        peer.send([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
        while peer.send([0, 0, 0, 0xff, 0xff].repeat(100)) {}
    });
    is_too_large(capped(&server).await);
}

#[actix_rt::test]
async fn gzip_is_decoded() {
    let text = "the same over and over ".repeat(300);
    for name in ["gzip", "x-gzip", "GZIP"] {
        let headers = format!("Content-Encoding: {name}\r\n");
        let server = Server::answering(answer("200 OK", &headers, gzip(text.as_bytes())));
        assert_eq!(capped(&server).await.unwrap().body, text.as_bytes());
    }
}

#[actix_rt::test]
async fn a_body_that_does_not_decode_is_corrupt() {
    let whole = gzip(b"something to say");
    let mut flipped = whole.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 0xff;
    for body in [&whole[..whole.len() - 3], &flipped, b"no gzip at all"] {
        let server = Server::answering(gzipped(body));
        let error = capped(&server).await.unwrap_err();
        assert!(matches!(error, FetchError::Corrupt(_)), "{error:?}");
        assert!(!error.is_transient());
    }
}

#[actix_rt::test]
async fn an_unasked_content_coding_is_named() {
    let server = Server::answering(answer("200 OK", "Content-Encoding: br\r\n", "??"));
    let error = capped(&server).await.unwrap_err();
    assert_eq!(error, FetchError::Corrupt("content coding `br`".to_owned()));
}

#[actix_rt::test]
async fn a_body_shorter_than_announced_is_incomplete() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        "HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let server = Server::answering_once(bytes);
        assert_eq!(
            fetched(&server).await.unwrap_err(),
            FetchError::Incomplete,
            "{bytes}"
        );
    }
}

#[actix_rt::test]
async fn a_body_longer_than_announced_is_what_was_announced() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody and more");
    let client = client_for(&[&server]);
    for _ in 0..3 {
        // The surplus must not be taken for the next answer either.
        let answer = client.get(request(&server.url("/"))).await.unwrap();
        assert_eq!(answer.body, b"body");
    }
}

#[actix_rt::test]
async fn chunks_are_put_together() {
    let server = Server::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
    );
    assert_eq!(fetched(&server).await.unwrap().body, b"hello!");
}

#[actix_rt::test]
async fn a_malformed_chunk_breaks_the_body_off() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    let error = fetched(&server).await.unwrap_err();
    assert!(matches!(error, FetchError::BrokenOff(_)), "{error:?}");
    assert_eq!(error.status(), Some(200));
}

#[actix_rt::test]
async fn a_reset_within_the_body_breaks_it_off() {
    let server = Server::start(|peer| {
        peer.send_and_reset("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    });
    let error = fetched(&server).await.unwrap_err();
    assert!(matches!(error, FetchError::BrokenOff(_)), "{error:?}");
    assert_eq!(error.status(), Some(200));
    assert!(error.is_transient());
}

fn starts_with_pic(bytes: &[u8]) -> Sniff {
    match bytes.len() {
        0..3 => Sniff::NeedMore,
        _ if bytes.starts_with(b"PIC") => Sniff::Accept,
        _ => Sniff::Drop,
    }
}

async fn sniffed(serve: impl Fn(&mut Peer) + Send + Sync + 'static) -> Result<Answer, FetchError> {
    let server = Server::start(serve);
    let url = server.url("/");
    let request = Request {
        sniff: Some(starts_with_pic),
        ..request(&url)
    };
    client_for(&[&server]).get(request).await
}

#[actix_rt::test]
async fn a_body_of_the_wrong_kind_is_dropped_at_its_first_bytes() {
    let result = sniffed(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n<html>");
        peer.hold();
    })
    .await;
    assert_eq!(result.unwrap_err(), FetchError::Unrecognised);
}

#[actix_rt::test]
async fn a_body_is_asked_about_until_it_has_shown_enough() {
    let result = sniffed(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n");
        peer.drip(*b"PICTURE <ok");
    })
    .await;
    assert_eq!(result.unwrap().body, b"PICTURE <ok");
}

#[actix_rt::test]
async fn decoded_bytes_are_asked_about() {
    let body = gzipped(gzip(b"PICTURE"));
    let result = sniffed(move |peer| {
        peer.request();
        peer.send(&body);
    })
    .await;
    assert_eq!(result.unwrap().body, b"PICTURE");
}

#[actix_rt::test]
async fn a_body_that_ends_undecided_is_answered() {
    let result = sniffed(|peer| {
        peer.request();
        peer.send(ok("PI"));
    })
    .await;
    assert_eq!(result.unwrap().body, b"PI");
}
