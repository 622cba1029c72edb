//! The rules of the house, read from the sources: one direction of imports, SQL in `store/` only,
//! no actor in what decides, stores and fetches, a pure `domain`, exhaustive matches, short files.
//! And that the rules bite: each is shown a small piece of bad code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "house/rules.rs"]
mod rules;
#[path = "house/source.rs"]
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    files.sort();
    files
        .iter()
        .map(|file| {
            let path = file.strip_prefix(&root).unwrap().to_str().unwrap();
            Source::new(path, &fs::read_to_string(file).unwrap())
        })
        .collect()
}

#[test]
fn the_sources_keep_the_rules_of_the_house() {
    let sources = sources();
    assert!(sources.len() > 50, "only {} files", sources.len());
    let wrongs: Vec<String> = sources.iter().flat_map(rules::check).collect();
    assert!(wrongs.is_empty(), "\n{}\n", wrongs.join("\n"));
    for (path, _) in rules::LONG {
        let is_there = sources.iter().any(|source| source.path == path);
        assert!(is_there, "{path} is excused for its length but not there");
    }
}

#[test]
fn every_dependency_is_justified_in_a_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let architecture = read("ARCHITECTURE.md");
    for section in ["dependencies", "dev-dependencies"] {
        for name in manifest[section].as_table().unwrap().keys() {
            let is_named = architecture.contains(&format!("`{name}`"));
            assert!(is_named, "ARCHITECTURE.md does not say why {name} is there");
        }
    }
}

/// What the rules say of a file with this body.
fn wrongs(path: &str, body: &str) -> Vec<String> {
    rules::check(&Source::new(path, &format!("//! Why.\n{body}")))
}

#[track_caller]
fn refused(path: &str, body: &str, why: &str) {
    let wrongs = wrongs(path, body);
    assert!(
        wrongs.len() == 1 && wrongs[0].contains(why),
        "{path}: {body}: {wrongs:?}"
    );
}

#[track_caller]
fn accepted(path: &str, body: &str) {
    let wrongs = wrongs(path, body);
    assert!(wrongs.is_empty(), "{path}: {body}: {wrongs:?}");
}

#[test]
fn an_import_against_the_direction_is_found_however_it_is_written() {
    refused(
        "domain/job.rs",
        "use crate::config::Config;",
        "src/domain/job.rs:2: domain imports config",
    );
    refused(
        "store/mod.rs",
        "use crate::{config, fetch::Client};",
        "store imports fetch",
    );
    refused(
        "store/mod.rs",
        "use crate::{\n    config::{self, actors},\n    engine,\n};",
        "store imports engine",
    );
    refused(
        "fetch/client.rs",
        "fn f() { crate::store::open() }",
        "fetch imports store",
    );
    refused(
        "fetch/client.rs",
        "use super::super::store::Writer;",
        "fetch imports store",
    );
    refused(
        "face/cli/batch.rs",
        "use super::super::super::store::Reader;",
        "face imports store",
    );
    refused(
        "face/cli/mod.rs",
        "use super::super::domain::job;",
        "face imports domain",
    );
    refused("engine.rs", "use super::face::cli;", "engine imports face");
    refused(
        "actors/slot.rs",
        "#[cfg(test)]\nmod tests { use crate::engine::Engine; }",
        "actors imports engine",
    );
    refused(
        "config/mod.rs",
        "pub use crate::store::Options;",
        "config imports store",
    );
    refused(
        "main.rs",
        "use vvv_actors::engine::Engine;",
        "main imports engine",
    );
    refused("misc.rs", "", "misc is no part of the house");
}

#[test]
fn imports_along_the_direction_are_let_pass() {
    accepted(
        "face/mod.rs",
        "use crate::{config::Config, engine::{self, Kind}};",
    );
    accepted(
        "engine.rs",
        "use crate::{fetch, store};\nuse super::actors::Pool;",
    );
    accepted(
        "engine/handle.rs",
        "use super::store_options;\nuse crate::actors::Supervisor;",
    );
    accepted(
        "actors/pool/workers.rs",
        "use super::super::config::x; use crate::store::Claim;",
    );
    accepted(
        "domain/score/number.rs",
        "use super::super::job::Kind; // crate::store\n/* use crate::engine; */",
    );
    accepted(
        "domain/job.rs",
        "const X: &str = \"crate::store\"; const Y: &str = r#\"use crate::face;\"#;",
    );
    accepted(
        "domain/job.rs",
        "use mycrate::store; fn f<'a>(x: &'a str) -> char { '\"' }",
    );
}

#[test]
fn sql_outside_the_store_is_found() {
    for statement in [
        "SELECT 1",
        "WITH x AS (SELECT a FROM b) VALUES (1)",
        "INSERT OR IGNORE INTO t VALUES (?1)",
        "UPDATE videos SET virality_score = ?1",
        "DELETE FROM t",
        "PRAGMA journal_mode",
        "BEGIN IMMEDIATE",
        "CREATE TABLE t(x)",
        "update t set x = 1",
        "select x from t",
    ] {
        let body = format!("const X: &str = \"{statement}\";");
        refused("actors/slot.rs", &body, "SQL outside store");
        accepted("store/table.rs", &body);
        accepted(
            "actors/slot.rs",
            &format!("#[cfg(test)]\nmod tests {{ {body} }}"),
        );
    }
    refused(
        "face/mod.rs",
        "const X: &str = r#\"\n  DELETE FROM t\"#;",
        "SQL outside store",
    );
    refused(
        "engine.rs",
        "use rusqlite::Connection;",
        "rusqlite outside store",
    );
    refused("face/mod.rs", "pub use rusqlite;", "rusqlite outside store");
    accepted("lib.rs", "pub use rusqlite;");
    accepted(
        "face/mod.rs",
        "const X: &str = \"select videos, update scores, begin\"; // SELECT 1",
    );
}

#[test]
fn the_actor_crate_stays_with_the_actors() {
    for layer in ["domain", "store", "fetch", "config"] {
        let path = format!("{layer}/mod.rs");
        refused(&path, "use actix::Addr;", "the crate actix");
        refused(&path, "fn f(x: ::actix::Addr<X>) {}", "the crate actix");
        accepted(
            &path,
            "use actix_service::Service; use actix_tls::connect; // actix::Addr",
        );
    }
    accepted("actors/slot.rs", "use actix::Addr;");
}

#[test]
fn the_domain_reads_no_clock_file_or_socket() {
    for line in [
        "use std::fs::File;",
        "fn f() { let x = std::time::SystemTime::UNIX_EPOCH; }",
        "use std::time::Instant;",
        "use tokio::time;",
        "use std::net::IpAddr;",
        "fn f() -> u64 { fastrand::u64(..) }",
    ] {
        refused("domain/backoff.rs", line, "domain is pure");
    }
    accepted(
        "domain/backoff.rs",
        "use std::time::Duration; use std::io::Cursor;",
    );
    accepted(
        "domain/backoff.rs",
        "#[cfg(test)]\nmod tests { use std::fs; }",
    );
    accepted("actors/clock.rs", "use std::time::Instant;");
}

#[test]
fn a_catch_all_beside_a_kind_of_job_is_found() {
    refused(
        "face/mod.rs",
        "fn f() { match k { Kind::Score => 1, _ => 2 } }",
        "catches all",
    );
    refused(
        "face/mod.rs",
        "fn f() { match j {\n Job::Score(x) => { g(); }\n _ => {}\n} }",
        "catches all",
    );
    refused(
        "face/mod.rs",
        "fn f() { match o { Some(Outcome::Done { .. }) => 1, _ => 2 } }",
        "catches all",
    );
    accepted(
        "face/mod.rs",
        "fn f() { match k { Kind::Score => match n { 1 => 2, _ => 3 }, Kind::Liveness => 4 } }",
    );
    accepted(
        "face/mod.rs",
        "fn f() { match e.kind() { ErrorKind::NotFound => 1, _ => 2 } }",
    );
    accepted(
        "face/mod.rs",
        "fn f() { match n { 1 => Kind::Score, _ => Kind::Liveness } }",
    );
    accepted(
        "face/mod.rs",
        "fn f() { match k { Kind::Score => f(|_| 1), Kind::Liveness => 2 } }",
    );
}

#[test]
fn a_long_file_is_found_and_its_tests_are_not_counted() {
    let long = |lines: usize| "fn f() {}\n".repeat(lines);
    accepted("face/mod.rs", &long(299));
    refused(
        "face/mod.rs",
        &long(300),
        "301 lines without tests: split it",
    );
    refused("actors/pool.rs", &long(500), "hard stop");
    accepted("actors/pool.rs", &long(400));
    refused("actors/pool.rs", &long(10), "no longer long");
    let tested = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", long(290), long(900));
    accepted("face/mod.rs", &tested);
    accepted("fetch/tests/wire.rs", &long(900));
    let declared = format!("#[cfg(test)]\nmod fixture;\n{}", long(300));
    refused("store/mod.rs", &declared, "301 lines");
}

#[test]
fn a_file_says_why_it_exists() {
    let bare = rules::check(&Source::new("face/mod.rs", "pub mod cli;\n"));
    assert!(bare.len() == 1 && bare[0].contains("//!"), "{bare:?}");
}
