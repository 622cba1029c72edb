//! Runs that end before their work does: by a signal, a deadline, a reader that left; and runs
//! that write nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use support::batch_file::BatchFile;
use support::run::Running;
use support::scene::{Scene, any_report, report, strings};
use support::site::{Endpoint, Gate, Reply, oembed};
use support::vault::{Journal, VaultSpec};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");
const VIDEOS: usize = 30;
const HELD: usize = 5;

/// A run of 30 videos whose last five thumbnails wait at the gate; it has done all the rest.
fn held(scene: &Scene, gate: &Gate, args: &[&str]) -> Running {
    for id in scene.vault.ids.iter().skip(VIDEOS - HELD) {
        scene.site.thumbnail(id, Reply::status(404).behind(gate));
    }
    let running = scene
        .run_batch(&BatchFile::of_vault(&scene.vault), args)
        .start();
    let all_asked = |calls: &[support::site::Call]| calls.len() == VIDEOS;
    assert!(scene.site.wait_until(Duration::from_secs(20), all_asked));
    wait_for(scene, "SELECT count(*) FROM vvv_thumbnail_checks", "25");
    wait_for(scene, "SELECT count(*) FROM vvv_scores", "30");
    running
}

fn wait_for(scene: &Scene, query: &str, answer: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let found = scene
            .vault
            .connect()
            .query_row(query, [], |row| row.get::<_, i64>(0));
        match found {
            Ok(found) if found.to_string() == answer => return,
            found => assert!(Instant::now() < deadline, "{query}: {found:?}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_signal_keeps_what_is_done_and_prints_a_partial_report() {
    for (signal, code, name) in [(Signal::INT, 130, "SIGINT"), (Signal::TERM, 143, "SIGTERM")] {
        let mut scene = Scene::new(PROGRAM, VIDEOS);
        scene.set("VVV_ENGINE__DRAIN_TIMEOUT", "200ms");
        let gate = Gate::closed();
        let running = held(&scene, &gate, &[]);
        let sent = Instant::now();
        running.signal(signal);
        let output = running.wait();
        assert_eq!(output.code, Some(code), "{output:?}");
        assert!(
            sent.elapsed() < Duration::from_secs(6),
            "{:?}",
            sent.elapsed()
        );
        let report = any_report(&output);
        assert_eq!(report["thumbnails"]["valid"], json!(25), "{report}");
        assert_eq!(report["thumbnails"]["broken"], json!(0));
        let left = strings(&report["summary"]["not_done"]["thumbnails"]);
        assert_eq!(left, scene.vault.ids[VIDEOS - HELD..]);
        assert_eq!(report["scoring"].as_object().unwrap().len(), VIDEOS);
        let ended_by = report["summary"]["ended_by"].as_str().unwrap();
        assert!(ended_by.contains(name), "{ended_by}");
        assert_eq!(scene.vault.integrity(), "ok");
        // The next run does only what is left.
        gate.open();
        scene.site.clear_log();
        let again = scene.report(&BatchFile::of_vault(&scene.vault), &[]);
        assert_eq!(again["summary"]["cached"]["thumbnails"], json!(25));
        assert_eq!(again["thumbnails"]["broken"], json!(HELD));
        assert_eq!(scene.site.total(Endpoint::Thumbnail), HELD);
    }
}

#[test]
fn running_jobs_may_finish_after_the_first_signal() {
    let scene = Scene::new(PROGRAM, VIDEOS);
    let gate = Gate::closed();
    let running = held(&scene, &gate, &[]);
    running.signal(Signal::INT);
    assert!(running.wait_for_stderr("stopping"));
    gate.open();
    let output = running.wait();
    assert_eq!(output.code, Some(130));
    let report = any_report(&output);
    assert_eq!(report["thumbnails"]["broken"], json!(HELD), "{report}");
    assert_eq!(report["summary"]["not_done"]["thumbnails"], json!([]));
}

#[test]
fn a_second_signal_ends_the_run_at_once() {
    let mut scene = Scene::new(PROGRAM, VIDEOS);
    scene.set("VVV_ENGINE__DRAIN_TIMEOUT", "50s");
    let gate = Gate::closed();
    let running = held(&scene, &gate, &[]);
    running.signal(Signal::INT);
    assert!(running.wait_for_stderr("stopping"));
    let sent = Instant::now();
    running.signal(Signal::INT);
    let output = running.wait();
    assert_eq!(output.code, Some(130), "{output:?}");
    assert!(
        sent.elapsed() < Duration::from_secs(3),
        "{:?}",
        sent.elapsed()
    );
    assert_eq!(output.stdout, "");
    assert_eq!(scene.vault.integrity(), "ok");
    assert_eq!(
        scene.vault.ask("SELECT count(*) FROM vvv_thumbnail_checks"),
        "25"
    );
}

#[test]
fn a_signal_ends_a_program_whose_report_nobody_reads() {
    let scene = Scene::new(PROGRAM, 2_000);
    let path = BatchFile::of_vault(&scene.vault).write(&scene.path("new.json"));
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut program = Command::new(PROGRAM)
            .args(["batch".as_ref(), path.as_os_str()])
            .args(["--only", "score", "--format", "json"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let unread = program.stdout.take().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        // A pipe takes 64 KiB, and the report is larger.
        while ioctl_fionread(&unread).unwrap() < 60_000 {
            assert!(Instant::now() < deadline, "the report does not come");
            std::thread::yield_now();
        }
        assert_eq!(
            program.try_wait().unwrap(),
            None,
            "the report fits the pipe"
        );
        kill_process(Pid::from_child(&program), signal).unwrap();
        let status = loop {
            if let Some(status) = program.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                program.kill().unwrap();
            }
            std::thread::yield_now();
        };
        assert_eq!(status.code(), Some(code));
    }
}

#[test]
fn the_time_of_a_run_counts_from_its_start() {
    const LATE: Duration = Duration::from_millis(400);
    let scene = Scene::new(PROGRAM, 3);
    let pipe = scene.path("late.json");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let args = ["batch".as_ref(), pipe.as_os_str()];
    let running = scene.run(args).args(["--only", "score"]).start();
    // Opening waits until the program waits for its batch file.
    let mut batch = File::options().write(true).open(&pipe).unwrap();
    let opened = Instant::now();
    while opened.elapsed() < LATE {
        std::thread::yield_now();
    }
    let text = BatchFile::of_vault(&scene.vault).text();
    batch.write_all(text.as_bytes()).unwrap();
    drop(batch);
    let told = report(&running.wait());
    // A deadline counts from the same moment.
    assert!(
        told["summary"]["elapsed_ms"].as_u64().unwrap() >= 400,
        "{told}"
    );
}

#[test]
fn a_deadline_ends_a_run_in_time_and_well() {
    let mut scene = Scene::new(PROGRAM, VIDEOS);
    scene.set("VVV_RATE_LIMITS__OEMBED", "2/1h");
    let gate = Gate::closed();
    for id in scene.vault.ids.iter().skip(VIDEOS - HELD) {
        scene.site.thumbnail(id, Reply::status(404).behind(&gate));
    }
    let stale: Vec<String> = (0..20).map(|n| oembed::id("alive", n)).collect();
    let file = BatchFile::of_vault(&scene.vault).stale(&stale);
    let output = scene.run_batch(&file, &["--deadline", "4s"]).output();
    let report = report(&output);
    assert!(
        output.elapsed < Duration::from_millis(5_500),
        "{:?}",
        output.elapsed
    );
    assert_eq!(report["thumbnails"]["valid"], json!(25), "{report}");
    let left = &report["summary"]["not_done"];
    assert_eq!(
        strings(&left["thumbnails"]),
        scene.vault.ids[VIDEOS - HELD..]
    );
    assert_eq!(report["liveness"]["alive"], json!(2));
    assert_eq!(strings(&left["liveness"]).len(), 18);
    assert_eq!(report["liveness"]["unknown"], json!(0));
    assert!(
        report["summary"]["ended_by"]
            .as_str()
            .unwrap()
            .contains("deadline")
    );
    gate.open();
}

#[test]
fn a_deadline_that_is_not_reached_changes_nothing() {
    let scene = Scene::new(PROGRAM, 5);
    let report = scene.report(&BatchFile::of_vault(&scene.vault), &["--deadline", "1m"]);
    assert_eq!(report["thumbnails"]["valid"], json!(5));
    assert!(report["summary"].get("ended_by").is_none());
}

/// A vault of which another process, the test, holds every lock until the connection goes.
fn locked() -> (Scene, BatchFile, Connection) {
    let scene = Scene::of(PROGRAM, VaultSpec::new(5).journal(Journal::Delete));
    let file = BatchFile::of_vault(&scene.vault);
    let holder = scene.vault.connect();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    (scene, file, holder)
}

#[test]
fn a_held_database_is_waited_for_and_a_signal_ends_the_wait() {
    let (scene, file, holder) = locked();
    let db = scene.vault.path.to_str().unwrap();
    let runs = [
        scene.run_batch(&file, &[]).start(),
        scene.run(["score", "--db", db, "--all"]).start(),
        scene.run(["score", "--db", db, "--all"]).start(),
    ];
    for running in &runs {
        assert!(running.wait_for_stderr("another process holds the database; waiting"));
        assert!(running.wait_for_stderr(&format!("pid {}", std::process::id())));
    }
    let [batch, verb, interrupted] = runs;
    interrupted.signal(Signal::INT);
    let interrupted = interrupted.wait();
    assert_eq!(interrupted.signal, Some(2), "{interrupted:?}");
    drop(holder);
    assert_eq!(report(&batch.wait())["thumbnails"]["valid"], json!(5));
    let verb = report(&verb.wait());
    assert_eq!(verb["scoring"].as_object().unwrap().len(), 5);
}

#[test]
fn a_deadline_that_comes_while_another_holds_the_database_leaves_all_undone() {
    let (scene, file, _holder) = locked();
    let db = scene.vault.path.to_str().unwrap();
    let id = scene.vault.ids[0].as_str();
    let deadline = ["--deadline", "1s"];
    for (run, section, left) in [
        (scene.run_batch(&file, &deadline), "scoring", 5),
        (
            scene.run(["score", "--db", db, "--all"]).args(deadline),
            "scoring",
            0,
        ),
        (
            scene.run(["thumbnails", "--db", db, id]).args(deadline),
            "thumbnails",
            1,
        ),
        (
            scene.run(["liveness", "--db", db, id]).args(deadline),
            "liveness",
            1,
        ),
    ] {
        let output = run.output();
        let report = report(&output);
        let summary = &report["summary"];
        assert_eq!(
            strings(&summary["not_done"][section]).len(),
            left,
            "{report}"
        );
        assert_eq!(summary["ended_by"], json!("the deadline was reached"));
        assert!(output.elapsed < Duration::from_secs(3), "{output:?}");
    }
    assert_eq!(scene.site.total(Endpoint::Thumbnail), 0);
}

/// All rows of all tables but the permits, which calls to the world must take.
fn dump(scene: &Scene) -> Vec<String> {
    let connection = scene.vault.connect();
    let mut tables = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'vvv_permits'")
        .unwrap();
    let names: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut rows = Vec::new();
    for name in names {
        let mut query = connection
            .prepare(&format!("SELECT * FROM \"{name}\""))
            .unwrap();
        let columns = query.column_count();
        let mut found = query.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let cells = (0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap()));
            rows.push(format!("{name}: {}", cells.collect::<Vec<_>>().join(", ")));
        }
    }
    rows
}

#[test]
fn a_dry_run_does_everything_but_write() {
    let scene = Scene::new(PROGRAM, 10);
    let stale = [
        oembed::id("alive", 0),
        oembed::id("dead_", 1),
        "x".to_owned(),
    ];
    let file = BatchFile::of_vault(&scene.vault).stale(&stale);
    let empty = scene.batch().key("stale_ids", json!([]));
    let _ = scene.report(&empty, &[]);
    let before = dump(&scene);
    let report = scene.report(&file, &["--dry-run"]);
    assert_eq!(dump(&scene), before);
    assert_eq!(report["summary"]["dry_run"], json!(true));
    assert_eq!(report["thumbnails"]["valid"], json!(10));
    assert_eq!(report["liveness"]["dead"], json!(1));
    let real = scene.report(&file, &[]);
    assert_eq!(
        real["summary"]["cached"],
        json!({"thumbnails": 0, "liveness": 0})
    );
    for section in ["scoring", "thumbnails", "liveness"] {
        assert_eq!(real[section], report[section]);
    }
    assert!(dump(&scene).len() > before.len());
}

#[test]
fn a_reader_that_left_early_is_no_error() {
    let scene = Scene::new(PROGRAM, 200);
    let path = BatchFile::of_vault(&scene.vault).write(&scene.path("new.json"));
    for format in ["json", "human"] {
        let script = "set -o pipefail; \"$0\" batch \"$1\" --only score --format $2 | head -c 1";
        let output = Command::new("bash")
            .args(["-c", script, PROGRAM])
            .arg(&path)
            .arg(format)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{errors}");
        assert_eq!(errors, "");
    }
    // A closed stdout from the start.
    let script = "\"$0\" batch \"$1\" --only score >&-";
    let output = Command::new("bash")
        .args(["-c", script, PROGRAM])
        .arg(&path)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    // A full disk is told.
    let script = "\"$0\" batch \"$1\" --only score >/dev/full";
    let output = Command::new("bash")
        .args(["-c", script, PROGRAM])
        .arg(&path)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("standard output"), "{errors}");
    // And stderr may be closed as well.
    let script = "\"$0\" batch /nowhere.json 2>&-";
    let output = Command::new("bash")
        .args(["-c", script, PROGRAM])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}
