//! A full disk and too few file descriptors: the batch says exactly what failed, ends in time with
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
