//! The verbs that speak to the daemon: the real program on both ends of the socket, and the verbs
//! that look into the file when nobody listens.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};
use support::batch_file::BatchFile;
use support::run::{Output, Run};
use support::scene::{Scene, any_report, report};
use support::site::{Reply, oembed};
use support::talk::{Daemon, until};
use support::vault::{Journal, VaultSpec};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");

/// A scene whose verbs find its daemon, if there is one, and its vault.
fn scene(videos: usize) -> Scene {
    let mut scene = Scene::new(PROGRAM, videos);
    name_daemon(&mut scene);
    scene
}

fn name_daemon(scene: &mut Scene) {
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (socket, vault) = (path(&scene.path("d.sock")), path(&scene.vault.path));
    scene.set("VVV_DAEMON__SOCKET", socket);
    scene.set("VVV_DATABASE__PATH", vault);
}

fn output(scene: &Scene, line: &str) -> Output {
    scene.run(line.split_whitespace()).output()
}

/// What a verb that must end well answers, as JSON.
fn told(scene: &Scene, line: &str) -> Value {
    report(&output(scene, line))
}

fn batch(scene: &Scene, file: &BatchFile, line: &str) -> Run {
    scene.run(line.split_whitespace()).stdin(file.text())
}

/// A batch with each kind of work and a dead video.
fn mixed(scene: &Scene) -> BatchFile {
    BatchFile::of_vault(&scene.vault).stale([oembed::id("alive", 0), oembed::id("dead_", 1)])
}

/// A report without what differs between any two runs.
fn essence(mut report: Value) -> Value {
    let summary = report["summary"].as_object_mut().unwrap();
    summary.remove("elapsed_ms");
    summary.remove("db");
    report
}

#[test]
fn a_batch_through_the_daemon_is_reported_as_one_without() {
    let scene = scene(60);
    let file = mixed(&scene);
    let alone = report(&batch(&scene, &file, "batch - --fresh").output());
    let queued = Scene::new(PROGRAM, 60);
    let daemon = Daemon::start(&queued, &[]);
    let mut with = scene;
    with.set("VVV_DAEMON__SOCKET", daemon.socket.to_str().unwrap());
    // Another database than the daemon's is refused, and nothing is queued.
    let refused = batch(&with, &file, "submit batch - --wait").output();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("not on"), "{refused:?}");
    with.set("VVV_DATABASE__PATH", queued.vault.path.to_str().unwrap());
    let file = mixed(&queued);
    let through = batch(&with, &file, "submit batch - --wait --fail-on dead").output();
    assert_eq!(through.code, Some(1), "{through:?}");
    let (alone, through) = (essence(alone), essence(any_report(&through)));
    assert_eq!(alone["liveness"], through["liveness"]);
    assert_eq!(alone["scoring"], through["scoring"]);
    assert_eq!(alone["thumbnails"]["valid"], through["thumbnails"]["valid"]);
    assert_eq!(alone["summary"], through["summary"]);
    let jobs = told(&with, "job list --group 1 --limit 1000");
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 2 + 3 + 1);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_job_is_handed_in_looked_at_and_waited_for() {
    let mut scene = scene(3);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    scene.set("TRACEPARENT", trace);
    let daemon = Daemon::start(&scene, &[]);
    let dashed = "-Bg3w_kVyPQ";
    let report = told(
        &scene,
        &format!("submit score {dashed} {} --wait", scene.vault.ids[0]),
    );
    assert!(
        report["scoring"].get(&scene.vault.ids[0]).is_some(),
        "{report}"
    );
    assert!(report["scoring"].get(dashed).is_some(), "{report}");
    let line = "submit thumbnails --all --unique-key nightly --unique-for 1h --priority 0";
    let first = told(&scene, line);
    let id = first["ids"][0].as_i64().unwrap();
    assert_eq!(first["duplicate"], false);
    let again = told(&scene, line);
    assert_eq!(
        (&again["duplicate"], &again["ids"]),
        (&json!(true), &first["ids"])
    );
    let waited = told(&scene, &format!("job wait {id} --timeout 30s"));
    assert_eq!(waited["jobs"][0]["state"], "succeeded");
    let shown = output(&scene, &format!("job show {id} --format human"));
    assert!(shown.stdout.contains("unique key   nightly"), "{shown:?}");
    assert!(shown.stdout.contains(trace), "{shown:?}");
    let listed = output(
        &scene,
        "job list --state succeeded --kind thumbnails --format human",
    );
    assert!(listed.stdout.contains("thumbnails"), "{listed:?}");
    let missing = output(&scene, "job show 999");
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn whoever_waits_for_work_that_is_there_waits_for_all_of_it() {
    let mut scene = scene(120);
    scene.set("VVV_QUEUES__SCORING__CHUNK", "50");
    let daemon = Daemon::start(&scene, &[]);
    assert_eq!(told(&scene, "queue pause scoring")["changed"], true);
    let first = told(&scene, "submit score --all --unique-key k");
    assert_eq!(first["ids"].as_array().unwrap().len(), 3, "{first}");
    let waiting = scene
        .run("submit score --all --unique-key k --wait".split_whitespace())
        .start();
    assert!(waiting.wait_for_stderr("nothing new"));
    told(&scene, "queue resume scoring");
    let waited = waiting.wait();
    let report = report(&waited);
    assert_eq!(report["scoring"].as_object().unwrap().len(), 120);
    assert!(
        report["summary"]["not_done"]["scoring"] == json!([]),
        "{waited:?}"
    );
    // What another kind of work found answers nothing.
    let other = output(&scene, "submit liveness aaaaaaaaaaa --unique-key k --wait");
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(
        other.stderr.contains("a score job, has the --unique-key"),
        "{other:?}"
    );
    let empty = scene
        .run(["submit", "score", "a", "--unique-key", ""])
        .output();
    assert_eq!(empty.code, Some(2), "{empty:?}");
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_batch_with_a_key_is_handed_in_once_and_waited_for_by_either() {
    let scene = scene(3);
    let daemon = Daemon::start(&scene, &[]);
    let file = BatchFile::of_vault(&scene.vault);
    let line = "submit batch - --only scoring --unique-key noon --unique-for 1h";
    let first = report(&batch(&scene, &file, line).output());
    assert_eq!(first["duplicate"], false);
    let again = batch(&scene, &file, &format!("{line} --wait")).output();
    assert!(again.stderr.contains("nothing new: group 1"), "{again:?}");
    assert_eq!(report(&again)["scoring"].as_object().unwrap().len(), 3);
    let human = batch(&scene, &file, &format!("{line} --format human")).output();
    assert_eq!(human.stdout, "nothing new: group 1 has the key\n");
    assert_eq!(scene.vault.ask("SELECT count(*) FROM vvv_jobs"), "1");
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn whoever_stops_waiting_is_told_that_the_work_stays_queued() {
    let mut scene = scene(3);
    scene.set("VVV_QUEUES__THUMBNAILS__RETRY_DELAY", "5m");
    let daemon = Daemon::start(&scene, &[]);
    scene
        .site
        .thumbnail(&scene.vault.ids[2], Reply::status(503));
    let file = BatchFile::of_vault(&scene.vault);
    let line = "submit batch - --only thumbnails --wait --format human";
    let waiting = batch(&scene, &file, line).start();
    until("one picture waits for its next try", || {
        let waits = "SELECT count(*) FROM vvv_jobs WHERE state = 'retryable'";
        (scene.vault.ask(waits) == "1").then_some(())
    });
    waiting.signal(Signal::INT);
    let ended = waiting.wait();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let left = "left to do: 0 to score, 1 thumbnails, 0 to ask for; the daemon has them as 1 jobs of group 1";
    assert!(ended.stdout.contains(left), "{ended:?}");
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_daemon_of_another_database_is_told_nothing() {
    let with = scene(1);
    let daemon = Daemon::start(&with, &[]);
    let id = daemon.call(
        "jobs.submit",
        json!({"kind": "liveness", "delay": "1h", "payload": {"video_ids": ["a"]}}),
    )["ids"][0]
        .clone();
    let other = scene(1);
    let named = format!("--db {}", other.vault.path.to_str().unwrap());
    for line in [
        "stop",
        "reload",
        "watch",
        "queue pause cleanup",
        "queue resume cleanup",
        "queue purge cleanup",
        &format!("job cancel {id}"),
        &format!("job retry {id}"),
        "job retry --all-failed",
        "status --check",
    ] {
        let refused = output(&with, &format!("{named} {line}"));
        assert_eq!(refused.code, Some(2), "{line}: {refused:?}");
        let told = format!("{}{}", refused.stdout, refused.stderr);
        assert!(told.contains("not on"), "{line}: {refused:?}");
    }
    // The other file has no queue; what only looks says so, and not what the daemon has.
    for line in [
        "job list",
        "queue list",
        "status",
        &format!("job show {id}"),
    ] {
        let looked = output(&with, &format!("{named} {line}"));
        assert_eq!(looked.code, Some(3), "{line}: {looked:?}");
        assert!(looked.stderr.contains("; looking into"), "{looked:?}");
    }
    assert_eq!(told(&with, "job list")["jobs"][0]["id"], id);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn what_was_not_done_is_named_and_what_is_there_is_shown() {
    let scene = scene(1);
    let daemon = Daemon::start(&scene, &[]);
    for _ in 0..2 {
        told(&scene, "submit liveness aaaaaaaaaaa --delay 1h");
    }
    let late = output(&scene, "job wait 1 2 --timeout 50ms --format human");
    assert_eq!(late.stdout, "2 have not ended: 1, 2\n", "{late:?}");
    let cancelled = output(&scene, "job cancel 9999 1 --format human");
    assert_eq!(cancelled.code, Some(1), "{cancelled:?}");
    let said = "cancelled: 1 of 2\nnot cancelled, there is no such job: 9999\n";
    assert_eq!(cancelled.stdout, said);
    let again = output(&scene, "job cancel 1");
    assert!(again.stdout.contains("it has ended"), "{again:?}");
    let shown = output(&scene, "job show 1 9999 2");
    assert_eq!(
        (shown.code, shown.stdout.lines().count()),
        (Some(1), 2),
        "{shown:?}"
    );
    assert!(shown.stderr.contains("9999"), "{shown:?}");
    let paused = output(&scene, "queue pause cleanup liveness");
    assert_eq!(paused.stdout.lines().count(), 1, "{paused:?}");
    for (line, said) in [
        ("job list --limit 0", "1 or more"),
        ("submit score --all --limit 0", "1 or more"),
        (
            "submit batch x --only bogus",
            "one of scoring, score, tasks.score",
        ),
    ] {
        let refused = output(&scene, line);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
    let list = scene
        .run(["submit", "batch", "-"])
        .stdin("[null, [], [\"id\"]]")
        .output();
    assert_eq!(list.code, Some(2), "{list:?}");
    assert!(list.stderr.contains("must be an object"), "{list:?}");
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_lock_of_anothers_delays_and_fails_nothing() {
    let mut scene = Scene::of(PROGRAM, VaultSpec::new(1).journal(Journal::Delete));
    name_daemon(&mut scene);
    let daemon = Daemon::start(&scene, &[]);
    let id = daemon.call(
        "jobs.submit",
        json!({"kind": "liveness", "delay": "1h", "payload": {"video_ids": ["a"]}}),
    )["ids"][0]
        .clone();
    let other = scene.vault.connect();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let lines = [
        format!("submit score {}", scene.vault.ids[0]),
        "job list".to_owned(),
        format!("job show {id}"),
        "queue list".to_owned(),
    ];
    let waiting = lines.map(|line| scene.run(line.split_whitespace()).start());
    for _ in 0..2 {
        let check = output(&scene, "status --check");
        assert_eq!(check.code, Some(1), "{check:?}");
        assert!(check.stdout.contains("cannot be told"), "{check:?}");
        let status = told(&scene, "status");
        assert_eq!(status["state"], "running", "{status}");
    }
    other.execute_batch("ROLLBACK").unwrap();
    for waiting in waiting {
        let _ = report(&waiting.wait());
    }
    assert_eq!(daemon.stop().code, Some(0));
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let waiting = scene.run(["job", "list"]).start();
    assert!(waiting.wait_for_stderr("another process holds the database"));
    other.execute_batch("ROLLBACK").unwrap();
    let _ = report(&waiting.wait());
}

#[test]
fn queues_are_paused_emptied_and_resumed() {
    let scene = scene(3);
    let daemon = Daemon::start(&scene, &[]);
    assert_eq!(told(&scene, "queue pause liveness")["changed"], true);
    assert_eq!(told(&scene, "queue pause cleanup")["changed"], false);
    let submitted = output(&scene, "submit liveness aaaaaaaaaaa --delay 1ms");
    assert!(
        submitted.stderr.contains("cleanup is paused"),
        "{submitted:?}"
    );
    let submitted = report(&submitted);
    let id = submitted["ids"][0].as_i64().unwrap();
    let check = output(&scene, "status --check");
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(
        check.stdout.starts_with("WARNING: cleanup is paused"),
        "{check:?}"
    );
    let late = output(&scene, &format!("job wait {id} --timeout 50ms"));
    assert_eq!(late.code, Some(1), "{late:?}");
    assert_eq!(told(&scene, "queue purge cleanup")["cancelled"], 1);
    let cancelled = output(&scene, &format!("job cancel {id}"));
    assert_eq!(cancelled.code, Some(1), "it has ended: {cancelled:?}");
    assert_eq!(
        told(&scene, &format!("job retry {id}"))["retried"],
        json!([id])
    );
    assert_eq!(
        told(&scene, &format!("job cancel {id}"))["cancelled"],
        json!([id])
    );
    assert_eq!(told(&scene, "queue resume cleanup")["changed"], true);
    assert_eq!(told(&scene, "job retry --all-failed")["retried"], json!([]));
    let status = told(&scene, "status");
    assert_eq!(status["state"], "running");
    let check = output(&scene, "status --check");
    assert_eq!(check.code, Some(0), "{check:?}");
    let reloaded = told(&scene, "reload");
    assert_eq!(reloaded["applied"], json!([]), "{reloaded}");
    assert_eq!(told(&scene, "stop")["stopping"], true);
    assert_eq!(daemon.running.wait().code, Some(0));
}

#[test]
fn without_a_daemon_the_file_is_looked_into_and_nothing_else_is_done() {
    let mut scene = scene(3);
    scene.set("VVV_QUEUES__SCORING__WORKERS", "0");
    let daemon = Daemon::start(&scene, &[]);
    let submitted = told(&scene, "submit score --all");
    let id = submitted["ids"][0].as_i64().unwrap();
    let live = told(&scene, &format!("job show {id}"));
    assert_eq!(daemon.stop().code, Some(0));
    let shown = output(&scene, &format!("job show {id}"));
    assert!(shown.stderr.contains("no daemon at"), "{shown:?}");
    assert!(shown.stderr.contains("looking into"), "{shown:?}");
    assert_eq!(report(&shown), live, "the file tells the same");
    let listed = told(
        &scene,
        "job list --state available,scheduled --queue scoring",
    );
    assert_eq!(listed["jobs"][0]["id"], id);
    let queues = told(&scene, "queue list");
    assert_eq!(queues["queues"][0]["available"], 1);
    assert_eq!(told(&scene, "status")["state"], "down");
    // What the site inserts meanwhile counts too.
    let insert =
        "INSERT INTO vvv_jobs (kind, payload) VALUES ('score', '{\"video_ids\": [\"a\"]}')";
    scene.vault.connect().execute(insert, []).unwrap();
    let queues = told(&scene, "queue list");
    assert_eq!(queues["queues"][0]["available"], 2);
    let listed = told(&scene, "job list --queue scoring --limit 1");
    assert_eq!(listed["jobs"][0]["items"], 1, "{listed}");
    // Nobody works on it now; a neighbour may cancel it.
    let late = output(&scene, &format!("job wait {id} --timeout 50ms"));
    assert_eq!(late.code, Some(1), "{late:?}");
    assert!(late.stderr.contains("looking into"), "{late:?}");
    let waiting = scene.run(["job", "wait", &id.to_string()]).start();
    assert!(waiting.wait_for_stderr("looking into"));
    let end = "UPDATE vvv_jobs SET state = 'cancelled', ended_ms = 1 WHERE id = ?1";
    scene.vault.connect().execute(end, [id]).unwrap();
    let waited = waiting.wait();
    assert!(waited.stdout.contains("\"ended\":true"), "{waited:?}");
    let check = output(&scene, "status --check");
    assert_eq!(check.code, Some(2), "{check:?}");
    assert!(
        check.stdout.starts_with("CRITICAL: no daemon at"),
        "{check:?}"
    );
    for line in [
        "submit score a",
        "job retry 1",
        "queue pause scoring",
        "stop",
        "watch",
    ] {
        let refused = output(&scene, line);
        assert_eq!(refused.code, Some(3), "{line}: {refused:?}");
        assert!(
            refused.stderr.contains("vvv-actors daemon"),
            "{line}: {refused:?}"
        );
    }
}

#[test]
fn what_a_batch_leaves_is_handed_to_the_queue() {
    let scene = scene(3);
    let file = mixed(&scene);
    let line = "batch - --max-calls 0 --enqueue-rest";
    let left = report(&batch(&scene, &file, line).output());
    let enqueued = &left["summary"]["enqueued"];
    assert_eq!(
        (&enqueued["to"], &enqueued["jobs"]),
        (&json!("file"), &json!(1))
    );
    let done = report(&batch(&scene, &file, "batch - --enqueue-rest --only score").output());
    assert!(
        done["summary"].get("enqueued").is_none(),
        "nothing was left"
    );
    // The daemon that starts next works it off.
    let daemon = Daemon::start(&scene, &[]);
    let group = enqueued["group"].as_i64().unwrap();
    let waited = told(&scene, &format!("job wait --group {group} --timeout 30s"));
    assert_eq!(waited["jobs"][0]["state"], "succeeded");
    // One that runs is asked over its socket.
    let other = BatchFile::new()
        .db(&scene.vault.path)
        .stale([oembed::id("alive", 2)]);
    let left = report(&batch(&scene, &other, line).output());
    let enqueued = &left["summary"]["enqueued"];
    assert_eq!(
        (&enqueued["to"], &enqueued["jobs"]),
        (&json!("daemon"), &json!(1))
    );
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_batch_larger_than_a_line_is_followed_through_a_restart() {
    let scene = scene(3);
    let daemon = Daemon::start(&scene, &[]);
    let _ = told(&scene, "queue pause liveness");
    // Ids that cannot exist cost no call.
    let stale = (0..130).map(|n| format!("{n:0>10000}"));
    let file = BatchFile::new().db(&scene.vault.path).stale(stale);
    let waiting = batch(&scene, &file, "submit batch - --wait").start();
    let jobs = || told(&scene, "queue list")["queues"][2]["available"].clone();
    until("the whole batch is queued", || {
        (jobs() == json!(14)).then_some(())
    });
    assert_eq!(daemon.stop().code, Some(0));
    let daemon = Daemon::start(&scene, &[]);
    let _ = told(&scene, "queue resume liveness");
    let report = report(&waiting.wait());
    assert_eq!(report["liveness"]["invalid"], 130);
    assert_eq!(report["summary"]["not_done"]["liveness"], json!([]));
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_watcher_reads_a_line_an_event_until_it_is_told_to_end() {
    let scene = scene(3);
    let daemon = Daemon::start(&scene, &[]);
    let watcher = scene.run(["watch"]).start();
    // It listens once it reads an event; which of them is the first does not matter.
    until("an event", || {
        let _ = told(&scene, "submit score --all --wait");
        watcher.has_printed("\"state\":\"succeeded\"").then_some(())
    });
    watcher.signal(Signal::INT);
    let output = watcher.wait();
    assert_eq!(output.code, Some(130), "{output:?}");
    let first = output.stdout.lines().next().unwrap();
    let event: Value = serde_json::from_str(first).unwrap();
    assert!(event["at"].as_str().unwrap().ends_with('Z'), "{event}");
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn whoever_waits_hears_that_a_job_is_tried_again_and_why() {
    let mut scene = scene(3);
    scene.set("VVV_QUEUES__THUMBNAILS__RETRY_DELAY", "5m");
    let daemon = Daemon::start(&scene, &[]);
    let broken = &scene.vault.ids[2];
    scene.site.thumbnail(broken, Reply::status(503));
    let file = BatchFile::of_vault(&scene.vault);
    let line = "submit batch - --only thumbnails --wait";
    let waiting = batch(&scene, &file, line).start();
    let said = "is tried again in ";
    assert!(waiting.wait_for_stderr(said));
    // It waits already when these begin to listen.
    let late = output(&scene, "job wait 1 --timeout 2s");
    assert!(late.stderr.contains(said), "{late:?}");
    let quiet = output(&scene, "job wait 1 --timeout 2s --quiet");
    assert_eq!(quiet.stderr, "", "{quiet:?}");
    waiting.signal(Signal::INT);
    let ended = waiting.wait();
    assert_eq!(ended.stderr.matches(said).count(), 1, "{ended:?}");
    assert!(ended.stderr.contains("http 503"), "{ended:?}");
    assert_eq!(daemon.stop().code, Some(0));
    // The file tells the same.
    let late = output(&scene, "job wait 1 --timeout 2s");
    assert!(late.stderr.contains(said), "{late:?}");
}

#[test]
fn items_without_an_answer_are_told_with_their_reasons() {
    let mut scene = scene(3);
    scene.set("VVV_QUEUES__CLEANUP__MAX_RETRIES", "0");
    let daemon = Daemon::start(&scene, &[]);
    let (alive, silent) = (oembed::id("alive", 0), oembed::id("alive", 1));
    scene.site.oembed(&silent, Reply::status(503));
    let line = format!("submit liveness {alive} {silent} --wait --format human");
    let waited = output(&scene, &line);
    let why = format!("Unknown:\n  1 × http 503: {silent}\n");
    assert!(waited.stdout.contains(&why), "{}", waited.stdout);
    let shown = output(&scene, "job show 1 --format human").stdout;
    let said = [
        "answers      1 alive, 1 unknown",
        "unknown      1 × http 503: ",
    ];
    for said in said {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let ended = output(&scene, "job wait 1 --format human").stdout;
    let where_to_look = "unknown items: 1; vvv-actors job show 1 tells which and why\n";
    assert!(ended.ends_with(where_to_look), "{ended}");
    assert_eq!(told(&scene, "job wait 1")["unknown"], json!({"1": 1}));
    let unscored = output(&scene, "submit score nobody --wait --format human").stdout;
    assert!(unscored.contains("Without a score:\n  1 × "), "{unscored}");
    let shown = output(&scene, "job show 2 --format human").stdout;
    assert!(
        shown.contains("answers      1 without a score\n"),
        "{shown}"
    );
    assert!(shown.contains("no score     1 × "), "{shown}");
    assert_eq!(daemon.stop().code, Some(0));
}
