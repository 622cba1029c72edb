//! What the benchmarks share: vaults, child processes and figures.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a benchmark may stop at the first surprise"
)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use vvv_actors::config::Config;

/// Makes a vault of so many videos with four snapshots each.
pub fn make_vault(path: &Path, videos: usize, journal: &str) {
    let mut connection = Connection::open(path).unwrap();
    let mode: String = connection
        .query_row(&format!("PRAGMA journal_mode = {journal}"), [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(mode, journal.to_lowercase());
    connection
        .execute_batch(
            "CREATE TABLE videos (id INTEGER PRIMARY KEY, video_id TEXT NOT NULL UNIQUE, title TEXT,
                 virality_score REAL, thumbnail_url TEXT);
             CREATE TABLE video_snapshots (id INTEGER PRIMARY KEY, video_id TEXT NOT NULL,
                 view_count INTEGER, likes INTEGER, comments INTEGER, region TEXT, fetched_at TEXT);",
        )
        .unwrap();
    let random = &mut fastrand::Rng::with_seed(7);
    let transaction = connection.transaction().unwrap();
    {
        let mut video = transaction
            .prepare("INSERT INTO videos (video_id, title, thumbnail_url) VALUES (?1, ?2, ?3)")
            .unwrap();
        let mut snapshot = transaction
            .prepare("INSERT INTO video_snapshots (video_id, view_count, likes, comments, region, fetched_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
            .unwrap();
        for n in 0..videos {
            let id = video_id(n);
            video
                .execute((
                    &id,
                    format!("A video that went viral, number {n}"),
                    format!("https://i.ytimg.com/vi/{id}/hqdefault.jpg"),
                ))
                .unwrap();
        }
        for day in 1..=4 {
            for n in 0..videos {
                let views = random.i64(0..50_000) + day * 200_000;
                let region = ["PL", "NL", "SE", "NO", "AT", "GB", "US"][n % 7];
                snapshot
                    .execute((
                        video_id(n),
                        views,
                        views / 20,
                        views / 300,
                        region,
                        format!("2026-11-0{day} 06:00:00"),
                    ))
                    .unwrap();
            }
        }
    }
    transaction
        .execute_batch(
            "CREATE INDEX video_snapshots_latest ON video_snapshots (video_id, fetched_at)",
        )
        .unwrap();
    transaction.commit().unwrap();
    let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
}

/// The id of the n-th video: eleven characters in no order a B-tree would like.
pub fn video_id(n: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0..11)
        .map(|_| {
            let letter = LETTERS[(bits & 63) as usize];
            bits = bits.rotate_right(6);
            char::from(letter)
        })
        .collect()
}

/// The defaults, on this database.
pub fn config(path: &Path) -> Config {
    let mut config = Config::defaults().unwrap();
    config.database.path = path.to_owned();
    config
}

/// The most memory this process has held, megabytes.
pub fn peak_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024.0
}

/// The role this process plays, if it is a child of a benchmark.
pub fn role() -> Option<(String, String)> {
    let role = std::env::var("VVV_BENCH_ROLE").ok()?;
    Some((role, std::env::var("VVV_BENCH_ARGUMENT").unwrap()))
}

/// Runs this benchmark again in a role, in a process of its own; its last line of output.
pub fn in_child(role: &str, argument: &str) -> Vec<f64> {
    let output = Command::new(std::env::current_exe().unwrap())
        .env("VVV_BENCH_ROLE", role)
        .env("VVV_BENCH_ARGUMENT", argument)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{role}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .last()
        .unwrap()
        .split(' ')
        .map(|figure| figure.parse().unwrap())
        .collect()
}

/// The middle of some figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Events a second.
pub fn rate(events: usize, elapsed: Duration) -> f64 {
    events as f64 / elapsed.as_secs_f64()
}
