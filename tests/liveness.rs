//! Whether videos still exist, asked of a site that answers as YouTube does on good days and bad.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use support::scene::{Scene, details, report, strings};
use support::site::oembed::{self, id};
use support::site::{Ending, Endpoint, Gate, Length, Reply};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");

fn scene() -> Scene {
    let mut scene = Scene::new(PROGRAM, 3);
    scene.set("VVV_QUEUES__CLEANUP__IN_FLIGHT", "8");
    scene
}

/// Asks for these, in batch.
fn ask(scene: &Scene, ids: &[String], args: &[&str]) -> Value {
    scene.report(&scene.batch().stale(ids), args)
}

/// Each id's verdict in a report that holds all of `ids`.
fn verdicts<'a>(report: &Value, ids: &'a [String]) -> BTreeMap<&'a str, &'static str> {
    let section = &report["liveness"];
    let mut verdicts: BTreeMap<&str, &'static str> =
        ids.iter().map(|id| (id.as_str(), "alive")).collect();
    for verdict in ["dead", "unknown", "invalid"] {
        let list = strings(&section[format!("{verdict}_ids")]);
        assert_eq!(section[verdict], json!(list.len()), "{verdict}");
        for id in list {
            let told = details(section)[id];
            assert_eq!(told["verdict"], json!(verdict), "{told}");
            let known = verdicts.get_mut(id).expect("an id that was asked for");
            assert_eq!(*known, "alive", "{id} has two verdicts");
            *known = verdict;
        }
    }
    let alive = verdicts.values().filter(|v| **v == "alive").count();
    assert_eq!(section["alive"], json!(alive));
    verdicts
}

/// `(verdict, reason, status)` as recorded of a check.
fn recorded(scene: &Scene, id: &str) -> (String, String, Option<u16>) {
    scene
        .vault
        .connect()
        .query_row(
            "SELECT verdict, reason, http_status FROM vvv_liveness_checks \
             WHERE video_id = ?1 AND checked_at > 1700000000",
            [id],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap()
}

/// What a site's page reads of a video.
fn shown(scene: &Scene, id: &str) -> String {
    let query = format!("SELECT liveness FROM vvv_video_status WHERE video_id = '{id}'");
    scene.vault.ask(&query)
}

#[test]
fn each_fate_has_its_verdict_and_its_evidence() {
    let mut scene = scene();
    scene.set("VVV_LIVENESS__TIMEOUT", "500ms");
    let fates = [
        ("alive", "alive", "http 200", Some(200)),
        ("embed", "alive", "embedding", Some(401)),
        ("dead_", "dead", "http 404", Some(404)),
        ("r400_", "invalid", "http 400", Some(400)),
        ("priv_", "unknown", "http 403", Some(403)),
        ("busy_", "alive", "http 200", Some(200)),
        ("flaky", "alive", "http 200", Some(200)),
        ("s500_", "unknown", "http 500", Some(500)),
        ("s503_", "unknown", "http 503", Some(503)),
        ("capt_", "unknown", "captcha or consent", Some(200)),
        ("cons_", "unknown", "http 302", Some(302)),
        ("odd__", "unknown", "no oembed", Some(200)),
        ("hang_", "unknown", "no answer", None),
        ("reset", "unknown", "no answer", None),
    ];
    assert_eq!(
        fates.len(),
        oembed::FATES.len() - 1,
        "s429_ has its own test"
    );
    let ids: Vec<String> = (0..2)
        .flat_map(|n| fates.map(|(fate, ..)| id(fate, n)))
        .collect();
    let report = ask(&scene, &ids, &[]);
    let verdicts = verdicts(&report, &ids);
    for (fate, verdict, reason, status) in fates {
        for id in [id(fate, 0), id(fate, 1)] {
            assert_eq!(verdicts[id.as_str()], verdict, "{id}");
            let (stored, why, http) = recorded(&scene, &id);
            assert_eq!((stored.as_str(), http), (verdict, status), "{id}: {why}");
            assert!(why.contains(reason), "{id}: {why}");
            let expected = if verdict == "unknown" {
                "unknown"
            } else {
                verdict
            };
            assert_eq!(shown(&scene, &id), expected, "{id}");
            if let Some(told) = details(&report["liveness"]).get(id.as_str()) {
                assert_eq!(told["reason"], json!(why));
                assert_eq!(told["http_status"].as_u64(), http.map(u64::from));
            }
            let asked = scene.site.count(Endpoint::Oembed, &id);
            let tries = match fate {
                "busy_" => 2..=4,
                "flaky" => 3..=3,
                // A job that a 429 sent back has not used up an attempt: one more try each.
                "s500_" | "s503_" | "hang_" => 4..=8,
                // And a connection kept alive that fails may be tried anew.
                "reset" => 4..=16,
                _ => 1..=1,
            };
            assert!(tries.contains(&asked), "{id} was asked for {asked} times");
        }
    }
    let calls = report["summary"]["oembed_calls"].as_u64().unwrap();
    assert!(calls >= 28, "{calls}");
    // Nothing is done to the site's own rows for a verdict.
    assert_eq!(scene.vault.ask("SELECT count(*) FROM videos"), "3");
    assert!(report["summary"]["failures"].as_array().unwrap().is_empty());
}

#[test]
fn requests_are_what_the_provider_wants() {
    let scene = scene();
    let _ = ask(&scene, &[id("alive", 1)], &[]);
    let calls = scene.site.calls();
    let [call] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    assert_eq!(call.request.method, "GET");
    assert_eq!(
        call.request.target,
        "/oembed?url=https%3A%2F%2Fwww.youtube.com%2Fwatch%3Fv%3Dalive00001A&format=json"
    );
}

#[test]
fn impossible_ids_are_invalid_without_a_call() {
    let scene = scene();
    let ids: Vec<String> = [
        "",
        "short",
        "much too long for an id",
        "alive00001B",
        "alive 0001A",
        "żółw000000A",
        "alive0000\n1A",
        "../../../..",
        "alive00001A&x=1",
    ]
    .map(str::to_owned)
    .into();
    let report = ask(&scene, &ids, &[]);
    assert!(
        verdicts(&report, &ids).values().all(|v| *v == "invalid"),
        "{report}"
    );
    assert_eq!(scene.site.total(Endpoint::Oembed), 0);
    assert_eq!(report["summary"]["oembed_calls"], json!(0));
    assert_eq!(recorded(&scene, "short").1, "impossible id");
}

#[test]
fn a_short_park_is_waited_for_and_nobody_is_asked_meanwhile() {
    let scene = scene();
    let ids: Vec<String> = (0..12)
        .map(|n| {
            if n == 4 {
                id("busy_", n)
            } else {
                id("alive", n)
            }
        })
        .collect();
    let began = Instant::now();
    let report = ask(&scene, &ids, &[]);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert!(
        verdicts(&report, &ids).values().all(|v| *v == "alive"),
        "{report}"
    );
    let calls = scene.site.calls();
    let told = calls.iter().find(|call| call.status == Some(429)).unwrap();
    let finished = told.finished.unwrap();
    // What was in flight at that moment may still arrive.
    let early = calls.iter().filter(|call| {
        call.arrived > finished + Duration::from_millis(200)
            && call.arrived < finished + Duration::from_millis(950)
    });
    assert_eq!(early.count(), 0, "asked while parked");
    assert_eq!(scene.site.count(Endpoint::Oembed, &id("busy_", 4)), 2);
}

#[test]
fn a_park_too_long_to_wait_for_ends_with_the_rest_unknown() {
    let mut scene = scene();
    scene.set("VVV_LIVENESS__GIVE_UP_AFTER", "2s");
    scene.set("VVV_QUEUES__CLEANUP__IN_FLIGHT", "1");
    scene.set("VVV_QUEUES__CLEANUP__WORKERS", "1");
    let ids: Vec<String> = (0..30)
        .map(|n| {
            if n == 3 {
                id("s429_", n)
            } else {
                id("alive", n)
            }
        })
        .collect();
    let began = Instant::now();
    let report = ask(&scene, &ids, &[]);
    assert!(began.elapsed() < Duration::from_secs(10), "{report}");
    let verdicts = verdicts(&report, &ids);
    assert_eq!(report["liveness"]["dead"], json!(0));
    for (n, id) in ids.iter().enumerate() {
        let expected = if n < 3 { "alive" } else { "unknown" };
        assert_eq!(verdicts[id.as_str()], expected, "{id}");
        if n >= 3 {
            assert_eq!(
                details(&report["liveness"])[id.as_str()]["reason"],
                "rate limited"
            );
        }
    }
    assert_eq!(scene.site.total(Endpoint::Oembed), 4);
    // The next run finds the upstream still parked, asks nobody and says so.
    let again = ask(&scene, &ids, &[]);
    assert_eq!(again["liveness"]["unknown"], json!(27), "{again}");
    assert_eq!(again["summary"]["cached"]["liveness"], json!(3));
    assert_eq!(scene.site.total(Endpoint::Oembed), 4);
}

#[test]
fn an_upstream_that_never_stops_asking_for_a_second_more_is_given_up() {
    let mut scene = scene();
    scene.set("VVV_LIVENESS__GIVE_UP_AFTER", "3s");
    let ids = [id("alive", 0), id("alive", 1)];
    scene
        .site
        .oembed(&ids[1], Reply::status(429).retry_after(1));
    let running = scene.run_batch(&scene.batch().stale(&ids), &[]);
    let report = report(&running.timeout(Duration::from_secs(20)).output());
    assert_eq!(report["liveness"]["alive"], json!(1), "{report}");
    assert_eq!(
        details(&report["liveness"])[ids[1].as_str()]["reason"],
        "rate limited"
    );
    assert!((2..=4).contains(&scene.site.count(Endpoint::Oembed, &ids[1])));
}

#[test]
fn the_calls_of_a_run_can_be_limited() {
    let scene = scene();
    let ids: Vec<String> = (0..25).map(|n| id("alive", n)).collect();
    for (calls, done, left) in [("0", 0, 25), ("7", 7, 18), ("100", 25, 0)] {
        scene.site.clear_log();
        let report = ask(&scene, &ids, &["--max-calls", calls]);
        assert_eq!(report["liveness"]["alive"], json!(done), "{report}");
        let not_done = strings(&report["summary"]["not_done"]["liveness"]);
        assert_eq!(not_done.len(), left, "{calls}");
        let asked = scene.site.total(Endpoint::Oembed);
        assert_eq!(report["summary"]["oembed_calls"], json!(asked));
        assert!(asked <= calls.parse::<usize>().unwrap());
    }
}

#[test]
fn the_articles_policy_asks_for_every_id_and_knows_alive_and_dead() {
    let mut scene = scene();
    scene.set("VVV_LIVENESS__POLICY", "http-200");
    scene.set("VVV_LIVENESS__TIMEOUT", "500ms");
    scene.set("VVV_QUEUES__CLEANUP__MAX_RETRIES", "1");
    let fates = [
        "alive", "capt_", "embed", "dead_", "priv_", "r400_", "s500_", "hang_", "reset", "cons_",
    ];
    let mut ids: Vec<String> = fates.map(|fate| id(fate, 0)).into();
    ids.push("impossible".to_owned());
    let report = ask(&scene, &ids, &[]);
    let verdicts = verdicts(&report, &ids);
    for (n, id) in ids.iter().enumerate() {
        let expected = if n < 2 { "alive" } else { "dead" };
        assert_eq!(verdicts[id.as_str()], expected, "{id}");
        assert!(scene.site.count(Endpoint::Oembed, id) >= 1, "{id}");
    }
    // It reuses no earlier verdict.
    scene.site.clear_log();
    let again = ask(&scene, &ids, &[]);
    assert_eq!(again["summary"]["cached"]["liveness"], json!(0));
    assert!(scene.site.count(Endpoint::Oembed, &ids[0]) == 1);
}

/// Living videos whose answers cannot be read to their end: the reason for each, and whether it is
/// worth asking again.
fn unreadable_answers(scene: &Scene) -> Vec<(String, &'static str, bool)> {
    let json = |body: &[u8]| Reply::answer(200, "application/json", body);
    let body = vec![b' '; 70_000];
    let length = Length::UntilClose;
    let replies = [
        (json(&body), "too large", false),
        (
            Reply::sized(200, "application/json", body, length),
            "too large",
            false,
        ),
        (
            json(b"{}").header("Content-Encoding", "gzip"),
            "does not decode",
            false,
        ),
        (
            oembed::alive("x").cut(50, Ending::Close),
            "ends early",
            true,
        ),
        (oembed::alive("x").cut(50, Ending::Reset), "body", true),
        (oembed::alive("x").cut(50, Ending::Hold), "timed out", true),
    ];
    let script = |(n, (reply, reason, passes))| {
        let id = id("alive", n);
        scene.site.oembed(&id, reply);
        (id, reason, passes)
    };
    replies.into_iter().enumerate().map(script).collect()
}

#[test]
fn an_answer_that_cannot_be_read_keeps_its_status() {
    for (policy, verdict) in [("careful", "unknown"), ("http-200", "alive")] {
        let mut scene = scene();
        scene.set("VVV_LIVENESS__POLICY", policy);
        scene.set("VVV_LIVENESS__TIMEOUT", "500ms");
        scene.set("VVV_QUEUES__CLEANUP__MAX_RETRIES", "1");
        let answers = unreadable_answers(&scene);
        let ids: Vec<String> = answers.iter().map(|(id, ..)| id.clone()).collect();
        let report = ask(&scene, &ids, &[]);
        assert!(
            verdicts(&report, &ids).values().all(|v| *v == verdict),
            "{report}"
        );
        for (id, reason, passes) in answers {
            let (_, why, status) = recorded(&scene, &id);
            assert_eq!(status, Some(200), "{why}");
            let is_careful = policy == "careful";
            assert!(!is_careful || why.contains(reason), "{why}");
            let calls = if is_careful && passes { 2 } else { 1 };
            assert_eq!(scene.site.count(Endpoint::Oembed, &id), calls, "{why}");
        }
    }
}

#[test]
fn definitive_verdicts_are_reused_and_doubt_is_not() {
    let mut scene = scene();
    let ids = [
        id("alive", 0),
        id("dead_", 1),
        id("priv_", 2),
        "x".to_owned(),
    ];
    let first = ask(&scene, &ids, &[]);
    scene.site.clear_log();
    let second = ask(&scene, &ids, &[]);
    assert_eq!(second["liveness"], first["liveness"]);
    assert_eq!(second["summary"]["cached"]["liveness"], json!(3));
    assert_eq!(
        scene.site.total(Endpoint::Oembed),
        1,
        "only the doubtful one"
    );
    scene.site.clear_log();
    let fresh = ask(&scene, &ids, &["--fresh"]);
    assert_eq!(fresh["summary"]["cached"]["liveness"], json!(0));
    assert_eq!(scene.site.total(Endpoint::Oembed), 3);
    scene.set("VVV_LIVENESS__FRESH_FOR", "0s");
    let never = ask(&scene, &ids, &[]);
    assert_eq!(never["summary"]["cached"]["liveness"], json!(0));
}

#[test]
fn what_the_articles_policy_called_dead_is_asked_for_again_by_careful() {
    let mut scene = scene();
    scene.set("VVV_LIVENESS__POLICY", "http-200");
    scene.set("VVV_QUEUES__CLEANUP__MAX_RETRIES", "0");
    let ids = ["alive", "dead_", "embed", "priv_"].map(|fate| id(fate, 0));
    assert_eq!(ask(&scene, &ids, &[])["liveness"]["dead"], json!(3));
    scene.set("VVV_LIVENESS__POLICY", "careful");
    scene.site.clear_log();
    let careful = ask(&scene, &ids, &[]);
    let expected = ["alive", "dead", "alive", "unknown"];
    let found = verdicts(&careful, &ids);
    assert_eq!(ids.each_ref().map(|id| found[id.as_str()]), expected);
    assert_eq!(careful["summary"]["cached"]["liveness"], json!(2));
    assert_eq!(scene.site.total(Endpoint::Oembed), 2);
}

#[test]
fn verdicts_are_committed_as_they_come_and_no_video_is_asked_for_twice() {
    let mut scene = scene();
    scene.set("VVV_QUEUES__CLEANUP__IN_FLIGHT", "1");
    let ids: Vec<String> = (0..20)
        .map(|n| {
            if n % 2 == 0 {
                id("dead_", n)
            } else {
                id("alive", n)
            }
        })
        .collect();
    let gate = Gate::closed();
    // One worker has the first ten, the other the rest; both come to a stop in the middle.
    for n in [6, 17] {
        scene.site.oembed(&ids[n], Reply::status(404).behind(&gate));
    }
    let running = scene.run_batch(&scene.batch().stale(&ids), &[]).start();
    let both = |calls: &[support::site::Call]| {
        [6, 17]
            .iter()
            .all(|n| calls.iter().any(|call| call.id() == Some(&ids[*n])))
    };
    assert!(scene.site.wait_until(Duration::from_secs(20), both));
    // The two are in flight, so all before them are recorded but perhaps the very last.
    let rows = || scene.vault.ask("SELECT count(*) FROM vvv_liveness_checks");
    let deadline = Instant::now() + Duration::from_secs(10);
    while rows() != "13" {
        assert!(Instant::now() < deadline, "{} rows", rows());
        std::thread::yield_now();
    }
    let output = running.kill();
    assert_eq!(output.signal, Some(9));
    assert_eq!(rows(), "13");
    assert_eq!(scene.vault.integrity(), "ok");
    gate.open();
    scene.site.clear_log();
    let report = report(&scene.run_batch(&scene.batch().stale(&ids), &[]).output());
    assert_eq!(report["summary"]["cached"]["liveness"], json!(13));
    assert_eq!(report["liveness"]["dead"], json!(11), "{report}");
    assert_eq!(scene.site.total(Endpoint::Oembed), 7);
}
