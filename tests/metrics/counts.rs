//! What is counted after known work, deaths included.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use vvv_actors::actors::faults::{Fault, Faults, Step};
use vvv_actors::engine::{
    BlockingEngine, Findings, JobId, JobState, Queue, ScoreFound, ThumbnailsJob,
};

use super::support::engine::{EngineScene, alive, enqueue, liveness, score, shut_down};
use super::support::site::oembed;
use super::support::vault::Journal;
use super::{scene, seen, wait_for};

/// How many items of these jobs have a score, and how many none, as the file has it.
fn scored(scene: &EngineScene, ids: &[JobId]) -> (usize, usize) {
    let results = ids.iter().map(|id| scene.job(*id).result.unwrap());
    let found: Vec<ScoreFound> = results
        .flat_map(|result| match Findings::from_json(&result) {
            Ok(Findings::Score(found)) => found,
            other => panic!("{other:?}"),
        })
        .collect();
    let scored = found.iter().filter(|found| found.reason.is_none()).count();
    (scored, found.len() - scored)
}

/// A fault that strikes once, when its step is armed.
struct Trap(Arc<AtomicU8>);

const SCORING: u8 = 1;
const THUMBNAILS: u8 = 2;
const LIVENESS: u8 = 3;

impl Trap {
    fn new() -> (Self, Faults) {
        let armed = Arc::new(AtomicU8::new(0));
        let trap = Self(Arc::clone(&armed));
        let faults = Faults::new(move |step| {
            let (which, fault) = match step {
                Step::ScoringWorks => (SCORING, Fault::Panic),
                Step::ThumbnailReceives => (THUMBNAILS, Fault::Panic),
                Step::LivenessWorks => (LIVENESS, Fault::Panic),
                _ => return None,
            };
            let strike = armed.compare_exchange(which, 0, Ordering::SeqCst, Ordering::SeqCst);
            strike.is_ok().then_some(fault)
        });
        (trap, faults)
    }

    fn arm(&self, which: u8) {
        self.0.store(which, Ordering::SeqCst);
    }
}

#[test]
fn every_count_is_exact_after_known_work() {
    for journal in Journal::ALL {
        let scene = scene(journal);
        let (trap, faults) = Trap::new();
        let engine = scene.start_with(faults);
        let mut ids = scene.vault.ids.clone();
        ids.push("of-no-video".to_owned());
        let scores = enqueue(&engine, score(&ids));
        assert_eq!(scores.len(), 3);
        let files = [
            "hqdefault.jpg",
            "default.jpg",
            "status-404.jpg",
            "truncated-60.jpg",
            "status-503.jpg",
        ];
        let videos = files.iter().zip(&scene.vault.ids);
        let videos = videos.map(|(file, id)| scene.picture(id, file)).collect();
        let pictures = enqueue(&engine, ThumbnailsJob { videos });
        let mut asked: Vec<String> = ["alive", "embed", "dead_", "r400_", "capt_"]
            .map(|fate| oembed::id(fate, 1))
            .into();
        asked.push("no id".to_owned());
        let asked = enqueue(&engine, liveness(&asked));
        for id in scores.iter().chain(&pictures).chain(&asked) {
            scene.wait_for(*id, JobState::Succeeded);
        }
        assert_eq!(scored(&scene, &scores), (118, 3));
        trap.arm(SCORING);
        let failed = enqueue(&engine, score(&ids[..1]));
        scene.wait_for(failed[0], JobState::Failed);
        cancel_one(&engine);
        let seen = wait_for(&engine, &AFTER_THAT_WORK);
        for (name, value) in AFTER_THAT_WORK {
            assert_eq!(seen.value(name), value, "{name} in {journal:?}");
        }
        assert!(seen.value(r#"vvv_fetched_bytes_total{lane="thumbnail"}"#) > 1000.0);
        assert!(seen.value("vvv_commit_operations_sum") >= 10.0);
        assert!(seen.value("vvv_commit_duration_seconds_count") >= 5.0);
        assert_eq!(
            seen.value(r#"vvv_workers{queue="scoring"}"#),
            scene.config.queues.scoring.workers as f64
        );
        shut_down(&engine);
        assert_eq!(scene.vault.integrity(), "ok");
    }
}

fn cancel_one(engine: &BlockingEngine) {
    engine.pause(Queue::Cleanup, true).unwrap();
    let id = enqueue(engine, liveness(&[oembed::id("alive", 9)]));
    assert_eq!(
        seen(engine).value(r#"vvv_queue_jobs{queue="cleanup",state="available"}"#),
        1.0
    );
    assert_eq!(
        seen(engine).value(r#"vvv_queue_paused{queue="cleanup"}"#),
        1.0
    );
    let cancelled = engine.cancel(id.clone()).unwrap();
    assert_eq!(cancelled.done, id);
    engine.pause(Queue::Cleanup, false).unwrap();
}

const AFTER_THAT_WORK: [(&str, f64); 47] = [
    (r#"vvv_jobs_claimed_total{queue="scoring"}"#, 4.0),
    (r#"vvv_jobs_claimed_total{queue="thumbnails"}"#, 2.0),
    (r#"vvv_jobs_claimed_total{queue="cleanup"}"#, 1.0),
    (r#"vvv_job_wait_seconds_count{kind="score"}"#, 4.0),
    (r#"vvv_job_wait_seconds_count{kind="thumbnails"}"#, 2.0),
    (r#"vvv_job_duration_seconds_count{kind="score"}"#, 4.0),
    (r#"vvv_job_duration_seconds_count{kind="thumbnails"}"#, 2.0),
    (r#"vvv_job_duration_seconds_count{kind="liveness"}"#, 1.0),
    (r#"vvv_job_attempts_sum{kind="score"}"#, 4.0),
    (r#"vvv_job_attempts_count{kind="thumbnails"}"#, 1.0),
    (r#"vvv_job_attempts_sum{kind="thumbnails"}"#, 2.0),
    (
        r#"vvv_job_outcomes_total{kind="score",outcome="succeeded"}"#,
        3.0,
    ),
    (
        r#"vvv_job_outcomes_total{kind="score",outcome="failed"}"#,
        1.0,
    ),
    (
        r#"vvv_job_outcomes_total{kind="score",outcome="retried"}"#,
        0.0,
    ),
    (
        r#"vvv_job_outcomes_total{kind="thumbnails",outcome="succeeded"}"#,
        1.0,
    ),
    (
        r#"vvv_job_outcomes_total{kind="thumbnails",outcome="retried"}"#,
        1.0,
    ),
    (
        r#"vvv_job_outcomes_total{kind="thumbnails",outcome="failed"}"#,
        0.0,
    ),
    (
        r#"vvv_job_outcomes_total{kind="liveness",outcome="succeeded"}"#,
        1.0,
    ),
    (
        r#"vvv_job_outcomes_total{kind="liveness",outcome="cancelled"}"#,
        1.0,
    ),
    (
        r#"vvv_job_outcomes_total{kind="liveness",outcome="released"}"#,
        0.0,
    ),
    (r#"vvv_items_total{kind="score",verdict="scored"}"#, 118.0),
    (r#"vvv_items_total{kind="score",verdict="unscored"}"#, 3.0),
    (r#"vvv_items_total{kind="thumbnails",verdict="valid"}"#, 1.0),
    (
        r#"vvv_items_total{kind="thumbnails",verdict="placeholder"}"#,
        1.0,
    ),
    (
        r#"vvv_items_total{kind="thumbnails",verdict="broken"}"#,
        1.0,
    ),
    (r#"vvv_items_total{kind="thumbnails",verdict="error"}"#, 1.0),
    (
        r#"vvv_items_total{kind="thumbnails",verdict="unknown"}"#,
        1.0,
    ),
    (r#"vvv_items_total{kind="liveness",verdict="alive"}"#, 2.0),
    (r#"vvv_items_total{kind="liveness",verdict="dead"}"#, 1.0),
    (r#"vvv_items_total{kind="liveness",verdict="invalid"}"#, 2.0),
    (r#"vvv_items_total{kind="liveness",verdict="unknown"}"#, 1.0),
    (r#"vvv_fetches_total{lane="thumbnail",outcome="2xx"}"#, 3.0),
    (r#"vvv_fetches_total{lane="thumbnail",outcome="4xx"}"#, 1.0),
    (r#"vvv_fetches_total{lane="thumbnail",outcome="5xx"}"#, 2.0),
    (r#"vvv_fetch_duration_seconds_count{lane="thumbnail"}"#, 6.0),
    (r#"vvv_fetches_total{lane="oembed",outcome="2xx"}"#, 2.0),
    (r#"vvv_fetches_total{lane="oembed",outcome="4xx"}"#, 3.0),
    (r#"vvv_fetches_total{lane="oembed",outcome="429"}"#, 0.0),
    ("vvv_permits_granted_total", 5.0),
    ("vvv_permit_wait_seconds_count", 5.0),
    ("vvv_permits_waiting", 0.0),
    ("vvv_upstream_parked_seconds_total", 0.0),
    (r#"vvv_rate_window_used{upstream="oembed"}"#, 5.0),
    (r#"vvv_rate_window_limit{upstream="oembed"}"#, 1000.0),
    (r#"vvv_queue_jobs{queue="scoring",state="available"}"#, 0.0),
    (r#"vvv_restarts_total{who="thumbnails_worker"}"#, 0.0),
    ("vvv_writes_waiting", 0.0),
];

#[test]
fn deaths_parks_and_alarms_are_counted_and_scraped() {
    let scene = scene(Journal::Wal);
    let (trap, faults) = Trap::new();
    let engine = scene.start_with(faults);
    trap.arm(THUMBNAILS);
    scene.work_off(&engine, scene.pictures(1));
    enqueue(&engine, liveness(&[oembed::id("s429_", 1)]));
    let seen = wait_for(
        &engine,
        &[
            (r#"vvv_restarts_total{who="thumbnails_worker"}"#, 1.0),
            (
                r#"vvv_job_outcomes_total{kind="thumbnails",outcome="retried"}"#,
                1.0,
            ),
            (
                r#"vvv_job_outcomes_total{kind="liveness",outcome="released"}"#,
                1.0,
            ),
            (r#"vvv_fetches_total{lane="oembed",outcome="429"}"#, 1.0),
            (r#"vvv_alarm{alarm="upstream_parked"}"#, 1.0),
            (r#"vvv_alarm{alarm="storage_full"}"#, 0.0),
        ],
    );
    let parked = seen.value("vvv_upstream_parked_seconds_total");
    let left = seen.value(r#"vvv_upstream_parked_for_seconds{upstream="oembed"}"#);
    assert!(parked >= left && left > 0.0, "{parked} {left}");
    shut_down(&engine);
}

#[test]
fn what_a_lost_attempt_reused_is_counted_once() {
    let scene = scene(Journal::Wal);
    let (trap, faults) = Trap::new();
    let engine = scene.start_with(faults);
    let ids = alive(1..3);
    scene.work_off(&engine, liveness(&ids[..1]));
    trap.arm(LIVENESS);
    scene.work_off(&engine, liveness(&ids));
    let outcome =
        |outcome| format!(r#"vvv_job_outcomes_total{{kind="liveness",outcome="{outcome}"}}"#);
    let (succeeded, retried) = (outcome("succeeded"), outcome("retried"));
    let seen = wait_for(&engine, &[(&succeeded, 2.0), (&retried, 1.0)]);
    let alive = r#"vvv_items_total{kind="liveness",verdict="alive"}"#;
    assert_eq!(seen.value(alive), 3.0);
    shut_down(&engine);
}
