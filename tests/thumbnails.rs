//! Thumbnails fetched by the real program from a site that misbehaves in every way.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};

use support::hostile::{Hostile, hostile};
use support::run::Output;
use support::scene::{Scene, details, report, strings};
use support::site::{Endpoint, Reply, Site, thumbnails};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");

/// Checks what the vault's videos show, and nothing else.
fn check(scene: &Scene, args: &[&str]) -> Value {
    let file = support::batch_file::BatchFile::of_vault(&scene.vault);
    scene.report(&file, &[&["--only", "thumbnails"], args].concat())
}

/// A scene of one video a picture.
fn scene_of(files: &[&str]) -> Scene {
    let spec = support::vault::VaultSpec {
        files: files.iter().map(|file| (*file).to_owned()).collect(),
        ..support::vault::VaultSpec::new(files.len())
    };
    Scene::of(PROGRAM, spec)
}

fn counts(report: &Value) -> [u64; 4] {
    ["valid", "broken", "placeholder", "unknown"]
        .map(|status| report["thumbnails"][status].as_u64().expect("a count"))
}

fn cached(report: &Value) -> u64 {
    report["summary"]["cached"]["thumbnails"].as_u64().unwrap()
}

/// Each verdict by the case it may be, or what is wrong with it.
fn wrong_verdicts(cases: &[Hostile], report: &Value) -> Vec<String> {
    let told = details(&report["thumbnails"]);
    let wrong = cases.iter().filter_map(|case| {
        let detail = told.get(case.id.as_str());
        let status = detail.map_or("valid", |detail| detail["status"].as_str().unwrap());
        let found = || format!("{}: {detail:?}, allowed: {:?}", case.name, case.allowed);
        (!case.allowed.contains(&status)).then(found)
    });
    wrong.collect()
}

fn no_call_took_longer(site: &Site, most: Duration) {
    for call in site.calls() {
        let took = call.finished.map(|finished| finished - call.arrived);
        let took = took.unwrap_or_else(|| panic!("still answering {:?}", call.request.target));
        assert!(took < most, "{:?} took {took:?}", call.request.target);
    }
}

/// Runs the hostile cases with these settings and holds what came to what may come.
fn run_hostile(set: &[(&str, &str)]) -> (usize, Output) {
    let mut scene = Scene::new(PROGRAM, 0);
    let trap = Site::start();
    let cases = hostile(&scene.site, &trap);
    scene.set("VVV_QUEUES__THUMBNAILS__MAX_RETRIES", "0");
    for (name, value) in set {
        scene.set(name, *value);
    }
    let file = scene.batch().hostile(&cases);
    let output = scene
        .run_batch(&file, &["--only", "thumbnails"])
        .timeout(Duration::from_secs(110))
        .output();
    let report = report(&output);
    let wrong = wrong_verdicts(&cases, &report);
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
    assert_eq!(counts(&report).iter().sum::<u64>(), cases.len() as u64);
    assert_eq!(report["summary"]["failures"], json!([]));
    assert_eq!(
        trap.calls().len(),
        0,
        "the trap was asked: {:?}",
        trap.calls()
    );
    assert_eq!(trap.accepted_connections(), 0, "the trap was connected to");
    assert!(scene.site.wait_until_alone(Duration::from_secs(5)));
    no_call_took_longer(&scene.site, Duration::from_secs(10));
    assert_eq!(scene.vault.integrity(), "ok");
    (cases.len(), output)
}

#[test]
fn no_hostile_thumbnail_takes_long_or_much_memory_or_brings_a_wrong_verdict() {
    let (cases, output) = run_hostile(&[]);
    assert!(cases > 100, "{cases}");
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    println!(
        "{cases} hostile thumbnails: {:.1?}, peak {} MB",
        output.elapsed,
        output.peak_rss / 1_000_000
    );
    assert!(output.peak_rss < 200_000_000, "{} bytes", output.peak_rss);
}

#[test]
fn an_hour_of_503_breaks_no_picture() {
    let scene = Scene::new(PROGRAM, 60);
    scene.site.outage(Endpoint::Thumbnail, Reply::status(503));
    let report = check(&scene, &[]);
    assert_eq!(counts(&report), [0, 0, 0, 60], "{report}");
    let ids: Vec<&str> = scene.vault.ids.iter().map(String::as_str).collect();
    assert_eq!(strings(&report["thumbnails"]["unknown_ids"]), ids);
    assert_eq!(scene.site.total(Endpoint::Thumbnail), 4 * 60);
    let shown = |status: &str| {
        scene.vault.ask(&format!(
            "SELECT count(*) FROM vvv_video_status WHERE thumbnail = '{status}'"
        ))
    };
    assert_eq!(
        (shown("unknown"), shown("broken")),
        ("60".into(), "0".into())
    );
    scene.site.recover(Endpoint::Thumbnail);
    let after = check(&scene, &[]);
    assert_eq!((counts(&after), cached(&after)), ([60, 0, 0, 0], 0));
    assert_eq!(shown("valid"), "60");
    // A good verdict outlasts the next bad hour.
    scene.site.outage(Endpoint::Thumbnail, Reply::reset());
    let worse = check(&scene, &["--fresh"]);
    assert_eq!(counts(&worse), [0, 0, 0, 60]);
    assert_eq!(shown("valid"), "60");
}

#[test]
fn fresh_verdicts_are_reused_by_address_and_asked_for_again_on_demand() {
    let mut scene = scene_of(&["hqdefault.jpg", "tiny.png", "corrupt.jpg", "nothing.txt"]);
    let first = check(&scene, &[]);
    assert_eq!((counts(&first), cached(&first)), ([1, 2, 1, 0], 0));
    assert_eq!(scene.site.total(Endpoint::Thumbnail), 4);
    scene.site.clear_log();
    let second = check(&scene, &[]);
    assert_eq!(second["thumbnails"], first["thumbnails"]);
    assert_eq!(cached(&second), 4);
    assert_eq!(scene.site.total(Endpoint::Thumbnail), 0);
    let fresh = check(&scene, &["--fresh"]);
    assert_eq!(
        (cached(&fresh), scene.site.total(Endpoint::Thumbnail)),
        (0, 4)
    );
    // Another address of the same video is another picture.
    scene.site.clear_log();
    let url = scene
        .site
        .thumbnail_url(&scene.vault.ids[0], "mqdefault.jpg");
    let file = scene.batch().video(&scene.vault.ids[0], Some(&url));
    let other = scene.report(&file, &["--only", "thumbnails"]);
    assert_eq!(
        (cached(&other), scene.site.total(Endpoint::Thumbnail)),
        (0, 1)
    );
    scene.site.clear_log();
    scene.set("VVV_THUMBNAILS__FRESH_FOR", "0s");
    let never = check(&scene, &[]);
    assert_eq!(
        (cached(&never), scene.site.total(Endpoint::Thumbnail)),
        (0, 4)
    );
}

#[test]
fn a_verdict_does_not_outlast_the_setting_it_came_of() {
    let mut scene = scene_of(&["hqdefault.jpg", "default.jpg", "corrupt.jpg"]);
    let open = scene.site.authority();
    for (key, tight, usual, first) in [
        ("MIN_WIDTH", "481", "200", [0, 1, 2, 0]),
        ("MAX_BYTES", "1KiB", "10MiB", [0, 3, 0, 0]),
        ("MAX_PIXELS", "1", "16000000", [0, 3, 0, 0]),
    ] {
        let name = format!("VVV_THUMBNAILS__{key}");
        scene.set(&name, tight);
        assert_eq!(counts(&check(&scene, &["--fresh"])), first, "{key}");
        scene.set(&name, usual);
        assert_eq!(counts(&check(&scene, &[])), [1, 1, 1, 0], "{key}");
    }
    scene.set("VVV_FETCH__ALLOW", "");
    assert_eq!(counts(&check(&scene, &["--fresh"])), [0, 3, 0, 0]);
    scene.set("VVV_FETCH__ALLOW", open);
    assert_eq!(counts(&check(&scene, &[])), [1, 1, 1, 0]);
}

#[test]
fn each_verdict_says_what_it_is() {
    let scene = scene_of(&[
        "hqdefault.jpg",
        "good.webp",
        "good.gif",
        "default.jpg",
        "truncated-60.jpg",
        "status-404.jpg",
        "html.jpg",
        "bomb.png",
    ]);
    let report = check(&scene, &[]);
    assert_eq!(counts(&report), [3, 4, 1, 0], "{report}");
    let told = details(&report["thumbnails"]);
    let ids = &scene.vault.ids;
    assert_eq!(told[ids[3].as_str()]["size"], json!("120x90"));
    for (at, status, words) in [
        (4, "error", ""),
        (5, "broken", "404"),
        (6, "error", ""),
        (7, "error", "30000"),
    ] {
        let detail = told[ids[at].as_str()];
        assert_eq!(detail["status"], json!(status), "{detail}");
        assert!(detail["msg"].as_str().unwrap().contains(words), "{detail}");
        assert_eq!(
            detail["url"].as_str(),
            scene.vault.thumbnail_url(&ids[at]).as_deref()
        );
    }
    let shown = scene.vault.ask(&format!(
        "SELECT thumbnail || ' ' || (thumbnail_checked_at > 1700000000) FROM vvv_video_status \
         WHERE video_id = '{}'",
        ids[3]
    ));
    assert_eq!(shown, "placeholder 1");
}

#[test]
fn the_articles_policy_counts_what_nobody_could_judge_as_broken() {
    let mut scene = scene_of(&[
        "hqdefault.jpg",
        "status-503.jpg",
        "reset.jpg",
        "default.jpg",
    ]);
    scene.set("VVV_THUMBNAILS__POLICY", "article");
    scene.set("VVV_QUEUES__THUMBNAILS__MAX_RETRIES", "1");
    let report = check(&scene, &[]);
    assert_eq!(counts(&report), [1, 2, 1, 0], "{report}");
    assert_eq!(strings(&report["thumbnails"]["unknown_ids"]), [""; 0]);
    let again = check(&scene, &[]);
    assert_eq!(cached(&again), 0, "it reuses no verdict");
}

#[test]
fn each_address_of_each_video_is_fetched_once() {
    let scene = Scene::new(PROGRAM, 2);
    let [one, other] = [0, 1].map(|n| scene.vault.ids[n].as_str());
    let url = scene.site.thumbnail_url(one, "hqdefault.jpg");
    let small = scene.site.thumbnail_url(one, "default.jpg");
    let mut file = scene.batch();
    for _ in 0..3 {
        file = file.video(one, Some(&url)).video(one, Some(&small));
        file = file.video(other, Some(&url)).video(other, None);
    }
    let report = scene.report(&file, &[]);
    assert_eq!(counts(&report), [2, 0, 1, 0], "{report}");
    assert_eq!(report["scoring"].as_object().unwrap().len(), 2);
    assert_eq!(scene.site.total(Endpoint::Thumbnail), 3);
    let rows = scene.vault.ask("SELECT count(*) FROM vvv_thumbnail_checks");
    assert_eq!(rows, "3");
}

#[test]
fn transient_failures_are_retried_and_answers_are_not() {
    let scene = scene_of(&["flaky-3.jpg", "flaky-4.jpg", "status-404.jpg", "busy-1.jpg"]);
    let report = check(&scene, &[]);
    let ids = &scene.vault.ids;
    let asked = |n: usize| scene.site.count(Endpoint::Thumbnail, &ids[n]);
    assert_eq!([asked(0), asked(1), asked(2), asked(3)], [4, 4, 1, 2]);
    assert_eq!(counts(&report), [2, 1, 0, 1], "{report}");
    // A Retry-After is kept to.
    let calls = scene.site.calls();
    let busy: Vec<_> = calls
        .iter()
        .filter(|call| call.id() == Some(&ids[3]))
        .collect();
    assert!(busy[1].arrived - busy[0].arrived >= Duration::from_millis(950));
}

#[test]
fn the_limits_are_the_operators() {
    let mut scene = scene_of(&["hqdefault.jpg", "good.png", "drip-body.jpg"]);
    scene.set("VVV_THUMBNAILS__TIMEOUT", "700ms");
    scene.set("VVV_QUEUES__THUMBNAILS__MAX_RETRIES", "0");
    scene.set("VVV_THUMBNAILS__MIN_WIDTH", "481");
    let small = check(&scene, &[]);
    assert_eq!(counts(&small), [0, 0, 2, 1], "{small}");
    scene.set("VVV_THUMBNAILS__MIN_WIDTH", "1");
    scene.set("VVV_THUMBNAILS__MAX_PIXELS", "172799");
    assert_eq!(counts(&check(&scene, &["--fresh"])), [0, 2, 0, 1]);
    scene.set("VVV_THUMBNAILS__MAX_PIXELS", "172800");
    scene.set("VVV_THUMBNAILS__MAX_BYTES", "1KiB");
    // What says at once that it will be too large is not waited for.
    assert_eq!(counts(&check(&scene, &["--fresh"])), [0, 3, 0, 0]);
}

#[test]
fn one_host_never_gets_more_than_its_connections() {
    let mut scene = Scene::new(PROGRAM, 60);
    scene.set("VVV_FETCH__MAX_PER_HOST", "3");
    let gate = support::site::Gate::closed();
    for id in &scene.vault.ids {
        let held = Reply::picture(support::pictures::good(support::pictures::Picture::Jpeg));
        scene.site.thumbnail(id, held.behind(&gate));
    }
    let file = support::batch_file::BatchFile::of_vault(&scene.vault);
    let running = scene.run_batch(&file, &["--only", "thumbnails"]).start();
    let arrived = |most: usize, within| scene.site.wait_until(within, |calls| calls.len() >= most);
    // Nobody is answered, so whoever may come has come.
    assert!(arrived(3, Duration::from_secs(20)), "fewer than allowed");
    assert!(!arrived(4, Duration::from_secs(1)), "more than allowed");
    gate.open();
    assert_eq!(counts(&report(&running.wait())), [60, 0, 0, 0]);
}

#[test]
fn the_grey_picture_of_a_404_is_no_picture() {
    let scene = Scene::new(PROGRAM, 1);
    scene
        .site
        .thumbnail(&scene.vault.ids[0], thumbnails::missing());
    assert_eq!(counts(&check(&scene, &[])), [0, 1, 0, 0]);
}
