//! `score`, `thumbnails` and `liveness` with ids from the command line and from the database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use serde_json::{Value, json};

use support::scene::{Scene, report, strings};
use support::site::{Endpoint, oembed};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");

/// Runs a verb on the scene's vault.
fn run(scene: &Scene, args: &[&str]) -> Value {
    let db = scene.vault.path.to_str().unwrap();
    report(&scene.run([&["--db", db], args].concat()).output())
}

/// The ids of a report's scores, in the order of the vault.
fn scored(report: &Value) -> Vec<String> {
    let mut ids: Vec<String> = report["scoring"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    ids.sort_unstable();
    ids
}

fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}

#[test]
fn ids_come_from_the_command_line_each_once() {
    let scene = Scene::new(PROGRAM, 20);
    let ids = &scene.vault.ids;
    let told = run(&scene, &["score", &ids[2], &ids[1], &ids[2]]);
    assert_eq!(scored(&told), sorted(&ids[1..=2]));
    assert!(told.get("thumbnails").is_none());
    assert_eq!(scene.vault.ask("SELECT count(*) FROM vvv_scores"), "2");
    let told = run(&scene, &["thumbnails", &ids[5], &ids[5], &ids[6]]);
    assert_eq!(told["thumbnails"]["valid"], json!(2));
    assert_eq!(scene.site.total(Endpoint::Thumbnail), 2);
    let (alive, dead) = (oembed::id("alive", 0), oembed::id("dead_", 1));
    let told = run(&scene, &["liveness", &alive, &dead, &alive]);
    assert_eq!(strings(&told["liveness"]["dead_ids"]), [dead]);
    assert_eq!(told["liveness"]["alive"], json!(1));
    assert_eq!(scene.site.total(Endpoint::Oembed), 2);
}

#[test]
fn an_id_may_begin_with_a_dash() {
    let scene = Scene::new(PROGRAM, 20);
    let dashed = &scene.vault.ids[7];
    assert!(dashed.starts_with('-'));
    for args in [
        &["score", dashed][..],
        &["score", "--", dashed],
        &["score", dashed, "-q"],
    ] {
        let told = run(&scene, args);
        assert!(
            told["scoring"][dashed].get("label").is_some(),
            "{args:?}: {told}"
        );
    }
    assert_eq!(
        run(&scene, &["thumbnails", dashed])["thumbnails"]["valid"],
        json!(1)
    );
    assert_eq!(
        run(&scene, &["liveness", dashed])["liveness"]["alive"],
        json!(1)
    );
    let file = scene.batch().video(dashed, None).stale([dashed]);
    assert_eq!(
        scene.report(&file, &["--fresh"])["liveness"]["alive"],
        json!(1)
    );
}

#[test]
fn all_videos_or_so_many_or_those_of_a_region_come_from_the_database() {
    let scene = Scene::new(PROGRAM, 70);
    let all = run(&scene, &["score", "--all"]);
    assert_eq!(scored(&all), sorted(&scene.vault.ids));
    let region = run(&scene, &["score", "--region", "SE"]);
    let of_sweden = region["scoring"].as_object().unwrap();
    assert_eq!(of_sweden.len(), 10);
    let elsewhere = of_sweden.values().find(|entry| {
        entry
            .get("region")
            .is_some_and(|region| *region != json!("SE"))
    });
    assert_eq!(elsewhere, None);
    assert_eq!(scored(&run(&scene, &["score", "--limit", "3"])).len(), 3);
    assert_eq!(
        scored(&run(&scene, &["score", "--region", "PL", "--limit", "4"])).len(),
        4
    );
    assert_eq!(scored(&run(&scene, &["score", "--region", "XX"])).len(), 0);
    let pictures = run(&scene, &["thumbnails", "--all"]);
    assert_eq!(pictures["thumbnails"]["valid"], json!(70));
    let asked = run(&scene, &["liveness", "--region", "GB"]);
    assert_eq!(asked["liveness"]["alive"], json!(10));
}

#[test]
fn what_waited_longest_comes_first_and_a_limit_walks_through_all() {
    let scene = Scene::new(PROGRAM, 30);
    for verb in ["thumbnails", "liveness"] {
        for _ in 0..3 {
            let told = run(&scene, &[verb, "--stale", "7d", "--limit", "10"]);
            assert_eq!(told["summary"]["cached"][verb], json!(0), "{told}");
        }
        let rest = run(&scene, &[verb, "--stale", "7d", "--limit", "10"]);
        let section = &rest[verb];
        let counted = |key: &str| section[key].as_u64().unwrap_or(0);
        assert_eq!(
            counted("valid") + counted("alive") + counted("unknown"),
            0,
            "{rest}"
        );
    }
    assert_eq!(scene.site.total(Endpoint::Thumbnail), 30);
    assert_eq!(scene.site.total(Endpoint::Oembed), 30);
    let counts = scene.site.counts(Endpoint::Oembed);
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    // Older than the age again.
    let made_old = "UPDATE vvv_liveness_checks SET checked_at = checked_at - 8 * 86400;
        UPDATE vvv_video_status SET liveness_checked_at = liveness_checked_at - 8 * 86400;";
    scene.vault.connect().execute_batch(made_old).unwrap();
    let again = run(&scene, &["liveness", "--stale", "7d"]);
    assert_eq!(again["liveness"]["alive"], json!(30));
}

#[test]
fn a_score_is_stale_by_its_age() {
    // The 50th is too new to have a score: it is asked for again, like any other without one.
    let scene = Scene::new(PROGRAM, 50);
    let too_new = &scene.vault.ids[49..];
    assert_eq!(scored(&run(&scene, &["score", "--stale", "1h"])).len(), 50);
    assert_eq!(scored(&run(&scene, &["score", "--stale", "1h"])), too_new);
    scene
        .vault
        .connect()
        .execute_batch("UPDATE vvv_scores SET scored_at = scored_at - 7200 WHERE region = 'NO'")
        .unwrap();
    assert_eq!(scored(&run(&scene, &["score", "--stale", "1h"])).len(), 8);
}

#[test]
fn videos_that_cannot_be_scored_do_not_stand_before_the_others_for_ever() {
    let scene = Scene::new(PROGRAM, 50);
    let without_snapshots = "DELETE FROM video_snapshots WHERE video_id IN \
        (SELECT video_id FROM videos ORDER BY rowid LIMIT 10)";
    scene
        .vault
        .connect()
        .execute(without_snapshots, [])
        .unwrap();
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.extend(scored(&run(&scene, &["score", "--limit", "10"])));
    }
    assert_eq!(sorted(&seen), sorted(&scene.vault.ids));
}

#[test]
fn those_scored_longest_ago_are_not_guessed_where_no_times_are_kept() {
    let mut scene = Scene::new(PROGRAM, 10);
    scene.set("VVV_SCORING__KEEP_DETAILS", "false");
    let db = scene.vault.path.to_str().unwrap().to_owned();
    for choice in [&["--limit", "3"][..], &["--stale", "1h"]] {
        let output = scene
            .run([&["score", "--db", &db], choice].concat())
            .output();
        assert_eq!(output.code, Some(2), "{output:?}");
        for word in ["scoring.keep_details", choice[0]] {
            assert!(output.stderr.contains(word), "{output:?}");
        }
    }
    assert_eq!(scored(&run(&scene, &["score", "--all"])).len(), 10);
    assert_eq!(scene.vault.ask("SELECT count(*) FROM vvv_score_tries"), "0");
    let pictures = run(&scene, &["thumbnails", "--limit", "3"]);
    assert_eq!(pictures["thumbnails"]["valid"], json!(3));
}

#[test]
fn limits_of_a_run_hold_for_verbs_too() {
    let scene = Scene::new(PROGRAM, 20);
    let told = run(&scene, &["liveness", "--all", "--max-calls", "6"]);
    assert_eq!(told["liveness"]["alive"], json!(6));
    assert_eq!(strings(&told["summary"]["not_done"]["liveness"]).len(), 14);
    let told = run(&scene, &["score", "--all", "--dry-run", "--deadline", "1m"]);
    assert_eq!(told["summary"]["dry_run"], json!(true));
    assert_eq!(scene.vault.ask("SELECT count(*) FROM vvv_scores"), "0");
    let dead = oembed::id("dead_", 0);
    let db = scene.vault.path.to_str().unwrap();
    let args = ["liveness", "--db", db, "--fail-on", "dead", &dead];
    assert_eq!(scene.run(args).output().code, Some(1));
}

#[test]
fn a_verb_needs_videos_and_a_database() {
    let scene = Scene::new(PROGRAM, 1);
    for (args, code, word) in [
        (&["score"][..], 2, "ID"),
        (&["score", "--all", "x"], 2, "--all"),
        (&["score", "--all", "--stale", "7d"], 2, "--stale"),
        (&["score", "--limit", "0"], 2, "--limit"),
        (&["score", "--stale", "soon"], 2, "soon"),
        (&["score", "--all"], 2, "--db"),
        (&["score", "x"], 2, "--db"),
        (&["liveness", "--al"], 2, "--all"),
    ] {
        let output = scene.run(args).output();
        assert_eq!(output.code, Some(code), "{args:?}: {output:?}");
        assert!(output.stderr.contains(word), "{args:?}: {output:?}");
        assert_eq!(output.stdout, "", "{args:?}");
    }
}

#[test]
fn a_video_the_site_does_not_have_is_not_passed_over_in_silence() {
    let scene = Scene::new(PROGRAM, 2);
    scene
        .vault
        .connect()
        .execute("UPDATE videos SET thumbnail_url = NULL WHERE rowid = 1", [])
        .unwrap();
    let db = scene.vault.path.to_str().unwrap();
    let (without, with) = (&scene.vault.ids[0], &scene.vault.ids[1]);
    let args = ["thumbnails", "--db", db, "nowhere000A", without, with];
    let output = scene.run(args).output();
    let told = report(&output);
    assert_eq!(told["thumbnails"]["valid"], json!(1));
    for id in ["nowhere000A", without.as_str()] {
        assert!(output.stderr.contains(id), "{id} is not named: {output:?}");
    }
}
