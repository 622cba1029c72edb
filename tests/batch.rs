//! The contract of `batch`: what it takes, what it refuses and how, and what its report holds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fs;

use serde_json::{Value, json};

use support::run::Output;
use support::scene::{Scene, any_report, report, strings};
use support::site::{Endpoint, Reply, oembed};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");

fn refused(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, Some(code), "{output:?}");
    assert_eq!(output.stdout, "", "{output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "no {word}: {output:?}");
    }
    assert!(!output.stderr.contains("panicked"), "{output:?}");
}

/// A batch of everything: good, bad, twice, and what nobody can judge.
fn mixed(scene: &Scene) -> support::batch_file::BatchFile {
    let ids = &scene.vault.ids;
    let picture = |n: usize, file: &str| scene.site.thumbnail_url(&ids[n], file);
    scene
        .batch()
        .video(&ids[3], Some(&picture(3, "hqdefault.jpg")))
        .video(&ids[0], Some(&picture(0, "default.jpg")))
        .video(&ids[3], Some(&picture(3, "hqdefault.jpg")))
        .video(&ids[1], Some(&picture(1, "corrupt.jpg")))
        .video(&ids[2], Some(&picture(2, "status-404.jpg")))
        .video(&ids[4], Some(&picture(4, "status-503.jpg")))
        .video("nowhere000A", None)
        .stale([
            oembed::id("alive", 1),
            oembed::id("dead_", 2),
            oembed::id("priv_", 3),
            "impossible".to_owned(),
            oembed::id("dead_", 2),
        ])
}

#[test]
fn a_report_holds_every_key_and_counts_every_input_once() {
    let scene = Scene::new(PROGRAM, 5);
    let output = scene.run_batch(&mixed(&scene), &[]).output();
    let report = report(&output);
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(
        keys(&report),
        ["liveness", "scoring", "summary", "thumbnails"]
    );
    assert_eq!(report["scoring"].as_object().unwrap().len(), 6);
    assert_eq!(
        report["scoring"]["nowhere000A"],
        json!({"score": 0, "reason": "insufficient data"})
    );
    let thumbnails = &report["thumbnails"];
    for (key, count) in [
        ("valid", 1),
        ("broken", 2),
        ("placeholder", 1),
        ("unknown", 1),
    ] {
        assert_eq!(thumbnails[key], json!(count), "{key}");
    }
    assert_eq!(strings(&thumbnails["unknown_ids"]), [&scene.vault.ids[4]]);
    assert_eq!(thumbnails["details"].as_array().unwrap().len(), 4);
    let liveness = &report["liveness"];
    for (key, count) in [("alive", 1), ("dead", 1), ("unknown", 1), ("invalid", 1)] {
        assert_eq!(liveness[key], json!(count), "{key}");
    }
    assert_eq!(strings(&liveness["dead_ids"]), [oembed::id("dead_", 2)]);
    assert_eq!(strings(&liveness["unknown_ids"]), [oembed::id("priv_", 3)]);
    assert_eq!(strings(&liveness["invalid_ids"]), ["impossible"]);
    let summary = &report["summary"];
    assert_eq!(summary["version"], json!(env!("CARGO_PKG_VERSION")));
    assert_eq!(summary["db"].as_str(), scene.vault.path.to_str());
    assert!(summary["jobs"].as_u64().unwrap() >= 3);
    assert_eq!(summary["failures"], json!([]));
    let nothing = json!({"scoring": [], "thumbnails": [], "liveness": []});
    assert_eq!(summary["not_done"], nothing);
    assert_eq!(summary["cached"], json!({"thumbnails": 0, "liveness": 0}));
    assert_eq!(summary["oembed_calls"], json!(3));
    assert!(summary["elapsed_ms"].as_u64().unwrap() > 0);
    assert_eq!(summary["dry_run"], json!(false));
    // Lists keep the order of the input.
    let places = [3, 0, 1, 2, 4].map(|n| output.stdout.find(&scene.vault.ids[n]).unwrap());
    assert!(places.is_sorted(), "{}", output.stdout);
    assert_eq!(output.stderr, "", "cron would mail it");
}

#[test]
fn a_section_that_was_not_asked_for_is_absent() {
    let scene = Scene::new(PROGRAM, 5);
    for (only, section) in [
        ("scoring", "scoring"),
        ("score", "scoring"),
        ("tasks.score_virality_batch", "scoring"),
        ("thumbnails", "thumbnails"),
        ("tasks.validate_thumbnails", "thumbnails"),
        ("liveness", "liveness"),
        ("cleanup", "liveness"),
        ("tasks.detect_dead_videos", "liveness"),
    ] {
        let report = scene.report(&mixed(&scene), &["--only", only, "--fresh"]);
        let sections: Vec<&String> = report.as_object().unwrap().keys().collect();
        let mut expected = [section, "summary"];
        expected.sort_unstable();
        assert_eq!(sections, expected, "{only}");
    }
    let two = scene.report(&mixed(&scene), &["--only", "score,cleanup"]);
    assert!(two.get("scoring").is_some() && two.get("liveness").is_some());
    let output = scene
        .run_batch(&mixed(&scene), &["--only", "everything"])
        .output();
    refused(&output, 2, &["everything", "--only", "cleanup"]);
    let only_stale = scene.report(&scene.batch().stale([oembed::id("alive", 9)]), &[]);
    assert!(only_stale.get("scoring").is_none() && only_stale.get("thumbnails").is_none());
}

#[test]
fn empty_lists_are_nothing_to_do_and_no_list_is_a_mistake() {
    let scene = Scene::new(PROGRAM, 1);
    let file = scene
        .batch()
        .key("new_videos", json!([]))
        .key("stale_ids", json!([]));
    let report = scene.report(&file, &[]);
    assert_eq!(report["scoring"], json!({}));
    assert_eq!(report["thumbnails"]["valid"], json!(0));
    assert_eq!(report["liveness"]["alive"], json!(0));
    let output = scene.run_batch(&scene.batch(), &[]).output();
    refused(&output, 2, &["new_videos", "stale_ids", "standard input"]);
}

#[test]
fn mistakes_are_named_by_file_key_and_line() {
    let scene = Scene::new(PROGRAM, 1);
    let file = scene.path("new.json");
    for (text, words) in [
        (
            "{\n \"stale_ids\": [],\n \"new_vidoes\": []\n}",
            &["new_vidoes", "line 3"][..],
        ),
        ("{\"stale_ids\": [\"a\", 7]}", &["stale_ids[1]", "line 1"]),
        ("{\"new_videos\": {\"video_id\": \"a\"}}", &["new_videos"]),
        (
            "{\"new_videos\": [{\"thumbnail_url\": \"x\"}]}",
            &["new_videos[0]", "video_id"],
        ),
        ("{\"db_path\": 3, \"stale_ids\": []}", &["db_path"]),
        ("{\"stale_ids\": []", &["line 1"]),
        ("", &["line 1"]),
        ("\u{feff}[]", &[]),
        ("null", &[]),
    ] {
        fs::write(&file, text).unwrap();
        let output = scene.run(["batch".as_ref(), file.as_os_str()]).output();
        refused(&output, 2, &[&["new.json"], words].concat());
    }
    fs::write(&file, b"{\"stale_ids\": [\"\xff\"]}").unwrap();
    refused(
        &scene.run(["batch".as_ref(), file.as_os_str()]).output(),
        2,
        &["new.json"],
    );
    let none = scene.path("none.json");
    refused(
        &scene.run(["batch".as_ref(), none.as_os_str()]).output(),
        2,
        &["none.json"],
    );
    let folder = scene.folder.path();
    refused(
        &scene.run(["batch".as_ref(), folder.as_os_str()]).output(),
        2,
        &[],
    );
}

#[test]
fn a_bad_configuration_or_flag_is_told_before_anything_is_done() {
    let scene = Scene::new(PROGRAM, 1);
    let file = mixed_of_one(&scene);
    let run = |name: &str, value: &str| scene.run_batch(&file, &[]).env(name, value).output();
    refused(
        &run("VVV_QUEUES__SCORING__WORKERS", "many"),
        3,
        &["queues.scoring.workers", "many"],
    );
    refused(
        &run("VVV_QUEUES__SCORNG__WORKERS", "1"),
        3,
        &["SCORNG", "did you mean"],
    );
    refused(
        &run("VVV_RATE_LIMITS__OEMBED", "20"),
        3,
        &["rate_limits.oembed"],
    );
    for args in [
        &["--deadline", "soon"][..],
        &["--max-calls", "few"],
        &["--format", "xml"],
    ] {
        refused(&scene.run_batch(&file, args).output(), 2, &[args[0]]);
    }
    refused(
        &scene
            .run_batch(&file, &["--config", "/nowhere.toml"])
            .output(),
        3,
        &["/nowhere.toml"],
    );
    assert_eq!(scene.site.calls().len(), 0);
}

fn mixed_of_one(scene: &Scene) -> support::batch_file::BatchFile {
    let id = &scene.vault.ids[0];
    let url = scene.vault.thumbnail_url(id);
    scene
        .batch()
        .video(id, url.as_deref())
        .stale([oembed::id("dead_", 0)])
}

#[test]
fn the_database_is_found_beside_the_batch_file_and_the_flag_stands_above_it() {
    let scene = Scene::new(PROGRAM, 1);
    let id = &scene.vault.ids[0];
    let file = support::batch_file::BatchFile::new().video(id, None);
    let relative = file.clone().key("db_path", json!("vault.db"));
    let path = relative.write(&scene.path("new.json"));
    let report_of = |run: support::run::Run| report(&run.output());
    // From another folder, by the file.
    let told = report_of(scene.run(["batch".as_ref(), path.as_os_str()]));
    assert!(told["scoring"][id].get("label").is_some());
    // From standard input, by the current folder.
    let run = scene.run_batch(&relative, &[]).folder(scene.folder.path());
    assert!(report_of(run)["scoring"][id].get("label").is_some());
    refused(&scene.run_batch(&relative, &[]).output(), 3, &["vault.db"]);
    // The flag, relative to the current folder, above all.
    let wrong = file.clone().key("db_path", json!("/nowhere/x.db"));
    let run = scene
        .run_batch(&wrong, &["--db", "vault.db"])
        .folder(scene.folder.path());
    assert!(report_of(run)["scoring"][id].get("label").is_some());
    // The configuration where the file names none.
    let run = scene
        .run_batch(&file, &[])
        .env("VVV_DATABASE__PATH", &scene.vault.path);
    assert!(report_of(run)["scoring"][id].get("label").is_some());
    refused(
        &scene.run_batch(&file, &[]).output(),
        2,
        &["db_path", "--db"],
    );
}

#[test]
fn verdicts_fail_a_run_only_where_they_are_asked_to() {
    let scene = Scene::new(PROGRAM, 5);
    let file = mixed(&scene);
    for (fail_on, code) in [
        ("dead", 1),
        ("broken", 1),
        ("placeholder", 1),
        ("unknown", 1),
        ("invalid", 1),
        ("dead,broken", 1),
    ] {
        let output = scene.run_batch(&file, &["--fail-on", fail_on]).output();
        assert_eq!(output.code, Some(code), "{fail_on}: {output:?}");
        let told = any_report(&output);
        assert_eq!(told["summary"]["failures"], json!([]));
    }
    let good = scene.batch().stale([oembed::id("alive", 1)]);
    let all = "dead,broken,placeholder,unknown,invalid";
    let output = scene.run_batch(&good, &["--fail-on", all]).output();
    assert_eq!(output.code, Some(0), "{output:?}");
}

#[test]
fn a_job_that_fails_is_told_and_exits_with_1() {
    let scene = Scene::new(PROGRAM, 3);
    // The site's own trigger refuses one video's score; SQLite undoes that statement only.
    scene
        .vault
        .connect()
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE UPDATE ON videos WHEN new.rowid = 2
             BEGIN SELECT RAISE(ROLLBACK, 'not this one'); END;",
        )
        .unwrap();
    let file = scene
        .vault
        .ids
        .iter()
        .fold(scene.batch(), |file, id| file.video(id, None));
    let output = scene
        .run_batch(&file.stale([oembed::id("dead_", 0)]), &[])
        .env("VVV_QUEUES__SCORING__CHUNK", "1")
        .output();
    assert_eq!(output.code, Some(1), "{output:?}");
    let told = any_report(&output);
    let failures = told["summary"]["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{told}");
    assert_eq!(failures[0]["kind"], json!("score"));
    assert_eq!(failures[0]["ids"], json!([scene.vault.ids[1]]));
    assert!(
        failures[0]["error"]
            .as_str()
            .unwrap()
            .contains("not this one")
    );
    assert!(scene.vault.score(&scene.vault.ids[0]).is_some());
    assert_eq!(told["liveness"]["dead"], json!(1));
}

#[test]
fn a_queue_without_workers_is_left_undone_and_said_so() {
    let mut scene = Scene::new(PROGRAM, 5);
    scene.set("VVV_QUEUES__CLEANUP__WORKERS", "0");
    let output = scene.run_batch(&mixed(&scene), &[]).output();
    let told = report(&output);
    assert_eq!(strings(&told["summary"]["not_done"]["liveness"]).len(), 4);
    assert_eq!(told["liveness"]["alive"], json!(0));
    assert!(output.stderr.contains("cleanup"), "{output:?}");
    assert_eq!(scene.site.total(Endpoint::Oembed), 0);
}

#[test]
fn results_come_as_json_or_as_tables_and_nothing_else_on_stdout() {
    let scene = Scene::new(PROGRAM, 5);
    scene
        .site
        .oembed(&oembed::id("priv_", 3), Reply::status(403));
    let human = scene
        .run_batch(&mixed(&scene), &["--format", "human"])
        .output();
    assert_eq!(human.code, Some(0), "{human:?}");
    for words in [
        "Scoring: ",
        "Thumbnails: 1 valid, 1 broken, 1 error, 1 placeholder, 1 unknown",
        "Unknown:\n  1 × http 503: ",
        "Liveness: 1 alive, 1 dead",
    ] {
        assert!(human.stdout.contains(words), "{words}: {}", human.stdout);
    }
    assert!(!human.stdout.contains('\u{1b}'));
    let quiet = scene.run_batch(&mixed(&scene), &["--quiet"]).output();
    assert_eq!(quiet.stderr, "");
    assert_eq!(report(&quiet)["liveness"]["dead"], json!(1));
    assert_eq!(quiet.stdout.lines().count(), 1, "one object, one line");
}
