//! What a durable engine does by itself: scheduled work, pruning, checkpoints; and what it does
//! when the disk is full or its database is replaced under it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::time::{Duration, Instant};

use support::vault::{Journal, Vault, VaultSpec};
use tempfile::TempDir;
use vvv_actors::config::Config;
use vvv_actors::engine::{Engine, EngineHandle};

const PATIENCE: Duration = Duration::from_secs(20);

struct Scene {
    folder: TempDir,
    vault: Vault,
    config: Config,
    runtime: tokio::runtime::Runtime,
}

impl Scene {
    fn new(journal: Journal) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spec = VaultSpec {
            journal,
            ..VaultSpec::new(120)
        };
        let vault = spec.create(&folder.path().join("vault.db"));
        let mut config = Config::defaults().unwrap();
        config.database.path.clone_from(&vault.path);
        Self {
            folder,
            vault,
            config,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    fn start(&self) -> EngineHandle {
        Engine::builder(self.config.clone())
            .durable()
            .start()
            .unwrap()
    }

    fn stop(&self, engine: &EngineHandle) {
        self.runtime
            .block_on(engine.shutdown(Duration::from_secs(5)));
        assert!(!engine.is_lost());
    }

    fn number(&self, sql: &str) -> i64 {
        let site = self.vault.connect();
        site.busy_timeout(PATIENCE).unwrap();
        site.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[track_caller]
    fn until(&self, what: &str, sql: &str, wanted: impl Fn(i64) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let number = self.number(sql);
            if wanted(number) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {number}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_tick_that_was_missed_runs_once_and_its_work_is_done() {
    for journal in Journal::ALL {
        let mut scene = Scene::new(journal);
        scene.config.schedule.rescore = "@daily".to_owned();
        // The first start: ticks count from now on.
        let engine = scene.start();
        let record = "SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM vvv_meta \
                      WHERE key = 'schedule:rescore'";
        scene.until("the first tick is recorded", record, |tick| tick > 0);
        scene.stop(&engine);
        assert_eq!(scene.number("SELECT count(*) FROM vvv_jobs"), 0);
        // Down for three days.
        let site = scene.vault.connect();
        site.execute(
            "UPDATE vvv_meta SET value = value - 3 * 86400000 WHERE key = 'schedule:rescore'",
            [],
        )
        .unwrap();
        drop(site);
        let engine = scene.start();
        let scored = "SELECT count(*) FROM vvv_scores";
        let tried = "SELECT (SELECT count(*) FROM vvv_scores) \
                     + (SELECT count(*) FROM vvv_score_tries)";
        scene.until("every video is tried", tried, |tried| tried == 120);
        assert!(scene.number(scored) > 0);
        let keys = "SELECT count(*) FROM vvv_jobs WHERE unique_key GLOB 'schedule:rescore:*'";
        scene.until("a tick is one row", keys, |rows| rows == 1);
        scene.stop(&engine);
        let jobs = scene.number("SELECT count(*) FROM vvv_jobs");
        // Once more: nothing is due.
        let engine = scene.start();
        scene.until("it ran", record, |tick| tick > 0);
        scene.stop(&engine);
        assert_eq!(scene.number("SELECT count(*) FROM vvv_jobs"), jobs);
    }
}

#[test]
fn what_is_kept_no_longer_goes_while_the_engine_runs() {
    let mut scene = Scene::new(Journal::Wal);
    scene.config.schedule.prune = "@every 1s".to_owned();
    scene.config.schedule.optimize = "@every 1s".to_owned();
    let engine = scene.start();
    scene
        .vault
        .connect()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) \
             INSERT INTO vvv_jobs (queue, state, ended_ms, queued_ms) \
               SELECT 'scoring', 'succeeded', 1, 0 FROM n;",
        )
        .unwrap();
    scene.until("old rows go", "SELECT count(*) FROM vvv_jobs", |rows| {
        rows == 0
    });
    scene.stop(&engine);
}
