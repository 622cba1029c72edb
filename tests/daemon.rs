//! The daemon as its users meet it: the real program, its socket, its signals, its exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use support::scene::Scene;
use support::site::{Endpoint, Gate, Reply};
use support::talk::{Client, Daemon, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");

fn scene(videos: usize) -> Scene {
    Scene::new(PROGRAM, videos)
}

/// Thumbnails of the first videos, as a payload.
fn pictures(scene: &Scene, count: usize) -> Value {
    let of = |id: &String| json!({"video_id": id, "thumbnail_url": scene.site.thumbnail_url(id, "hqdefault.jpg")});
    let videos: Vec<Value> = scene.vault.ids.iter().take(count).map(of).collect();
    json!({"videos": videos})
}

#[test]
fn a_job_handed_in_over_the_socket_is_done_and_its_result_kept() {
    let scene = scene(3);
    let daemon = Daemon::start(&scene, &[]);
    let mut client = daemon.client();
    let submitted = client.call(
        "jobs.submit",
        json!({"kind": "tasks.score_virality_batch", "payload": {"video_ids": scene.vault.ids},
               "unique_key": "k"}),
    );
    assert_eq!(submitted["duplicate"], false);
    let ids = &submitted["ids"];
    let waited = client.call("jobs.wait", json!({"ids": ids, "timeout": "20s"}));
    assert_eq!(waited["ended"], true, "{waited}");
    let found = waited["jobs"][0]["result"]["score"].as_array().unwrap();
    assert_eq!(found.len(), 3);
    assert!(scene.vault.score(&scene.vault.ids[0]).is_some());
    let again = client.call(
        "jobs.submit",
        json!({"kind": "score", "payload": {"video_ids": ["x"]}, "unique_key": "k"}),
    );
    assert_eq!((&again["duplicate"], &again["ids"]), (&json!(true), ids));
    let got = client.call("jobs.get", json!({"id": ids[0]}));
    assert_eq!(got["job"]["state"], "succeeded");
    assert_eq!(got["job"]["payload"]["video_ids"], json!(scene.vault.ids));
    assert!(got["job"]["ended_at"].as_str().unwrap().ends_with('Z'));
    let missing = client.refused("jobs.get", json!({"id": 999}));
    assert_eq!(missing["code"], -32004);
    let output = daemon.stop();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(
        output.stderr.contains("\"message\":\"job ended\""),
        "{output:?}"
    );
}

#[test]
fn a_batch_is_a_group_that_may_come_in_parts() {
    let scene = scene(4);
    let daemon = Daemon::start(&scene, &[]);
    let mut client = daemon.client();
    let ids = &scene.vault.ids;
    let first = client.call(
        "jobs.submit_batch",
        json!({"new_videos": [{"video_id": ids[0], "title": "ignored"}], "more": true,
               "on_finish": {"kind": "score", "payload": {"video_ids": [ids[3]]}}}),
    );
    for other in ["/x/y.db", "/nowhere/vault.db", "other.db", ""] {
        let batch = json!({"db_path": other, "stale_ids": [ids[1]]});
        let refused = client.refused("jobs.submit_batch", batch);
        assert_eq!(
            (&refused["code"], &refused["data"]["key"]),
            (&json!(-32602), &json!("db_path"))
        );
    }
    for own in [
        scene.vault.path.to_str().unwrap(),
        "vault.db",
        "./site/vault.db",
    ] {
        client.call(
            "jobs.submit_batch",
            json!({"db_path": own, "stale_ids": []}),
        );
    }
    let group = &first["group"];
    let early = client.call("jobs.wait", json!({"group": group, "timeout": "300ms"}));
    assert_eq!(early["ended"], false, "{early}");
    client.call(
        "jobs.submit_batch",
        json!({"stale_ids": [ids[1]], "group": group}),
    );
    let waited = client.call("jobs.wait", json!({"group": group, "timeout": "20s"}));
    assert_eq!(waited["ended"], true, "{waited}");
    assert_eq!(waited["group"]["succeeded"], 2);
    until("the follow-up runs", || scene.vault.score(&ids[3]));
    let late = client.refused(
        "jobs.submit_batch",
        json!({"stale_ids": [], "group": group}),
    );
    assert_eq!(late["code"], -32004, "{late}");
}

#[test]
fn a_batch_with_a_key_may_be_repeated() {
    let scene = scene(2);
    let daemon = Daemon::start(&scene, &[]);
    let mut client = daemon.client();
    let batch = json!({"new_videos": [{"video_id": scene.vault.ids[0]}], "unique_key": "noon"});
    let first = client.call("jobs.submit_batch", batch.clone());
    assert_eq!(first["duplicate"], false, "{first}");
    let again = client.call("jobs.submit_batch", batch);
    let nothing = json!({"score": [], "thumbnails": [], "liveness": []});
    let same = json!({"group": first["group"], "duplicate": true, "ids": nothing});
    assert_eq!(again, same);
    assert_eq!(scene.vault.ask("SELECT count(*) FROM vvv_jobs"), "1");
    let single = json!({"kind": "score", "payload": {"video_ids": ["a"]}, "unique_key": "one"});
    client.call("jobs.submit", single);
    let taken = json!({"stale_ids": ["a"], "unique_key": "one"});
    let refused = client.refused("jobs.submit_batch", taken);
    assert_eq!(refused["data"]["key"], "unique_key", "{refused}");
}

#[test]
fn what_the_site_inserts_itself_is_done_within_a_second() {
    let scene = scene(2);
    let daemon = Daemon::start(&scene, &[]);
    let mut events = daemon.client();
    events.call(
        "events.subscribe",
        json!({"queue": "scoring", "states": "succeeded"}),
    );
    let payload = json!({"video_ids": scene.vault.ids}).to_string();
    let inserted = Instant::now();
    scene
        .vault
        .connect()
        .execute(
            "INSERT INTO vvv_jobs (kind, payload) VALUES ('score', ?1)",
            [payload],
        )
        .unwrap();
    let event = events.line().unwrap();
    assert!(
        inserted.elapsed() < Duration::from_secs(1),
        "{:?}",
        inserted.elapsed()
    );
    assert_eq!(event["method"], "events.job");
    assert_eq!(event["params"]["state"], "succeeded");
    assert!(scene.vault.score(&scene.vault.ids[1]).is_some());
}

#[test]
fn a_second_daemon_is_told_who_works_the_queue_off() {
    let scene = scene(1);
    let daemon = Daemon::start(&scene, &[]);
    let second = Daemon::run(&scene, &scene.path("other.sock"), &[]).wait();
    assert_eq!(second.code, Some(3), "{second:?}");
    let holder = format!("pid {}", daemon.running.id());
    assert!(second.stderr.contains(&holder), "{second:?}");
    // Another database, the same socket.
    let elsewhere = self::scene(1);
    let third = Daemon::run(&elsewhere, &daemon.socket, &[]).wait();
    assert_eq!(third.code, Some(3), "{third:?}");
    assert!(
        third.stderr.contains("another daemon answers there"),
        "{third:?}"
    );
    assert!(third.stderr.contains(&holder), "{third:?}");
    let ours = "SELECT count(*) FROM sqlite_master WHERE name GLOB 'vvv_*'";
    assert_eq!(elsewhere.vault.ask(ours), "0", "it did not start");
    assert_eq!(daemon.call("daemon.status", json!({}))["state"], "running");
    assert!(!scene.path("other.sock").exists());
}

#[test]
fn a_stale_socket_is_replaced_and_nothing_else_is_touched() {
    let scene = scene(1);
    let socket = scene.path("d.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let daemon = Daemon::start(&scene, &[]);
    let found = fs::symlink_metadata(&socket).unwrap();
    assert_eq!(found.mode() & 0o777, 0o600);
    assert_eq!(daemon.stop().code, Some(0));
    assert!(!socket.exists());
    fs::write(&socket, "precious").unwrap();
    let refused = Daemon::run(&scene, &socket, &[]).wait();
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

#[test]
fn a_group_is_let_in_where_it_is_set() {
    let mut scene = scene(1);
    let group = rustix::process::getegid().as_raw();
    scene.set("VVV_DAEMON__SOCKET_MODE", "0660");
    scene.set("VVV_DAEMON__SOCKET_GROUP", group.to_string());
    let daemon = Daemon::start(&scene, &[]);
    let found = fs::symlink_metadata(&daemon.socket).unwrap();
    assert_eq!((found.mode() & 0o777, found.gid()), (0o660, group));
    drop(daemon);
    scene.set("VVV_DAEMON__SOCKET_MODE", "0666");
    let refused = Daemon::run(&scene, &scene.path("x.sock"), &[]).wait();
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("daemon.socket_mode"), "{refused:?}");
}

/// A daemon with a thumbnail job that waits at the gate.
fn held(scene: &Scene, gate: &Gate) -> (Daemon, Value) {
    for id in &scene.vault.ids {
        scene.site.thumbnail(id, Reply::status(404).behind(gate));
    }
    let daemon = Daemon::start(scene, &[]);
    let payload = pictures(scene, scene.vault.ids.len());
    let job = json!({"kind": "thumbnails", "payload": payload});
    let ids = daemon.call("jobs.submit", job)["ids"].clone();
    let asked = |calls: &[support::site::Call]| !calls.is_empty();
    assert!(scene.site.wait_until(Duration::from_secs(20), asked));
    (daemon, ids[0].clone())
}

fn state_of(scene: &Scene, id: &Value) -> String {
    let query = "SELECT state FROM vvv_jobs WHERE id = ?1";
    let connection = scene.vault.connect();
    connection
        .query_row(query, [id.as_i64()], |row| row.get(0))
        .unwrap()
}

/// Whether a job was given back, to be claimed at the next start.
fn waits(scene: &Scene, id: &Value) -> bool {
    state_of(scene, id) == "available"
}

#[test]
fn running_jobs_finish_after_sigterm_and_new_ones_are_refused() {
    let scene = scene(2);
    let gate = Gate::closed();
    let (daemon, id) = held(&scene, &gate);
    let mut client = daemon.client();
    daemon.running.signal(Signal::TERM);
    until("it drains", || {
        (client.call("daemon.status", json!({}))["state"] == "draining").then_some(())
    });
    let job = json!({"kind": "score", "payload": {"video_ids": ["a"]}});
    let refused = until("it refuses", || {
        client.ask("jobs.submit", &job);
        client.line().unwrap().get("error").cloned()
    });
    assert_eq!(refused["code"], -32005, "{refused}");
    assert_eq!(
        client.call("jobs.get", json!({"id": id}))["job"]["state"],
        "running"
    );
    gate.open();
    let output = daemon.running.wait();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(state_of(&scene, &id), "succeeded");
}

#[test]
fn what_does_not_finish_in_time_is_done_after_the_next_start() {
    let mut scene = scene(2);
    scene.set("VVV_DAEMON__DRAIN_TIMEOUT", "200ms");
    let gate = Gate::closed();
    let (daemon, id) = held(&scene, &gate);
    assert_eq!(daemon.stop().code, Some(0));
    assert!(waits(&scene, &id));
    gate.open();
    let daemon = Daemon::start(&scene, &[]);
    let waited = daemon.call("jobs.wait", json!({"ids": [id], "timeout": "20s"}));
    assert_eq!(waited["jobs"][0]["state"], "succeeded", "{waited}");
    assert_eq!(
        daemon.call("jobs.get", json!({"id": id}))["job"]["attempts"],
        1
    );
}

#[test]
fn who_will_not_wait_for_running_jobs_makes_no_suspect_of_them() {
    let scene = scene(1);
    let gate = Gate::closed();
    let (mut daemon, id) = held(&scene, &gate);
    let asked = |calls: &[support::site::Call]| !calls.is_empty();
    let hurries: [fn(&Daemon); 4] = [
        |daemon| daemon.running.signal(Signal::TERM),
        |daemon| drop(daemon.call("daemon.shutdown", json!({"now": true}))),
        |daemon| daemon.running.signal(Signal::INT),
        |daemon| daemon.running.signal(Signal::TERM),
    ];
    for hurry in hurries {
        daemon.running.signal(Signal::TERM);
        assert!(daemon.running.wait_for_stderr("told to stop"));
        hurry(&daemon);
        let output = daemon.running.wait();
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(output.stderr.contains("told to stop at once"), "{output:?}");
        assert!(waits(&scene, &id));
        let blamed = format!("SELECT crashes + suspect + attempts FROM vvv_jobs WHERE id = {id}");
        assert_eq!(scene.vault.ask(&blamed), "0");
        scene.site.clear_log();
        daemon = Daemon::start(&scene, &[]);
        assert!(scene.site.wait_until(Duration::from_secs(20), asked));
    }
    let stopping = daemon.call("daemon.shutdown", json!({"now": true}));
    assert_eq!(stopping["stopping"], true);
    let output = daemon.running.wait();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(!output.stderr.contains("the process before"), "{output:?}");
    assert!(waits(&scene, &id));
}

#[test]
fn a_third_signal_ends_it_whatever_holds_it_up() {
    let scene = scene(1);
    let gate = Gate::closed();
    let (daemon, id) = held(&scene, &gate);
    let other = scene.vault.connect();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    daemon.running.signal(Signal::TERM);
    assert!(daemon.running.wait_for_stderr("told to stop"));
    daemon.running.signal(Signal::TERM);
    assert!(daemon.running.wait_for_stderr("told to stop at once"));
    daemon.running.signal(Signal::TERM);
    let output = daemon.running.wait();
    assert_eq!(output.code, Some(143), "{output:?}");
    assert_eq!(state_of(&scene, &id), "running");
}

#[test]
fn rows_of_the_sites_that_cannot_be_read_are_told_of() {
    let scene = scene(1);
    let daemon = Daemon::start(&scene, &[]);
    let mut listener = daemon.client();
    listener.call("events.subscribe", json!({"states": ["failed"]}));
    let insert = "INSERT INTO vvv_jobs (kind, payload) VALUES ('karaoke', '{}'), ('score', 'nope')";
    scene.vault.connect().execute_batch(insert).unwrap();
    let told = listener.line().unwrap();
    assert_eq!(
        (&told["method"], &told["params"]["state"]),
        (&json!("events.job"), &json!("failed")),
        "{told}"
    );
    assert!(
        daemon
            .running
            .wait_for_stderr("could not be read and has failed")
    );
    let got = daemon.call("jobs.get", json!({"id": told["params"]["id"]}));
    let log = &got["job"]["log"];
    assert!(log.to_string().contains("read the payload"), "{log}");
    assert_eq!(daemon.stop().code, Some(0));
}

/// The threads of a process, and how nice each is.
#[cfg(target_os = "linux")]
fn threads(process: u32) -> Vec<(String, i32)> {
    let of = |stat: String| {
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        // The 19th field; the name was the second.
        Some((
            name.to_owned(),
            rest.split_whitespace().nth(16)?.parse().ok()?,
        ))
    };
    fs::read_dir(format!("/proc/{process}/task"))
        .unwrap()
        .filter_map(|task| of(fs::read_to_string(task.ok()?.path().join("stat")).ok()?))
        .collect()
}

#[test]
#[cfg(target_os = "linux")]
fn all_threads_of_the_engine_step_back_but_the_one_that_holds_the_lock() {
    let mut scene = scene(1);
    scene.set("VVV_ENGINE__NICE", "17");
    let daemon = Daemon::start(&scene, &[]);
    // A thread has its maker's name until it takes its own, and workers come a little later.
    let threads = until("the engine's threads to have their names", || {
        let threads = threads(daemon.running.id());
        let count = |name: &str| {
            threads
                .iter()
                .filter(|(of, _)| of.starts_with(name))
                .count()
        };
        (count("vvv-engine") == 1 && count("actix-rt") > 6).then_some(threads)
    });
    let nice = |name: &str| -> Vec<i32> {
        let named = threads.iter().filter(|(of, _)| of.starts_with(name));
        named.map(|(_, nice)| *nice).collect()
    };
    assert_eq!(nice("vvv-engine"), [17]);
    let decoders = nice("vvv-decode");
    assert!(decoders.len() > 1 && decoders.iter().all(|nice| *nice == 17));
    let (unmoved, arbiters) = (nice("vvv-actors")[0], nice("actix-rt"));
    let count = |wanted| arbiters.iter().filter(|nice| **nice == wanted).count();
    // The writer's, and the idle one that its successor's would be started from.
    assert_eq!(count(unmoved), 2, "{threads:?}");
    assert_eq!(count(17), arbiters.len() - 2, "{threads:?}");
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_changed_configuration_is_taken_over_and_what_cannot_be_is_named() {
    let mut scene = scene(1);
    scene.unset("VVV_RATE_LIMITS__OEMBED");
    let file = scene.path("config.toml");
    let write = |workers: u32, nice: u32, level: &str| {
        let text = format!(
            "[queues.scoring]\nworkers = {workers}\n[rate_limits]\noembed = \"{workers}/s\"\n[engine]\nnice = {nice}\n[log]\nlevel = \"{level}\"\n"
        );
        fs::write(&file, text).unwrap();
    };
    write(1, 10, "info");
    let daemon = Daemon::start(&scene, &["--config", file.to_str().unwrap()]);
    write(3, 5, "debug");
    let mut client = daemon.client();
    let reloaded = client.call("daemon.reload", json!({}));
    assert_eq!(
        reloaded["applied"],
        json!(["log.level", "queues.scoring.workers", "rate_limits.oembed"])
    );
    assert_eq!(reloaded["needs_restart"], json!(["engine.nice"]));
    until("three workers", || {
        (client.call("daemon.status", json!({}))["pools"][0]["workers"] == 3).then_some(())
    });
    let status = client.call("daemon.status", json!({}));
    assert_eq!(status["rate"]["limit"], 3, "{status}");
    client.call(
        "jobs.submit",
        json!({"kind": "score", "payload": {"video_ids": ["a"]}}),
    );
    assert!(daemon.running.wait_for_stderr("job moved"), "debug lines");
    write(2, 5, "info");
    daemon.running.signal(Signal::HUP);
    until("two workers", || {
        (client.call("daemon.status", json!({}))["pools"][0]["workers"] == 2).then_some(())
    });
    fs::write(&file, "[queues.scoring]\nworkers = \"many\"\n").unwrap();
    let refused = client.refused("daemon.reload", json!({}));
    assert!(
        refused["message"].as_str().unwrap().contains("workers"),
        "{refused}"
    );
    assert_eq!(client.call("daemon.status", json!({}))["state"], "running");
}

#[test]
fn a_hangup_while_the_start_waits_for_a_lock_ends_nothing() {
    let scene = scene(1);
    let other = scene.vault.connect();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let running = Daemon::run(&scene, &scene.path("d.sock"), &[]);
    assert!(running.wait_for_stderr("another process holds the database"));
    running.signal(Signal::HUP);
    other.execute_batch("COMMIT").unwrap();
    let is_heard = running.wait_for_stderr("read the configuration again");
    assert!(is_heard, "{:?}", running.wait());
}

#[test]
fn queues_are_paused_resumed_purged_and_chosen() {
    let scene = scene(1);
    let daemon = Daemon::start(&scene, &["--queues", "thumbnails,liveness"]);
    let mut client = daemon.client();
    let job = json!({"kind": "score", "payload": {"video_ids": scene.vault.ids}});
    let id = client.call("jobs.submit", job)["ids"][0].clone();
    let paused = client.call("queues.pause", json!({"queue": "cleanup"}));
    assert_eq!(paused, json!({"queue": "cleanup", "changed": true}));
    client.call(
        "jobs.submit",
        json!({"kind": "liveness", "payload": {"video_ids": ["a"]}}),
    );
    assert_eq!(daemon.stop().code, Some(0));
    let daemon = Daemon::start(&scene, &[]);
    let mut client = daemon.client();
    let waited = client.call("jobs.wait", json!({"ids": [id], "timeout": "20s"}));
    assert_eq!(waited["ended"], true, "the scoring queue was only left out");
    let queues = client.call("queues.list", json!({}));
    assert!(queues["queues"][2]["paused_at"].is_string(), "{queues}");
    let mut events = daemon.client();
    events.call("events.subscribe", json!({"queue": "cleanup"}));
    let purged = client.call("queues.purge", json!({"queue": "cleanup"}));
    assert_eq!(purged["cancelled"], 1);
    let resumed = client.call("queues.resume", json!({"queue": "cleanup"}));
    assert_eq!(resumed["changed"], true);
    client.call("queues.pause", json!({"queue": "cleanup"}));
    client.call("queues.resume", json!({"queue": "cleanup"}));
    let told = std::iter::from_fn(|| events.line())
        .filter(|line| line["method"] == "events.queue")
        .map(|line| line["params"]["event"].clone());
    assert_eq!(
        told.take(3).collect::<Vec<_>>(),
        ["purged", "resumed", "paused"]
    );
    assert_eq!(scene.site.total(Endpoint::Oembed), 0);
    let cancelled = client.call("jobs.list", json!({"state": "cancelled"}));
    let last = &cancelled["jobs"][0]["id"];
    let retried = client.call("jobs.retry", json!({"ids": [last]}));
    assert_eq!(&retried["retried"][0], last);
}

#[test]
fn the_service_manager_is_told_and_the_watchdog_fed() {
    let mut scene = scene(1);
    let notices = scene.path("notify");
    let manager = UnixDatagram::bind(&notices).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    scene.set("NOTIFY_SOCKET", notices.to_str().unwrap());
    scene.set("WATCHDOG_USEC", "3000000");
    let daemon = Daemon::start(&scene, &[]);
    let hear = |wanted: &str| {
        let mut buffer = [0; 4096];
        until(wanted, || {
            let read = manager.recv(&mut buffer).expect(wanted);
            let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
            text.contains(wanted).then_some(())
        });
    };
    hear("READY=1");
    hear("WATCHDOG=1");
    hear("WATCHDOG=1");
    daemon.running.signal(Signal::INT);
    hear("STOPPING=1");
    assert_eq!(daemon.running.wait().code, Some(0));
}

#[test]
fn a_socket_that_the_service_manager_made_is_taken_over() {
    let scene = scene(1);
    let socket = scene.path("given.sock");
    let own = scene.path("own.sock");
    let args = [
        ["-l", socket.to_str().unwrap()],
        ["--setenv=NO_COLOR=1", PROGRAM],
        ["daemon", "--db"],
        [scene.vault.path.to_str().unwrap(), "--socket"],
        [own.to_str().unwrap(), "--quiet"],
    ];
    if std::process::Command::new("systemd-socket-activate")
        .arg("--version")
        .output()
        .is_err()
    {
        return support::skip("systemd-socket-activate is not there");
    }
    let running = support::run::Run::new("systemd-socket-activate")
        .args(args.concat())
        .start();
    assert!(running.wait_for_stderr("Listening on"));
    let mut client = Client::connect(&socket);
    let status = client.call("daemon.status", json!({}));
    assert_eq!(status["socket"], socket.to_str().unwrap(), "{status}");
    assert!(!own.exists());
    client.call("daemon.drain", json!({}));
    assert_eq!(running.wait().code, Some(0));
    assert!(socket.exists(), "it is the manager's");
}

#[test]
fn a_daemon_without_a_database_says_so() {
    let scene = scene(1);
    let output = scene.run(["daemon"]).output();
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("no database is named"), "{output:?}");
    let socket = scene.path("d.sock");
    let args = [
        "daemon",
        "--db",
        "/nowhere/at/all.db",
        "--socket",
        socket.to_str().unwrap(),
    ];
    let output = scene.run(args).output();
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(!socket.exists());
}

#[test]
fn the_unit_it_prints_is_a_good_one() {
    let scene = scene(1);
    let database = scene.vault.path.to_str().unwrap();
    let output = scene
        .run(["unit", "--user", "www-data", "--db", database])
        .output();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("WatchdogSec=30"), "{output:?}");
    let file = scene.path("vvv-actors.service");
    fs::write(&file, &output.stdout).unwrap();
    let analyze = |args: &[&str]| {
        std::process::Command::new("systemd-analyze")
            .args(args)
            .arg(&file)
            .output()
    };
    let Ok(verified) = analyze(&["verify", "--man=no"]) else {
        return support::skip("systemd-analyze is not there to judge the unit");
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let about_ours = said.lines().any(|line| line.contains("vvv-actors.service"));
    assert!(!about_ours, "{said}");
    let judged = analyze(&["security", "--offline=yes", "--threshold=20"]).unwrap();
    assert!(
        judged.status.success(),
        "{}",
        String::from_utf8_lossy(&judged.stdout)
    );
}

#[test]
fn a_client_of_the_socket_needs_no_library() {
    let scene = scene(1);
    let daemon = Daemon::start(&scene, &[]);
    let mut client = Client::connect(Path::new(&daemon.socket));
    // One that ends its requests still gets its answers, as `echo … | nc -U` does.
    client.send(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"queues.list\"}");
    client.stream().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.line().unwrap()["id"], 1);
    assert_eq!(client.line(), None);
}

#[test]
fn every_line_of_the_log_about_a_traced_job_has_its_trace() {
    let mut scene = scene(3);
    scene.set("VVV_LOG__LEVEL", "debug");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let daemon = Daemon::start(&scene, &[]);
    let mut client = daemon.client();
    let mut submit = |kind: &str, id: &str, delay: &str| {
        let payload = json!({"video_ids": [id]});
        let job = json!({"kind": kind, "payload": payload, "delay": delay, "traceparent": parent});
        client.call("jobs.submit", job)["ids"][0].clone()
    };
    let done = submit("score", &scene.vault.ids[0], "0s");
    let (cancelled, purged) = (submit("liveness", "a", "1h"), submit("liveness", "b", "1h"));
    // As a site would, and wrong.
    let insert =
        "INSERT INTO vvv_jobs (kind, payload, traceparent) VALUES ('score', 'no JSON', ?1)";
    scene.vault.connect().execute(insert, [&parent]).unwrap();
    let refused = purged.as_i64().unwrap() + 1;
    client.call("jobs.cancel", json!({"ids": [cancelled]}));
    client.call("queues.purge", json!({"queue": "cleanup"}));
    let jobs = [done, cancelled, purged, json!(refused)];
    client.call("jobs.wait", json!({"ids": jobs, "timeout": "20s"}));
    let log = daemon.stop().stderr;
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    for job in &jobs {
        let ended = |line: &&Value| line["message"] == "job ended" && line["fields"]["job"] == *job;
        let ended = lines.iter().find(ended);
        assert!(ended.is_some(), "{job}: {log}");
    }
    let about_a_job = |line: &&Value| !line["fields"]["job"].is_null();
    for line in lines.iter().filter(about_a_job) {
        let spans = line["spans"].as_array().unwrap();
        let is_traced = |fields: &Value| fields["trace_id"] == trace;
        let traced = is_traced(&line["fields"]) || spans.iter().any(is_traced);
        assert!(traced, "{line}");
    }
}
