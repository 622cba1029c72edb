//! The site's own SQLite, be it ten years old, keeps reading and writing the file we have worked
//! on. `tests/old-sqlite` is the site's side: a package of its own with SQLite 3.13.0 in it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::article;
use support::batch_file::BatchFile;
use support::engine::stop;
use support::scene::Scene;
use support::site::oembed;
use support::vault::{Journal, Vault, VaultSpec};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");
const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/old-sqlite/Cargo.toml");
const VIDEOS: usize = 70;

fn cargo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--manifest-path", PACKAGE])
        // Its target folder is its own: the one we were built in is locked while tests build.
        .env("CARGO_TARGET_DIR", target())
        .output()
        .expect("run cargo")
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("old-sqlite")
}

/// Builds the old side; `None`, said aloud, if its crates are neither here nor to be had.
fn old_sqlite() -> Option<PathBuf> {
    let built = cargo(&["build", "--offline"]);
    if !built.status.success() {
        let fetched = cargo(&["fetch"]);
        if !fetched.status.success() {
            let errors = String::from_utf8_lossy(&fetched.stderr);
            support::skip(&format!(
                "cannot fetch the crates of tests/old-sqlite:\n{errors}"
            ));
            return None;
        }
        let built = cargo(&["build"]);
        let errors = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "build tests/old-sqlite: {errors}");
    }
    Some(target().join("debug/old-sqlite"))
}

/// What the old side found in the file, by name.
fn ask_old(program: &Path, vault: &Vault) -> HashMap<String, String> {
    let output = Command::new(program).arg(&vault.path).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What the old SQLite queued is done by a durable engine.
fn worked_off(vault: &Vault) {
    assert_eq!(vault.ask("SELECT count(*) FROM vvv_jobs"), "1");
    let engine = vvv_actors::Engine::builder()
        .database(vault.path.clone())
        .durable()
        .start();
    let engine = engine.unwrap().blocking();
    vault.until_all_succeeded();
    stop(&engine);
}

#[test]
fn an_old_sqlite_reads_and_writes_the_file_we_worked_on() {
    let Some(program) = old_sqlite() else {
        return;
    };
    for journal in Journal::ALL {
        let scene = Scene::of(PROGRAM, VaultSpec::new(VIDEOS).journal(journal));
        let vault = &scene.vault;
        let before = vault.copy_to(&scene.path("before.db"));
        let gone: Vec<String> = (0..3).map(|n| oembed::id("dead_", n)).collect();
        let file = BatchFile::of_vault(vault).stale(&gone);
        let report = scene.report(&file, &[]);
        // Python's SQLite reads the file, too.
        let compared = article::compare(&before.path, &vault.path, &report.to_string());
        assert_eq!(compared, Ok(VIDEOS));

        let found = ask_old(&program, vault);
        let found = |name: &str| found[name].as_str();
        let scored = vault.ask("SELECT count(*) FROM vvv_scores");
        assert_eq!(found("version"), "3.13.0");
        assert_eq!(found("health"), "ok");
        assert_eq!((found("scores"), found("agree")), (&*scored, &*scored));
        assert_eq!(scored, "69", "one video is too new for a score");
        assert_eq!(found("thumbnails"), VIDEOS.to_string());
        assert_eq!(found("dead"), gone.len().to_string());
        assert_eq!(found("health_after"), "ok");

        // And we go on with what it left.
        let file = scene.batch().video("old-sqlite0", None);
        let report = scene.report(&file, &[]);
        assert_eq!(
            report["scoring"]["old-sqlite0"]["label"], "NORMAL",
            "{report}"
        );
        worked_off(vault);
        assert_eq!(vault.integrity(), "ok");
        let renamed = "SELECT count(*) FROM videos WHERE title = 'renamed by an old SQLite'";
        assert_eq!(vault.ask(renamed), (VIDEOS / 2).to_string());
    }
}

/// 3.13.0 is the oldest SQLite a crate bundles. What came between 3.8.0 and it is left out by
/// name.
#[test]
fn our_tables_hold_nothing_newer_than_3_8_0() {
    let spec = VaultSpec {
        files: Vec::new(),
        ..VaultSpec::new(3)
    };
    let scene = Scene::of(PROGRAM, spec);
    let _ = scene.report(&BatchFile::of_vault(&scene.vault), &[]);
    let ours = scene.vault.ask(
        "SELECT group_concat(upper(sql), ';') FROM sqlite_master \
         WHERE name LIKE 'vvv\\_%' ESCAPE '\\' AND sql IS NOT NULL",
    );
    assert!(ours.contains("CREATE TABLE VVV_SCORES"), "{ours}");
    for newer in [
        "WITHOUT ROWID", // 3.8.2
        "WITH ",         // 3.8.3
        "0X",            // 3.8.6
        "PRINTF",        // 3.8.3
        "JSON",          // 3.9.0
        "STRICT",        // 3.37.0
        "GENERATED",     // 3.31.0
        " AS (",         // 3.31.0
        "RETURNING",     // 3.35.0
        "UNIXEPOCH",     // 3.38.0
        "IIF",           // 3.32.0
        "NULLS ",        // 3.30.0
        "CREATE VIEW",
        "CREATE TRIGGER",
        "REFERENCES",
    ] {
        assert!(!ours.contains(newer), "{newer} in {ours}");
    }
}
