//! The engine inside a host: from any runtime and from none, on either queue, two at once; waited
//! for, cancelled, stopped midway; and nothing of the process changed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod moments;
#[path = "../support/mod.rs"]
mod support;
mod tickets;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::engine::{
    DRAIN, EngineScene, SOON, alive, all_live, liveness, request, score, stop_async as stop,
};
use support::site::{Endpoint, oembed};
use support::talk::until;
use support::vault::{Journal, VaultSpec};
use vvv_actors::engine::{Grouping, JobState, PoolStatus, Queue};
use vvv_actors::{Engine, EngineError, EngineEvent, EngineHandle, JobId, Liveness, News, Status};

/// A vault of 120 videos, and what failed is tried again at once.
fn scene() -> EngineScene {
    EngineScene::new(Journal::Wal).impatient()
}

fn start(scene: &EngineScene, durable: bool) -> EngineHandle {
    scene.builder(durable).start().unwrap()
}

/// Waits until no pool has a job in its hands.
async fn until_idle(engine: &EngineHandle) {
    let idle = |pool: &PoolStatus| pool.busy + pool.ready + pool.uncommitted == 0;
    until_status(engine, |status| status.pools.iter().all(idle)).await;
}

async fn until_status(engine: &EngineHandle, reached: impl Fn(&Status) -> bool) {
    let deadline = Instant::now() + SOON;
    loop {
        let status = engine.status().await.unwrap();
        if reached(&status) {
            return;
        }
        assert!(Instant::now() < deadline, "{status:?}");
        tokio::task::yield_now().await;
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it hangs")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn workers_of_a_host_share_one_engine() {
    for (durable, journal) in [(false, Journal::Delete), (true, Journal::Wal)] {
        let scene = Arc::new(EngineScene::new(journal).impatient());
        let engine = start(&scene, durable);
        let workers = (0..3).map(|worker| {
            let (engine, scene) = (engine.clone(), Arc::clone(&scene));
            tokio::spawn(async move {
                let mut ids = alive(worker * 5..worker * 5 + 4);
                ids.push(oembed::id("dead_", worker));
                let mut asked = engine.submit(liveness(&ids)).await.unwrap();
                let mut scored = engine.submit(score(&scene.vault.ids)).await.unwrap();
                assert_eq!(scored.jobs(), 3);
                assert_eq!(scored.ids().len(), if durable { 3 } else { 0 });
                let report = scored.wait().await.unwrap();
                assert!(report.is_complete());
                let found: Vec<_> = report.found.iter().map(|found| &found.id).collect();
                assert_eq!(found, scene.vault.ids.iter().collect::<Vec<_>>());
                let report = asked.wait().await.unwrap();
                let verdicts: Vec<_> = report.found.iter().map(|found| &*found.verdict).collect();
                assert_eq!(verdicts, ["alive", "alive", "alive", "alive", "dead"]);
                let mut pictures = engine.submit(scene.pictures(20)).await.unwrap();
                let report = pictures.wait().await.unwrap();
                assert!(report.is_complete());
                assert!(report.found.iter().all(|found| found.status == "valid"));
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            soon(worker).await.unwrap();
        }
        all_live(&engine.status().await.unwrap());
        let stops = (0..3).map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move { engine.shutdown(DRAIN).await })
        });
        for stop in stops.collect::<Vec<_>>() {
            soon(stop).await.unwrap();
        }
        engine.shutdown(DRAIN).await;
        assert!(!engine.is_lost());
    }
}

#[test]
fn a_host_whose_system_stops_cuts_no_drain_short() {
    for durable in [false, true] {
        let scene = scene();
        let ids = alive(0..2);
        let gate = scene.hold(&ids[1]);
        let system = actix_rt::System::new();
        let (engine, mut ticket) = system.block_on(async {
            let engine = start(&scene, durable);
            let ticket = engine.submit(liveness(&ids)).await.unwrap();
            scene.until_asked(2);
            all_live(&engine.status().await.unwrap());
            let mut stopping = Box::pin(engine.shutdown(SOON));
            assert!(futures_util::poll!(stopping.as_mut()).is_pending());
            // As actix-server does after a signal: the System goes, and with it who waits.
            actix_rt::System::current().stop();
            (engine.clone(), ticket)
        });
        system.run().unwrap();
        gate.open();
        let report = runtime().block_on(soon(ticket.wait())).unwrap();
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(report.found.len(), 2);
        engine.blocking().shutdown(Duration::ZERO);
        assert!(!engine.is_lost());
        assert_eq!(scene.vault.integrity(), "ok");
    }
}

#[test]
fn a_plain_thread_waits_on_the_spot() {
    for durable in [false, true] {
        let mut scene = EngineScene::of(VaultSpec::new(200)).impatient();
        scene.config.queues.scoring.chunk = 1;
        let engine = start(&scene, durable).blocking();
        let ids = alive(0..2);
        let gate = scene.hold(&ids[1]);
        let mut asked = engine.submit(liveness(&ids)).unwrap();
        scene.until_asked(2);
        let early = asked.wait_within(Duration::from_millis(1)).unwrap();
        assert!(early.is_none(), "{early:?}");
        gate.open();
        let report = asked.wait_within(SOON).unwrap().expect("it hangs");
        assert!(report.is_complete() && report.found.len() == 2);
        // Inside a task, where it blocks but works: a budget of the runtime's is no matter.
        let scored: usize = runtime().block_on(async {
            let ticket = engine.submit(score(&scene.vault.ids)).unwrap();
            ticket
                .map(|news| match news.unwrap() {
                    News::Found(scores) => scores.len(),
                    News::Failed(failure) => panic!("{failure:?}"),
                })
                .sum()
        });
        assert_eq!(scored, 200);
        all_live(&engine.status().unwrap());
        engine.shutdown(DRAIN);
        engine.shutdown(DRAIN);
        let refused = engine.submit(liveness(&ids)).unwrap_err();
        assert!(matches!(refused, EngineError::Stopped), "{refused}");
    }
}

#[test]
fn a_plain_thread_steers_the_durable_queue() {
    let scene = scene();
    let engine = scene.start();
    let events = engine.events();
    assert!(engine.pause(Queue::Cleanup, true).unwrap());
    let asked = alive(0..3);
    let requests = asked.chunks(1).map(|id| request(liveness(id)));
    let queued = engine.enqueue(requests.collect(), Grouping::None);
    let (queued, group) = queued.unwrap();
    let ids: Vec<JobId> = queued
        .iter()
        .flat_map(|queued| queued.ids.clone())
        .collect();
    assert_eq!((ids.len(), group), (3, None));
    assert_eq!(engine.cancel(ids[..1].to_vec()).unwrap().done, ids[..1]);
    assert_eq!(engine.purge(Queue::Cleanup).unwrap(), 2);
    assert_eq!(engine.retry(ids[..1].to_vec()).unwrap().done, ids[..1]);
    assert!(engine.pause(Queue::Cleanup, false).unwrap());
    let is_done = |event: &EngineEvent| matches!(event, EngineEvent::Moved(moved) if moved.state == JobState::Succeeded);
    let heard: Vec<EngineEvent> = events.take_while(|event| !is_done(event)).collect();
    let cancelled = |event: &&EngineEvent| matches!(event, EngineEvent::Moved(moved) if moved.state == JobState::Cancelled);
    assert_eq!(heard.iter().filter(cancelled).count(), 3, "{heard:?}");
    assert!(engine.alarms().unwrap().is_empty());
    let mut config = scene.config.clone();
    config.queues.cleanup.workers = 1;
    engine.reload(config).unwrap();
    until("one worker is left", || {
        let pools = engine.status().unwrap().pools;
        let cleanup = pools.iter().find(|pool| pool.queue == Queue::Cleanup);
        (cleanup?.workers == 1).then_some(())
    });
    let events = engine.events();
    engine.shutdown(DRAIN);
    assert_eq!(events.count(), 0);
}

#[tokio::test]
async fn two_engines_do_not_disturb_each_other() {
    for durable in [false, true] {
        let (one, other) = (scene(), scene());
        let (first, second) = (start(&one, durable), start(&other, durable));
        let ids = alive(0..4);
        let gate = one.hold(&ids[3]);
        let mut held = first.submit(liveness(&ids)).await.unwrap();
        one.until_asked(4);
        let mut free = second.submit(liveness(&ids)).await.unwrap();
        assert!(soon(free.wait()).await.unwrap().is_complete());
        let mut scored = second.submit(score(&other.vault.ids)).await.unwrap();
        assert!(soon(scored.wait()).await.unwrap().is_complete());
        stop(&second).await;
        let mut scored = first.submit(score(&one.vault.ids)).await.unwrap();
        assert!(soon(scored.wait()).await.unwrap().is_complete());
        gate.open();
        assert!(soon(held.wait()).await.unwrap().is_complete());
        stop(&first).await;
        assert_eq!(one.site.total(Endpoint::Oembed), 4);
        assert_eq!(other.site.total(Endpoint::Oembed), 4);
        let scores = "SELECT count(*) FROM vvv_scores";
        assert_eq!(one.vault.ask(scores), other.vault.ask(scores));
    }
}

#[tokio::test]
async fn two_engines_with_temporary_queues_share_a_file() {
    let scene = EngineScene::new(Journal::Delete).impatient();
    let (first, second) = (start(&scene, false), start(&scene, false));
    let ids = alive(0..8);
    let gate = scene.hold(&ids[3]);
    let mut held = first.submit(liveness(&ids[..4])).await.unwrap();
    scene.until_asked(4);
    let mut free = second.submit(liveness(&ids[4..])).await.unwrap();
    assert!(soon(free.wait()).await.unwrap().is_complete());
    let (mut one, mut other) = (
        first.submit(score(&scene.vault.ids)).await.unwrap(),
        second.submit(score(&scene.vault.ids)).await.unwrap(),
    );
    for ticket in [&mut one, &mut other] {
        let report = soon(ticket.wait()).await.unwrap();
        assert!(report.is_complete() && report.found.len() == 120);
    }
    stop(&second).await;
    gate.open();
    assert!(soon(held.wait()).await.unwrap().is_complete());
    stop(&first).await;
    assert_eq!(scene.site.total(Endpoint::Oembed), 8);
    assert_eq!(scene.vault.integrity(), "ok");
}

#[tokio::test]
async fn an_item_named_twice_is_done_once() {
    for durable in [false, true] {
        let mut scene = scene();
        scene.config.queues.cleanup.chunk = 1;
        scene.config.queues.thumbnails.chunk = 1;
        let engine = start(&scene, durable);
        let ids = alive(0..2);
        let named = [&ids[..], &ids[..1]].concat();
        let fresh = Liveness {
            video_ids: named,
            fresh: true,
        };
        let mut asked = engine.submit(fresh).await.unwrap();
        let mut pictures = scene.pictures(2);
        pictures.videos.push(pictures.videos[0].clone());
        let mut looked = engine.submit(pictures).await.unwrap();
        assert_eq!((asked.jobs(), looked.jobs()), (2, 2));
        assert_eq!(soon(asked.wait()).await.unwrap().found.len(), 2);
        assert_eq!(soon(looked.wait()).await.unwrap().found.len(), 2);
        assert_eq!(scene.site.total(Endpoint::Oembed), 2);
        assert_eq!(scene.site.total(Endpoint::Thumbnail), 2);
        stop(&engine).await;
    }
}

#[tokio::test]
async fn a_drain_may_be_without_end() {
    for durable in [false, true] {
        let scene = scene();
        let ids = alive(0..2);
        let gate = scene.hold(&ids[1]);
        let engine = start(&scene, durable);
        let mut ticket = engine.submit(liveness(&ids)).await.unwrap();
        scene.until_asked(2);
        let mut stopping = Box::pin(engine.shutdown(Duration::MAX));
        assert!(futures_util::poll!(stopping.as_mut()).is_pending());
        gate.open();
        assert!(soon(ticket.wait()).await.unwrap().is_complete());
        soon(stopping).await;
        assert!(!engine.is_lost());
    }
}

#[test]
fn the_docs_name_the_rusqlite_in_use() {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    let version = manifest["dependencies"]["rusqlite"]["version"].as_str();
    let version = version.unwrap();
    let docs = include_str!("../../src/lib.rs");
    assert!(docs.contains(&format!("uses rusqlite {version} ")));
    assert!(docs.contains(&format!("`rusqlite = \"{version}\"`")));
}

/// Signals this process handles, as the kernel lists them.
fn handled_signals() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("SigCgt"));
    line.unwrap().to_owned()
}

#[test]
fn nothing_of_the_process_is_changed() {
    let panics = Arc::new(AtomicUsize::new(0));
    let heard = Arc::clone(&panics);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() == Some("of this test") {
            heard.fetch_add(1, Ordering::SeqCst);
        } else {
            before(info);
        }
    }));
    let signals = handled_signals();
    let scene = scene();
    for durable in [false, true] {
        let engine = start(&scene, durable).blocking();
        let mut ticket = engine.submit(score(&scene.vault.ids)).unwrap();
        assert!(ticket.wait().unwrap().is_complete());
        all_live(&engine.status().unwrap());
        engine.shutdown(DRAIN);
        let panicked = std::thread::spawn(|| panic!("of this test")).join();
        assert!(panicked.is_err());
    }
    assert_eq!(panics.load(Ordering::SeqCst), 2, "the hook is another's");
    assert_eq!(handled_signals(), signals);
    assert!(!tracing::dispatcher::has_been_set());
}

#[test]
fn an_engine_without_a_database_says_so() {
    let error = Engine::builder().start().err().unwrap();
    assert!(matches!(error, EngineError::NoDatabase), "{error}");
    fn is_shared<T: Clone + Send + Sync + 'static>() {}
    const fn is_sent<T: Send + 'static>(future: T) -> T {
        future
    }
    is_shared::<EngineHandle>();
    let scene = scene();
    let engine = Engine::builder().database(&scene.vault.path);
    let engine = engine.start().unwrap();
    let held = engine.clone();
    let stopping = is_sent(async move {
        let mut ticket = held.submit(liveness(&[])).await.unwrap();
        let cancelled = ticket.cancel().await.unwrap();
        assert_eq!(
            (cancelled, ticket.wait().await.unwrap().found.len()),
            (0, 0)
        );
        held.status().await.unwrap();
        held.shutdown(DRAIN).await;
    });
    runtime().block_on(soon(stopping));
    engine.blocking().shutdown(DRAIN);
}

#[test]
fn a_setting_made_by_hand_that_cannot_be_used_is_named() {
    let mut scene = scene();
    let engine = start(&scene, false);
    scene.config.queues.scoring.hard_limit = Duration::MAX;
    let named = |error: EngineError| {
        assert!(matches!(error, EngineError::Config(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains("`queues.scoring.hard_limit` = "), "{text}");
    };
    named(scene.builder(true).start().err().unwrap());
    let reloaded = runtime().block_on(engine.reload(scene.config.clone()));
    named(reloaded.unwrap_err());
    engine.blocking().shutdown(DRAIN);
}
