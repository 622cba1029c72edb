//! A full disk, too few file descriptors or threads: the batch says exactly what failed, ends in time with
//! 1 or 3, breaks nothing, and completes once there is room again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use support::article;
use support::batch_file::BatchFile;
use support::daemon::DaemonScene;
use support::disk::Disk;
use support::run::{Output, Run};
use support::site::{Site, oembed};
use support::vault::{Journal, Vault, VaultSpec};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");
const VIDEOS: usize = 400;
const ASKED: usize = 20;
/// No run of these may take longer: nothing here is slow but a hang.
const PATIENCE: Duration = Duration::from_secs(90);

struct Scene {
    site: Site,
    journal: Journal,
}

impl Scene {
    fn vault(&self, path: &Path) -> Vault {
        let spec = VaultSpec {
            journal: self.journal,
            thumbnails: self.site.url(""),
            files: vec!["mqdefault.jpg".to_owned(), "nothing.jpg".to_owned()],
            ..VaultSpec::new(VIDEOS)
        };
        spec.create(path)
    }

    /// The batch of all there is. It is written while there is room to read the vault.
    fn batch_file(vault: &Vault, path: &Path) -> PathBuf {
        let stale = (0..ASKED).map(|n| oembed::id("alive", n));
        BatchFile::of_vault(vault)
            .stale(stale.collect::<Vec<_>>())
            .write(path)
    }

    /// A batch run by `program`, which may be a wrapper around ours.
    fn batch<S: AsRef<OsStr>>(
        &self,
        program: &str,
        wrapped: impl IntoIterator<Item = S>,
        file: &Path,
    ) -> Output {
        let ended = Run::new(program)
            .args(wrapped)
            .args(["batch", "--format", "json"])
            .args([file])
            .env("VVV_LIVENESS__ENDPOINT", self.site.oembed_endpoint())
            .env("VVV_FETCH__ALLOW", self.site.authority())
            .env("VVV_RATE_LIMITS__OEMBED", "1000/s")
            .env("VVV_QUEUES__SCORING__RETRY_DELAY", "50ms")
            .env("VVV_QUEUES__THUMBNAILS__RETRY_DELAY", "50ms")
            .env("VVV_QUEUES__CLEANUP__RETRY_DELAY", "50ms")
            .timeout(PATIENCE)
            .output();
        assert!(!ended.timed_out, "it hangs: {}", ended.stderr);
        ended
    }

    fn completes(&self, before: &Vault, vault: &Vault, file: &Path) {
        let ended = self.batch::<&str>(PROGRAM, [], file);
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.stderr, ended.stdout);
        let compared = article::compare(&before.path, &vault.path, &ended.stdout);
        assert_eq!(compared, Ok(VIDEOS));
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        let thumbnails = &report["thumbnails"];
        assert_eq!(thumbnails["valid"], VIDEOS / 2, "{thumbnails}");
        assert_eq!(report["liveness"]["alive"], ASKED);
        assert_eq!(vault.integrity(), "ok");
    }
}

/// The run failed, or could not begin, and stderr says why.
fn ends_by_name(ended: &Output, causes: &[&str], what: &str) {
    let told = format!(
        "{what}: {:?} {}\n{}",
        ended.code, ended.stderr, ended.stdout
    );
    assert!(matches!(ended.code, Some(1 | 3)), "{told}");
    assert!(
        causes.iter().any(|cause| ended.stderr.contains(cause)),
        "{told}"
    );
    if ended.code == Some(1) {
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_ne!(
            report["summary"]["failures"],
            Value::Array(Vec::new()),
            "{told}"
        );
    }
}

/// Whatever the report lacks is named in its summary, with the cause.
fn says_what_failed(ended: &Output, cause: &str, what: &str) {
    let told = format!(
        "{what}: {:?} {}\n{}",
        ended.code, ended.stderr, ended.stdout
    );
    match ended.code {
        // Nothing could begin.
        Some(3) => assert!(ended.stderr.contains(cause), "{told}"),
        Some(1) => {
            let report: Value = serde_json::from_str(&ended.stdout).unwrap();
            let failures = report["summary"]["failures"].as_array().unwrap();
            assert!(!failures.is_empty(), "{told}");
            for failure in failures {
                assert!(failure["error"].as_str().unwrap().contains(cause), "{told}");
                assert!(!failure["ids"].as_array().unwrap().is_empty(), "{told}");
            }
        }
        _ => panic!("{told}"),
    }
}

#[test]
fn a_full_disk_is_named_and_a_run_with_room_completes() {
    for journal in Journal::ALL {
        for left in [0, 40, 80, 160] {
            let what = format!("{}, {left} KiB left", journal.name());
            let Some(disk) = Disk::mount(12 * 1024) else {
                return;
            };
            let elsewhere = tempfile::tempdir().unwrap();
            let scene = Scene {
                site: Site::start(),
                journal,
            };
            let vault = scene.vault(&disk.path("vault.db"));
            let before = vault.copy_to(&elsewhere.path().join("before.db"));
            let file = Scene::batch_file(&vault, &elsewhere.path().join("batch.json"));
            disk.fill(left);
            let ended = scene.batch::<&str>(PROGRAM, [], &file);
            says_what_failed(&ended, "disk is full", &what);
            disk.free();
            assert_eq!(vault.integrity(), "ok", "{what}");
            scene.completes(&before, &vault, &file);
        }
    }
}

#[test]
fn a_daemon_on_a_full_disk_refuses_work_by_name_and_loses_none_it_answered_for() {
    for journal in Journal::ALL {
        let Some(disk) = Disk::mount(16 * 1024) else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let scene = DaemonScene::at(&disk.path("vault.db"), folder, journal, 60);
        let daemon = scene.start(PROGRAM, &[("VVV_QUEUES__SCORING__RETRY_DELAY", "50ms")]);
        let mut client = scene.client();
        disk.fill(256);
        let ids: Vec<String> = (0..40).map(|n| format!("{n:0>1000}")).collect();
        let job = json!({"kind": "score", "payload": {"video_ids": ids}});
        let mut taken = Vec::new();
        let refused = loop {
            let answer = client.reply("jobs.submit", &job);
            match answer.get("error") {
                None => taken.push(answer["result"]["ids"][0].to_string()),
                Some(error) => break error.clone(),
            }
            assert!(taken.len() < 2_000, "the disk is never full");
        };
        assert_eq!(refused["code"], -32002, "{refused}");
        // The site's own transactions fare no better; what it could commit is to be done.
        let site = scene.vault.connect();
        for _ in 0..100 {
            let payload = job["payload"].to_string();
            let row = "INSERT INTO vvv_jobs (kind, payload) VALUES ('score', ?1)";
            if site.execute(row, [payload]).is_err() {
                break;
            }
            taken.push(site.last_insert_rowid().to_string());
        }
        drop(site);
        let alarms = client.call("daemon.status", json!({}))["alarms"].clone();
        assert!(alarms.to_string().contains("the disk is full"), "{alarms}");
        disk.free();
        let freed = Instant::now();
        let done = format!(
            "SELECT count(*) FROM vvv_jobs WHERE state = 'succeeded' AND id IN ({})",
            taken.join(", ")
        );
        scene.wait_for(&done, taken.len(), Duration::from_secs(10));
        assert!(freed.elapsed() < Duration::from_secs(10));
        client.call("jobs.submit", &job);
        daemon.signal(Signal::TERM);
        let ended = daemon.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(scene.vault.integrity(), "ok");
    }
}

#[test]
fn too_few_descriptors_are_named_and_a_run_with_enough_completes() {
    for journal in Journal::ALL {
        for descriptors in [12, 24, 40, 64] {
            let what = format!("{}, {descriptors} descriptors", journal.name());
            let folder = tempfile::tempdir().unwrap();
            let scene = Scene {
                site: Site::start(),
                journal,
            };
            let vault = scene.vault(&folder.path().join("vault.db"));
            let before = vault.copy_to(&folder.path().join("before.db"));
            let file = Scene::batch_file(&vault, &folder.path().join("batch.json"));
            let limit = format!("--nofile={descriptors}");
            let ended = scene.batch("prlimit", [limit.as_str(), PROGRAM], &file);
            ends_by_name(&ended, &["Too many open files", "unable to open"], &what);
            assert_eq!(vault.integrity(), "ok", "{what}");
            scene.completes(&before, &vault, &file);
        }
    }
}

/// A user of its own, for the limit counts all threads of a user and none of root's: how a program is
/// run by it. `None`, said aloud, where that cannot be.
#[track_caller]
fn as_another_user(folder: &Path) -> Option<Vec<String>> {
    let user = (40_000 + std::process::id() % 20_000).to_string();
    let (of_user, of_group) = (format!("--reuid={user}"), format!("--regid={user}"));
    let wrapper = vec![of_user, of_group, "--clear-groups".to_owned()];
    let does = |command: &mut Command| command.output().is_ok_and(|ended| ended.status.success());
    let can = does(Command::new("chmod").arg("0755").arg(folder))
        && does(Command::new("chown").args(["-R", &user]).arg(folder))
        && does(
            Command::new("setpriv")
                .args(&wrapper)
                .args([PROGRAM, "--version"]),
        )
        && does(Command::new("prlimit").args(["--nproc=64", "true"]));
    if !can {
        support::skip("cannot run the program as another user with few threads");
    }
    can.then_some(wrapper)
}

/// Thumbnails fetched with so few threads; `None`, said aloud, where that cannot be tried.
fn fetched_with(threads: usize, pictures: usize) -> Option<Output> {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start();
    // By its name, for a resolver blocks, and so needs a thread.
    let host = format!("localhost:{}", site.port());
    let spec = VaultSpec {
        thumbnails: format!("http://{host}"),
        files: vec!["hqdefault.jpg".to_owned()],
        ..VaultSpec::new(pictures)
    };
    let vault = spec.create(&folder.path().join("vault.db"));
    let file = BatchFile::of_vault(&vault).write(&folder.path().join("batch.json"));
    let user = as_another_user(folder.path())?;
    let limit = format!("--nproc={threads}");
    let run = Run::new("setpriv")
        .args(&user)
        .args(["prlimit", limit.as_str(), PROGRAM, "batch"])
        .args(["--only", "thumbnails", "--format", "json"])
        .args([&file])
        .folder(folder.path())
        .env("HOME", folder.path())
        .env("VVV_FETCH__ALLOW", host)
        .env("VVV_QUEUES__SCORING__WORKERS", "1")
        .env("VVV_QUEUES__THUMBNAILS__WORKERS", "1")
        .env("VVV_QUEUES__CLEANUP__WORKERS", "0")
        .env("VVV_QUEUES__THUMBNAILS__RETRY_DELAY", "10ms");
    Some(run.timeout(PATIENCE).output())
}

#[test]
fn too_few_threads_call_no_picture_broken_and_lose_no_engine() {
    let (mut short, mut complete) = (0, 0);
    for threads in 6..=22 {
        let Some(ended) = fetched_with(threads, 5) else {
            return;
        };
        let told = format!("{threads} threads: {ended:?}");
        assert!(matches!(ended.code, Some(0 | 1 | 3)), "{told}");
        // A run that could not begin says nothing of any.
        let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
        let pictures = &report["thumbnails"];
        assert!(ended.code == Some(3) || pictures["broken"] == 0, "{told}");
        if pictures["valid"] == 5 {
            complete += 1;
        } else {
            short += 1;
        }
    }
    assert!(short > 0 && complete > 0, "{short} short, {complete} not");
}

#[test]
fn a_full_disk_spends_no_try_of_a_call_that_waits_for_its_permit() {
    // A rollback journal needs room for each commit; a WAL may have some of its own.
    let Some(disk) = Disk::mount(12 * 1024) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let scene = DaemonScene::at(&disk.path("vault.db"), folder, Journal::Delete, 10);
    let settings = [
        ("VVV_RATE_LIMITS__OEMBED", "1/3s"),
        ("VVV_QUEUES__CLEANUP__MAX_RETRIES", "0"),
    ];
    let daemon = scene.start(PROGRAM, &settings);
    let mut client = scene.client();
    let ids = [oembed::id("alive", 0), oembed::id("alive", 1)];
    let job = json!({"kind": "liveness", "payload": {"video_ids": ids}});
    client.call("jobs.submit", &job);
    let asked = "SELECT count(*) FROM vvv_permits WHERE released_ms IS NOT NULL";
    scene.wait_for(asked, 1, PATIENCE);
    disk.fill(0);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let alarms = client.call("daemon.status", json!({}))["alarms"].to_string();
        if alarms.contains("the disk is full") {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "no permit was asked for: {alarms}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    disk.free();
    let done = "SELECT count(*) FROM vvv_jobs WHERE state = 'succeeded'";
    scene.wait_for(done, 1, PATIENCE);
    assert_eq!(scene.count("SELECT max(attempts) FROM vvv_jobs"), 1);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait().code, Some(0));
}
