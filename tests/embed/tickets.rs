//! What becomes of work that was handed in: done, cancelled, put off, left behind, and told of.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use vvv_actors::actors::faults::{Fault, Faults, Step};
use vvv_actors::engine::{JobState, Queue};
use vvv_actors::{EngineError, EngineEvent, News, SubmitOptions};

use super::support::engine::{
    DRAIN, EngineScene, alive, all_live, liveness, score, stop_async as stop,
};
use super::support::site::Endpoint;
use super::support::vault::VaultSpec;
use super::{scene, soon, start, until_idle};

#[tokio::test]
async fn cancelled_work_is_dropped_and_listed() {
    for durable in [false, true] {
        let mut scene = scene();
        scene.config.queues.cleanup.workers = 1;
        scene.config.queues.cleanup.chunk = 2;
        let ids = alive(0..7);
        let _gate = scene.hold(&ids[1]);
        let engine = start(&scene, durable);
        let mut ticket = engine.submit(liveness(&ids)).await.unwrap();
        assert_eq!(ticket.jobs(), 4);
        scene.until_asked(2);
        let began = Instant::now();
        assert_eq!(soon(ticket.cancel()).await.unwrap(), 4);
        let report = soon(ticket.wait()).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(1));
        assert!(report.failures.is_empty(), "{report:?}");
        assert_eq!(report.found.len() + report.not_done.len(), 7);
        assert!(report.not_done.ends_with(&ids[1..]), "{report:?}");
        assert_eq!(ticket.cancel().await.unwrap(), 0);
        // The worker is free again though the site never answered.
        let mut other = engine.submit(liveness(&ids[..1])).await.unwrap();
        assert!(soon(other.wait()).await.unwrap().is_complete());
        for id in &ids[2..] {
            assert_eq!(scene.site.count(Endpoint::Oembed, id), 0, "{id}");
        }
        stop(&engine).await;
    }
}

#[tokio::test]
async fn work_waits_for_its_time_and_can_be_cancelled_before_it() {
    for durable in [false, true] {
        let scene = scene();
        let engine = start(&scene, durable);
        let ids = alive(0..2);
        let later = SubmitOptions {
            delay: Duration::from_secs(3600),
            ..SubmitOptions::default()
        };
        let mut late = engine.submit_with(liveness(&ids), later).await.unwrap();
        let soon_after = SubmitOptions {
            delay: Duration::from_millis(50),
            ..SubmitOptions::default()
        };
        let mut next = engine
            .submit_with(liveness(&ids[..1]), soon_after)
            .await
            .unwrap();
        assert!(soon(next.wait()).await.unwrap().is_complete());
        assert_eq!(late.cancel().await.unwrap(), 1);
        assert_eq!(soon(late.wait()).await.unwrap().not_done, ids);
        assert_eq!(scene.site.total(Endpoint::Oembed), 1);
        stop(&engine).await;
    }
}

#[tokio::test]
async fn a_job_without_an_answer_is_reported_with_what_it_left() {
    for durable in [false, true] {
        let mut scene = scene();
        scene.config.queues.cleanup.max_retries = 0;
        scene.config.queues.cleanup.chunk = 3;
        let struck = AtomicUsize::new(0);
        let faults = Faults::new(move |step| {
            let first =
                step == Step::LivenessReceives && struck.fetch_add(1, Ordering::SeqCst) == 0;
            first.then_some(Fault::Panic)
        });
        let engine = scene.builder(durable).faults(faults).start().unwrap();
        let ids = alive(0..6);
        let mut ticket = engine.submit(liveness(&ids)).await.unwrap();
        let report = soon(ticket.wait()).await.unwrap();
        assert_eq!((report.found.len(), report.failures.len()), (3, 1));
        let left = report.failures[0].left.as_ref().unwrap().video_ids();
        assert_eq!(left.len(), 3);
        assert!(report.not_done.is_empty() && !report.is_complete());
        engine.shutdown(DRAIN).await;
    }
}

#[tokio::test]
async fn a_key_names_work_that_is_queued_once() {
    let scene = scene();
    let engine = start(&scene, true);
    let nightly = SubmitOptions {
        unique_key: Some("nightly".to_owned()),
        ..SubmitOptions::default()
    };
    let submit = || engine.submit_with(score(&scene.vault.ids), nightly.clone());
    let (mut first, mut second) = (submit().await.unwrap(), submit().await.unwrap());
    assert_eq!(first.ids().len(), 3);
    assert_eq!(first.ids(), second.ids());
    for ticket in [&mut first, &mut second] {
        let report = soon(ticket.wait()).await.unwrap();
        assert!(report.is_complete() && report.found.len() == 120);
    }
    // Of ended work too: it keeps its key.
    let report = soon(submit().await.unwrap().wait()).await.unwrap();
    assert_eq!(report.found.len(), 120);
    stop(&engine).await;
    let engine = start(&scene, false);
    let refused = engine
        .submit_with(score(&scene.vault.ids), nightly.clone())
        .await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("durable"), "{refused}");
    stop(&engine).await;
}

#[tokio::test]
async fn who_waits_for_a_stopped_engine_is_told_and_durable_work_stays() {
    for durable in [false, true] {
        let mut scene = scene();
        scene.config.queues.cleanup.chunk = 1;
        scene.config.queues.cleanup.workers = 2;
        let ids = alive(0..6);
        let gate = scene.hold(&ids[1]);
        let engine = start(&scene, durable);
        let mut ticket = engine.submit(liveness(&ids)).await.unwrap();
        let first = soon(ticket.next()).await.unwrap().unwrap();
        assert!(matches!(first, News::Found(found) if !found.is_empty()));
        scene.until_asked(2);
        all_live(&engine.status().await.unwrap());
        engine.shutdown(Duration::ZERO).await;
        assert!(!engine.is_lost());
        let error = soon(ticket.wait()).await.unwrap_err();
        assert!(matches!(error, EngineError::Stopped), "{error}");
        let report = ticket.take_report();
        assert!(!report.found.is_empty() && report.not_done.contains(&ids[1]));
        assert!(soon(ticket.next()).await.is_none());
        let refused = engine.submit(liveness(&ids)).await.unwrap_err();
        assert!(matches!(refused, EngineError::Stopped), "{refused}");
        assert!(ticket.cancel().await.is_err());
        gate.open();
        if durable {
            let engine = start(&scene, true);
            scene.until_asked(ids.len() + 1);
            scene.vault.until_all_succeeded();
            stop(&engine).await;
        }
    }
}

#[tokio::test]
async fn an_engine_that_nobody_holds_stops() {
    for durable in [false, true] {
        let scene = scene();
        let ids = alive(0..2);
        let _gate = scene.hold(&ids[1]);
        let engine = start(&scene, durable);
        let mut ticket = engine.submit(liveness(&ids)).await.unwrap();
        scene.until_asked(2);
        all_live(&engine.status().await.unwrap());
        drop(engine);
        let error = soon(ticket.wait()).await.unwrap_err();
        assert!(matches!(error, EngineError::Stopped), "{error}");
    }
}

#[tokio::test]
async fn work_cancelled_as_soon_as_it_is_submitted_is_not_begun_later() {
    for durable in [false, true] {
        let mut scene = EngineScene::of(VaultSpec::new(1200)).impatient();
        scene.config.queues.scoring.chunk = 1;
        let engine = start(&scene, durable);
        let mut ticket = engine.submit(score(&scene.vault.ids)).await.unwrap();
        let cancelled = soon(ticket.cancel()).await.unwrap();
        let report = soon(ticket.wait()).await.unwrap();
        assert!(report.failures.is_empty(), "{report:?}");
        assert!(report.not_done.len() >= cancelled && cancelled > 0);
        until_idle(&engine).await;
        let status = engine.status().await.unwrap();
        assert_eq!(status.open_jobs, (!durable).then_some(0));
        if durable {
            let ended = "state = 'cancelled' OR state = 'succeeded'";
            let left = format!("SELECT count(*) FROM vvv_jobs WHERE NOT ({ended})");
            assert_eq!(scene.vault.number(&left), 0);
        }
        stop(&engine).await;
    }
}

#[tokio::test]
async fn who_waits_for_an_engine_that_dies_is_told() {
    for durable in [false, true] {
        let scene = scene();
        let ids = alive(0..2);
        let _gate = scene.hold(&ids[1]);
        let dies = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&dies);
        let faults = Faults::new(move |step| {
            let now = step == Step::SupervisorTicks && told.load(Ordering::SeqCst) > 0;
            now.then_some(Fault::Panic)
        });
        let engine = scene.builder(durable).faults(faults).start().unwrap();
        let mut ticket = engine.submit(liveness(&ids)).await.unwrap();
        scene.until_asked(2);
        dies.store(1, Ordering::SeqCst);
        let error = soon(ticket.wait()).await.unwrap_err();
        assert!(matches!(error, EngineError::Lost), "{error}");
        engine.shutdown(DRAIN).await;
        assert!(engine.is_lost());
    }
}

#[tokio::test]
async fn a_job_whose_row_somebody_deletes_is_named() {
    let scene = scene();
    let engine = start(&scene, true);
    engine.pause(Queue::Scoring, true).await.unwrap();
    let mut ticket = engine.submit(score(&scene.vault.ids)).await.unwrap();
    let gone = ticket.ids()[1];
    let site = scene.vault.connect();
    site.execute("DELETE FROM vvv_jobs WHERE id = ?1", [gone.0])
        .unwrap();
    let error = soon(ticket.wait()).await.unwrap_err();
    assert!(
        matches!(error, EngineError::JobGone(id) if id == gone),
        "{error}"
    );
    engine.pause(Queue::Scoring, false).await.unwrap();
    let report = soon(ticket.wait()).await.unwrap();
    assert_eq!((report.found.len(), report.not_done.len()), (70, 50));
    stop(&engine).await;
}

#[tokio::test]
async fn events_are_a_stream_that_ends_with_the_engine() {
    let scene = scene();
    let engine = start(&scene, true);
    let events = engine.events();
    let mut ticket = engine.submit(score(&scene.vault.ids)).await.unwrap();
    let ids = ticket.ids().to_vec();
    assert!(soon(ticket.wait()).await.unwrap().is_complete());
    stop(&engine).await;
    let heard: Vec<EngineEvent> = soon(events.collect()).await;
    // Of what was handed in together the first is told of.
    let expected = [JobState::Available, JobState::Running, JobState::Succeeded];
    for (place, id) in ids.into_iter().enumerate() {
        let states: Vec<JobState> = heard
            .iter()
            .filter_map(|event| match event {
                EngineEvent::Moved(moved) => (moved.id == id).then_some(moved.state),
                EngineEvent::Missed(missed) => panic!("{missed} missed"),
            })
            .collect();
        assert_eq!(states, expected[place.min(1)..]);
    }
    assert_eq!(soon(engine.events().count()).await, 0);
}
