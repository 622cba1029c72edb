//! Background work for a video site, as supervised actors over the site's own SQLite file: deep
//! virality scores, thumbnail validation, dead-video detection. One program, nothing else to run.
//!
//! This page is the architecture. `README.md` is for users; `ARCHITECTURE.md` says why each
//! dependency is there, where the design was departed from, and what is left as a seam.
//!
//! # Using it as a library
//!
//! A host holds an [`EngineHandle`] and nothing else: it is `Clone + Send + Sync`, and any async
//! runtime may await it. The engine lives on threads of its own, so a host's server that stops on
//! a signal does not take it along.
//!
//! ```
//! use std::time::Duration;
//! use vvv_actors::{Config, Engine, Job, ScoreJob, TicketEvent};
//!
//! # fn site(path: &std::path::Path) -> rusqlite::Result<()> {
//! #     rusqlite::Connection::open(path)?.execute_batch(
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
//!     let engine = Engine::builder(Config::defaults()?).database(path).start()?;
//!
//!     // Any number of ids: the engine cuts them into jobs.
//!     let video_ids = vec!["-Bg3w_kVyPQ".to_owned()];
//!     let mut ticket = engine.submit(Job::Score(ScoreJob { video_ids })).await?;
//!
//!     // News arrives after the commit it speaks of.
//!     let mut scored = 0;
//!     while let Some(event) = ticket.next().await {
//!         match event {
//!             TicketEvent::Scored(scores) => scored += scores.len(),
//!             TicketEvent::Failed(failure) => eprintln!("{}", failure.error),
//!             other => println!("{other:?}"),
//!         }
//!     }
//!     assert_eq!(scored, 1);
//!
//!     // Running jobs may finish; then every thread is joined.
//!     engine.shutdown(Duration::from_secs(10)).await;
//!     Ok(())
//! }
//! ```
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
//! - [`face`] is how people and programs reach it: a command line, and a daemon on a Unix socket.
//!   It parses, calls and prints.
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
//! 1. A face submits a [`Job`]. The supervisor puts ids to score in the order of the site's rows,
//!    cuts the work into chunks and has them queued; the submitter holds a [`Ticket`].
//!    With a durable queue the site may also insert rows itself, which are taken in and cut.
//! 2. The queue's pool claims as many as its slots have use for, each claim with a lease, and
//!    hands one to each idle worker.
//! 3. The worker works on some items at once: reads and scores; fetches, decodes and judges; or
//!    takes a permit, asks and judges. Verdicts are committed one by one as they come, scores
//!    with the job's end.
//! 4. The worker answers and its slot is free; the pool has the outcome committed. Items without
//!    a definitive answer go back, to be tried after a growing wait. When tries are spent they get
//!    their last verdict and the job succeeds. It fails only where some item has no answer at all.
//! 5. After the commit the ticket hears of it.
//!
//! # The stop order
//!
//! Written once, in [`engine`]: submitters are refused → pools claim no more and permit waits end →
//! running jobs finish until the drain deadline → what is unfinished is released → the writer
//! flushes → threads are ended and joined within five seconds, and one that does not end is left
//! behind and named → the System stops.

pub mod actors;
pub mod config;
pub mod domain;
pub mod engine;
pub mod face;
pub mod fetch;
pub mod store;

pub use config::Config;
pub use engine::{
    Engine, EngineBuilder, EngineError, EngineHandle, Job, LivenessJob, ScoreJob, ThumbnailItem,
    ThumbnailsJob, Ticket, TicketEvent,
};
pub use face::web;
/// What metrics are registered with: see [`EngineHandle::register_metrics`].
pub use prometheus_client;
