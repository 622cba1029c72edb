//! Runs of programs: ended in time, alone at home, and told apart by how they ended.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::batch_file::BatchFile;
use crate::support::run::Run;
use crate::support::vault::VaultSpec;

fn shell(script: &str) -> Run {
    Run::new("/bin/sh").args(["-c", script])
}

#[test]
fn a_run_tells_its_code_and_both_outputs() {
    let output = shell("cat; echo problem >&2; exit 3")
        .stdin("given")
        .output();
    assert_eq!((output.code, output.signal), (Some(3), None));
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("given", "problem\n")
    );
    assert!(!output.timed_out);
}

#[test]
fn a_run_is_at_home_in_an_empty_folder_of_its_own() {
    let output = shell("echo $HOME; pwd; ls -A; echo \"$GIVEN\"; env | grep -c ^VVV_ || true")
        .env("GIVEN", "value")
        .output();
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines[0], lines[1]);
    assert_eq!(lines[2..], ["value", "0"]);
    assert!(!Path::new(lines[0]).exists());
    let elsewhere = TempDir::new().unwrap();
    let output = shell("pwd").folder(elsewhere.path()).output();
    assert_eq!(output.stdout.trim_end(), elsewhere.path().to_str().unwrap());
}

#[test]
fn a_run_that_takes_too_long_is_killed() {
    let output = shell("echo begun; exec sleep 600")
        .timeout(Duration::from_millis(300))
        .output();
    assert!(output.timed_out);
    assert_eq!((output.code, output.signal), (None, Some(9)));
    assert_eq!(output.stdout, "begun\n");
    assert!(output.elapsed < Duration::from_secs(10));
}

#[test]
fn a_run_can_be_watched_and_signalled() {
    let running =
        shell("trap 'echo asked; exit 7' TERM; echo ready >&2; while :; do sleep 0.01; done")
            .start();
    assert!(running.wait_for_stderr("ready"));
    assert_eq!(running.threads(), 1);
    assert!(running.descriptors() >= 3);
    running.signal(Signal::TERM);
    let output = running.wait();
    assert_eq!((output.code, output.stdout.as_str()), (Some(7), "asked\n"));
    let running = shell("echo only this").start();
    assert!(running.wait_for_stdout("only"));
    assert!(!running.wait_for_stdout("nothing like it"));
    let running = shell("exec sleep 600").start();
    assert_eq!(running.kill().signal, Some(9));
}

#[test]
fn a_run_tells_its_peak_of_memory() {
    let script = "x = bytearray(100 << 20); import time; time.sleep(0.1)";
    let output = Run::new("python3").args(["-c", script]).output();
    assert!(
        (100 << 20..300 << 20).contains(&output.peak_rss),
        "{}",
        output.peak_rss
    );
}

#[test]
fn a_batch_file_says_what_was_put_into_it() {
    let folder = TempDir::new().unwrap();
    let vault = VaultSpec::new(2).create(&folder.path().join("vault.db"));
    let file = BatchFile::of_vault(&vault)
        .video("bare", None)
        .stale(["a", "b"])
        .key("surprise", json!(1))
        .write(&folder.path().join("batch.json"));
    let read: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let url = |id: &str| format!("https://i.ytimg.com/vi/{id}/hqdefault.jpg");
    let [first, second] = [&vault.ids[0], &vault.ids[1]];
    let expected = json!({
        "db_path": vault.path,
        "new_videos": [
            {"video_id": first, "thumbnail_url": url(first)},
            {"video_id": second, "thumbnail_url": url(second)},
            {"video_id": "bare"},
        ],
        "stale_ids": ["a", "b"],
        "surprise": 1,
    });
    assert_eq!(read, expected);
    assert_eq!(BatchFile::new().text(), "{}");
}
