//! Places that clients share: at a host, and for large bodies.

use std::pin::pin;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use actix_rt::time::timeout;

use super::server::{Peer, Server, ok, redirect};
use super::*;

const SHORT: Duration = Duration::from_millis(300);

fn brief(url: &str) -> Request<'_> {
    Request {
        timeout: SHORT,
        ..request(url)
    }
}

/// Sees that a fetch goes on waiting long after its own deadline.
async fn waits(fetch: impl Future<Output = Result<Answer, FetchError>>) {
    assert!(timeout(3 * SHORT, fetch).await.is_err(), "it did not wait");
}

#[actix_rt::test]
async fn a_host_is_asked_only_so_often_at_once_by_all_threads() {
    let (asked, wait_until_asked) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let server = Server::start(move |peer| {
        while peer.request().is_some() {
            asked.send(()).unwrap();
            let _ = held.lock().unwrap().recv();
            peer.send(ok("late"));
        }
    });
    let settings = Settings {
        max_per_host: 1,
        ..allowing(&[&server])
    };
    let shared = Shared::new(&settings);
    let url = server.url("/");
    let elsewhere = thread::spawn({
        let (settings, shared, url) = (settings.clone(), shared.clone(), url.clone());
        move || {
            actix_rt::System::new().block_on(async {
                let client = Client::new(&settings, shared).unwrap();
                client.get(request(&url)).await.map(|answer| answer.body)
            })
        }
    });
    wait_until_asked.recv().unwrap();
    let client = Client::new(&settings, shared).unwrap();
    let mut waiting = pin!(client.get(brief(&url)));
    waits(waiting.as_mut()).await;
    // Whoever gives up waiting leaves no request behind.
    waits(client.get(request(&url))).await;
    assert_eq!(server.requests().len(), 1);
    drop(release);
    assert_eq!(elsewhere.join().unwrap().unwrap(), b"late");
    assert_eq!(waiting.await.unwrap().body, b"late");
    assert_eq!(server.requests().len(), 2);
}

#[actix_rt::test]
async fn a_large_answer_keeps_its_place_until_it_is_dropped() {
    let body = vec![1; 300 * 1024];
    let chunked = [
        &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4b000\r\n"[..],
        &body,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    let announced = Server::answering(ok(&body));
    let unannounced = Server::answering(chunked);
    let small = Server::answering(ok(vec![1; 256 * 1024]));
    let client = client_for(&[&announced, &unannounced, &small]);
    let urls = [announced.url("/"), unannounced.url("/")];
    let first = client.get(request(&urls[0])).await.unwrap();
    let second = client.get(request(&urls[1])).await.unwrap();
    assert!(first.is_large() && second.is_large());
    let mut waiting = urls.each_ref().map(|url| Box::pin(client.get(brief(url))));
    for fetch in &mut waiting {
        waits(fetch).await;
    }
    let other_kind = Request {
        sniff: Some(|_| Sniff::Drop),
        ..request(&urls[0])
    };
    let dropped = client.get(other_kind).await;
    assert_eq!(dropped.unwrap_err(), FetchError::Unrecognised);
    let other = client.get(request(&small.url("/"))).await.unwrap();
    assert!(!other.is_large());
    drop((first, second));
    for fetch in waiting {
        assert_eq!(fetch.await.unwrap().body, body);
    }
}

#[actix_rt::test]
async fn a_deadline_begins_anew_neither_with_a_place_nor_with_a_hop() {
    // The place is waited for at both hops; the two together outlast the deadline.
    let server = Server::start(|peer| {
        while let Some(head) = peer.request() {
            peer.pause(SHORT * 2 / 3);
            let answer = match head.split(' ').nth(1).unwrap() {
                "/from" => redirect("/to"),
                _ => ok("late"),
            };
            peer.send(answer);
        }
    });
    let settings = Settings {
        max_per_host: 1,
        ..allowing(&[&server])
    };
    let client = client(&settings);
    let (other, from) = (server.url("/other"), server.url("/from"));
    let (other, result) = futures_util::join!(client.get(brief(&other)), client.get(brief(&from)));
    assert_eq!(other.unwrap().body, b"late");
    let stage = Stage::Head;
    assert_eq!(result.unwrap_err(), FetchError::TimedOut { stage });
}

#[actix_rt::test]
async fn a_counted_call_does_not_outlast_its_deadline_even_for_a_place() {
    let server = Server::start(Peer::hold);
    let settings = Settings {
        max_per_host: 1,
        ..allowing(&[&server])
    };
    let client = client(&settings);
    let url = server.url("/");
    let mut holder = pin!(client.get(request(&url)));
    waits(holder.as_mut()).await;
    let started = Instant::now();
    let counted = Request {
        endpoint: true,
        ..brief(&url)
    };
    let stage = Stage::Place;
    let result = client.get(counted).await;
    assert_eq!(result.unwrap_err(), FetchError::TimedOut { stage });
    assert!(started.elapsed() >= SHORT);
}
