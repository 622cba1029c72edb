//! The engine inside a host: from any runtime and from none, on either queue, two at once; waited
//! for, cancelled, stopped midway; and nothing of the process changed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use support::site::{Call, Endpoint, Gate, Site, oembed};
use support::talk::until;
use support::vault::{Journal, Vault, VaultSpec};
use tempfile::TempDir;
use vvv_actors::actors::faults::{Fault, Faults, Step};
use vvv_actors::config::Config;
use vvv_actors::engine::{Grouping, Job, JobRequest, JobState, LockFile, PoolStatus, Queue};
use vvv_actors::{
    Engine, EngineBuilder, EngineError, EngineEvent, EngineHandle, JobId, Liveness, News, Score,
    Status, SubmitOptions, ThumbnailItem, Thumbnails,
};

const SOON: Duration = Duration::from_secs(20);
const DRAIN: Duration = Duration::from_secs(5);

struct Scene {
    _folder: TempDir,
    vault: Vault,
    site: Site,
    config: Config,
}

impl Scene {
    fn new() -> Self {
        Self::with(Journal::Wal, 120)
    }

    fn with(journal: Journal, videos: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::start();
        let spec = VaultSpec {
            journal,
            thumbnails: site.url(""),
            ..VaultSpec::new(videos)
        };
        let vault = spec.create(&folder.path().join("vault.db"));
        let mut config = Config::defaults().unwrap();
        config.fetch.allow = vec![site.authority()];
        config.liveness.endpoint = site.oembed_endpoint();
        config.rate_limits.oembed.calls = 1000;
        config.queues.scoring.retry_delay = Duration::from_millis(20);
        config.queues.cleanup.retry_delay = Duration::from_millis(20);
        Self {
            _folder: folder,
            vault,
            site,
            config,
        }
    }

    fn builder(&self, durable: bool) -> EngineBuilder {
        let builder = Engine::builder()
            .config(self.config.clone())
            .database(&self.vault.path);
        if durable { builder.durable() } else { builder }
    }

    fn start(&self, durable: bool) -> EngineHandle {
        self.builder(durable).start().unwrap()
    }

    fn scores(&self) -> Score {
        Score {
            video_ids: self.vault.ids.clone(),
        }
    }

    fn pictures(&self, count: usize) -> Thumbnails {
        let item = |id: &String| ThumbnailItem {
            video_id: id.clone(),
            thumbnail_url: self.site.thumbnail_url(id, "hqdefault.jpg"),
        };
        Thumbnails {
            videos: self.vault.ids.iter().take(count).map(item).collect(),
        }
    }

    /// Has the site answer for this video once the gate is open.
    fn hold(&self, id: &str) -> Gate {
        let gate = Gate::closed();
        self.site.oembed(id, oembed::alive(id).behind(&gate));
        gate
    }

    fn until_asked(&self, times: usize) {
        let asked = |calls: &[Call]| calls.len() >= times;
        assert!(self.site.wait_until(SOON, asked), "{:?}", self.site.calls());
    }
}

fn alive(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| oembed::id("alive", n)).collect()
}

fn liveness(video_ids: &[String]) -> Liveness {
    Liveness {
        video_ids: video_ids.to_vec(),
        fresh: false,
    }
}

/// Fails if an actor died.
fn all_live(status: &Status) {
    assert_eq!(status.restarts, 0, "{status:?}");
    for pool in &status.pools {
        assert!(pool.restarts == 0 && !pool.degraded, "{pool:?}");
    }
}

/// Stops an engine none of whose actors died.
async fn stop(engine: &EngineHandle) {
    all_live(&engine.status().await.unwrap());
    engine.shutdown(DRAIN).await;
    assert!(!engine.is_lost());
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
        let scene = Arc::new(Scene::with(journal, 120));
        let engine = scene.start(durable);
        let workers = (0..3).map(|worker| {
            let (engine, scene) = (engine.clone(), Arc::clone(&scene));
            tokio::spawn(async move {
                let mut ids = alive(worker * 5..worker * 5 + 4);
                ids.push(oembed::id("dead_", worker));
                let mut asked = engine.submit(liveness(&ids)).await.unwrap();
                let mut scored = engine.submit(scene.scores()).await.unwrap();
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
        let scene = Scene::new();
        let ids = alive(0..2);
        let gate = scene.hold(&ids[1]);
        let system = actix_rt::System::new();
        let (engine, mut ticket) = system.block_on(async {
            let engine = scene.start(durable);
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
        let mut scene = Scene::with(Journal::Wal, 200);
        scene.config.queues.scoring.chunk = 1;
        let engine = scene.start(durable).blocking();
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
            let ticket = engine.submit(scene.scores()).unwrap();
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
    let scene = Scene::new();
    let engine = scene.start(true).blocking();
    let events = engine.events();
    assert!(engine.pause(Queue::Cleanup, true).unwrap());
    let request = |id: &String| JobRequest {
        job: Job::Liveness(liveness(std::slice::from_ref(id))),
        priority: Job::DEFAULT_PRIORITY,
        delay_ms: 0,
        unique_key: None,
        unique_for: None,
        trace: None,
    };
    let requests = alive(0..3).iter().map(request).collect();
    let (queued, group) = engine.enqueue(requests, Grouping::None).unwrap();
    let ids: Vec<JobId> = queued
        .iter()
        .flat_map(|queued| queued.ids.clone())
        .collect();
    assert_eq!((ids.len(), group), (3, None));
    assert_eq!(engine.cancel(ids[..1].to_vec()).unwrap(), ids[..1]);
    assert_eq!(engine.purge(Queue::Cleanup).unwrap(), 2);
    assert_eq!(engine.retry(ids[..1].to_vec()).unwrap(), ids[..1]);
    assert!(engine.pause(Queue::Cleanup, false).unwrap());
    let is_done = |event: &EngineEvent| matches!(event, EngineEvent::Moved(moved) if moved.state == JobState::Succeeded);
    let heard: Vec<EngineEvent> = events.take_while(|event| !is_done(event)).collect();
    let cancelled = |event: &&EngineEvent| matches!(event, EngineEvent::Moved(moved) if moved.state == JobState::Cancelled);
    assert_eq!(heard.iter().filter(cancelled).count(), 3, "{heard:?}");
    assert!(engine.alarms().unwrap().is_empty());
    let mut config = scene.config.clone();
    config.database.path.clone_from(&scene.vault.path);
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
        let (one, other) = (Scene::new(), Scene::new());
        let (first, second) = (one.start(durable), other.start(durable));
        let ids = alive(0..4);
        let gate = one.hold(&ids[3]);
        let mut held = first.submit(liveness(&ids)).await.unwrap();
        one.until_asked(4);
        let mut free = second.submit(liveness(&ids)).await.unwrap();
        assert!(soon(free.wait()).await.unwrap().is_complete());
        let mut scored = second.submit(other.scores()).await.unwrap();
        assert!(soon(scored.wait()).await.unwrap().is_complete());
        stop(&second).await;
        let mut scored = first.submit(one.scores()).await.unwrap();
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
    let scene = Scene::with(Journal::Delete, 120);
    let (first, second) = (scene.start(false), scene.start(false));
    let ids = alive(0..8);
    let gate = scene.hold(&ids[3]);
    let mut held = first.submit(liveness(&ids[..4])).await.unwrap();
    scene.until_asked(4);
    let mut free = second.submit(liveness(&ids[4..])).await.unwrap();
    assert!(soon(free.wait()).await.unwrap().is_complete());
    let (mut one, mut other) = (
        first.submit(scene.scores()).await.unwrap(),
        second.submit(scene.scores()).await.unwrap(),
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
        let mut scene = Scene::new();
        scene.config.queues.cleanup.chunk = 1;
        scene.config.queues.thumbnails.chunk = 1;
        let engine = scene.start(durable);
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
        let scene = Scene::new();
        let ids = alive(0..2);
        let gate = scene.hold(&ids[1]);
        let engine = scene.start(durable);
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

/// Holds a thread of the engine that comes by, while it is closed.
#[derive(Clone, Default)]
struct Barrier(Arc<(Mutex<Held>, Condvar)>);

#[derive(Default)]
struct Held {
    closed: bool,
    inside: usize,
}

impl Barrier {
    fn close(&self) {
        self.0.0.lock().unwrap().closed = true;
    }

    fn open(&self) {
        self.0.0.lock().unwrap().closed = false;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let mut held = self.0.0.lock().unwrap();
        held.inside += 1;
        self.0.1.notify_all();
        let closed = |held: &mut Held| held.closed;
        let (mut held, _) = self.0.1.wait_timeout_while(held, SOON, closed).unwrap();
        held.inside -= 1;
    }

    fn until_somebody_is_held(&self) {
        let nobody = |held: &mut Held| held.inside == 0;
        let held = self.0.0.lock().unwrap();
        let waited = self.0.1.wait_timeout_while(held, SOON, nobody).unwrap();
        assert!(!waited.1.timed_out(), "nobody comes by");
    }

    /// Faults that strike nobody, but hold who comes to this step.
    fn at(&self, held: Step) -> Faults {
        let barrier = self.clone();
        Faults::new(move |step| {
            if step == held {
                barrier.pass();
            }
            None
        })
    }
}

/// Whether the pool takes the claim before the supervisor tells it of the cancel is a matter of who
/// was woken first: then there is nothing to be seen here, and it is tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_cancelled_as_it_is_claimed_is_not_begun() {
    for _ in 0..10 {
        let (states, calls) = cancel_as_it_is_claimed().await;
        assert_eq!(states.last(), Some(&JobState::Cancelled), "{states:?}");
        if states == [JobState::Scheduled, JobState::Cancelled] {
            assert_eq!(calls, 0);
            return;
        }
    }
    panic!("a cancel never overtook a claim");
}

/// The states that are told, and how often it was asked for.
async fn cancel_as_it_is_claimed() -> (Vec<JobState>, usize) {
    let mut scene = Scene::new();
    scene.config.schedule.prune.clear();
    let barrier = Barrier::default();
    let faults = barrier.at(Step::SupervisorTicks);
    let engine = scene.builder(true).faults(faults).start().unwrap();
    let events = engine.events();
    let later = SubmitOptions {
        delay: Duration::from_secs(2),
        ..SubmitOptions::default()
    };
    let ids = alive(0..1);
    let began = Instant::now();
    let ticket = engine
        .submit_with(liveness(&ids), later.clone())
        .await
        .unwrap();
    let job = ticket.ids()[0];
    // The pool knows when it is due.
    for _ in 0..2 {
        until_status(&engine, |status| status.writes_waiting == 0).await;
    }
    // Both wait for another's lock, the claim first; their answers come while nobody reads them.
    let site = scene.vault.connect();
    site.execute_batch("BEGIN IMMEDIATE").unwrap();
    let due = began + later.delay + Duration::from_millis(100);
    until_status(&engine, |_| Instant::now() > due).await;
    let waiting = engine.status().await.unwrap().writes_waiting;
    assert!(waiting > 0, "it is not claimed");
    let canceller = engine.clone();
    let cancel = tokio::spawn(async move { canceller.cancel(vec![job]).await });
    until_status(&engine, |status| status.writes_waiting > waiting).await;
    barrier.close();
    barrier.until_somebody_is_held();
    site.execute_batch("COMMIT").unwrap();
    let state = format!("SELECT state FROM vvv_jobs WHERE id = {job}");
    until("the job is cancelled", || {
        (scene.vault.ask(&state) == "cancelled").then_some(())
    });
    barrier.open();
    assert_eq!(soon(cancel).await.unwrap().unwrap(), [job]);
    until_idle(&engine).await;
    stop(&engine).await;
    let heard: Vec<EngineEvent> = soon(events.collect()).await;
    let states = heard.iter().filter_map(|event| match event {
        EngineEvent::Moved(moved) => Some(moved.state),
        EngineEvent::Missed(_) => None,
    });
    (states.collect(), scene.site.total(Endpoint::Oembed))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_writer_that_replaces_another_does_not_step_back_either() {
    let scene = Scene::new();
    let nice = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&nice);
    let faults = Faults::new(move |step| {
        if step != Step::DbWrites {
            return None;
        }
        let thread = rustix::thread::gettid();
        let mut noted = noted.lock().unwrap();
        noted.push(rustix::process::getpriority_process(Some(thread)).unwrap());
        (noted.len() == 3).then_some(Fault::Panic)
    });
    let engine = scene.builder(true).faults(faults).start().unwrap();
    // It dies of the first or of what its start has it write.
    let first = engine.submit(scene.scores()).await;
    until_status(&engine, |status| status.restarts > 0).await;
    drop(first);
    let mut ticket = soon(async {
        // What it had in its hands may or may not be done: it is handed in again.
        loop {
            if let Ok(ticket) = engine.submit(scene.scores()).await {
                break ticket;
            }
        }
    })
    .await;
    soon(ticket.wait()).await.unwrap();
    assert_eq!(engine.status().await.unwrap().restarts, 1);
    engine.shutdown(Duration::from_secs(5)).await;
    let ours = rustix::process::getpriority_process(None).unwrap();
    assert!(
        nice.lock().unwrap().iter().all(|nice| *nice == ours),
        "{nice:?}"
    );
}

/// Whether this process has a file open.
fn is_open(path: &Path) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let leads_there = |fd: std::fs::DirEntry| std::fs::read_link(fd.path()).ok();
    open.flatten()
        .filter_map(leads_there)
        .any(|file| file == path)
}

#[tokio::test]
async fn the_queue_is_held_until_the_last_thread_has_ended() {
    let scene = Scene::new();
    let barrier = Barrier::default();
    barrier.close();
    let faults = barrier.at(Step::ScoringWorks);
    let engine = scene.builder(true).faults(faults).start().unwrap();
    let events = engine.events();
    let _ticket = engine.submit(scene.scores()).await.unwrap();
    barrier.until_somebody_is_held();
    let stopping = engine.clone();
    let stopping = tokio::spawn(async move { stopping.shutdown(Duration::ZERO).await });
    // They end with the System's last actor, and then the writer's thread lets go of the file.
    soon(events.collect::<Vec<_>>()).await;
    let deadline = Instant::now() + SOON;
    while is_open(&scene.vault.path) {
        assert!(Instant::now() < deadline, "the file stays open");
        tokio::task::yield_now().await;
    }
    let taken = LockFile::take(&scene.vault.path).map(drop);
    assert!(matches!(taken, Err(EngineError::QueueTaken { .. })));
    barrier.open();
    soon(stopping).await.unwrap();
    LockFile::take(&scene.vault.path).unwrap();
}

#[tokio::test]
async fn cancelled_work_is_dropped_and_listed() {
    for durable in [false, true] {
        let mut scene = Scene::new();
        scene.config.queues.cleanup.workers = 1;
        scene.config.queues.cleanup.chunk = 2;
        let ids = alive(0..7);
        let _gate = scene.hold(&ids[1]);
        let engine = scene.start(durable);
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
        let scene = Scene::new();
        let engine = scene.start(durable);
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
        let mut scene = Scene::new();
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
    let scene = Scene::new();
    let engine = scene.start(true);
    let nightly = SubmitOptions {
        unique_key: Some("nightly".to_owned()),
        ..SubmitOptions::default()
    };
    let submit = || engine.submit_with(scene.scores(), nightly.clone());
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
    let engine = scene.start(false);
    let refused = engine.submit_with(scene.scores(), nightly.clone()).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("durable"), "{refused}");
    stop(&engine).await;
}

#[tokio::test]
async fn who_waits_for_a_stopped_engine_is_told_and_durable_work_stays() {
    for durable in [false, true] {
        let mut scene = Scene::new();
        scene.config.queues.cleanup.chunk = 1;
        scene.config.queues.cleanup.workers = 2;
        let ids = alive(0..6);
        let gate = scene.hold(&ids[1]);
        let engine = scene.start(durable);
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
            let engine = scene.start(true);
            scene.until_asked(ids.len() + 1);
            let deadline = Instant::now() + SOON;
            let left = "SELECT count(*) FROM vvv_jobs WHERE state <> 'succeeded'";
            while scene.vault.ask(left) != "0" {
                assert!(Instant::now() < deadline, "the jobs are not done");
                tokio::task::yield_now().await;
            }
            stop(&engine).await;
        }
    }
}

#[tokio::test]
async fn an_engine_that_nobody_holds_stops() {
    for durable in [false, true] {
        let scene = Scene::new();
        let ids = alive(0..2);
        let _gate = scene.hold(&ids[1]);
        let engine = scene.start(durable);
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
        let mut scene = Scene::with(Journal::Wal, 1200);
        scene.config.queues.scoring.chunk = 1;
        let engine = scene.start(durable);
        let mut ticket = engine.submit(scene.scores()).await.unwrap();
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
            assert_eq!(scene.vault.ask(&left), "0");
        }
        stop(&engine).await;
    }
}

#[test]
fn the_docs_name_the_rusqlite_in_use() {
    let manifest: toml::Table = include_str!("../Cargo.toml").parse().unwrap();
    let version = manifest["dependencies"]["rusqlite"]["version"].as_str();
    let version = version.unwrap();
    let docs = include_str!("../src/lib.rs");
    assert!(docs.contains(&format!("uses rusqlite {version} ")));
    assert!(docs.contains(&format!("`rusqlite = \"{version}\"`")));
}

#[tokio::test]
async fn who_waits_for_an_engine_that_dies_is_told() {
    for durable in [false, true] {
        let scene = Scene::new();
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
    let scene = Scene::new();
    let engine = scene.start(true);
    engine.pause(Queue::Scoring, true).await.unwrap();
    let mut ticket = engine.submit(scene.scores()).await.unwrap();
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
    let scene = Scene::new();
    let engine = scene.start(true);
    let events = engine.events();
    let mut ticket = engine.submit(scene.scores()).await.unwrap();
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
    let scene = Scene::new();
    for durable in [false, true] {
        let engine = scene.start(durable).blocking();
        let mut ticket = engine.submit(scene.scores()).unwrap();
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
    let scene = Scene::new();
    let engine = scene.start(false);
    let held = engine.clone();
    let stopping = is_sent(async move {
        let mut ticket = held
            .submit(Liveness {
                video_ids: vec![],
                fresh: false,
            })
            .await
            .unwrap();
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
    let mut scene = Scene::new();
    let engine = scene.start(false);
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
