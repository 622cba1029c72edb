//! The durable queue worked off by an engine: by plain SQL and by calls, over restarts, with
//! results kept; cancelled, paused, tried again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use support::site::{Endpoint, Gate, Reply, Site, oembed};
use support::vault::{Journal, Vault, VaultSpec};
use tempfile::TempDir;
use vvv_actors::config::Config;
use vvv_actors::engine::{
    Engine, EngineError, EngineEvent, EngineHandle, Findings, FollowUps, Grouping, Job, JobDetail,
    JobId, JobMoved, JobRequest, JobState, LivenessJob, Queue, QueueView, RunningJob, ScoreJob,
};

struct Scene {
    _folder: TempDir,
    vault: Vault,
    site: Site,
    config: Config,
    runtime: tokio::runtime::Runtime,
}

impl Scene {
    fn new(journal: Journal) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::start();
        let spec = VaultSpec {
            journal,
            thumbnails: site.url(""),
            ..VaultSpec::new(120)
        };
        let vault = spec.create(&folder.path().join("vault.db"));
        let mut config = Config::defaults().unwrap();
        config.database.path.clone_from(&vault.path);
        config.fetch.allow = vec![site.authority()];
        config.liveness.endpoint = site.oembed_endpoint();
        config.rate_limits.oembed.calls = 1000;
        config.queues.cleanup.retry_delay = Duration::from_millis(20);
        Self {
            _folder: folder,
            vault,
            site,
            config,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    fn start(&self) -> EngineHandle {
        Engine::builder()
            .config(self.config.clone())
            .durable()
            .start()
            .unwrap()
    }

    fn stop(&self, engine: &EngineHandle) {
        self.runtime
            .block_on(engine.shutdown(Duration::from_secs(5)));
        assert!(!engine.is_lost());
    }

    fn enqueue(&self, engine: &EngineHandle, job: Job) -> Vec<JobId> {
        let requests = vec![request(job)];
        let queued = self
            .runtime
            .block_on(engine.enqueue(requests, Grouping::None))
            .unwrap();
        queued.0[0].ids.clone()
    }

    fn job(&self, id: JobId) -> JobDetail {
        let view = QueueView::open(&self.config).unwrap();
        loop {
            match view.job(id) {
                Err(error) if error.is_locked() => {}
                job => return job.unwrap().unwrap(),
            }
        }
    }

    fn wait_for(&self, id: JobId, state: JobState) -> JobDetail {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let job = self.job(id);
            if job.summary.state == state {
                return job;
            }
            assert!(Instant::now() < deadline, "{job:?}");
            std::thread::yield_now();
        }
    }
}

fn request(job: Job) -> JobRequest {
    JobRequest {
        job,
        priority: Job::DEFAULT_PRIORITY,
        delay_ms: 0,
        unique_key: None,
        unique_for: None,
        trace: None,
    }
}

fn liveness(ids: &[String]) -> Job {
    Job::Liveness(LivenessJob {
        video_ids: ids.to_vec(),
        fresh: false,
    })
}

#[test]
fn rows_of_the_sites_own_are_picked_up_and_answered() {
    for journal in Journal::ALL {
        let scene = Scene::new(journal);
        let engine = scene.start();
        let dead = oembed::id("dead_", 1);
        let alive = oembed::id("alive", 2);
        let site = scene.vault.connect();
        site.execute_batch("BEGIN IMMEDIATE").unwrap();
        site.execute(
            "INSERT INTO vvv_jobs (kind, payload) VALUES ('tasks.detect_dead_videos', ?1)",
            [serde_json::json!({"video_ids": [&dead, &alive]}).to_string()],
        )
        .unwrap();
        site.execute(
            "INSERT INTO vvv_jobs (kind, payload) VALUES ('score', ?1)",
            [serde_json::json!({"video_ids": scene.vault.ids}).to_string()],
        )
        .unwrap();
        site.execute_batch("COMMIT").unwrap();
        let committed = Instant::now();
        let job = scene.wait_for(JobId(1), JobState::Succeeded);
        assert!(
            committed.elapsed() < Duration::from_secs(10),
            "picked up late"
        );
        let Findings::Liveness(found) = Findings::from_json(&job.result.unwrap()).unwrap() else {
            panic!("another kind")
        };
        let verdicts: Vec<_> = found
            .iter()
            .map(|found| (found.id.clone(), found.verdict.as_str()))
            .collect();
        assert_eq!(verdicts.len(), 2);
        assert!(verdicts.contains(&(dead, "dead")) && verdicts.contains(&(alive, "alive")));
        let scored = scene.wait_for(JobId(2), JobState::Succeeded);
        let group = scored.summary.group.expect("120 videos are three jobs");
        let view = QueueView::open(&scene.config).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while view.group(group).unwrap().unwrap().ended_ms.is_none() {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        let stored: i64 = site
            .query_row("SELECT count(*) FROM vvv_scores", [], |row| row.get(0))
            .unwrap();
        assert!(stored > 100, "{stored} scores");
        scene.stop(&engine);
        assert_eq!(scene.vault.integrity(), "ok");
    }
}

#[test]
fn jobs_outlive_the_engine_and_only_one_works_them_off() {
    let scene = Scene::new(Journal::Wal);
    let engine = scene.start();
    let second = Engine::builder()
        .config(scene.config.clone())
        .durable()
        .start();
    let Err(EngineError::QueueTaken { holder, .. }) = second else {
        panic!("two engines on one queue")
    };
    assert_eq!(holder, format!("pid {}", std::process::id()));
    scene
        .runtime
        .block_on(engine.pause(Queue::Scoring, true))
        .unwrap();
    let ids = scene.enqueue(
        &engine,
        Job::Score(ScoreJob {
            video_ids: scene.vault.ids.clone(),
        }),
    );
    assert_eq!(ids.len(), 3);
    scene.stop(&engine);
    assert_eq!(scene.job(ids[0]).summary.state, JobState::Available);
    let engine = scene.start();
    assert_eq!(
        scene.job(ids[0]).summary.state,
        JobState::Available,
        "still paused"
    );
    assert!(
        scene
            .runtime
            .block_on(engine.pause(Queue::Scoring, false))
            .unwrap()
    );
    for id in &ids {
        let job = scene.wait_for(*id, JobState::Succeeded);
        assert_eq!((job.summary.attempts, job.summary.crashes), (1, 0));
        let found = Findings::from_json(&job.result.unwrap()).unwrap();
        assert_eq!(u64::try_from(found.len()).unwrap(), job.summary.items);
    }
    scene.stop(&engine);
}

#[test]
fn a_running_job_is_cancelled_and_tried_again() {
    let scene = Scene::new(Journal::Wal);
    let gate = Gate::closed();
    let ids: Vec<String> = (0..2).map(|n| oembed::id("alive", n)).collect();
    scene.site.oembed(&ids[1], Reply::status(404).behind(&gate));
    let engine = scene.start();
    let id = scene.enqueue(&engine, liveness(&ids))[0];
    let asked = |calls: &[support::site::Call]| calls.len() == 2;
    assert!(scene.site.wait_until(Duration::from_secs(20), asked));
    let half_way = RunningJob {
        id,
        items: 2,
        done: 1,
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let status = scene.runtime.block_on(engine.status()).unwrap();
        if status.pools.iter().any(|pool| pool.running == [half_way]) {
            break;
        }
        assert!(Instant::now() < deadline, "{status:?}");
    }
    let began = Instant::now();
    let cancelled = scene.runtime.block_on(engine.cancel(vec![id])).unwrap();
    assert_eq!(cancelled.done, [id]);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(scene.job(id).summary.state, JobState::Cancelled);
    // The worker is free again though the site never answered.
    let other = scene.enqueue(&engine, liveness(&ids[..1]))[0];
    scene.wait_for(other, JobState::Succeeded);
    gate.open();
    assert_eq!(
        scene.runtime.block_on(engine.retry(vec![id])).unwrap().done,
        [id]
    );
    let job = scene.wait_for(id, JobState::Succeeded);
    let found = Findings::from_json(&job.result.unwrap()).unwrap();
    assert_eq!(found.len(), 2);
    let first = scene.site.count(Endpoint::Oembed, &ids[0]);
    assert_eq!(first, 1, "what was recorded is not asked again");
    scene.stop(&engine);
}

#[test]
fn what_follows_a_group_runs_once_and_after_it() {
    let scene = Scene::new(Journal::Wal);
    let engine = scene.start();
    let ids: Vec<String> = (0..25).map(|n| oembed::id("alive", n)).collect();
    let last = oembed::id("dead_", 0);
    let follow = serde_json::json!({"kind": "liveness", "payload": {"video_ids": [&last]}});
    let follow_ups = FollowUps {
        on_success: Some(follow.to_string()),
        on_finish: None,
    };
    let grouping = Grouping::New {
        follow_ups,
        open: false,
    };
    let requests = vec![request(liveness(&ids))];
    let (_, group) = scene
        .runtime
        .block_on(engine.enqueue(requests, grouping))
        .unwrap();
    let asked = |calls: &[support::site::Call]| calls.len() == 26;
    assert!(scene.site.wait_until(Duration::from_secs(20), asked));
    assert_eq!(scene.site.count(Endpoint::Oembed, &last), 1);
    let view = QueueView::open(&scene.config).unwrap();
    let group = view.group(group.unwrap()).unwrap().unwrap();
    assert_eq!((group.jobs, group.succeeded), (3, 3));
    scene.wait_for(JobId(4), JobState::Succeeded);
    scene.stop(&engine);
}

#[test]
fn a_new_configuration_is_taken_over_while_jobs_run() {
    let scene = Scene::new(Journal::Wal);
    let engine = scene.start();
    let workers = |engine: &EngineHandle| -> Vec<usize> {
        let status = scene.runtime.block_on(engine.status()).unwrap();
        status.pools.iter().map(|pool| pool.workers).collect()
    };
    assert_eq!(workers(&engine), [4, 8, 2]);
    let mut config = scene.config.clone();
    config.queues.scoring.workers = 1;
    config.queues.cleanup.workers = 3;
    config.database.path = "elsewhere.db".into();
    let reloaded = scene.runtime.block_on(engine.reload(config)).unwrap();
    assert_eq!(
        reloaded.applied,
        ["queues.cleanup.workers", "queues.scoring.workers"]
    );
    assert_eq!(reloaded.needs_restart, ["database.path"]);
    assert_eq!(workers(&engine), [1, 8, 3]);
    let ids = scene.enqueue(
        &engine,
        Job::Score(ScoreJob {
            video_ids: scene.vault.ids.clone(),
        }),
    );
    for id in ids {
        scene.wait_for(id, JobState::Succeeded);
    }
    scene.stop(&engine);
}

#[test]
fn what_was_asked_by_an_earlier_job_is_asked_again_by_the_next() {
    let mut scene = Scene::new(Journal::Wal);
    scene.config.liveness.fresh_for = Duration::ZERO;
    let engine = scene.start();
    let ids: Vec<String> = (0..12).map(|n| oembed::id("alive", n)).collect();
    for round in 1..=3 {
        for id in scene.enqueue(&engine, liveness(&ids)) {
            let job = scene.wait_for(id, JobState::Succeeded);
            let Findings::Liveness(found) = Findings::from_json(&job.result.unwrap()).unwrap()
            else {
                panic!("another kind")
            };
            assert!(found.iter().all(|found| !found.cached));
        }
        for id in &ids {
            assert_eq!(scene.site.count(Endpoint::Oembed, id), round, "{id}");
        }
    }
    scene.stop(&engine);
}

#[test]
fn a_paused_queue_begins_nothing_that_it_had_at_hand() {
    let mut scene = Scene::new(Journal::Wal);
    scene.config.queues.cleanup.workers = 1;
    scene.config.queues.cleanup.chunk = 1;
    let gate = Gate::closed();
    let ids: Vec<String> = (0..6).map(|n| oembed::id("alive", n)).collect();
    scene
        .site
        .oembed(&ids[0], oembed::alive(&ids[0]).behind(&gate));
    let engine = scene.start();
    let jobs = scene.enqueue(&engine, liveness(&ids));
    let asked = |calls: &[support::site::Call]| calls.len() == 1;
    assert!(scene.site.wait_until(Duration::from_secs(20), asked));
    scene
        .runtime
        .block_on(engine.pause(Queue::Cleanup, true))
        .unwrap();
    for id in &jobs[1..] {
        scene.wait_for(*id, JobState::Available);
    }
    gate.open();
    scene.wait_for(jobs[0], JobState::Succeeded);
    assert_eq!(scene.site.total(Endpoint::Oembed), 1);
    scene
        .runtime
        .block_on(engine.pause(Queue::Cleanup, false))
        .unwrap();
    scene.wait_for(jobs[5], JobState::Succeeded);
    scene.stop(&engine);
}

#[test]
fn work_that_only_waits_is_told_of_once_a_queue() {
    let scene = Scene::new(Journal::Wal);
    let engine = scene.start();
    for queue in [Queue::Scoring, Queue::Cleanup] {
        let paused = scene.runtime.block_on(engine.pause(queue, true));
        assert!(paused.unwrap());
    }
    let events = engine.events();
    let score = |video_ids: &[String]| {
        request(Job::Score(ScoreJob {
            video_ids: video_ids.to_vec(),
        }))
    };
    let later = JobRequest {
        delay_ms: 3_600_000,
        ..request(liveness(&[oembed::id("alive", 1)]))
    };
    let once = JobRequest {
        unique_key: Some("once".to_owned()),
        ..score(&scene.vault.ids)
    };
    let mut told = Vec::new();
    // What is there already, and what has nothing to do, waits for nothing.
    for requests in [
        vec![once.clone(), score(&scene.vault.ids), later],
        vec![once],
        vec![score(&[])],
    ] {
        let queued = engine.enqueue(requests, Grouping::None);
        told.push(scene.runtime.block_on(queued).unwrap().0);
    }
    scene.stop(&engine);
    let heard: Vec<EngineEvent> = scene.runtime.block_on(events.collect());
    let moved = |place: usize, queue, state| {
        EngineEvent::Moved(JobMoved {
            id: told[0][place].ids[0],
            queue,
            state,
            error: None,
            trace: None,
        })
    };
    let expected = [
        moved(0, Queue::Scoring, JobState::Available),
        moved(2, Queue::Cleanup, JobState::Scheduled),
    ];
    assert_eq!(heard, expected);
}

#[test]
fn an_outcome_that_cannot_be_written_is_written_later() {
    let scene = Scene::new(Journal::Wal);
    let engine = scene.start();
    let site = scene.vault.connect();
    let until = std::time::SystemTime::now() + Duration::from_secs(4);
    let until = until.duration_since(std::time::UNIX_EPOCH).unwrap();
    // No job's end, no retry and no release can be recorded until then.
    site.execute_batch(&format!(
        "CREATE TRIGGER of_the_test BEFORE UPDATE OF state ON vvv_jobs \
         WHEN OLD.state = 'running' AND CAST(strftime('%s', 'now') AS INTEGER) < {} \
         BEGIN SELECT RAISE(ABORT, 'not yet'); END",
        until.as_secs()
    ))
    .unwrap();
    let ids = [oembed::id("alive", 1)];
    let jobs = scene.enqueue(&engine, liveness(&ids));
    let asked = |calls: &[support::site::Call]| !calls.is_empty();
    assert!(scene.site.wait_until(Duration::from_secs(3), asked));
    let job = scene.wait_for(jobs[0], JobState::Succeeded);
    assert!(job.summary.ended_ms.unwrap() >= i64::try_from(until.as_secs()).unwrap() * 1000);
    site.execute_batch("DROP TRIGGER of_the_test").unwrap();
    scene.stop(&engine);
}

#[test]
fn jobs_claimed_for_a_queue_that_lost_its_workers_go_back() {
    let scene = Scene::new(Journal::Wal);
    let engine = scene.start();
    let soon = JobRequest {
        delay_ms: 1_000,
        ..request(liveness(&[oembed::id("alive", 1)]))
    };
    let queued = engine.enqueue(vec![soon], Grouping::None);
    let job = scene.runtime.block_on(queued).unwrap().0[0].ids[0];
    let due = scene.job(job).summary.run_at_ms;
    let site = scene.vault.connect();
    let until = |ms: i64| {
        let at = std::time::UNIX_EPOCH + Duration::from_millis(ms.try_into().unwrap());
        while std::time::SystemTime::now() < at {
            std::thread::yield_now();
        }
    };
    // The claim that follows the enqueueing finds nothing due; the next is sent when the job is due,
    // and waits for the lock.
    until(due - 300);
    site.execute_batch("BEGIN IMMEDIATE").unwrap();
    until(due + 500);
    assert_eq!(scene.job(job).summary.state, JobState::Scheduled);
    let mut config = scene.config.clone();
    config.queues.cleanup.workers = 0;
    scene.runtime.block_on(engine.reload(config)).unwrap();
    site.execute_batch("COMMIT").unwrap();
    scene.wait_for(job, JobState::Available);
    let again = engine.reload(scene.config.clone());
    scene.runtime.block_on(again).unwrap();
    scene.wait_for(job, JobState::Succeeded);
    scene.stop(&engine);
}
