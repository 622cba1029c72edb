//! Background work for a video site, as supervised actors over the site's own SQLite file: deep
//! virality scores, thumbnail validation, dead-video detection. One program, nothing else to run.
//!
//! This page is the architecture. `README.md` is for users; `ARCHITECTURE.md` says why each
//! dependency is there, where the design was departed from, and what is left as a seam.
//!
//! # Using it as a library
//!
//! A host holds an [`EngineHandle`] and nothing else. It is `Clone + Send + Sync`; any thread and
//! any async runtime may use it, several workers of a server at once:
//!
//! ```
//! use std::time::Duration;
//! use vvv_actors::{Config, Engine, News, Score};
//!
//! # fn site(path: &std::path::Path) -> vvv_actors::rusqlite::Result<()> {
//! #     vvv_actors::rusqlite::Connection::open(path)?.execute_batch(
//! #         "CREATE TABLE videos (video_id TEXT PRIMARY KEY, virality_score REAL);
//! #          CREATE TABLE video_snapshots (video_id TEXT, view_count INTEGER, likes INTEGER,
//! #              comments INTEGER, region TEXT, fetched_at TEXT);
//! #          INSERT INTO videos VALUES ('-Bg3w_kVyPQ', NULL);
//! #          INSERT INTO video_snapshots VALUES
//! #              ('-Bg3w_kVyPQ', 1000, 90, 5, 'PL', '2026-11-23 12:00:00'),
//! #              ('-Bg3w_kVyPQ', 9000, 640, 45, 'PL', '2026-11-23 13:00:00');",
//! #     )
//! # }
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     # let folder = tempfile::tempdir()?;
//!     # let path = folder.path().join("vault.db");
//!     # site(&path)?;
//!     let mut config = Config::defaults()?;
//!     config.queues.scoring.workers = 2;
//!     let engine = Engine::builder().config(config).database(path).start()?;
//!
//!     // Any number of ids: the engine cuts them into jobs.
//!     let video_ids = vec!["-Bg3w_kVyPQ".to_owned()];
//!     let mut ticket = engine.submit(Score { video_ids: video_ids.clone() }).await?;
//!     let report = ticket.wait().await?;
//!     assert_eq!(report.found[0].id, "-Bg3w_kVyPQ");
//!     assert!(report.is_complete());
//!
//!     // Or hear of each item after the commit that holds it.
//!     let mut ticket = engine.submit(Score { video_ids }).await?;
//!     while let Some(news) = ticket.next().await {
//!         match news? {
//!             News::Found(scores) => println!("{scores:?}"),
//!             News::Failed(failure) => eprintln!("{}", failure.error),
//!         }
//!     }
//!
//!     // Running jobs may finish; then every thread is joined.
//!     engine.shutdown(Duration::from_secs(10)).await;
//!     Ok(())
//! }
//! ```
//!
//! - [`Score`], [`Thumbnails`] and [`Liveness`] are what is submitted; a [`Ticket`] is waited for,
//!   followed as a stream, or cancelled. [`EngineHandle::submit_with`] takes a priority, a delay or
//!   a key.
//! - [`EngineBuilder::durable`] is the queue in the file: it outlives the process, and one process
//!   works it off. Without it the queue is a TEMP table, of which nothing is left in the host's file.
//! - [`EngineHandle::status`] tells how all fares, [`EngineHandle::events`] each move of a durable
//!   job.
//! - [`EngineHandle::blocking`] is the same for a plain thread.
//! - [`web::Web`] is the JSON API, the dashboard and `/metrics`, mounted in the host's own server;
//!   [`EngineHandle::register_metrics`] shows the metrics in the host's own registry, and lists them.
//!
//! A `traceparent` among the [`SubmitOptions`] puts the spans of the work, from its submit to the commit
//! of its outcome, into the host's own trace; without one they are a trace of their own.
//!
//! Nothing global is installed: no tracing subscriber, signal handler, panic hook or metrics
//! recorder. Engines share nothing; two on two files, or with TEMP queues on one, do not disturb
//! each other. Panics are survived by unwinding, so [`EngineBuilder::start`] refuses where
//! `panic = "abort"`.
//!
//! ## Beside a server
//!
//! The engine lives on threads of its own, with a System of its own. So it does not matter who
//! starts it, `#[actix_web::main]` or `#[tokio::main]`, and a server that stops its System on a
//! signal does not take the engine along. Only the process's end would: let `main` wait for
//! [`EngineHandle::shutdown`] after the server has ended.
//!
//! ```
//! # use std::time::Duration;
//! # use vvv_actors::{Engine, EngineError, EngineHandle};
//! # async fn serve(_: EngineHandle) -> std::io::Result<()> { Ok(()) }
//! // Under `#[actix_web::main]`: `serve` is `HttpServer::new(…).run()`, with the handle in each
//! // worker's `web::Data`.
//! async fn run(path: &str) -> Result<(), Box<dyn std::error::Error>> {
//!     let engine = Engine::builder().database(path).durable().start()?;
//!     let served = serve(engine.clone()).await;
//!     engine.shutdown(Duration::from_secs(30)).await;
//!     Ok(served?)
//! }
//! ```
//!
//! The dashboard is a scope of actix-web, made once and given to each worker; [`web::Options`] says
//! who may see it. A host that has metrics of its own adds the engine's to them:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use actix_web::error::ErrorInternalServerError;
//! use actix_web::{App, HttpServer, Result, web};
//! use vvv_actors::EngineHandle;
//! use vvv_actors::prometheus_client::encoding::text::encode;
//! use vvv_actors::prometheus_client::registry::Registry;
//! use vvv_actors::web::{Options, Web};
//!
//! async fn serve(engine: EngineHandle) -> Result<(), Box<dyn std::error::Error>> {
//!     let background = Web::new(&engine, Options::default().open_on_loopback())?;
//!     let mut registry = Registry::with_prefix("site");
//!     engine.register_metrics(&mut registry);
//!     let registry = web::Data::from(Arc::new(registry));
//!     let app = move || {
//!         App::new()
//!             .app_data(registry.clone())
//!             .route("/metrics", web::get().to(metrics))
//!             .service(background.scope("/background"))
//!     };
//!     // Whoever looks at the dashboard would hold up the stop; `Web::close` is the gentler way.
//!     let server = HttpServer::new(app).shutdown_timeout(1);
//!     Ok(server.bind(("127.0.0.1", 8080))?.run().await?)
//! }
//!
//! // It looks into the database: on a thread that may block.
//! async fn metrics(registry: web::Data<Registry>) -> Result<String> {
//!     let encoded = web::block(move || {
//!         let mut text = String::new();
//!         encode(&mut text, &registry).map(|()| text)
//!     });
//!     encoded.await?.map_err(ErrorInternalServerError)
//! }
//! ```
//!
//! ## A host with a SQLite of its own
//!
//! A program links one SQLite: cargo allows one package with `links = "sqlite3"`, which is
//! `libsqlite3-sys`. This crate uses rusqlite 0.41 with its features `bundled`, `backup` and
//! `hooks`, and re-exports it. A host that opens the file itself has two ways:
//!
//! - use [`vvv_actors::rusqlite`](rusqlite), which is always the right one, or
//! - depend on the same `rusqlite = "0.41"`. Features are united over the whole program, so `bundled`
//!   holds for the host too, and its own features for us. Another minor version brings another
//!   `libsqlite3-sys`, and cargo refuses with *“package `libsqlite3-sys` links to the native library
//!   `sqlite3`, but it conflicts with a previous package”*. The same is said where another crate
//!   (sqlx, diesel, refinery) brings one: take the version of it whose `libsqlite3-sys` is
//!   ours, as `cargo tree -i libsqlite3-sys` shows, or point both to one source by `[patch.crates-io]`.
//!
//! Two SQLites in one process, one of them loaded as a shared library, would drop each other's locks
//! on the file. For the same reason a host must not open the database by [`std::fs`] while the engine
//! runs: to copy it, use SQLite's backup.
//!
//! # Layers
//!
//! ```text
//! main ─▶ face ─▶ engine ─▶ actors ─▶ store ─┐
//!           │       │         │  └──▶ fetch ─┼─▶ config ─▶ domain
//!           └───────┴─────────┴──────────────┘
//! ```
//!
//! - [`domain`] decides. It is pure: no actor, runtime, file, socket, clock or chance; what it
//!   needs of those are arguments.
//! - [`config`] is typed sections over one commented file of defaults, each value with its origin.
//! - [`store`] is all SQL: one [`store::Writer`], many read-only [`store::Reader`]s. It knows no
//!   actor.
//! - [`fetch`] is HTTP for addresses that strangers wrote. It knows no rule of what an answer
//!   means.
//! - [`actors`] carry: a struct, its messages, a handler each, and calls into the three above.
//! - [`engine`] owns the thread and the System the actors live in, and how they stop.
//! - [`face`] is how people and programs reach it: a command line, a daemon on a Unix socket, and the
//!   web. It parses, calls and prints.
//!
//! `tests/house.rs` reads the sources and fails on any other arrow, on SQL outside [`store`], and
//! on the crate `actix` inside [`domain`], [`store`], [`fetch`] or [`config`].
//!
//! # Invariants
//!
//! - Of the site's tables only `videos.virality_score` is written, and only where it changes.
//!   Nothing of theirs is altered or dropped.
//! - Every write goes through the one writer; no answer is given before its commit. What a commit
//!   holds is effect and mark together, fenced by the claim's lease: a job done twice changes the
//!   database once.
//! - The database file is opened by SQLite alone. A plain open and close in this process would
//!   drop every lock SQLite holds on it.
//! - A permit to call a rate-limited upstream is a committed row before the call is sent. Every
//!   process on the file counts the same rows, by a clock that neither jumps nor forgets a crash.
//! - No address from outside is connected to before the guard has judged the very socket address,
//!   on each hop.
//! - A panic in one picture is that picture's error, elsewhere a failed attempt. A dead worker or
//!   thread is replaced within a budget, with backoff. Nothing loops hot, and a library never
//!   aborts its host.
//! - A durable job that was acknowledged ends once, and its effects happen once, whatever dies
//!   meanwhile; one that kills the process is found out and given up.
//! - Mailboxes carry no backlog: work waits as rows, and each slot has few jobs at hand.
//! - Doubt is `unknown`. A time-out, a 429, a captcha page or an hour of 503 calls no video dead
//!   and no picture broken.
//!
//! # The life of a job
//!
//! 1. A face submits a [`Job`](engine::Job), a host a [`Score`] and the like. The supervisor puts
//!    ids to score in the order of the site's rows, cuts the work into chunks and has them queued;
//!    the submitter holds a [`Ticket`].
//!    With a durable queue the site may also insert rows itself, which are taken in and cut.
//! 2. The queue's pool claims as many as its slots have use for, each claim with a lease, and
//!    hands one to each idle worker.
//! 3. The worker works on some items at once: reads and scores; fetches, decodes and judges; or
//!    takes a permit, asks and judges. Verdicts are committed one by one as they come, scores
//!    with the job's end.
//! 4. The worker answers and its slot is free; the pool has the outcome committed. Items without
//!    a definitive answer go back, to be tried after a growing wait. When tries are spent they get
//!    their last verdict and the job succeeds. It fails only where some item has no answer at all.
//! 5. After the commit the ticket hears of it: by a message, or, with a durable queue, by a follower
//!    that looks at the job's row once its end is told.
//!
//! # The stop order
//!
//! Written once, in [`engine`]: submitters are refused → pools claim no more and permit waits end →
//! running jobs finish until the drain deadline → what is unfinished is released → the writer
//! flushes → followers of durable jobs look a last time → threads are ended and joined within five
//! seconds, and one that does not end is left behind and named → the System stops.

pub mod actors;
pub mod config;
pub mod domain;
pub mod engine;
pub mod face;
pub mod fetch;
pub mod store;

pub use config::Config;
#[doc(inline)]
pub use engine::{
    BlockingEngine, BlockingTicket, Engine, EngineBuilder, EngineError, EngineEvent, EngineHandle,
    Failure, Found, JobId, JobMoved, JobState, LivenessFound, LivenessReport, News, Report,
    ScoreFound, ScoreReport, Status, SubmitOptions, ThumbnailFound, ThumbnailItem,
    ThumbnailsReport, Ticket, TraceParent, Work,
};
#[doc(inline)]
pub use engine::{LivenessJob as Liveness, ScoreJob as Score, ThumbnailsJob as Thumbnails};
pub use face::web;
/// What metrics are registered with: see [`EngineHandle::register_metrics`].
pub use prometheus_client;
pub use rusqlite;
