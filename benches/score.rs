//! Scoring 100,000 videos through the actors, against a bare loop that reads and writes the same.
//!
//! `cargo bench --bench score`; each figure is the median of three runs, the two taken in turn, each in a
//! process of its own. Bare = one thread, prepared statements, one transaction, ids in the order of
//! their rows, the same journal mode and `synchronous`, the same rows written.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark may stop at the first surprise"
)]

mod common;

use std::path::Path;
use std::time::Instant;

use rusqlite::Connection;
use vvv_actors::domain::score::{Baselines, Count, Score, Snapshot, score};
use vvv_actors::engine::{Engine, Job, ScoreJob, TicketEvent};

const VIDEOS: usize = 100_000;
const RUNS: usize = 3;

fn main() {
    if let Some((role, path)) = common::role() {
        let path = Path::new(&path);
        match role.as_str() {
            "bare" => bare(path),
            _ => actors(path),
        }
        return;
    }
    println!("journal   bare/s   actors/s   ratio   peak memory of the actors' process");
    for journal in ["WAL", "DELETE"] {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("made.db");
        common::make_vault(&made, VIDEOS, journal);
        prepare_tables(&made);
        let (mut bare, mut actors, mut memory) = (Vec::new(), Vec::new(), Vec::new());
        for run in 0..RUNS {
            for role in ["bare", "actors"] {
                let vault = folder.path().join(format!("{role}-{run}.db"));
                std::fs::copy(&made, &vault).unwrap();
                let figures = common::in_child(role, vault.to_str().unwrap());
                std::fs::remove_file(&vault).unwrap();
                match (role, figures.as_slice()) {
                    ("bare", [rate, ..]) => bare.push(*rate),
                    (_, [rate, peak]) => {
                        actors.push(*rate);
                        memory.push(*peak);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        let (bare, actors) = (common::median(bare), common::median(actors));
        println!(
            "{journal:8} {bare:8.0} {actors:10.0} {:7.2}   {:.1} MB",
            actors / bare,
            common::median(memory)
        );
    }
}

/// Makes our tables, so that both sides find them.
fn prepare_tables(path: &Path) {
    let config = common::config(path);
    let engine = Engine::builder().config(config).start().unwrap();
    runtime().block_on(engine.shutdown(std::time::Duration::ZERO));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn actors(path: &Path) {
    let mut ids: Vec<String> = (0..VIDEOS).map(common::video_id).collect();
    fastrand::Rng::with_seed(3).shuffle(&mut ids);
    let engine = Engine::builder()
        .config(common::config(path))
        .start()
        .unwrap();
    let began = Instant::now();
    let scored = runtime().block_on(async {
        let job = Job::Score(ScoreJob { video_ids: ids });
        let mut ticket = engine.start_job(job).await.unwrap();
        let mut scored = 0;
        while let Some(event) = ticket.next().await {
            match event {
                TicketEvent::Scored(scores) => scored += scores.len(),
                other => panic!("{other:?}"),
            }
        }
        scored
    });
    let elapsed = began.elapsed();
    assert_eq!(scored, VIDEOS);
    runtime().block_on(engine.shutdown(std::time::Duration::ZERO));
    check(path);
    println!(
        "{} {}",
        common::rate(VIDEOS, elapsed),
        common::peak_memory_mb()
    );
}

#[expect(
    clippy::too_many_lines,
    reason = "the loop is bare, and so is its code"
)]
fn bare(path: &Path) {
    let baselines = Baselines::new(&common::config(path).scoring.baselines);
    let mut connection = Connection::open(path).unwrap();
    // The writer's own page cache, or the comparison would be one of caches.
    connection
        .execute_batch("PRAGMA synchronous = EXTRA; PRAGMA cache_size = -8192")
        .unwrap();
    let ids: Vec<String> = (0..VIDEOS).map(common::video_id).collect();
    let began = Instant::now();
    let transaction = connection.transaction().unwrap();
    {
        let mut read = transaction
            .prepare(
                "SELECT view_count, likes, comments, region, CAST(strftime('%s', fetched_at) AS INTEGER)
                 FROM video_snapshots WHERE video_id = ?1 ORDER BY fetched_at DESC, rowid DESC LIMIT 2",
            )
            .unwrap();
        let mut update = transaction
            .prepare("UPDATE videos SET virality_score = ?1 WHERE video_id = ?2 AND virality_score IS NOT ?1")
            .unwrap();
        let mut detail = transaction
            .prepare(
                "INSERT INTO vvv_scores (video_id, region, score, label, velocity, engagement, scored_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (video_id) DO UPDATE SET region = excluded.region,
                 score = excluded.score, label = excluded.label, velocity = excluded.velocity,
                 engagement = excluded.engagement, scored_at = excluded.scored_at",
            )
            .unwrap();
        for id in &ids {
            let snapshots: Vec<Snapshot> = read
                .query_map([id], |row| {
                    Ok(Snapshot {
                        views: Count::Integer(row.get(0)?),
                        likes: Count::Integer(row.get(1)?),
                        comments: Count::Integer(row.get(2)?),
                        region: row.get(3)?,
                        seconds: row.get(4)?,
                        region_is_unreadable: false,
                    })
                })
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let Score::Scored(scored) = score(&snapshots, &baselines) else {
                panic!("unscored")
            };
            update.execute((scored.score, id)).unwrap();
            let velocity = i64::try_from(scored.velocity).unwrap();
            detail
                .execute((
                    id,
                    &scored.region,
                    scored.score,
                    scored.label.name(),
                    velocity,
                    scored.engagement,
                    1_764_000_000,
                ))
                .unwrap();
        }
    }
    transaction.commit().unwrap();
    let elapsed = began.elapsed();
    check(path);
    println!(
        "{} {}",
        common::rate(VIDEOS, elapsed),
        common::peak_memory_mb()
    );
}

/// Both sides must have written everything.
fn check(path: &Path) {
    let connection = Connection::open(path).unwrap();
    let count = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!(
        count("SELECT count(*) FROM videos WHERE virality_score IS NOT NULL"),
        100_000
    );
    assert_eq!(count("SELECT count(*) FROM vvv_scores"), 100_000);
}
