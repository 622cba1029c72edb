//! What comes at an unlucky moment: a cancel in the middle of a claim, a death of the writer, a stop
//! while a thread is busy.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use vvv_actors::actors::faults::{Fault, Faults, Step};
use vvv_actors::engine::{JobState, LockFile};
use vvv_actors::{EngineError, EngineEvent, SubmitOptions};

use super::support::engine::{DRAIN, SOON, alive, liveness, score, stop_async as stop};
use super::support::site::Endpoint;
use super::support::talk::until;
use super::{scene, soon, until_idle, until_status};

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
    let mut scene = scene();
    scene.config.schedule.prune.clear();
    let barrier = Barrier::default();
    let faults = barrier.at(Step::SupervisorTicks);
    let engine = scene.start_with(faults).handle().clone();
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
    assert_eq!(soon(cancel).await.unwrap().unwrap().done, [job]);
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
    let scene = scene();
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
    let engine = scene.start_with(faults).handle().clone();
    // It dies of the first or of what its start has it write.
    let first = engine.submit(score(&scene.vault.ids)).await;
    until_status(&engine, |status| status.restarts > 0).await;
    drop(first);
    let mut ticket = soon(async {
        // What it had in its hands may or may not be done: it is handed in again.
        loop {
            if let Ok(ticket) = engine.submit(score(&scene.vault.ids)).await {
                break ticket;
            }
        }
    })
    .await;
    soon(ticket.wait()).await.unwrap();
    assert_eq!(engine.status().await.unwrap().restarts, 1);
    engine.shutdown(DRAIN).await;
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
    let scene = scene();
    let barrier = Barrier::default();
    barrier.close();
    let faults = barrier.at(Step::ScoringWorks);
    let engine = scene.start_with(faults).handle().clone();
    let events = engine.events();
    let _ticket = engine.submit(score(&scene.vault.ids)).await.unwrap();
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
