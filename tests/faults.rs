//! Each actor made to panic, its arbiter ended, the database locked, the server resetting: the
//! work completes or says exactly what failed, and nothing is left running.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use support::engine::{EngineScene, SOON, enqueue, liveness, score, shut_down, stop};
use support::site::{Endpoint, Gate, Reply, oembed};
use support::vault::Journal;
use vvv_actors::actors::faults::{Fault, Faults, Step};
use vvv_actors::engine::{EngineHandle, Job, JobState, TicketEvent};
use vvv_actors::face::batch_file::Plan;
use vvv_actors::face::exit::Code;
use vvv_actors::face::progress::Progress;
use vvv_actors::face::run::{Choices, run};
use vvv_actors::face::signals::Signals;

/// One engine at a time, since what is left running is counted by thread names.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    let logs = tracing_subscriber::EnvFilter::from_env("VVV_TEST_LOG");
    let _ = tracing_subscriber::fmt()
        .with_env_filter(logs)
        .with_test_writer()
        .try_init();
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a run found, by kind.
#[derive(Debug, Default)]
struct Found {
    scored: HashMap<String, String>,
    thumbnails: HashMap<String, &'static str>,
    liveness: HashMap<String, &'static str>,
    failed: Vec<String>,
}

const VIDEOS: usize = 120;
const PICTURES: usize = 40;
const ASKED: usize = 12;

/// A vault whose work is many small jobs, and what failed is tried again at once.
fn scene(journal: Journal) -> EngineScene {
    let mut scene = EngineScene::new(journal).impatient();
    let queues = &mut scene.config.queues;
    for queue in [
        &mut queues.scoring,
        &mut queues.thumbnails,
        &mut queues.cleanup,
    ] {
        queue.chunk = 10;
    }
    scene
}

fn asked() -> Vec<String> {
    (0..ASKED)
        .map(|n| oembed::id(if n % 3 == 0 { "dead_" } else { "alive" }, n))
        .collect()
}

/// Runs everything with these faults; the engine has stopped when it returns.
fn run_with(scene: &EngineScene, faults: Faults) -> Found {
    let engine = scene.builder(false).faults(faults).start().unwrap();
    let found = runtime().block_on(gather(&engine, jobs(scene)));
    shut_down(&engine.blocking());
    nothing_runs();
    found
}

fn jobs(scene: &EngineScene) -> Vec<Job> {
    vec![
        Job::Score(score(&scene.vault.ids)),
        Job::Thumbnails(scene.pictures(PICTURES)),
        Job::Liveness(liveness(&asked())),
    ]
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn gather(engine: &EngineHandle, jobs: Vec<Job>) -> Found {
    let mut found = Found::default();
    let mut tickets = Vec::new();
    for job in jobs {
        tickets.push(engine.start_job(job).await.unwrap());
    }
    for mut ticket in tickets {
        while let Some(event) = tokio::time::timeout(SOON, ticket.next())
            .await
            .expect("the run hangs")
        {
            match event {
                TicketEvent::Scored(scores) => {
                    for (id, score) in scores.iter() {
                        found
                            .scored
                            .insert(id.clone(), serde_json::to_string(score).unwrap());
                    }
                }
                TicketEvent::Thumbnail { item, verdict, .. } => {
                    found
                        .thumbnails
                        .insert(item.video_id, verdict.status.name());
                }
                TicketEvent::Liveness {
                    video_id,
                    judgement,
                    ..
                } => {
                    found.liveness.insert(video_id, judgement.verdict.name());
                }
                TicketEvent::Failed(failure) => found.failed.push(failure.error),
                TicketEvent::End => {}
            }
        }
        assert!(
            ticket.has_ended() || engine.is_lost(),
            "a ticket ended without its jobs"
        );
    }
    found
}

/// Waits until no thread of an engine is left in this process.
fn nothing_runs() {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left: Vec<String> = std::fs::read_dir("/proc/self/task")
            .unwrap()
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
            .filter(|name| name.starts_with("vvv-") || name.starts_with("actix-rt"))
            .collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "threads are left: {left:?}");
        std::thread::yield_now();
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Strikes `times` times at this step, after it was passed `after` times.
fn strikes(step: Step, fault: Fault, after: usize, times: usize) -> (Faults, Arc<AtomicUsize>) {
    let passed = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&passed);
    let faults = Faults::new(move |at| {
        if at != step {
            return None;
        }
        let nth = seen.fetch_add(1, Ordering::SeqCst);
        (after..after + times).contains(&nth).then_some(fault)
    });
    (faults, passed)
}

fn assert_complete(found: &Found, what: &str) {
    assert!(found.failed.is_empty(), "{what}: {:?}", found.failed);
    assert_eq!(found.scored.len(), VIDEOS, "{what}");
    assert_eq!(found.thumbnails.len(), PICTURES, "{what}");
    assert_eq!(found.liveness.len(), ASKED, "{what}");
    for n in 0..ASKED {
        let fate = if n % 3 == 0 { "dead" } else { "alive" };
        let id = oembed::id(if n % 3 == 0 { "dead_" } else { "alive" }, n);
        assert_eq!(found.liveness[&id], fate, "{what}: {id}");
    }
}

#[test]
fn a_run_without_faults_completes_and_leaves_nothing_running() {
    let _alone = alone();
    for journal in Journal::ALL {
        let scene = scene(journal);
        let before = descriptors();
        let found = run_with(&scene, Faults::default());
        assert_complete(&found, journal.name());
        assert!(
            found.thumbnails.values().all(|status| *status == "valid"),
            "{found:?}"
        );
        assert!(scene.site.wait_until_alone(Duration::from_secs(10)));
        assert_eq!(descriptors(), before, "descriptors are left open");
        assert_eq!(scene.vault.integrity(), "ok");
    }
}

#[test]
fn a_worker_that_dies_is_replaced_and_its_job_done_again() {
    let _alone = alone();
    for step in [
        Step::ScoringReceives,
        Step::ThumbnailReceives,
        Step::LivenessReceives,
    ] {
        for fault in [Fault::Panic, Fault::EndArbiter] {
            let what = format!("{fault:?} at {step:?}");
            let scene = scene(Journal::Wal);
            let (faults, passed) = strikes(step, fault, 0, 2);
            assert_complete(&run_with(&scene, faults), &what);
            assert!(passed.load(Ordering::SeqCst) > 2, "{what}: never struck");
        }
    }
}

#[test]
fn a_panic_in_the_work_fails_the_attempt_or_the_picture_alone() {
    let _alone = alone();
    for step in [Step::ScoringWorks, Step::LivenessWorks] {
        let scene = scene(Journal::Wal);
        let (faults, passed) = strikes(step, Fault::Panic, 0, 1);
        assert_complete(&run_with(&scene, faults), &format!("{step:?}"));
        assert!(passed.load(Ordering::SeqCst) > 1, "{step:?}: never struck");
    }
    let scene = scene(Journal::Wal);
    let (faults, _) = strikes(Step::ThumbnailWorks, Fault::Panic, 3, 1);
    let found = run_with(&scene, faults);
    assert_complete(&found, "a panic in a decoder");
    let errors = found
        .thumbnails
        .values()
        .filter(|status| **status == "error")
        .count();
    assert_eq!(errors, 1, "{found:?}");
}

#[test]
fn a_job_that_always_fails_is_named_and_the_rest_is_done() {
    let _alone = alone();
    let scene = scene(Journal::Wal);
    let (faults, _) = strikes(Step::ScoringWorks, Fault::Panic, 0, usize::MAX / 2);
    let found = run_with(&scene, faults);
    assert_eq!(found.scored.len(), 0);
    assert_eq!(found.failed.len(), VIDEOS / 10);
    assert!(
        found.failed[0].contains("injected at ScoringWorks"),
        "{:?}",
        found.failed
    );
    assert_eq!(
        (found.thumbnails.len(), found.liveness.len()),
        (PICTURES, ASKED)
    );
}

#[test]
fn workers_that_always_die_degrade_their_queue_and_nothing_hot_loops() {
    let _alone = alone();
    let scene = scene(Journal::Wal);
    let (faults, passed) = strikes(Step::ScoringReceives, Fault::Panic, 0, usize::MAX / 2);
    let found = run_with(&scene, faults);
    assert_eq!(found.failed.len(), VIDEOS / 10, "{:?}", found.failed);
    assert!(
        found.failed.iter().any(|error| error.contains("degraded")),
        "{:?}",
        found.failed
    );
    assert!(passed.load(Ordering::SeqCst) < 20, "{passed:?} deaths");
    assert_eq!(
        (found.thumbnails.len(), found.liveness.len()),
        (PICTURES, ASKED)
    );
}

#[test]
fn the_database_actor_the_limiter_and_the_pools_are_replaced() {
    let _alone = alone();
    for (step, fault) in [
        (Step::DbWrites, Fault::Panic),
        (Step::DbWrites, Fault::EndArbiter),
        (Step::LimiterAcquires, Fault::Panic),
        (Step::PoolDispatches, Fault::Panic),
    ] {
        // The eighth comes while outcomes of the first are on their way to the database.
        for after in [0, 3, 8] {
            let what = format!("{fault:?} at {step:?} after {after}");
            let scene = scene(Journal::Wal);
            let (faults, passed) = strikes(step, fault, after, 1);
            assert_complete(&run_with(&scene, faults), &what);
            assert!(
                passed.load(Ordering::SeqCst) > after + 1,
                "{what}: never struck"
            );
            assert_eq!(scene.vault.integrity(), "ok", "{what}");
        }
    }
}

#[test]
fn without_its_supervisor_the_engine_says_it_is_lost() {
    let _alone = alone();
    let scene = scene(Journal::Wal);
    let (faults, _) = strikes(Step::SupervisorTicks, Fault::Panic, 0, 1);
    let engine = scene.builder(false).faults(faults).start().unwrap();
    runtime().block_on(async {
        let deadline = Instant::now() + Duration::from_secs(20);
        while engine.status().await.is_ok() {
            assert!(Instant::now() < deadline, "the supervisor does not die");
            tokio::task::yield_now().await;
        }
        let refused = engine.submit(score(&["a".into()])).await;
        assert!(refused.unwrap_err().to_string().contains("engine lost"));
        engine.shutdown(Duration::ZERO).await;
    });
    assert!(engine.is_lost());
    nothing_runs();
}

/// Panics in the supervisor's next round once a thumbnail is worked on.
fn supervisor_dies_at_work() -> Faults {
    let at_work = AtomicBool::new(false);
    Faults::new(move |step| {
        if step == Step::ThumbnailReceives {
            at_work.store(true, Ordering::SeqCst);
        }
        let strikes = step == Step::SupervisorTicks && at_work.load(Ordering::SeqCst);
        strikes.then_some(Fault::Panic)
    })
}

#[test]
fn a_run_that_loses_its_engine_reports_what_it_has_and_fails() {
    let _alone = alone();
    let choices = Choices {
        began: Instant::now(),
        deadline: None,
        drain: Duration::from_secs(5),
        fail_on: Vec::new(),
        dry_run: false,
        database: String::new(),
        unknown_is_broken: false,
    };
    // More than once, for the news may end before or after the engine knows why.
    for _ in 0..10 {
        let scene = scene(Journal::Wal);
        let gate = Gate::closed();
        let picture = scene.picture(&scene.vault.ids[0], "hqdefault.jpg");
        let held = Reply::status(404).behind(&gate);
        scene.site.thumbnail(&picture.video_id, held);
        let engine = scene
            .builder(false)
            .faults(supervisor_dies_at_work())
            .start()
            .unwrap();
        let plan = Plan {
            thumbnails: Some(vec![picture.clone()]),
            ..Plan::default()
        };
        let mut progress = Progress::Quiet;
        let ended = run(&engine, plan, &choices, Signals::none(), &mut progress);
        let (report, code) = runtime().block_on(ended).unwrap();
        assert_eq!(code, Code::Failed);
        assert_eq!(report.summary.ended_by.as_deref(), Some("engine lost"));
        assert_eq!(report.summary.not_done.thumbnails, [picture.video_id]);
        gate.open();
        nothing_runs();
    }
}

#[test]
fn a_database_locked_by_another_delays_and_fails_nothing() {
    let _alone = alone();
    for journal in Journal::ALL {
        let scene = scene(journal);
        let engine = scene.builder(false).start().unwrap();
        let other = scene.vault.connect();
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let holder = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(3));
            other.execute_batch("COMMIT").unwrap();
        });
        let began = Instant::now();
        let found = runtime().block_on(gather(&engine, jobs(&scene)));
        assert!(
            began.elapsed() >= Duration::from_secs(2),
            "the lock was not waited for"
        );
        assert_complete(&found, journal.name());
        holder.join().unwrap();
        stop(&engine.blocking());
        nothing_runs();
    }
}

#[test]
fn a_server_that_resets_leaves_no_verdict_but_unknown() {
    let _alone = alone();
    let scene = scene(Journal::Wal);
    scene.site.outage(Endpoint::Thumbnail, Reply::reset());
    scene.site.outage(Endpoint::Oembed, Reply::reset());
    let found = run_with(&scene, Faults::default());
    assert_eq!(found.scored.len(), VIDEOS);
    assert!(
        found.thumbnails.values().all(|status| *status == "unknown"),
        "{found:?}"
    );
    assert!(
        found.liveness.values().all(|verdict| *verdict == "unknown"),
        "{found:?}"
    );
    assert_eq!(found.thumbnails.len(), PICTURES);
    // Four tries each, a stale connection's second chance aside.
    let asked = scene.site.count(Endpoint::Oembed, &asked()[0]);
    assert!((4..=8).contains(&asked), "{asked}");
}

#[test]
#[cfg(target_os = "linux")]
fn whoever_takes_the_writers_place_does_not_step_back_either() {
    let _alone = alone();
    let mut scene = scene(Journal::Wal);
    scene.config.engine.nice = 15;
    let (faults, passed) = strikes(Step::DbWrites, Fault::EndArbiter, 3, 1);
    let engine = scene.builder(false).faults(faults).start().unwrap();
    let found = runtime().block_on(gather(&engine, jobs(&scene)));
    assert_complete(&found, "the writer's thread ended");
    assert!(passed.load(Ordering::SeqCst) > 4, "never struck");
    // The name is the second field of a thread's line, how nice it is the 19th.
    let nice_of = |line: String| {
        let (name, rest) = line.split_once('(')?.1.rsplit_once(')')?;
        let nice: i32 = rest.split_whitespace().nth(16)?.parse().ok()?;
        name.starts_with("actix-rt").then_some(nice)
    };
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let lines = tasks.filter_map(|task| {
        let line = task.unwrap().path().join("stat");
        std::fs::read_to_string(line).ok()
    });
    let unmoved = lines.filter_map(nice_of).filter(|nice| *nice != 15);
    // The writer's, and the one it was started from.
    assert_eq!(unmoved.count(), 2);
    shut_down(&engine.blocking());
    nothing_runs();
}

#[test]
fn a_call_whose_permit_has_lapsed_is_not_sent() {
    let _alone = alone();
    let mut scene = scene(Journal::Wal);
    scene.config.liveness.timeout = Duration::from_millis(200);
    scene.config.queues.cleanup.max_retries = 0;
    // As a laptop's lid would: the call goes on when its permit, of 2.2 s, has lapsed.
    let faults = Faults::new(|at| {
        if at == Step::LivenessWorks {
            std::thread::sleep(Duration::from_millis(2_500));
        }
        None
    });
    let engine = scene.builder(false).faults(faults).start().unwrap();
    let id = oembed::id("alive", 1);
    let job = Job::Liveness(liveness(std::slice::from_ref(&id)));
    let found = runtime().block_on(gather(&engine, vec![job]));
    shut_down(&engine.blocking());
    assert_eq!(scene.site.total(Endpoint::Oembed), 0, "it was sent late");
    assert_eq!(found.liveness[&id], "unknown", "{found:?}");
}

#[test]
fn claims_of_a_dead_pool_that_go_back_late_take_none_from_its_successor() {
    let _alone = alone();
    let mut scene = scene(Journal::Wal);
    scene.config.queues.thumbnails.workers = 2;
    scene.config.queues.thumbnails.chunk = 4;
    let pictures = scene.pictures(PICTURES);
    // Longer than a write that failed waits until it is tried again.
    for picture in &pictures.videos {
        let late = Reply::status(404).late(Duration::from_secs(4));
        scene.site.thumbnail(&picture.video_id, late);
    }
    let engine = scene.start_with(strikes(Step::PoolDispatches, Fault::Panic, 0, 1).0);
    let site = scene.vault.connect();
    site.execute_batch(
        "CREATE TRIGGER not_now BEFORE UPDATE ON vvv_jobs \
         WHEN OLD.state = 'running' AND NEW.state = 'available' \
         BEGIN SELECT RAISE(ABORT, 'not now'); END",
    )
    .unwrap();
    let jobs = enqueue(&engine, pictures);
    // A successor that begins before they went back would be seen here.
    let early = Duration::from_secs(3);
    let _ = scene.site.wait_until(early, |calls| !calls.is_empty());
    site.execute_batch("DROP TRIGGER not_now").unwrap();
    for job in jobs {
        scene.wait_for(job, JobState::Succeeded);
    }
    shut_down(&engine);
    nothing_runs();
    let counts = scene.site.counts(Endpoint::Thumbnail);
    assert_eq!(counts.len(), PICTURES);
    let twice: Vec<_> = counts.iter().filter(|(_, calls)| **calls > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
