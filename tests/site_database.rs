//! Files that cannot be used are refused and named; files that others use are shared with them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::json;

use support::batch_file::BatchFile;
use support::run::Output;
use support::scene::{Scene, report};
use support::site::oembed;
use support::vault::{Journal, Vault, VaultSpec};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");

/// A batch on any file.
fn try_file(scene: &Scene, path: &Path) -> Output {
    let file = BatchFile::new().db(path).video("alive00000A", None);
    scene.run_batch(&file, &[]).output()
}

fn refused(output: &Output, words: &[&str]) {
    assert_eq!(output.code, Some(3), "{output:?}");
    assert_eq!(output.stdout, "", "{output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "no {word}: {output:?}");
    }
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
}

fn make(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[test]
fn a_missing_database_is_an_error_and_never_a_new_file() {
    let scene = Scene::new(PROGRAM, 0);
    let path = scene.path("missing.db");
    let files = || fs::read_dir(scene.folder.path()).unwrap().count();
    let before = files();
    refused(&try_file(&scene, &path), &["missing.db", "no such file"]);
    refused(
        &scene
            .run(["score", "--all", "--db", path.to_str().unwrap()])
            .output(),
        &["missing.db"],
    );
    assert!(!path.exists());
    assert_eq!(files(), before);
    let nowhere = scene.path("no/folder/x.db");
    refused(&try_file(&scene, &nowhere), &["x.db"]);
    assert!(!scene.path("no").exists());
}

#[test]
fn what_the_tables_lack_is_named_with_its_key() {
    let scene = Scene::new(PROGRAM, 0);
    let videos = "CREATE TABLE videos(video_id TEXT, virality_score REAL);";
    for (name, sql, words) in [
        (
            "empty",
            "",
            &[
                "videos",
                "schema.videos.table",
                "video_snapshots",
                "schema.snapshots.table",
            ][..],
        ),
        (
            "one",
            videos,
            &["video_snapshots", "schema.snapshots.table"],
        ),
        (
            "columns",
            "CREATE TABLE videos(video_id TEXT);
             CREATE TABLE video_snapshots(video_id, view_count, likes, region, fetched_at);",
            &[
                "videos.virality_score",
                "schema.videos.virality_score",
                "video_snapshots.comments",
                "schema.snapshots.comments",
            ],
        ),
    ] {
        let path = scene.path(&format!("{name}.db"));
        make(&path, &format!("CREATE TABLE other(x); {sql}"));
        refused(&try_file(&scene, &path), &[&[name], words].concat());
        let connection = Connection::open(&path).unwrap();
        let ours = "SELECT count(*) FROM sqlite_master WHERE name LIKE 'vvv%'";
        let made: i64 = connection.query_row(ours, [], |row| row.get(0)).unwrap();
        assert_eq!(
            made, 0,
            "{name}: nothing is made in a file that is not the site's"
        );
    }
    // No thumbnail_url is needed by whoever names the addresses.
    let path = scene.path("plain.db");
    let snapshots =
        "CREATE TABLE video_snapshots(video_id, view_count, likes, comments, region, fetched_at);";
    make(&path, &format!("{videos} {snapshots}"));
    let url = scene.site.thumbnail_url("alive00000A", "hqdefault.jpg");
    let file = BatchFile::new().db(&path).video("alive00000A", Some(&url));
    assert_eq!(scene.report(&file, &[])["thumbnails"]["valid"], json!(1));
    let verb = scene.run(["thumbnails", "--all", "--db", path.to_str().unwrap()]);
    refused(
        &verb.output(),
        &["videos.thumbnail_url", "schema.videos.thumbnail_url"],
    );
}

#[test]
fn what_is_no_database_is_refused() {
    let scene = Scene::new(PROGRAM, 0);
    refused(&try_file(&scene, scene.folder.path()), &[]);
    let text = scene.path("text.db");
    fs::write(
        &text,
        "not a database, but long enough to look for a header in it",
    )
    .unwrap();
    refused(&try_file(&scene, &text), &["text.db"]);
    assert!(
        fs::read_to_string(&text)
            .unwrap()
            .starts_with("not a database")
    );
    let nothing = scene.path("nothing.db");
    fs::write(&nothing, "").unwrap();
    refused(&try_file(&scene, &nothing), &["nothing.db", "videos"]);
    assert_eq!(fs::metadata(&nothing).unwrap().len(), 0);
    refused(&try_file(&scene, Path::new("/dev/null")), &[]);
}

#[test]
fn a_file_that_may_not_be_written_is_refused() {
    for journal in Journal::ALL {
        let scene = scene_in(journal, 3);
        fs::set_permissions(&scene.vault.path, fs::Permissions::from_mode(0o444)).unwrap();
        fs::set_permissions(scene.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let arguments = ["score", "--all", "--db", scene.vault.path.to_str().unwrap()];
        let is_root = rustix::process::getuid().is_root();
        let mut command = Command::new(if is_root { "setpriv" } else { PROGRAM });
        if is_root {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", PROGRAM]);
        }
        let output = command.args(arguments).env("HOME", "/").output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        if errors.contains("setpriv: failed to execute") {
            support::skip("nobody may not run the program where it lies");
            return;
        }
        assert_eq!(output.status.code(), Some(3), "{journal:?}: {errors}");
        assert!(errors.contains("vault.db"), "{journal:?}: {errors}");
    }
}

#[test]
fn a_missing_index_is_warned_of_once() {
    let spec = VaultSpec {
        index: false,
        ..VaultSpec::new(120)
    };
    let scene = Scene::of(PROGRAM, spec);
    let output = scene
        .run(["score", "--all", "--db", scene.vault.path.to_str().unwrap()])
        .output();
    let _ = report(&output);
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    assert!(
        output
            .stderr
            .contains("vvv-actors db doctor --create-index"),
        "{output:?}"
    );
}

fn scene_in(journal: Journal, videos: usize) -> Scene {
    Scene::of(PROGRAM, VaultSpec::new(videos).journal(journal))
}

/// Holds the write lock for three seconds, from a moment the caller chooses.
fn lock_for_three_seconds(vault: &Vault, begin: &str) -> thread::JoinHandle<()> {
    let other = vault.connect();
    other.execute_batch(begin).unwrap();
    thread::spawn(move || {
        thread::sleep(Duration::from_secs(3));
        other.execute_batch("COMMIT").unwrap();
    })
}

/// All cases at once: they wait far more than they work.
#[test]
fn a_lock_held_for_three_seconds_delays_and_fails_nothing() {
    thread::scope(|scope| {
        for journal in Journal::ALL {
            for begin in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"] {
                for from_the_start in [true, false] {
                    scope.spawn(move || run_against_a_lock(journal, begin, from_the_start));
                }
            }
        }
    });
}

fn run_against_a_lock(journal: Journal, begin: &str, from_the_start: bool) {
    let scene = scene_in(journal, 100);
    let stale: Vec<String> = (0..20).map(|n| oembed::id("dead_", n)).collect();
    let file = BatchFile::of_vault(&scene.vault).stale(&stale);
    if !from_the_start {
        // Our tables are there, and the lock comes while the run is on.
        let _ = scene.report(&scene.batch().stale([""; 0]), &[]);
    }
    let before = from_the_start.then(|| lock_for_three_seconds(&scene.vault, begin));
    let running = scene.run_batch(&file, &[]).start();
    let holder = before.unwrap_or_else(|| {
        let some = |calls: &[support::site::Call]| calls.len() > 5;
        assert!(scene.site.wait_until(Duration::from_secs(30), some));
        lock_for_three_seconds(&scene.vault, begin)
    });
    holder.join().unwrap();
    let output = running.wait();
    let report = report(&output);
    let what = format!("{journal:?} {begin} {from_the_start}");
    assert_eq!(
        report["thumbnails"]["valid"],
        json!(100),
        "{what}: {report}"
    );
    assert_eq!(report["liveness"]["dead"], json!(20), "{what}");
    assert_eq!(report["scoring"].as_object().unwrap().len(), 100, "{what}");
    assert_eq!(report["summary"]["failures"], json!([]), "{what}");
    assert!(
        output.elapsed < Duration::from_secs(30),
        "{what}: {:?}",
        output.elapsed
    );
    assert_eq!(scene.vault.integrity(), "ok");
}

/// Writes to a table of the site's as often as it can; answers how often it did and the longest
/// it had to wait.
fn write_all_the_while(
    vault: &Vault,
    over: &Arc<AtomicBool>,
) -> thread::JoinHandle<(u32, Duration)> {
    let other = vault.connect();
    other
        .execute_batch("CREATE TABLE pages(seen INTEGER)")
        .unwrap();
    let over = Arc::clone(over);
    thread::spawn(move || {
        let (mut times, mut longest) = (0, Duration::ZERO);
        while !over.load(Ordering::Relaxed) {
            let began = Instant::now();
            let written =
                other.execute_batch("BEGIN IMMEDIATE; INSERT INTO pages VALUES (1); COMMIT");
            written.unwrap_or_else(|error| panic!("the site's own writer was refused: {error}"));
            longest = longest.max(began.elapsed());
            times += 1;
        }
        (times, longest)
    })
}

#[test]
fn the_sites_own_writer_is_never_refused_and_never_waits_long() {
    for journal in Journal::ALL {
        let scene = scene_in(journal, 3_000);
        let over = Arc::new(AtomicBool::new(false));
        let writer = write_all_the_while(&scene.vault, &over);
        let output = scene
            .run(["score", "--all", "--db", scene.vault.path.to_str().unwrap()])
            .output();
        over.store(true, Ordering::Relaxed);
        let (times, longest) = writer.join().unwrap();
        let report = report(&output);
        assert_eq!(report["scoring"].as_object().unwrap().len(), 3_000);
        println!(
            "{journal:?}: {times} foreign commits, the longest wait {longest:.0?}, the run {:.1?}",
            output.elapsed
        );
        assert!(times > 10, "{times}");
        assert!(longest < Duration::from_secs(2), "{longest:?}");
        assert_eq!(
            scene.vault.ask("SELECT count(*) FROM pages"),
            times.to_string()
        );
    }
}
