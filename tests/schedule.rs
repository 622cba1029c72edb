//! What a durable engine does by itself: scheduled work, pruning, checkpoints; and what it does
//! when the disk is full or its database is replaced under it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use support::daemon::DaemonScene;
use support::disk::Disk;
use support::engine::{EngineScene, SOON, request, score, shut_down, stop};
use support::failing_disk::FailingDisk;
use support::run::Run;
use support::talk::until;
use support::vault::{Journal, VaultSpec};
use vvv_actors::actors::faults::{Fault, Faults, Step};
use vvv_actors::config::Checkpoint;
use vvv_actors::engine::{AlarmKind, BlockingEngine, EngineError, Grouping, JobId, Lost};

/// A command that does something first and then keeps what it was told.
fn command(first: &str, told: &Path) -> Vec<String> {
    let script = format!("{first} cat >>\"$0\"; echo >>\"$0\"");
    let told = told.display().to_string();
    ["sh", "-c", &script, &told].map(str::to_owned).to_vec()
}

fn enqueue(engine: &BlockingEngine, ids: &[String]) -> Result<JobId, EngineError> {
    let (queued, _) = engine.enqueue(vec![request(score(ids))], Grouping::None)?;
    Ok(queued[0].ids[0])
}

fn alarms(engine: &BlockingEngine) -> Vec<AlarmKind> {
    let alarms = engine.alarms().unwrap();
    alarms.into_iter().map(|alarm| alarm.kind).collect()
}

#[track_caller]
fn until_alarms(engine: &BlockingEngine, wanted: &[AlarmKind]) {
    let deadline = Instant::now() + SOON;
    loop {
        let alarms = alarms(engine);
        if alarms == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{alarms:?}, not {wanted:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until an engine has noticed that its database is not there any more.
#[track_caller]
fn until_replaced(engine: &BlockingEngine) {
    let deadline = Instant::now() + SOON / 2;
    while engine.handle().lost().is_none() {
        assert!(Instant::now() < deadline, "nobody noticed");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(engine.handle().lost(), Some(Lost::DatabaseReplaced));
}

/// Puts another vault in the place of one, as a restore does.
fn replace(path: &Path, journal: Journal) {
    let other = path.with_file_name("other.db");
    let _ = VaultSpec::new(3).journal(journal).create(&other);
    for suffix in ["-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(path.with_extension(format!("db{suffix}")));
    }
    fs::rename(&other, path).unwrap();
}

#[test]
fn a_tick_that_was_missed_runs_once_and_its_work_is_done() {
    for journal in Journal::ALL {
        let mut scene = EngineScene::new(journal);
        scene.config.schedule.rescore = "@daily".to_owned();
        // The first start: ticks count from now on.
        let engine = scene.start();
        let record = "SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM vvv_meta \
                      WHERE key = 'schedule:rescore'";
        scene
            .vault
            .until("the first tick is recorded", record, |tick| tick > 0);
        stop(&engine);
        assert_eq!(scene.vault.number("SELECT count(*) FROM vvv_jobs"), 0);
        // Down for three days.
        let site = scene.vault.connect();
        site.execute(
            "UPDATE vvv_meta SET value = value - 3 * 86400000 WHERE key = 'schedule:rescore'",
            [],
        )
        .unwrap();
        drop(site);
        let engine = scene.start();
        let scored = "SELECT count(*) FROM vvv_scores";
        let tried = "SELECT (SELECT count(*) FROM vvv_scores) \
                     + (SELECT count(*) FROM vvv_score_tries)";
        scene
            .vault
            .until("every video is tried", tried, |tried| tried == 120);
        assert!(scene.vault.number(scored) > 0);
        let keys = "SELECT count(*) FROM vvv_jobs WHERE unique_key GLOB 'schedule:rescore:*'";
        scene
            .vault
            .until("a tick is one row", keys, |rows| rows == 1);
        stop(&engine);
        let jobs = scene.vault.number("SELECT count(*) FROM vvv_jobs");
        // Once more: nothing is due. Another line that is new is recorded by the look that sees it,
        // after those due before it.
        scene.config.schedule.optimize = "@daily".to_owned();
        let engine = scene.start();
        let looked = "SELECT count(*) FROM vvv_meta WHERE key = 'schedule:optimize'";
        scene
            .vault
            .until("the scheduler has looked", looked, |looked| looked == 1);
        stop(&engine);
        assert_eq!(scene.vault.number("SELECT count(*) FROM vvv_jobs"), jobs);
    }
}

#[test]
fn a_tick_that_was_cut_short_goes_on_with_the_rest() {
    let mut scene = EngineScene::new(Journal::Wal);
    scene.config.schedule.rescore = "@daily".to_owned();
    let engine = scene.start();
    let record = "SELECT count(*) FROM vvv_meta WHERE key = 'schedule:rescore'";
    scene
        .vault
        .until("the first tick is recorded", record, |ticks| ticks == 1);
    stop(&engine);
    // It died after the first slice of a tick that was due yesterday.
    let ids = serde_json::json!({"video_ids": scene.vault.ids[..20]});
    let site = scene.vault.connect();
    site.execute_batch(&format!(
        "UPDATE vvv_meta SET value = value - 86400000 WHERE key = 'schedule:rescore'; \
         INSERT INTO vvv_groups (id, jobs, held, queued_ms) VALUES (7, 1, 1, 0); \
         INSERT INTO vvv_jobs (kind, payload, queue, group_id, items, queued_ms) \
           VALUES ('score', '{ids}', 'scoring', 7, 20, 0); \
         INSERT INTO vvv_meta VALUES ('schedule:rescore:begun', 7);"
    ))
    .unwrap();
    drop(site);
    let engine = scene.start();
    let ended = "SELECT count(*) FROM vvv_groups WHERE id = 7 AND ended_ms > 0 AND held = 0";
    scene
        .vault
        .until("the group ends", ended, |ended| ended == 1);
    let items = "SELECT sum(items) FROM vvv_jobs WHERE group_id = 7";
    assert_eq!(scene.vault.number(items), 120, "each video once");
    let begun = "SELECT count(*) FROM vvv_meta WHERE key = 'schedule:rescore:begun'";
    assert_eq!(scene.vault.number(begun), 0);
    stop(&engine);
}

#[test]
fn what_is_kept_no_longer_goes_while_the_engine_runs() {
    let mut scene = EngineScene::new(Journal::Wal);
    scene.config.schedule.prune = "@every 1s".to_owned();
    scene.config.schedule.optimize = "@every 1s".to_owned();
    let engine = scene.start();
    scene
        .vault
        .connect()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) \
             INSERT INTO vvv_jobs (queue, state, ended_ms, queued_ms) \
               SELECT 'scoring', 'succeeded', 1, 0 FROM n;",
        )
        .unwrap();
    scene
        .vault
        .until("old rows go", "SELECT count(*) FROM vvv_jobs", |rows| {
            rows == 0
        });
    stop(&engine);
}

#[test]
fn a_wal_is_folded_back_when_idle_and_at_a_stop_unless_somebody_else_does() {
    for (checkpoint, folds) in [(Checkpoint::Idle, true), (Checkpoint::Never, false)] {
        let mut scene = EngineScene::new(Journal::Wal);
        scene.config.database.checkpoint = checkpoint;
        // The site's own connection keeps the WAL from going with our last one.
        let site = scene.vault.connect();
        site.execute_batch("PRAGMA wal_autocheckpoint = 0; SELECT count(*) FROM videos;")
            .unwrap();
        let engine = scene.start();
        enqueue(&engine, &scene.vault.ids).unwrap();
        scene.vault.until_all_succeeded();
        stop(&engine);
        let wal = scene.vault.path.with_extension("db-wal");
        let size = fs::metadata(&wal).unwrap().len();
        assert_eq!(size == 0, folds, "{checkpoint:?}: {size}");
        drop(site);
    }
}

#[test]
fn a_full_disk_refuses_work_and_loses_none_and_it_goes_on_when_there_is_room() {
    for journal in Journal::ALL {
        let Some(disk) = Disk::mount(16 * 1024) else {
            return;
        };
        let spec = VaultSpec::new(120).journal(journal);
        let mut scene = EngineScene::at(&disk.path("vault.db"), spec);
        let told = scene.folder.path().join("told");
        scene.config.alerts.command = command("", &told);
        scene.config.alerts.min_interval = Duration::ZERO;
        let engine = scene.start();
        assert_eq!(alarms(&engine), []);
        disk.fill(256);
        let mut queued = Vec::new();
        let error = loop {
            let ids: Vec<String> = (0..40).map(|n| format!("{n:0>1000}")).collect();
            match enqueue(&engine, &ids) {
                Ok(id) => queued.push(id),
                Err(error) => break error,
            }
            assert!(queued.len() < 2_000, "the disk is never full");
        };
        assert!(error.is_storage_full(), "{error}");
        // It stays so for a while, and the pools are at it.
        let full = Instant::now();
        while full.elapsed() < Duration::from_secs(1) {
            match enqueue(&engine, &["a".to_owned()]) {
                Ok(id) => queued.push(id),
                Err(error) => assert!(error.is_storage_full(), "{error}"),
            }
        }
        assert_eq!(alarms(&engine), [AlarmKind::StorageFull]);
        disk.free();
        let begun = Instant::now();
        scene.vault.until_all_succeeded();
        assert!(begun.elapsed() < Duration::from_secs(10));
        let rows = scene.vault.number("SELECT count(*) FROM vvv_jobs");
        assert_eq!(usize::try_from(rows).unwrap(), queued.len());
        enqueue(&engine, &["a".to_owned()]).unwrap();
        until_alarms(&engine, &[]);
        // The command hears of both, one run after the other.
        let told = until("it is told that there is room", || {
            let told = fs::read_to_string(&told).ok()?;
            told.contains(r#""raised":false"#).then_some(told)
        });
        let first: serde_json::Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
        assert_eq!(first["changes"][0]["kind"], "storage_full", "{told}");
        assert_eq!(first["changes"][0]["raised"], true, "{told}");
        stop(&engine);
        assert_eq!(scene.vault.integrity(), "ok");
    }
}

#[test]
fn a_damaged_file_is_found_after_an_unclean_stop() {
    let scene = EngineScene::new(Journal::Wal);
    let engine = scene.start();
    stop(&engine);
    let site = scene.vault.connect();
    site.execute_batch(
        "CREATE TABLE ballast (x); INSERT INTO ballast VALUES (zeroblob(100)); \
         PRAGMA wal_checkpoint(TRUNCATE);",
    )
    .unwrap();
    let number = |sql: &str| -> i64 { site.query_row(sql, [], |row| row.get(0)).unwrap() };
    let page = number("SELECT rootpage FROM sqlite_master WHERE name = 'ballast'") - 1;
    let size = number("PRAGMA page_size");
    site.execute_batch(
        "INSERT INTO vvv_meta VALUES ('running', 1); PRAGMA wal_checkpoint(TRUNCATE);",
    )
    .unwrap();
    drop(site);
    let mut bytes = fs::read(&scene.vault.path).unwrap();
    let start = usize::try_from(page * size).unwrap();
    bytes[start..start + usize::try_from(size).unwrap()].fill(0xEE);
    fs::write(&scene.vault.path, bytes).unwrap();
    let engine = scene.start();
    until_alarms(&engine, &[AlarmKind::DatabaseDamaged]);
    stop(&engine);
}

#[test]
fn what_ends_the_engine_is_told_before_it_is_gone() {
    let mut scene = EngineScene::new(Journal::Wal);
    let told = scene.vault.path.with_file_name("told");
    scene.config.alerts.command = command("sleep 0.5;", &told);
    let engine = scene.start();
    fs::remove_file(&scene.vault.path).unwrap();
    until_replaced(&engine);
    let text = fs::read_to_string(&told).unwrap();
    assert!(text.contains("database_replaced"), "{text}");
    // And a file that is too damaged to start on: its first page, or all but SQLite's header there.
    for header in [0, 100] {
        let mut scene = EngineScene::new(Journal::Delete);
        let told = scene.vault.path.with_file_name("told");
        scene.config.alerts.command = command("sleep 0.5;", &told);
        let mut bytes = fs::read(&scene.vault.path).unwrap();
        bytes[header..4096].fill(0xEE);
        fs::write(&scene.vault.path, bytes).unwrap();
        cannot_start(&scene, &told);
    }
}

#[track_caller]
fn cannot_start(scene: &EngineScene, told: &Path) {
    assert!(scene.builder(true).start().is_err());
    let text = fs::read_to_string(told).unwrap();
    assert!(text.contains("database_damaged"), "{text}");
}

#[test]
fn a_pool_that_dies_too_often_raises_an_alarm_until_it_is_back() {
    let mut scene = EngineScene::new(Journal::Wal);
    scene.config.engine.max_restarts = 0;
    scene.config.engine.restart_window = Duration::from_secs(8);
    let deaths = AtomicUsize::new(0);
    let once = move |step| {
        let strikes = step == Step::PoolDispatches && deaths.fetch_add(1, Ordering::Relaxed) == 0;
        strikes.then_some(Fault::Panic)
    };
    let engine = scene.start_with(Faults::new(once));
    enqueue(&engine, &scene.vault.ids).unwrap();
    until_alarms(&engine, &[AlarmKind::RestartsSpent]);
    until_alarms(&engine, &[]);
    scene.vault.until_all_succeeded();
    shut_down(&engine);
}

#[test]
fn rows_that_nobody_takes_in_are_a_backlog() {
    let mut scene = EngineScene::new(Journal::Wal);
    scene.config.alerts.backlog_after = Duration::from_secs(1);
    // Nobody can take anything in who cannot write.
    let engine = scene.start();
    stop(&engine);
    let other = scene.vault.connect();
    let engine = scene.start();
    until_alarms(&engine, &[]);
    other
        .execute_batch(
            "CREATE TRIGGER never BEFORE UPDATE ON vvv_jobs \
             BEGIN SELECT RAISE(ABORT, 'not now'); END;",
        )
        .unwrap();
    // The keeper has to see the queue empty first, and then grow.
    let deadline = Instant::now() + 2 * SOON;
    while alarms(&engine) != [AlarmKind::Backlog] {
        assert!(Instant::now() < deadline, "{:?}", alarms(&engine));
        let row =
            "INSERT INTO vvv_jobs (kind, payload) VALUES ('score', '{\"video_ids\":[\"a\"]}')";
        other.execute_batch(row).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    other.execute_batch("DROP TRIGGER never").unwrap();
    stop(&engine);
}

#[test]
fn a_database_replaced_or_removed_stops_the_engine_and_the_new_one_is_left_alone() {
    for journal in Journal::ALL {
        for replaced in [true, false] {
            let scene = EngineScene::new(journal);
            let engine = scene.start();
            enqueue(&engine, &scene.vault.ids).unwrap();
            let path = &scene.vault.path;
            if replaced {
                replace(&scene.vault.path, journal);
            } else {
                fs::remove_file(path).unwrap();
            }
            until_replaced(&engine);
            assert!(enqueue(&engine, &scene.vault.ids).is_err());
            engine.shutdown(Duration::ZERO);
            assert_eq!(path.exists(), replaced);
            if replaced {
                assert_eq!(scene.vault.number("SELECT count(*) FROM videos"), 3);
                let ours = "SELECT count(*) FROM sqlite_master WHERE name GLOB 'vvv_*'";
                assert_eq!(scene.vault.number(ours), 0);
                assert_eq!(scene.vault.integrity(), "ok");
            }
        }
    }
}

#[test]
fn the_daemon_ends_with_3_when_its_database_is_gone_and_shows_its_schedule() {
    let program = env!("CARGO_BIN_EXE_vvv-actors");
    let scene = DaemonScene::new(Journal::Wal, 10);
    let daemon = scene.start(program, &[("VVV_SCHEDULE__RESCORE", "@every 15m")]);
    let shown = Run::new(program)
        .args(["schedule", "--format", "json", "--db"])
        .args([&scene.vault.path])
        .env("VVV_SCHEDULE__RESCORE", "@every 15m")
        .output();
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["tasks"][0]["task"], "rescore", "{shown}");
    assert_eq!(shown["tasks"][0]["line"], "@every 15m", "{shown}");
    assert!(shown["tasks"][0]["next"].is_string(), "{shown}");
    fs::remove_file(&scene.vault.path).unwrap();
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("replaced or removed"), "{ended:?}");
}

#[test]
fn a_wal_or_its_index_that_is_removed_stops_the_engine() {
    for suffix in ["-wal", "-shm"] {
        let scene = EngineScene::new(Journal::Wal);
        let engine = scene.start();
        enqueue(&engine, &scene.vault.ids).unwrap();
        let beside = scene.vault.path.with_extension(format!("db{suffix}"));
        fs::remove_file(beside).unwrap();
        until_replaced(&engine);
        assert!(enqueue(&engine, &scene.vault.ids).is_err());
        engine.shutdown(Duration::ZERO);
    }
}

#[test]
fn a_database_replaced_while_the_start_waits_for_its_lock_is_not_worked_on() {
    for journal in Journal::ALL {
        let scene = EngineScene::new(journal);
        let engine = scene.start();
        stop(&engine);
        let site = scene.vault.connect();
        site.execute_batch("BEGIN IMMEDIATE").unwrap();
        let started = std::thread::scope(|scope| {
            let start = scope.spawn(|| scene.builder(true).start());
            // The site's own, and the engine's, which waits.
            let deadline = Instant::now() + SOON;
            while open_files(&scene.vault.path) < 2 {
                assert!(Instant::now() < deadline, "it does not open the file");
                std::thread::sleep(Duration::from_millis(5));
            }
            replace(&scene.vault.path, journal);
            site.execute_batch("COMMIT").unwrap();
            start.join().unwrap()
        });
        let error = started.err().expect("it started on a file that is gone");
        assert!(error.to_string().contains("replaced or removed"), "{error}");
        let ours = "SELECT count(*) FROM sqlite_master WHERE name GLOB 'vvv_*'";
        assert_eq!(scene.vault.number(ours), 0);
    }
}

/// How often this process has a file open.
fn open_files(path: &Path) -> usize {
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
        .filter(|file| file == path)
        .count()
}

#[test]
fn a_temporary_queue_is_not_worked_off_into_a_file_that_is_gone() {
    for journal in Journal::ALL {
        let scene = EngineScene::new(journal);
        let engine = scene.builder(false).start().unwrap().blocking();
        replace(&scene.vault.path, journal);
        let report = engine
            .submit(score(&scene.vault.ids))
            .and_then(|mut ticket| ticket.wait());
        assert!(
            !report.is_ok_and(|report| report.is_complete()),
            "scored into a file that is gone"
        );
        until_replaced(&engine);
        engine.shutdown(Duration::ZERO);
    }
}

#[test]
fn a_disk_that_fails_is_told_of_and_spends_no_attempt() {
    let program = env!("CARGO_BIN_EXE_vvv-actors");
    for journal in Journal::ALL {
        let scene = DaemonScene::new(journal, 10);
        let Some(disk) = FailingDisk::build(&scene.beside("")) else {
            return;
        };
        let mut settings = disk.settings().to_vec();
        settings.push(("VVV_QUEUES__SCORING__MAX_RETRIES", "0"));
        settings.push(("VVV_LOG__LEVEL", "info"));
        let daemon = scene.start(program, &settings);
        let mut client = scene.client();
        let score = |delay| json!({"kind": "score", "payload": {"video_ids": scene.vault.ids}, "delay": delay});
        let id = client.call("jobs.submit", score("1s"))["ids"][0].clone();
        disk.fail();
        let refused = client.reply("jobs.submit", &score("0s"));
        assert!(refused["error"].is_object(), "{refused}");
        // It is due meanwhile, and nobody can claim it.
        until("the disk's errors are told", || {
            let status = client.call("daemon.status", json!({}));
            let alarms = status["alarms"].to_string();
            alarms.contains("cannot be written to").then_some(())
        });
        disk.mend();
        let waited = client.call("jobs.wait", json!({"ids": [id], "timeout": "50s"}));
        assert_eq!(waited["jobs"][0]["state"], "succeeded", "{waited}");
        let job = &client.call("jobs.get", json!({"id": id}))["job"];
        assert_eq!(job["attempts"], 1, "{job}");
        until("the alarm goes", || {
            let alarms = client.call("daemon.status", json!({}))["alarms"].clone();
            (alarms == json!([])).then_some(())
        });
        daemon.signal(Signal::TERM);
        let ended = daemon.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        // With a rollback journal statements fail before any commit is tried, or not.
        let doubts = ended.stderr.matches("the database failed").count();
        let least = usize::from(journal == Journal::Wal);
        assert!((least..=1).contains(&doubts), "{}", ended.stderr);
        let over = ended.stderr.matches("takes commits again").count();
        assert!(over <= doubts, "{}", ended.stderr);
    }
}

#[test]
fn a_database_replaced_or_removed_while_there_is_no_writer_gets_no_table_of_ours() {
    for replaced in [true, false] {
        let scene = EngineScene::new(Journal::Wal);
        let kills = Arc::new(AtomicBool::new(false));
        let (armed, path) = (Arc::clone(&kills), scene.vault.path.clone());
        // The file goes with the writer, before its seat can be filled.
        let faults = Faults::new(move |step| {
            if step != Step::DbWrites || !armed.swap(false, Ordering::Relaxed) {
                return None;
            }
            if replaced {
                replace(&path, Journal::Wal);
            } else {
                fs::remove_file(&path).unwrap();
            }
            Some(Fault::Panic)
        });
        let engine = scene.start_with(faults);
        kills.store(true, Ordering::Relaxed);
        let job = request(score(&scene.vault.ids));
        let _ = engine.enqueue(vec![job], Grouping::None);
        until_replaced(&engine);
        engine.shutdown(Duration::ZERO);
        assert_eq!(scene.vault.path.exists(), replaced);
        if replaced {
            let ours = "SELECT count(*) FROM sqlite_master WHERE name GLOB 'vvv_*'";
            assert_eq!(scene.vault.number(ours), 0);
        }
    }
}
