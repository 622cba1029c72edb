//! The site's log and its arithmetic.

use std::time::{Duration, Instant};

use crate::client::{Client, oembed};
use crate::support::site::oembed::id;
use crate::support::site::{Endpoint, Gate, Reply, Site, max_in_window};

#[test]
fn the_log_holds_who_asked_what_and_what_was_said() {
    let site = Site::start();
    let mut client = Client::of(&site);
    let before = Instant::now();
    client.get("/vi/dQw4w9WgXcQ/hqdefault.jpg");
    client.get(&oembed(&id("dead_", 3)));
    client.get("/elsewhere?a=b");
    let calls = site.calls();
    let seen: Vec<_> = calls
        .iter()
        .map(|call| (call.request.endpoint, call.id(), call.status))
        .collect();
    assert_eq!(
        seen,
        [
            (Endpoint::Thumbnail, Some("dQw4w9WgXcQ"), Some(200)),
            (Endpoint::Oembed, Some("dead_00003A"), Some(404)),
            (Endpoint::Other, None, Some(404)),
        ]
    );
    assert_eq!(calls[2].request.path(), "/elsewhere");
    assert_eq!(calls[0].request.user_agent(), "plain/1");
    assert_eq!(calls[0].request.header("host"), Some("x"));
    assert!(before < calls[0].arrived);
    assert!(calls.is_sorted_by_key(|call| call.arrived));
    assert_eq!(site.count(Endpoint::Oembed, "dead_00003A"), 1);
    assert_eq!(site.count(Endpoint::Thumbnail, "dead_00003A"), 0);
    assert_eq!(site.total(Endpoint::Thumbnail), 1);
    assert_eq!(site.counts(Endpoint::Thumbnail)["dQw4w9WgXcQ"], 1);
    site.clear_log();
    assert_eq!(site.calls().len(), 0);
    client.get("/again");
    assert!(site.wait_until(Duration::from_secs(10), |calls| {
        calls.len() == 1 && calls[0].finished.is_some()
    }));
}

#[test]
fn what_never_gets_a_status_has_none_in_the_log() {
    let site = Site::start();
    for fate in ["hang_", "reset"] {
        Client::of(&site).send(&oembed(&id(fate, 0)));
    }
    assert!(site.wait_until_alone(Duration::from_secs(10)));
    assert!(site.wait_until(Duration::from_secs(10), |calls| calls.len() == 2));
    assert!(site.calls().iter().all(|call| call.status.is_none()));
}

#[test]
fn waiting_for_what_does_not_come_ends_in_time() {
    let site = Site::start();
    let begun = Instant::now();
    assert!(!site.wait_until(Duration::from_millis(50), |calls| calls.len() == 1));
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

#[test]
fn calls_at_once_are_counted_while_they_are_answered() {
    let site = Site::start();
    let gate = Gate::closed();
    site.outage(Endpoint::Oembed, Reply::status(404).behind(&gate));
    let mut clients: Vec<Client> = (0..5).map(|_| Client::of(&site)).collect();
    for client in &mut clients {
        client.send(&oembed("dQw4w9WgXcQ"));
    }
    assert!(site.wait_until(Duration::from_secs(10), |calls| calls.len() == 5));
    gate.open();
    for client in &mut clients {
        client.answer();
        client.get("/vi/dQw4w9WgXcQ/hqdefault.jpg");
    }
    assert_eq!(site.max_at_once(Endpoint::Oembed), 5);
    assert_eq!(site.max_at_once(Endpoint::Thumbnail), 1);
    assert_eq!(
        site.max_in_window(Endpoint::Oembed, Duration::from_secs(60)),
        5
    );
}

#[test]
fn a_window_is_half_open() {
    let start = Instant::now();
    let at = |ms: u64| start + Duration::from_millis(ms);
    let window = Duration::from_millis(100);
    assert_eq!(max_in_window(&[], window), 0);
    assert_eq!(max_in_window(&[at(0)], window), 1);
    assert_eq!(max_in_window(&[at(0), at(100)], window), 1);
    assert_eq!(max_in_window(&[at(0), at(99)], window), 2);
    assert_eq!(
        max_in_window(&[at(200), at(0), at(150), at(101)], window),
        3
    );
    assert_eq!(max_in_window(&[at(7); 9], window), 9);
}

#[test]
fn the_fullest_window_is_found_as_by_trying_all() {
    let start = Instant::now();
    let mut dice = fastrand::Rng::with_seed(60);
    for _ in 0..100 {
        let count = dice.usize(0..60);
        let times: Vec<Instant> = (0..count)
            .map(|_| start + Duration::from_millis(dice.u64(0..2_000)))
            .collect();
        let window = dice.u64(1..700);
        // Every millisecond a window could begin at.
        let slow = (0..2_000)
            .map(|begin| {
                let begin = start + Duration::from_millis(begin);
                let end = begin + Duration::from_millis(window);
                times
                    .iter()
                    .filter(|time| begin <= **time && **time < end)
                    .count()
            })
            .max();
        assert_eq!(
            Some(max_in_window(&times, Duration::from_millis(window))),
            slow
        );
    }
}
