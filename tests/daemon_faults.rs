//! The daemon among faults that last: another process that keeps the lock, a clock that is set, an
//! hour of full load.
//!
//! `VVV_LOCK` sets how long the lock is kept (30 s is the full run), `VVV_SOAK` how long the load
//! lasts (600 s is the full run), both in seconds.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use support::daemon::DaemonScene;
use support::power::PoweredDisk;
use support::run::Running;
use support::vault::Journal;

const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");

fn seconds(name: &str, default: u64) -> Duration {
    let number = std::env::var(name).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(number.unwrap_or(default))
}

fn stop(daemon: Running) {
    daemon.signal(Signal::TERM);
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// A process whose log stays unread; it ends with the test.
struct Unread(std::process::Child);

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_log_that_nobody_reads_holds_no_job_up() {
    const JOBS: usize = 1_000;
    let scene = DaemonScene::new(Journal::Wal, 20);
    let mut daemon = Unread(
        std::process::Command::new(PROGRAM)
            .args([Path::new("daemon"), Path::new("--db"), &scene.vault.path])
            .args([Path::new("--socket"), &scene.socket()])
            .env("VVV_LOG__LEVEL", "debug")
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut client = scene.client();
    let job = json!({"kind": "score", "payload": {"video_ids": [&scene.vault.ids[0]]}});
    for _ in 0..JOBS {
        client.call("jobs.submit", &job);
    }
    let done = "SELECT count(*) FROM vvv_jobs WHERE state = 'succeeded'";
    scene.wait_for(done, JOBS, Duration::from_secs(60));
    client.call("daemon.drain", json!({}));
    let told = Instant::now();
    assert_eq!(daemon.0.wait().unwrap().code(), Some(0));
    assert!(
        told.elapsed() < Duration::from_secs(10),
        "{:?}",
        told.elapsed()
    );
    let mut log = String::new();
    std::io::Read::read_to_string(&mut daemon.0.stderr.take().unwrap(), &mut log).unwrap();
    assert!(log.len() > 60_000, "the pipe was never full: {}", log.len());
}

#[test]
fn many_waiting_jobs_keep_no_start_and_no_answer_waiting() {
    const JOBS: usize = 100_000;
    let bound = Duration::from_secs(5);
    let scene = DaemonScene::new(Journal::Wal, 20);
    let settings = [("VVV_QUEUES__SCORING__WORKERS", "0")];
    // Makes our tables, and takes the rows in.
    let first = scene.start(PROGRAM, &settings);
    let rows = format!(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {JOBS}) \
         INSERT INTO vvv_jobs (kind, payload) SELECT 'score', '{{\"video_ids\": [\"a\"]}}' FROM n"
    );
    scene.vault.connect().execute_batch(&rows).unwrap();
    let available = "SELECT count(*) FROM vvv_jobs WHERE queue = 'scoring' AND state = 'available'";
    scene.wait_for(available, JOBS, Duration::from_secs(120));
    let _ = first.kill();
    let began = Instant::now();
    let daemon = scene.start(PROGRAM, &settings);
    let mut client = scene.client();
    let mut timed = |method: &str, params: serde_json::Value| {
        let asked = Instant::now();
        let answer = client.call(method, params);
        (answer, asked.elapsed())
    };
    let (status, to_look) = timed("daemon.status", json!({}));
    let ready = began.elapsed();
    assert_eq!(status["queues"][0]["available"], JOBS, "{status}");
    let (_, to_list) = timed("jobs.list", json!({"unique_key": "none"}));
    let (_, to_search) = timed("jobs.list", json!({"text": "nowhere"}));
    let job = json!({"kind": "score", "payload": {"video_ids": ["b"]}});
    let (_, to_submit) = timed("jobs.submit", job);
    println!(
        "{JOBS} jobs wait: first status {ready:?} after the start; status {to_look:?}, list by key \
         {to_list:?}, list by text {to_search:?}, submit {to_submit:?}"
    );
    for took in [ready, to_list, to_search, to_submit] {
        assert!(took < bound, "{took:?}");
    }
    stop(daemon);
}

#[test]
fn a_lock_that_is_kept_delays_and_loses_nothing() {
    let span = seconds("VVV_LOCK", 3);
    for journal in Journal::ALL {
        let scene = DaemonScene::new(journal, 60);
        let daemon = scene.start(PROGRAM, &[]);
        let mut client = scene.client();
        let job = |id: &str| json!({"kind": "score", "payload": {"video_ids": [id]}});
        client.call("jobs.submit", job(&scene.vault.ids[0]));
        let other = scene.vault.connect();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let waiting = {
            let (mut client, job) = (scene.client(), job(&scene.vault.ids[1]));
            std::thread::spawn(move || client.call("jobs.submit", &job))
        };
        let began = Instant::now();
        let mut told = false;
        while began.elapsed() < span {
            // The daemon goes on answering, and says what it waits for.
            let asked = Instant::now();
            let status = client.call("daemon.status", json!({}));
            assert!(asked.elapsed() < Duration::from_secs(2), "{status}");
            told |= status["waiting_for_lock_s"].as_u64().is_some_and(|s| s > 0);
        }
        assert!(told, "status never said that it waits for a lock");
        other.execute_batch("COMMIT").unwrap();
        assert!(waiting.join().unwrap()["ids"][0].is_i64());
        scene.wait_for(
            "SELECT count(*) FROM vvv_jobs WHERE state = 'succeeded'",
            2,
            Duration::from_secs(20),
        );
        stop(daemon);
    }
}

#[test]
fn a_clock_that_is_set_runs_nothing_twice_and_strands_nothing() {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
    if !Path::new(library).exists() {
        return support::skip("libfaketime is not here (Debian: faketime)");
    }
    let scene = DaemonScene::new(Journal::Wal, 20);
    let clock = scene.beside("clock");
    fs::write(&clock, "+0").unwrap();
    let settings = [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let daemon = scene.start(PROGRAM, &settings);
    let mut client = scene.client();
    let mut submit = |id: &str, delay: &str| {
        let job = json!({"kind": "liveness", "delay": delay, "payload": {"video_ids": [id]}});
        client.call("jobs.submit", &job)["ids"][0].as_i64().unwrap()
    };
    let soon = submit("soon", "2s");
    submit("later", "30m");
    // An hour back: what was due in two seconds must not wait an hour more.
    fs::write(&clock, "-1h").unwrap();
    let ended =
        |id: i64| format!("SELECT count(*) FROM vvv_jobs WHERE id = {id} AND state = 'succeeded'");
    scene.wait_for(&ended(soon), 1, Duration::from_secs(30));
    let waits = "SELECT count(*) FROM vvv_jobs WHERE state = 'scheduled'";
    assert_eq!(scene.count(waits), 1);
    // An hour forward: what was due in half an hour is due now.
    fs::write(&clock, "+1h").unwrap();
    scene.wait_for(waits, 0, Duration::from_secs(30));
    scene.wait_for(
        "SELECT count(*) FROM vvv_jobs WHERE state = 'succeeded'",
        2,
        Duration::from_secs(30),
    );
    let attempts = scene.rows("SELECT attempts, count(*) FROM vvv_jobs GROUP BY 1");
    assert_eq!(attempts, [["1", "2"]]);
    stop(daemon);
}

/// What a process takes: memory in KiB, threads, descriptors.
fn taken(daemon: &Running) -> (u64, usize, usize) {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|line| line.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap();
    (resident, daemon.threads(), daemon.descriptors())
}

#[test]
fn under_load_memory_threads_and_descriptors_stay_flat() {
    let span = seconds("VVV_SOAK", 12);
    let scene = DaemonScene::new(Journal::Wal, 500);
    let settings = [
        ("VVV_RATE_LIMITS__OEMBED", "1000/s"),
        ("VVV_RETENTION__RESULTS", "1s"),
        ("VVV_THUMBNAILS__FRESH_FOR", "0s"),
        ("VVV_LIVENESS__FRESH_FOR", "0s"),
    ];
    let daemon = scene.start(PROGRAM, &settings);
    let mut client = scene.client();
    let pictures: Vec<_> = scene
        .vault
        .ids
        .iter()
        .take(50)
        .map(|id| json!({"video_id": id, "thumbnail_url": scene.site.thumbnail_url(id, "hqdefault.jpg")}))
        .collect();
    let mut round = || {
        let batch = json!({"new_videos": &pictures, "stale_ids": &scene.vault.ids[..50]});
        let group = client.call("jobs.submit_batch", &batch)["group"].clone();
        client.call(
            "jobs.submit",
            json!({"kind": "score", "payload": {"video_ids": scene.vault.ids}}),
        );
        let waited = client.call("jobs.wait", json!({"group": group, "timeout": "60s"}));
        assert_eq!(waited["ended"], true, "{waited}");
    };
    let began = Instant::now();
    let mut seen = Vec::new();
    let mut rounds = 0;
    while began.elapsed() < span {
        round();
        rounds += 1;
        // Each round really fetches and asks.
        let calls = scene.site.calls().len();
        assert!(calls >= rounds * 100, "{calls} calls in {rounds} rounds");
        seen.push((began.elapsed(), taken(&daemon)));
    }
    // The first third warms up.
    let warm: Vec<_> = seen
        .iter()
        .filter(|(at, _)| *at > span / 3)
        .map(|(_, taken)| *taken)
        .collect();
    println!("{rounds} rounds in {span:?}");
    nothing_grows(&warm);
    stop(daemon);
}

/// Holds the second half of what was seen against the first.
fn nothing_grows(warm: &[(u64, usize, usize)]) {
    let half = warm.len() / 2;
    assert!(half >= 2, "only {} rounds were seen", warm.len());
    let most = |of: &[(u64, usize, usize)]| {
        let memory = of.iter().map(|taken| taken.0).max().unwrap();
        let threads = of.iter().map(|taken| taken.1).max().unwrap();
        let descriptors = of.iter().map(|taken| taken.2).max().unwrap();
        (memory, threads, descriptors)
    };
    let (before, after) = (most(&warm[..half]), most(&warm[half..]));
    println!("(KiB, threads, descriptors) {before:?}, then {after:?}");
    assert!(
        after.0 <= before.0 + before.0 / 10,
        "memory: {before:?}, {after:?}"
    );
    // Blocking calls of the moment come and go.
    assert!(after.1 <= before.1 + 3, "threads: {before:?}, {after:?}");
    assert!(
        after.2 <= before.2 + 3,
        "descriptors: {before:?}, {after:?}"
    );
}

#[test]
fn what_was_acknowledged_is_there_after_a_power_cut() {
    for journal in Journal::ALL {
        let Some(disk) = PoweredDisk::mount() else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let scene = DaemonScene::at(&disk.path("vault.db"), folder, journal, 10);
        let daemon = scene.start(PROGRAM, &[]);
        let mut client = scene.client();
        for id in &scene.vault.ids[..3] {
            let job = json!({"kind": "score", "delay": "1h", "payload": {"video_ids": [id]}});
            client.call("jobs.submit", &job);
        }
        // It writes nothing between the cut and its end.
        daemon.signal(Signal::STOP);
        disk.cut();
        let _ = daemon.kill();
        disk.restore();
        assert_eq!(
            scene.count("SELECT count(*) FROM vvv_jobs"),
            3,
            "{journal:?}"
        );
        assert_eq!(scene.vault.integrity(), "ok");
    }
}
