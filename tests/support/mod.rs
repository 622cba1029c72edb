//! What tests, the demo and the benches share: a web site that misbehaves, pictures, vaults,
//! batch files and ways to run the program. Of the code under test it uses what a host does, in
//! `engine` and `http`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a helper of tests stops at the first surprise"
)]
#![allow(
    dead_code,
    unused_imports,
    reason = "each test, example and bench uses its part"
)]

use std::io::Write;
use std::panic::Location;

pub mod article;
pub mod batch_file;
pub mod daemon;
pub mod disk;
pub mod engine;
pub mod failing_disk;
pub mod hostile;
pub mod http;
pub mod pictures;
pub mod power;
pub mod run;
pub mod scene;
pub mod site;
pub mod talk;
pub mod vault;

/// Says that the calling test cannot run here, past the harness, which swallows what a passing
/// test prints; `tests/run` counts such lines.
#[track_caller]
pub fn skip(why: &str) {
    let line = format!(
        "SKIPPED {}: {}\n",
        Location::caller().file(),
        why.trim_end()
    );
    let _ = std::io::stderr().write_all(line.as_bytes());
}
