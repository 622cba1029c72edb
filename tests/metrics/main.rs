//! What an engine counts and times: exact after known work, its own alone, and in a form that
//! Prometheus reads; and the dashboard and the alert rules ask for nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod counts;
mod exposition;
mod queries;
mod shipped;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use exposition::Exposition;
use support::engine::{EngineScene, SOON, enqueue, score, shut_down, stop};
use support::vault::Journal;
use vvv_actors::SubmitOptions;
use vvv_actors::actors::faults::{Fault, Faults, Step};
use vvv_actors::actors::supervisor::SeatStatus;
use vvv_actors::engine::BlockingEngine;
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
fn a_temporary_queue_tells_how_many_jobs_are_open() {
    let scene = scene(Journal::Wal);
    let engine = scene.builder(false).start().unwrap().blocking();
    let open = |queue: &str| format!("vvv_jobs_open{{queue=\"{queue}\"}}");
    let (scoring, cleanup) = (open("scoring"), open("cleanup"));
    wait_for(&engine, &[(&scoring, 0.0), (&cleanup, 0.0)]);
    let late = SubmitOptions {
        delay: Duration::from_secs(3600),
        ..SubmitOptions::default()
    };
    let all = || score(&scene.vault.ids);
    let ticket = engine.submit_with(all(), late).unwrap();
    let mut other = engine.submit(all()).unwrap();
    assert_eq!((ticket.jobs(), other.jobs()), (3, 3));
    assert!(other.wait().unwrap().is_complete());
    wait_for(&engine, &[(&scoring, 3.0), (&cleanup, 0.0)]);
    assert_eq!(ticket.cancel().unwrap(), 3);
    wait_for(&engine, &[(&scoring, 0.0)]);
    stop(&engine);
    let durable = scene.start();
    assert!(!seen(&durable).names().contains("vvv_jobs_open"));
    stop(&durable);
}
