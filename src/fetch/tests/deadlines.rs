//! A fetch ends when it must, whatever the peer does.

use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use super::server::{Full, Peer, Server, ok, redirect};
use super::*;

/// The deadline given.
const SHORT: Duration = Duration::from_millis(300);

/// What a deadline may cost on a busy machine; far less than the peers here would take.
const AT_ONCE: Duration = Duration::from_secs(5);

async fn stage_of(client: &Client, url: &str) -> Stage {
    let started = Instant::now();
    let result = client
        .get(Request {
            timeout: SHORT,
            ..request(url)
        })
        .await;
    assert!(started.elapsed() >= SHORT, "ended early: {result:?}");
    assert!(started.elapsed() < AT_ONCE, "ended late: {result:?}");
    match result {
        Err(FetchError::TimedOut { stage }) => stage,
        other => panic!("not timed out: {other:?}"),
    }
}

async fn stage_with(serve: impl Fn(&mut Peer) + Send + Sync + 'static) -> Stage {
    let server = Server::start(serve);
    stage_of(&client_for(&[&server]), &server.url("/")).await
}

#[actix_rt::test]
async fn a_silent_peer_is_left() {
    assert_eq!(stage_with(Peer::hold).await, Stage::Head);
}

#[actix_rt::test]
async fn a_head_that_drips_is_left() {
    let stage = stage_with(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n");
        peer.drip("X-Slow: very\r\n".bytes().cycle());
    });
    assert_eq!(stage.await, Stage::Head);
}

#[actix_rt::test]
async fn a_body_that_drips_is_left() {
    for head in ["Content-Length: 100000\r\n", "Connection: close\r\n"] {
        let stage = stage_with(move |peer| {
            peer.request();
            peer.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n"));
            peer.drip(std::iter::repeat(b'x'));
        });
        assert_eq!(stage.await, Stage::Body);
    }
}

#[actix_rt::test]
async fn chunks_that_drip_are_left() {
    let stage = stage_with(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        peer.drip("1\r\nx\r\n".bytes().cycle());
    });
    assert_eq!(stage.await, Stage::Body);
}

#[actix_rt::test]
async fn redirects_share_one_deadline() {
    // No hop takes as long as the deadline, all of them do.
    let server = Server::start(|peer| {
        while let Some(head) = peer.request() {
            let path = head.split(' ').nth(1).unwrap();
            peer.pause(SHORT * 2 / 3);
            peer.send(redirect(&format!("{path}x")));
        }
    });
    let stage = stage_of(&client_for(&[&server]), &server.url("/")).await;
    assert_eq!(stage, Stage::Head);
}

#[actix_rt::test]
async fn a_resolver_that_does_not_answer_is_left() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let client = client_resolving(&settings(), move |_, _| {
        let _ = held.lock().unwrap().recv();
        Ok(Vec::new())
    });
    assert_eq!(
        stage_of(&client, "http://slow.example/").await,
        Stage::Resolve
    );
    // The runtime waits for its blocking threads when it is dropped.
    drop(release);
}

#[actix_rt::test]
async fn a_connection_that_does_not_come_about_is_left() {
    let full = Full::listen();
    let mut settings = settings();
    settings.allow.push(AllowRule::Address(full.address));
    let url = format!("http://{}/", full.address);
    let stage = stage_of(&client(&settings), &url).await;
    assert_eq!(stage, Stage::Connect);
}

#[actix_rt::test]
async fn a_handshake_that_does_not_end_is_left() {
    let server = Server::start(Peer::hold);
    let url = format!("https://{}/", server.address());
    assert_eq!(stage_of(&client_for(&[&server]), &url).await, Stage::Tls);
}

#[actix_rt::test]
async fn the_peer_sees_the_connection_end_with_the_fetch() {
    let server = Server::start(Peer::hold);
    let client = client_for(&[&server]);
    stage_of(&client, &server.url("/")).await;
    server.wait_until_live_is_at_most(0);
}

#[actix_rt::test]
async fn a_fetch_within_its_deadline_is_not_touched() {
    let server = Server::answering(ok("in time"));
    assert_eq!(fetched(&server).await.unwrap().body, b"in time");
}

#[actix_rt::test]
async fn what_is_late_is_not_sent_whatever_held_it_up() {
    let server = Server::answering(ok("late"));
    let (address, end) = (server.address(), boot_ms() + 200);
    // Holds the fetch as a process is held that is stopped: no clock of its own sees it.
    let client = client_resolving(&allowing(&[&server]), move |_, _| {
        while boot_ms() < end {
            std::thread::yield_now();
        }
        Ok(vec![address])
    });
    let url = format!("http://late.example:{}/", server.port());
    let request = |not_after_ms| Request {
        endpoint: true,
        not_after_ms: Some(not_after_ms),
        ..request(&url)
    };
    let late = client.get(request(end)).await.unwrap_err();
    let stage = Stage::Head;
    assert_eq!(late, FetchError::TimedOut { stage });
    assert_eq!(server.requests(), [""; 0]);
    let in_time = client.get(request(boot_ms() + 60_000)).await;
    assert_eq!(in_time.unwrap().body, b"late");
}
