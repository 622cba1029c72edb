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

use support::engine::{EngineScene, alive, enqueue, liveness, request, score, stop};
use support::site::{Endpoint, Gate, Reply, oembed};
use support::talk::until;
use support::vault::Journal;
use vvv_actors::engine::{
    EngineError, EngineEvent, Findings, FollowUps, Grouping, JobId, JobMoved, JobRequest, JobState,
    Queue, QueueView, RunningJob,
};

/// A vault of 120 videos, and what failed is tried again at once.
fn scene(journal: Journal) -> EngineScene {
    EngineScene::new(journal).impatient()
}

#[test]
fn rows_of_the_sites_own_are_picked_up_and_answered() {
    for journal in Journal::ALL {
        let scene = scene(journal);
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
        until("the group ends", || view.group(group).unwrap()?.ended_ms);
        let stored = scene.vault.number("SELECT count(*) FROM vvv_scores");
        assert!(stored > 100, "{stored} scores");
        stop(&engine);
        assert_eq!(scene.vault.integrity(), "ok");
    }
}

#[test]
fn jobs_outlive_the_engine_and_only_one_works_them_off() {
    let scene = scene(Journal::Wal);
    let engine = scene.start();
    let second = scene.builder(true).start();
    let Err(EngineError::QueueTaken { holder, .. }) = second else {
        panic!("two engines on one queue")
    };
    assert_eq!(holder, format!("pid {}", std::process::id()));
    engine.pause(Queue::Scoring, true).unwrap();
    let ids = enqueue(&engine, score(&scene.vault.ids));
    assert_eq!(ids.len(), 3);
    stop(&engine);
    assert_eq!(scene.job(ids[0]).summary.state, JobState::Available);
    let engine = scene.start();
    assert_eq!(
        scene.job(ids[0]).summary.state,
        JobState::Available,
        "still paused"
    );
    assert!(engine.pause(Queue::Scoring, false).unwrap());
    for id in &ids {
        let job = scene.wait_for(*id, JobState::Succeeded);
        assert_eq!((job.summary.attempts, job.summary.crashes), (1, 0));
        let found = Findings::from_json(&job.result.unwrap()).unwrap();
        assert_eq!(u64::try_from(found.len()).unwrap(), job.summary.items);
    }
    stop(&engine);
}

#[test]
fn a_running_job_is_cancelled_and_tried_again() {
    let scene = scene(Journal::Wal);
    let gate = Gate::closed();
    let ids = alive(0..2);
    scene.site.oembed(&ids[1], Reply::status(404).behind(&gate));
    let engine = scene.start();
    let id = enqueue(&engine, liveness(&ids))[0];
    scene.until_asked(2);
    let half_way = RunningJob {
        id,
        items: 2,
        done: 1,
    };
    until("it is half way", || {
        let pools = engine.status().unwrap().pools;
        pools.into_iter().find(|pool| pool.running == [half_way])
    });
    let began = Instant::now();
    let cancelled = engine.cancel(vec![id]).unwrap();
    assert_eq!(cancelled.done, [id]);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(scene.job(id).summary.state, JobState::Cancelled);
    // The worker is free again though the site never answered.
    scene.work_off(&engine, liveness(&ids[..1]));
    gate.open();
    assert_eq!(engine.retry(vec![id]).unwrap().done, [id]);
    let job = scene.wait_for(id, JobState::Succeeded);
    let found = Findings::from_json(&job.result.unwrap()).unwrap();
    assert_eq!(found.len(), 2);
    let first = scene.site.count(Endpoint::Oembed, &ids[0]);
    assert_eq!(first, 1, "what was recorded is not asked again");
    stop(&engine);
}

#[test]
fn what_follows_a_group_runs_once_and_after_it() {
    let scene = scene(Journal::Wal);
    let engine = scene.start();
    let ids = alive(0..25);
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
    let (_, group) = engine.enqueue(requests, grouping).unwrap();
    scene.until_asked(26);
    assert_eq!(scene.site.count(Endpoint::Oembed, &last), 1);
    let view = QueueView::open(&scene.config).unwrap();
    let group = view.group(group.unwrap()).unwrap().unwrap();
    assert_eq!((group.jobs, group.succeeded), (3, 3));
    scene.wait_for(JobId(4), JobState::Succeeded);
    stop(&engine);
}

#[test]
fn a_new_configuration_is_taken_over_while_jobs_run() {
    let scene = scene(Journal::Wal);
    let engine = scene.start();
    let workers = || -> Vec<usize> {
        let status = engine.status().unwrap();
        status.pools.iter().map(|pool| pool.workers).collect()
    };
    assert_eq!(workers(), [4, 8, 2]);
    let mut config = scene.config.clone();
    config.queues.scoring.workers = 1;
    config.queues.cleanup.workers = 3;
    config.database.path = "elsewhere.db".into();
    let reloaded = engine.reload(config).unwrap();
    assert_eq!(
        reloaded.applied,
        ["queues.cleanup.workers", "queues.scoring.workers"]
    );
    assert_eq!(reloaded.needs_restart, ["database.path"]);
    assert_eq!(workers(), [1, 8, 3]);
    scene.work_off(&engine, score(&scene.vault.ids));
    stop(&engine);
}

#[test]
fn what_was_asked_by_an_earlier_job_is_asked_again_by_the_next() {
    let mut scene = scene(Journal::Wal);
    scene.config.liveness.fresh_for = Duration::ZERO;
    let engine = scene.start();
    let ids = alive(0..12);
    for round in 1..=3 {
        for job in scene.work_off(&engine, liveness(&ids)) {
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
    stop(&engine);
}

#[test]
fn a_paused_queue_begins_nothing_that_it_had_at_hand() {
    let mut scene = scene(Journal::Wal);
    scene.config.queues.cleanup.workers = 1;
    scene.config.queues.cleanup.chunk = 1;
    let ids = alive(0..6);
    let gate = scene.hold(&ids[0]);
    let engine = scene.start();
    let jobs = enqueue(&engine, liveness(&ids));
    scene.until_asked(1);
    engine.pause(Queue::Cleanup, true).unwrap();
    for id in &jobs[1..] {
        scene.wait_for(*id, JobState::Available);
    }
    gate.open();
    scene.wait_for(jobs[0], JobState::Succeeded);
    assert_eq!(scene.site.total(Endpoint::Oembed), 1);
    engine.pause(Queue::Cleanup, false).unwrap();
    scene.wait_for(jobs[5], JobState::Succeeded);
    stop(&engine);
}

#[test]
fn work_that_only_waits_is_told_of_once_a_queue() {
    let scene = scene(Journal::Wal);
    let engine = scene.start();
    for queue in [Queue::Scoring, Queue::Cleanup] {
        let paused = engine.pause(queue, true);
        assert!(paused.unwrap());
    }
    let events = engine.events();
    let later = JobRequest {
        delay_ms: 3_600_000,
        ..request(liveness(&[oembed::id("alive", 1)]))
    };
    let once = JobRequest {
        unique_key: Some("once".to_owned()),
        ..request(score(&scene.vault.ids))
    };
    let mut told = Vec::new();
    // What is there already, and what has nothing to do, waits for nothing.
    for requests in [
        vec![once.clone(), request(score(&scene.vault.ids)), later],
        vec![once],
        vec![request(score(&[]))],
    ] {
        told.push(engine.enqueue(requests, Grouping::None).unwrap().0);
    }
    stop(&engine);
    let heard: Vec<EngineEvent> = events.collect();
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
    let scene = scene(Journal::Wal);
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
    let jobs = enqueue(&engine, liveness(&ids));
    let asked = |calls: &[support::site::Call]| !calls.is_empty();
    assert!(scene.site.wait_until(Duration::from_secs(3), asked));
    let job = scene.wait_for(jobs[0], JobState::Succeeded);
    assert!(job.summary.ended_ms.unwrap() >= i64::try_from(until.as_secs()).unwrap() * 1000);
    site.execute_batch("DROP TRIGGER of_the_test").unwrap();
    stop(&engine);
}

#[test]
fn jobs_claimed_for_a_queue_that_lost_its_workers_go_back() {
    let scene = scene(Journal::Wal);
    let engine = scene.start();
    let soon = JobRequest {
        delay_ms: 1_000,
        ..request(liveness(&[oembed::id("alive", 1)]))
    };
    let queued = engine.enqueue(vec![soon], Grouping::None);
    let job = queued.unwrap().0[0].ids[0];
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
    engine.reload(config).unwrap();
    site.execute_batch("COMMIT").unwrap();
    scene.wait_for(job, JobState::Available);
    engine.reload(scene.config.clone()).unwrap();
    scene.wait_for(job, JobState::Succeeded);
    stop(&engine);
}
