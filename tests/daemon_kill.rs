//! `kill -9` of the daemon at random moments, while a client hands in jobs and keeps a ledger of
//! what was acknowledged: each of those ends once, well, its effect in the file exactly once. And
//! a job that really kills the process is given up by name and takes no innocent along.
//!
//! `VVV_KILLS` sets how many kills (200 is the full run, of 50,000 jobs), `VVV_SEED` repeats a
//! run's moments.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::daemon::DaemonScene;
use support::site::{Endpoint, Reply, oembed};
use support::vault::Journal;

const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");
/// From so many kills on a run is a full one.
const FULL: usize = 100;
/// Jobs a run hands in, for a short run and a full one.
const JOBS: [usize; 2] = [3_000, 50_000];
/// Requests on their way at once.
const IN_FLIGHT: usize = 64;
/// How long a start may take until somebody is let in; it is some 50 ms.
const READY_WITHIN: Duration = Duration::from_secs(2);
/// How long a process may live before it is killed, milliseconds.
const LIFE: std::ops::Range<u64> = 30..700;

/// Jobs of one item record nothing before they end: on a slow disk three of these kills may well meet
/// the same one.
const SETTINGS: [(&str, &str); 2] = [
    ("VVV_QUEUES__CLEANUP__MAX_CRASHES", "1000"),
    ("VVV_QUEUES__CLEANUP__WORKERS", "4"),
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What was handed in and acknowledged: written by the test, never by the daemon.
#[derive(Default)]
struct Ledger {
    acknowledged: BTreeMap<String, i64>,
    duplicates: usize,
    refused: Vec<String>,
}

impl Ledger {
    /// Notes an answer; whether it was an acknowledgement.
    fn note(&mut self, n: usize, answer: &Value) -> bool {
        let Some(id) = answer["result"]["ids"][0].as_i64() else {
            // Stopping or unknown: handed in again under the same key.
            self.refused.push(answer["error"].to_string());
            return false;
        };
        self.duplicates += usize::from(answer["result"]["duplicate"] == true);
        let before = self.acknowledged.insert(format!("k{n}"), id);
        assert!(before.is_none_or(|before| before == id), "{answer}");
        true
    }
}

/// Hands in every job, over as many connections as it takes.
fn submit_all(scene: &DaemonScene, jobs: usize, ledger: &Mutex<Ledger>) {
    let mut left: BTreeSet<usize> = (0..jobs).collect();
    while !left.is_empty() {
        let Some(stream) = scene.connect(Duration::from_secs(20)) else {
            panic!("no daemon lets us in");
        };
        // An error is a daemon that was killed: the next one is told what is left.
        let _ = submit_over(&stream, &mut left, ledger);
    }
}

/// Hands in what is left over one connection, some at once, for as long as it lasts.
fn submit_over(
    stream: &UnixStream,
    left: &mut BTreeSet<usize>,
    ledger: &Mutex<Ledger>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut requests = stream;
    let mut answers = BufReader::new(stream).lines();
    let mut to_send = left.clone().into_iter();
    let mut on_their_way = 0;
    loop {
        while on_their_way < IN_FLIGHT
            && let Some(n) = to_send.next()
        {
            // An id that cannot exist is judged without a call: the effect is one row.
            let request = json!({"jsonrpc": "2.0", "id": n, "method": "jobs.submit",
                "params": {"kind": "liveness", "unique_key": format!("k{n}"),
                    "payload": {"video_ids": [format!("no such id {n}")]}}});
            requests.write_all(format!("{request}\n").as_bytes())?;
            on_their_way += 1;
        }
        let Some(line) = answers.next() else {
            return Ok(());
        };
        on_their_way -= 1;
        // Half a line is a daemon that was killed.
        let answer: Value = serde_json::from_str(&line?)?;
        let n = usize::try_from(answer["id"].as_u64().unwrap()).unwrap();
        if ledger.lock().unwrap().note(n, &answer) {
            left.remove(&n);
        }
        if left.is_empty() {
            return Ok(());
        }
    }
}

#[test]
fn what_was_acknowledged_is_done_exactly_once_whenever_the_daemon_is_killed() {
    let kills = usize::try_from(number("VVV_KILLS").unwrap_or(12)).unwrap();
    let seed = number("VVV_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("VVV_SEED={seed} VVV_KILLS={kills}");
    let jobs = JOBS[usize::from(kills >= FULL)];
    for journal in Journal::ALL {
        run_with_kills(journal, kills, jobs, seed);
    }
}

fn run_with_kills(journal: Journal, kills: usize, jobs: usize, seed: u64) {
    let scene = Arc::new(DaemonScene::new(journal, 20));
    count_effects(&scene);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let client = {
        let (scene, ledger) = (scene.clone(), ledger.clone());
        std::thread::spawn(move || submit_all(&scene, jobs, &ledger))
    };
    let ready = kill_at_random(&scene, kills, seed);
    let daemon = scene.start(PROGRAM, &SETTINGS);
    client.join().unwrap();
    scene.wait_for(
        "SELECT count(*) FROM vvv_jobs WHERE state = 'succeeded'",
        jobs,
        Duration::from_secs(600),
    );
    daemon.signal(rustix::process::Signal::TERM);
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let slowest = ready.last().copied().unwrap_or_default();
    assert!(slowest < READY_WITHIN, "ready after {slowest:?} only");
    let ledger = ledger.lock().unwrap();
    println!(
        "{}: {kills} kills, {jobs} jobs, {} acknowledged twice, {} refused, ready within {:?}, half \
         of the times within {:?}",
        journal.name(),
        ledger.duplicates,
        ledger.refused.len(),
        slowest,
        ready.get(ready.len() / 2),
    );
    judge(&scene, &ledger, jobs);
}

/// The first start makes our tables; then a trigger counts each effect.
fn count_effects(scene: &DaemonScene) {
    let first = scene.start(PROGRAM, &SETTINGS);
    let _ = first.kill();
    scene
        .vault
        .connect()
        .execute_batch(
            "CREATE TABLE effects (video_id TEXT); \
             CREATE TRIGGER made AFTER INSERT ON vvv_liveness_checks \
               BEGIN INSERT INTO effects VALUES (NEW.video_id); END; \
             CREATE TRIGGER changed AFTER UPDATE ON vvv_liveness_checks \
               BEGIN INSERT INTO effects VALUES (NEW.video_id); END;",
        )
        .unwrap();
}

/// Starts and kills the daemon; how long each start took to let somebody in, sorted.
fn kill_at_random(scene: &DaemonScene, kills: usize, seed: u64) -> Vec<Duration> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut ready = Vec::new();
    for _ in 0..kills {
        let began = Instant::now();
        let daemon = scene.start(PROGRAM, &SETTINGS);
        ready.push(began.elapsed());
        std::thread::sleep(Duration::from_millis(random.u64(LIFE)));
        let ended = daemon.kill();
        assert_eq!(
            ended.signal,
            Some(9),
            "it ended by itself: {}",
            ended.stderr
        );
    }
    ready.sort();
    ready
}

fn judge(scene: &DaemonScene, ledger: &Ledger, jobs: usize) {
    assert_eq!(scene.vault.integrity(), "ok");
    let stored: BTreeMap<String, i64> = scene
        .rows("SELECT unique_key, id FROM vvv_jobs")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].parse().unwrap()))
        .collect();
    assert_eq!(stored, ledger.acknowledged, "none lost, none invented");
    let wrong =
        scene.rows("SELECT video_id, count(*) FROM effects GROUP BY 1 HAVING count(*) <> 1");
    assert!(
        wrong.is_empty(),
        "{} effects not once: {:?}",
        wrong.len(),
        wrong.first()
    );
    assert_eq!(scene.count("SELECT count(*) FROM effects"), jobs);
}

#[test]
fn a_job_that_kills_the_process_is_given_up_and_takes_no_innocent_along() {
    let scene = DaemonScene::new(Journal::Wal, 20);
    let poison = scene.site.thumbnail_url("poison", "hqdefault.jpg");
    scene.site.thumbnail("poison", Reply::silent());
    let settings = [("VVV_QUEUES__THUMBNAILS__WORKERS", "4")];
    let mut daemon = scene.start(PROGRAM, &settings);
    let Some(mut stream) = scene.connect(Duration::from_secs(20)) else {
        panic!("not ready")
    };
    let innocents = 40;
    for n in 0..=innocents {
        let url = if n == 7 {
            poison.clone()
        } else {
            scene
                .site
                .thumbnail_url(&format!("good{n}"), "hqdefault.jpg")
        };
        let request = json!({"jsonrpc": "2.0", "id": n, "method": "jobs.submit", "params": {
            "kind": "thumbnails",
            "payload": {"videos": [{"video_id": format!("v{n}"), "thumbnail_url": url}]}}});
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
    }
    // Each time the site is asked for the poison, the process dies of it.
    let asked = |calls: &[support::site::Call]| {
        calls
            .iter()
            .filter(|call| call.id() == Some("poison"))
            .count()
    };
    for death in 1..=4 {
        assert!(
            scene
                .site
                .wait_until(Duration::from_secs(30), |calls| asked(calls) == death),
            "death {death} does not come"
        );
        let _ = daemon.kill();
        daemon = scene.start(PROGRAM, &settings);
    }
    scene.wait_for(
        "SELECT count(*) FROM vvv_jobs WHERE ended_ms IS NOT NULL",
        innocents + 1,
        Duration::from_secs(60),
    );
    let ended = scene
        .rows("SELECT state, error, crashes, count(*) FROM vvv_jobs GROUP BY 1, 2, 3 ORDER BY 1");
    assert_eq!(
        ended,
        [
            vec!["failed", "crashed 3 times", "3", "1"],
            vec!["succeeded", "-", "0", "40"],
        ]
    );
    assert_eq!(scene.site.count(Endpoint::Thumbnail, "poison"), 4);
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(daemon.wait().code, Some(0));
}

fn alive(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| oembed::id("alive", n)).collect()
}

#[test]
fn after_a_kill_no_score_waits_behind_suspects_that_wait_for_permits() {
    const SCORES: usize = 400;
    let scene = DaemonScene::new(Journal::Wal, 20);
    let window = ("VVV_RATE_LIMITS__OEMBED", "1/10m");
    let daemon = scene.start(PROGRAM, &[window, ("VVV_QUEUES__SCORING__WORKERS", "0")]);
    let mut client = scene.client();
    for n in 0..4 {
        let payload = json!({"video_ids": alive(2 * n..2 * n + 2)});
        let job = json!({"kind": "liveness", "payload": payload});
        client.call("jobs.submit", &job);
    }
    let job = json!({"kind": "score", "payload": {"video_ids": [&scene.vault.ids[0]]}});
    for _ in 0..SCORES {
        client.call("jobs.submit", &job);
    }
    let asked = |calls: &[support::site::Call]| !calls.is_empty();
    assert!(scene.site.wait_until(Duration::from_secs(30), asked));
    let held = "SELECT count(*) FROM vvv_jobs WHERE queue = 'cleanup' AND state = 'running'";
    scene.wait_for(held, 4, Duration::from_secs(20));
    let _ = daemon.kill();
    // As if the scoring pool had held them all.
    let hold = "UPDATE vvv_jobs SET state = 'running', attempts = 1 WHERE queue = 'scoring'";
    scene.vault.connect().execute(hold, []).unwrap();
    let daemon = scene.start(PROGRAM, &[window]);
    let scored = "SELECT count(*) FROM vvv_jobs WHERE queue = 'scoring' AND state = 'succeeded'";
    scene.wait_for(scored, SCORES, Duration::from_secs(60));
    // Then it is their turn.
    let tried = "SELECT count(*) FROM vvv_jobs WHERE queue = 'cleanup' AND suspect >= 2";
    scene.wait_for(tried, 1, Duration::from_secs(20));
    let _ = daemon.kill();
}

#[test]
fn a_job_that_gets_on_outlives_any_number_of_kills() {
    const ITEMS: usize = 10;
    let scene = DaemonScene::new(Journal::Wal, 20);
    let settings = [
        ("VVV_RATE_LIMITS__OEMBED", "1/1s"),
        ("VVV_LIVENESS__TIMEOUT", "1s"),
    ];
    let mut daemon = scene.start(PROGRAM, &settings);
    let job = json!({"kind": "liveness", "payload": {"video_ids": alive(0..ITEMS)}});
    scene.client().call("jobs.submit", &job);
    let mut before = 0;
    for _ in 0..5 {
        let recorded = format!("SELECT count(*) > {before} FROM vvv_liveness_checks");
        scene.wait_for(&recorded, 1, Duration::from_secs(60));
        let _ = daemon.kill();
        before = scene.count("SELECT count(*) FROM vvv_liveness_checks");
        daemon = scene.start(PROGRAM, &settings);
    }
    let ended = "SELECT count(*) FROM vvv_jobs WHERE ended_ms IS NOT NULL";
    scene.wait_for(ended, 1, Duration::from_secs(60));
    let job = scene.rows("SELECT state, error, crashes FROM vvv_jobs");
    assert_eq!(job, [["succeeded", "-", "0"]]);
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(daemon.wait().code, Some(0));
}
