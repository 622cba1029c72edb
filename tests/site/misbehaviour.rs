//! The site at its worst.

use std::time::{Duration, Instant};

use crate::client::{Client, End, oembed};
use crate::support::pictures::{self, Picture};
use crate::support::site::oembed::{self as fates, id};
use crate::support::site::thumbnails::{endless_body, endless_head, short};
use crate::support::site::{Ending, Gate, Length, Reply, Site};

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(100);
const PATH: &str = "/vi/dQw4w9WgXcQ/hqdefault.jpg";

fn client_of(site: &Site, reply: Reply) -> Client {
    site.thumbnail("dQw4w9WgXcQ", reply);
    let earlier = site.calls().len();
    let mut client = Client::of(site);
    client.send(PATH);
    // The next script must not change what this client gets.
    assert!(site.wait_until(LONG, |calls| calls.len() > earlier));
    client
}

#[test]
fn a_short_body_ends_before_its_promised_length() {
    let site = Site::start();
    let good = pictures::good(Picture::Jpeg);
    let mut client = client_of(&site, short(&good, 30));
    let promised: usize = client
        .head()
        .header("content-length")
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(promised, good.len());
    assert_eq!(
        client.rest(LONG),
        (good[..good.len() * 30 / 100].to_vec(), End::Closed)
    );
}

#[test]
fn a_claimed_length_may_be_shorter_or_longer_or_missing() {
    let site = Site::start();
    let sized = |length| Reply::sized(200, "image/jpeg", *b"0123456789", length);
    let mut client = client_of(&site, sized(Length::Claimed(4)));
    assert_eq!(client.head().header("content-length"), Some("4"));
    assert_eq!(client.rest(SHORT), (b"0123456789".to_vec(), End::Silent));
    let mut client = client_of(&site, sized(Length::Claimed(400)));
    assert_eq!(client.head().header("content-length"), Some("400"));
    assert_eq!(client.rest(LONG), (b"0123456789".to_vec(), End::Closed));
    let mut client = client_of(&site, sized(Length::UntilClose));
    assert_eq!(client.head().header("content-length"), None);
    assert_eq!(client.rest(LONG), (b"0123456789".to_vec(), End::Closed));
}

#[test]
fn a_reset_is_a_reset_and_comes_where_it_should() {
    let site = Site::start();
    let mut client = client_of(&site, Reply::reset());
    assert_eq!(client.rest(LONG), (Vec::new(), End::Reset));
    let good = pictures::good(Picture::Jpeg);
    let mut client = client_of(&site, Reply::picture(good.clone()).cut(50, Ending::Reset));
    assert_eq!(client.head().status, 200);
    assert_eq!(
        client.rest(LONG),
        (good[..good.len() / 2].to_vec(), End::Reset)
    );
    let mut client = Client::of(&site);
    client.send(&oembed(&id("reset", 0)));
    assert_eq!(client.rest(LONG), (Vec::new(), End::Reset));
}

#[test]
fn silence_lasts_until_the_client_leaves() {
    let site = Site::start();
    let mut clients = [
        client_of(&site, Reply::silent()),
        client_of(&site, Reply::picture(*b"12345678").cut(50, Ending::Hold)),
    ];
    assert_eq!(clients[0].rest(SHORT), (Vec::new(), End::Silent));
    assert_eq!(clients[1].head().status, 200);
    assert_eq!(clients[1].rest(SHORT), (b"1234".to_vec(), End::Silent));
    assert_eq!(site.open_connections(), 2);
    drop(clients);
    assert!(site.wait_until_alone(LONG));
}

#[test]
fn a_drip_goes_on_in_the_head_and_in_the_body() {
    let site = Site::start();
    let pause = Duration::from_millis(20);
    let begun = Instant::now();
    let mut client = client_of(&site, endless_head(pause));
    assert_eq!(client.read(17), b"HTTP/1.1 200 OK\r\n");
    assert_eq!(client.read(140), b"X-Drip: drop\r\n".repeat(10));
    assert!(begun.elapsed() >= pause * 10);
    drop(client);
    let mut client = client_of(&site, endless_body(pause));
    assert_eq!(client.head().header("content-length"), Some("9000000"));
    assert_eq!(client.read(64), pictures::good(Picture::Jpeg)[..64]);
    assert_eq!(client.read(10), [0; 10]);
    drop(client);
    let mut client = client_of(&site, fates::dripping("dQw4w9WgXcQ"));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.read(1), b"{");
    drop(client);
    assert!(site.wait_until_alone(LONG));
}

#[test]
fn a_flood_stops_when_the_client_leaves() {
    let site = Site::start();
    let flood = Reply::picture(*b"\xFF\xD8").forever([7; 4096], Duration::ZERO);
    let mut client = client_of(&site, flood);
    client.head();
    assert_eq!(client.read(2 + (64 << 20))[2..], vec![7; 64 << 20]);
    drop(client);
    assert!(site.wait_until_alone(LONG));
}

#[test]
fn a_gate_holds_answers_back_until_it_opens() {
    let site = Site::start();
    let gate = Gate::closed();
    let mut client = client_of(&site, Reply::status(404).behind(&gate));
    assert!(site.wait_until(LONG, |calls| calls.len() == 1));
    assert_eq!(client.rest(SHORT), (Vec::new(), End::Silent));
    assert!(site.calls()[0].finished.is_none());
    gate.open();
    assert_eq!(client.answer().status, 404);
    assert!(site.wait_until(LONG, |calls| calls[0].finished.is_some()));
}

#[test]
fn a_late_answer_takes_its_time() {
    let site = Site::start();
    let begun = Instant::now();
    let mut client = client_of(&site, Reply::status(404).late(SHORT));
    assert_eq!(client.answer().status, 404);
    assert!(begun.elapsed() >= SHORT);
}

#[test]
fn a_request_may_come_in_pieces_and_others_right_behind_it() {
    let site = Site::start();
    let mut client = Client::of(&site);
    for piece in [
        "GET /vi/dQw4w9WgXcQ/de",
        "fault.jpg HTTP/1.1\r\nA: b\r",
        "\n",
        "\r",
        "\n",
    ] {
        client.write(piece.as_bytes());
    }
    assert_eq!(client.answer().status, 200);
    client.write(b"GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().status, 404);
    assert_eq!(client.head().status, 404);
    assert_eq!(client.answer().status, 404);
    client.write(b"GET /4 HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_eq!(client.answer().status, 404);
    assert_eq!(client.rest(LONG), (Vec::new(), End::Closed));
}

#[test]
fn a_dropped_site_takes_all_its_threads_along() {
    let site = Site::start();
    let name = format!("site-{}", site.port());
    let gate = Gate::closed();
    let mut idle = Client::of(&site);
    idle.get("/nothing");
    let mut clients = [
        idle,
        client_of(&site, Reply::silent()),
        client_of(&site, endless_head(LONG)),
        client_of(&site, endless_body(Duration::ZERO)),
        client_of(&site, Reply::status(404).late(LONG * 6)),
        client_of(&site, Reply::status(404).behind(&gate)),
    ];
    assert!(site.wait_until(LONG, |calls| calls.len() == 6));
    assert_eq!(threads_named(&name), 7);
    let begun = Instant::now();
    drop(site);
    assert!(begun.elapsed() < Duration::from_secs(5));
    // A joined thread stays in /proc for a moment.
    while threads_named(&name) > 0 {
        assert!(begun.elapsed() < LONG);
        std::thread::yield_now();
    }
    assert_eq!(clients[0].rest(LONG), (Vec::new(), End::Closed));
}

fn threads_named(name: &str) -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
        .filter(|comm| comm.trim_end() == name)
        .count()
}
