//! What an engine counts and times: exact after known work, its own alone, and in a form that
//! Prometheus reads; and the dashboard and the alert rules ask for nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "metrics/exposition.rs"]
mod exposition;
#[path = "metrics/queries.rs"]
mod queries;
mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use exposition::Exposition;
use queries::check;
use support::engine::{EngineScene, SOON, alive, enqueue, liveness, score, shut_down, stop};
use support::site::oembed;
use support::vault::Journal;
use vvv_actors::SubmitOptions;
use vvv_actors::actors::faults::{Fault, Faults, Step};
use vvv_actors::actors::supervisor::SeatStatus;
use vvv_actors::engine::{
    BlockingEngine, Findings, JobId, JobState, Queue, ScoreFound, ThumbnailsJob,
};
use vvv_actors::prometheus_client::encoding::text::encode;
use vvv_actors::prometheus_client::registry::Registry;
use vvv_actors::web::{Access, Options, Web, hash_of, new_token};

/// A vault of 120 videos; a score has one attempt and a picture two.
fn scene(journal: Journal) -> EngineScene {
    let mut scene = EngineScene::new(journal).impatient();
    scene.config.queues.scoring.max_retries = 0;
    scene.config.queues.thumbnails.max_retries = 1;
    scene
}

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

/// As a host sees the engine in a registry of its own.
fn seen(engine: &BlockingEngine) -> Exposition {
    let mut registry = Registry::default();
    engine.handle().register_metrics(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    Exposition::read(&text)
}

/// As Prometheus sees it: status, format and text.
fn scraped(
    engine: &BlockingEngine,
    options: Options,
    token: Option<&str>,
) -> (u16, String, String) {
    actix_rt::System::new().block_on(async {
        let web = Web::new(engine.handle(), options).unwrap();
        let app = init_service(actix_web::App::new().service(web.scope(""))).await;
        let mut request = TestRequest::get()
            .uri("/metrics")
            .peer_addr("127.0.0.1:4711".parse().unwrap())
            .insert_header((HOST, "localhost"));
        if let Some(token) = token {
            request = request.insert_header((AUTHORIZATION, format!("Bearer {token}")));
        }
        let response = call_service(&app, request.to_request()).await;
        let status = response.status().as_u16();
        let format = response
            .headers()
            .get(CONTENT_TYPE)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        (status, format, body)
    })
}

fn scrape(engine: &BlockingEngine) -> String {
    let (status, format, text) = scraped(engine, Options::default().open_on_loopback(), None);
    assert_eq!(status, 200, "{text}");
    let open_metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(format, open_metrics);
    text
}

/// Waits for values that follow a commit in a moment.
fn wait_for(engine: &BlockingEngine, wanted: &[(&str, f64)]) -> Exposition {
    let deadline = Instant::now() + SOON;
    loop {
        let seen = seen(engine);
        let wrong = wanted
            .iter()
            .find(|(name, value)| seen.value(name) != *value);
        let Some((name, value)) = wrong else {
            return seen;
        };
        let is = seen.value(name);
        assert!(Instant::now() < deadline, "{name} is {is}, not {value}");
        std::thread::yield_now();
    }
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
    assert_eq!(cancelled, id);
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

/// Every query in a dashboard, each with what names its results.
fn queries_of(dashboard: &serde_json::Value) -> Vec<String> {
    let text = |key: &str| dashboard.get(key).and_then(serde_json::Value::as_str);
    let query = text("expr").or(text("definition"));
    let named = query.map(|query| format!("{query} {}", text("legendFormat").unwrap_or_default()));
    let below = match dashboard {
        serde_json::Value::Array(values) => values.iter().flat_map(queries_of).collect(),
        serde_json::Value::Object(values) => values.values().flat_map(queries_of).collect(),
        _ => Vec::new(),
    };
    named.into_iter().chain(below).collect()
}

#[test]
fn the_docs_list_every_metric() {
    let scene = scene(Journal::Wal);
    let engine = scene.start();
    let names = seen(&engine).names();
    stop(&engine);
    let part = |name: &str| {
        let parts = ["_bucket", "_sum", "_count"];
        let whole = parts.iter().find_map(|part| name.strip_suffix(part));
        whole.unwrap_or(name).to_owned()
    };
    let shown: BTreeSet<String> = names.iter().map(|name| part(name)).collect();
    let docs = include_str!("../src/engine/metrics/register.rs");
    let listed = docs
        .lines()
        .filter_map(|line| line.trim().strip_prefix("/// | `"));
    let listed: BTreeSet<String> = listed
        .map(|row| row.split(['`', '{']).next().unwrap().to_owned())
        .collect();
    assert_eq!(listed, shown);
}

#[test]
fn an_engine_with_a_temporary_queue_counts_and_claims_nothing_it_does_not_know() {
    let scene = scene(Journal::Wal);
    let engine = scene.builder(false).start().unwrap().blocking();
    let late = SubmitOptions {
        delay: Duration::from_secs(3600),
        ..SubmitOptions::default()
    };
    let all = || score(&scene.vault.ids);
    let ticket = engine.submit_with(all(), late).unwrap();
    assert_eq!(ticket.cancel().unwrap(), ticket.jobs());
    let report = engine.submit(all()).unwrap().wait().unwrap();
    assert!(report.is_complete());
    let cancelled = r#"vvv_job_outcomes_total{kind="score",outcome="cancelled"}"#;
    let waited = r#"vvv_job_wait_seconds_count{kind="score"}"#;
    let seen = wait_for(&engine, &[(cancelled, 3.0), (waited, 3.0)]);
    assert!(seen.value(r#"vvv_job_wait_seconds_sum{kind="score"}"#) < 20.0);
    for absent in ["vvv_alarm", "vvv_queue_jobs"] {
        assert!(!seen.names().contains(absent), "{absent}");
    }
    stop(&engine);
}

#[test]
fn a_pool_that_rests_has_no_workers_and_a_seat_is_told_of_everybody() {
    let mut scene = scene(Journal::Wal);
    scene.config.engine.max_restarts = 1;
    let dies = |step| (step == Step::PoolDispatches).then_some(Fault::Panic);
    let engine = scene.start_with(Faults::new(dies));
    let workers = r#"vvv_workers{queue="scoring"}"#;
    wait_for(&engine, &[(workers, 4.0)]);
    enqueue(&engine, score(&scene.vault.ids));
    let died = r#"vvv_restarts_total{who="scoring_pool"}"#;
    wait_for(&engine, &[(died, 2.0), (workers, 0.0)]);
    let status = engine.status().unwrap();
    let spent = |seat: &&SeatStatus| seat.is_spent;
    let spent: Vec<&SeatStatus> = status.seats.iter().filter(spent).collect();
    assert_eq!(spent.len(), 1, "{status:?}");
    assert_eq!(spent[0].actor, "scoring pool");
    let names = status.seats.iter().map(|seat| &*seat.actor);
    assert!(names.clone().any(|name| name == "scheduler"));
    assert!(names.clone().any(|name| name == "alarm keeper"));
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

#[test]
fn two_engines_of_one_process_do_not_mix() {
    let (one, other) = (scene(Journal::Wal), scene(Journal::Wal));
    let (worked, idle) = (one.start(), other.start());
    one.work_off(&worked, score(&one.vault.ids));
    let scored = r#"vvv_items_total{kind="score",verdict="scored"}"#;
    wait_for(&worked, &[(scored, 118.0)]);
    assert_eq!(seen(&idle).value(scored), 0.0);
    // A host has both in a registry of its own, each under a name.
    let mut registry = Registry::with_prefix("host");
    worked
        .handle()
        .register_metrics(registry.sub_registry_with_prefix("one"));
    idle.handle()
        .register_metrics(registry.sub_registry_with_prefix("other"));
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let host = Exposition::read(&text);
    assert_eq!(host.value(&format!("host_one_{scored}")), 118.0);
    assert_eq!(host.value(&format!("host_other_{scored}")), 0.0);
    stop(&worked);
    stop(&idle);
}

#[test]
fn what_cannot_be_read_is_left_out_and_counted() {
    let scene = scene(Journal::Delete);
    let engine = scene.start();
    let queues = "vvv_scrape_errors_total{part=\"queues\"}";
    let before = Exposition::read(&scrape(&engine));
    assert_eq!(before.value(queues), 0.0);
    assert!(before.names().contains("vvv_queue_jobs"));
    let site = scene.vault.connect();
    site.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let locked = Exposition::read(&scrape(&engine));
    assert_eq!(locked.value(queues), 1.0);
    assert!(!locked.names().contains("vvv_queue_jobs"));
    let files = r#"vvv_database_file_bytes{file="database"}"#;
    assert!(locked.value(files) > 4096.0);
    assert!(locked.value("process_resident_memory_bytes") > 1e6);
    site.execute_batch("COMMIT").unwrap();
    let after = Exposition::read(&scrape(&engine));
    assert!(after.names().contains("vvv_queue_jobs"));
    assert_eq!(after.value(queues), 1.0);
    stop(&engine);
    assert_eq!(scene.vault.integrity(), "ok");
}

#[test]
fn a_new_limit_is_the_one_that_is_shown() {
    let scene = scene(Journal::Wal);
    let engine = scene.start();
    let limit = r#"vvv_rate_window_limit{upstream="oembed"}"#;
    assert_eq!(seen(&engine).value(limit), 1000.0);
    let mut config = scene.config.clone();
    config.rate_limits.oembed.calls = 7;
    engine.reload(config).unwrap();
    assert_eq!(seen(&engine).value(limit), 7.0);
    stop(&engine);
}

#[test]
fn a_scrape_needs_a_token_where_there_are_any() {
    let scene = scene(Journal::Wal);
    let engine = scene.start();
    let token = new_token().unwrap();
    let options = Options::default()
        .token(&hash_of(&token), Access::Read)
        .unwrap();
    assert_eq!(scraped(&engine, options.clone(), None).0, 401);
    assert_eq!(scraped(&engine, options, Some(&token)).0, 200);
    stop(&engine);
}

#[test]
fn prometheus_reads_every_line() {
    let scene = scene(Journal::Wal);
    let engine = scene.start();
    scene.work_off(&engine, score(&scene.vault.ids));
    let text = scrape(&engine);
    stop(&engine);
    let read = Exposition::read(&text);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        read.value(&format!("vvv_build_info{{version=\"{version}\"}}")),
        1.0
    );
    let names = [
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_threads",
        "process_virtual_memory_bytes",
    ];
    assert!(names.iter().all(|name| read.names().contains(*name)));
    python(
        "from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
         import sys\nfound = list(read(sys.stdin.read()))\nassert len(found) == 41, len(found)",
        "prometheus_client",
        &text,
    );
}

/// Runs a script of Python's that needs a module; skips aloud without it.
#[track_caller]
fn python(script: &str, module: &str, input: &str) {
    let import = format!("import {module}");
    let is_there = Command::new("python3").args(["-c", &import]).output();
    if !is_there.is_ok_and(|import| import.status.success()) {
        return support::skip(&format!("no python3 with {module}"));
    }
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn the_dashboard_and_the_alerts_ask_only_for_what_is_shown() {
    let scene = scene(Journal::Wal);
    let engine = scene.start();
    let shown = Exposition::read(&scrape(&engine)).labels();
    stop(&engine);
    let read = |file: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("conf")
            .join(file);
        std::fs::read_to_string(path).unwrap()
    };
    let dashboard = read("grafana-dashboard.json");
    let parsed: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert_eq!(parsed["templating"]["list"][0]["type"], "datasource");
    let alerts = read("alert-rules.yml");
    let rules = alerts.split("- alert:").skip(1).map(str::to_owned);
    let asked: [(&str, Vec<String>); 2] = [
        ("dashboard", queries_of(&parsed)),
        ("alerts", rules.collect()),
    ];
    for (file, asked) in asked {
        let mut metrics = BTreeSet::new();
        for query in asked {
            let checked = check(&query, &shown);
            assert!(checked.wrong.is_empty(), "{file}: {checked:?} in {query}");
            metrics.extend(checked.metrics);
        }
        assert!(metrics.len() > 10, "{file}: {metrics:?}");
    }
    python(
        "import sys, yaml\n\
         rules = [rule for group in yaml.safe_load(sys.stdin)['groups'] for rule in group['rules']]\n\
         assert len(rules) > 8, len(rules)\n\
         for rule in rules:\n\
         \x20   assert rule['expr'] and rule['labels']['severity'], rule\n\
         \x20   assert rule['annotations']['summary'] and rule['annotations']['action'], rule",
        "yaml",
        &alerts,
    );
}
