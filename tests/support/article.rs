//! Asks `article.py`, the judge of scores that shares no line with the code under test.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/article.py");

/// The article's result for every id of a vault: an object by id, as a report's `scoring`.
/// Integers beyond 64 bits lose digits here; [`compare`] keeps them.
#[must_use]
pub fn results(vault: &Path) -> Value {
    json(&run(&["score".as_ref(), vault]))
}

/// Holds a report (its text) and the scores stored `after` a run against the article's results
/// on the vault as it was `before`. Answers how many videos the report scores, or what differs.
pub fn compare(before: &Path, after: &Path, report: &str) -> Result<usize, String> {
    let folder = TempDir::new().expect("make a folder");
    let file = folder.path().join("report.json");
    std::fs::write(&file, report).expect("write the report");
    let output = run(&["compare".as_ref(), before, after, &file]);
    match output.status.code() {
        Some(0) => {
            let compared = json(&output)["compared"].as_u64().expect("a count");
            Ok(usize::try_from(compared).expect("a small count"))
        }
        Some(1) if !output.stdout.is_empty() => {
            Err(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        _ => panic!("article.py: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// Unix seconds of dates as `article.py` reads them.
#[must_use]
pub fn seconds(dates: &[String]) -> Vec<Option<i64>> {
    let folder = TempDir::new().expect("make a folder");
    let file = folder.path().join("dates.json");
    let text = serde_json::to_string(dates).expect("write JSON");
    std::fs::write(&file, text).expect("write the dates");
    let answer = json(&run(&["seconds".as_ref(), &file]));
    serde_json::from_value(answer).expect("a list of seconds")
}

fn run(arguments: &[&Path]) -> Output {
    Command::new("python3")
        .arg(SCRIPT)
        .args(arguments)
        .output()
        .expect("run python3, which tests need")
}

fn json(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "article.py: {errors}");
    serde_json::from_slice(&output.stdout).expect("article.py prints JSON")
}
