//! Places that clients share: at a host, and for large bodies.

use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use super::server::{Server, ok};
use super::*;

const SHORT: Duration = Duration::from_millis(300);

fn brief(url: &str) -> Request<'_> {
    Request {
        timeout: SHORT,
        ..request(url)
    }
}

fn waited_for_a_place(result: Result<Answer, FetchError>) {
    assert_eq!(
        result.unwrap_err(),
        FetchError::TimedOut {
            stage: Stage::Place
        }
    );
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
    waited_for_a_place(client.get(brief(&url)).await);
    assert_eq!(server.requests().len(), 1);
    drop(release);
    assert_eq!(elsewhere.join().unwrap().unwrap(), b"late");
    assert_eq!(client.get(request(&url)).await.unwrap().body, b"late");
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
    for url in &urls {
        waited_for_a_place(client.get(brief(url)).await);
    }
    let other_kind = Request {
        sniff: Some(|_| Sniff::Drop),
        ..request(&urls[0])
    };
    let dropped = client.get(other_kind).await;
    assert_eq!(dropped.unwrap_err(), FetchError::Unrecognised);
    let other = client.get(request(&small.url("/"))).await.unwrap();
    assert!(!other.is_large());
    drop(first);
    assert_eq!(client.get(request(&urls[1])).await.unwrap().body, body);
    drop(second);
}
