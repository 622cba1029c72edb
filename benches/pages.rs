//! How long each page of the dashboard takes to open over a large database: 1,000,000 videos, each
//! with a score and both verdicts, and 100,000 jobs. `cargo bench --bench pages`; it makes a file of
//! 2 GB first, which takes a minute or two.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark may stop at the first surprise"
)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use actix_web::{App, HttpServer};
use rusqlite::Connection;
use vvv_actors::web::{Options, Web};
use vvv_actors::{Engine, EngineHandle};

const VIDEOS: usize = 1_000_000;
const LOOKS: usize = 20;

/// What the engine would have written in a month, by its own tables.
const MONTH: &str = "
    INSERT INTO vvv_scores SELECT video_id,
        CASE id % 7 WHEN 0 THEN 'PL' WHEN 1 THEN 'NL' WHEN 2 THEN 'SE' WHEN 3 THEN 'NO'
            WHEN 4 THEN 'AT' WHEN 5 THEN 'GB' ELSE 'US' END,
        (id * 7919 % 1000) / 10.0,
        CASE WHEN id * 7919 % 1000 >= 850 THEN 'VIRAL'
            WHEN id * 7919 % 1000 >= 600 THEN 'TRENDING' ELSE 'NORMAL' END,
        id % 10000, 1.5, unixepoch() - id % 86400
        FROM videos ORDER BY video_id;
    INSERT INTO vvv_thumbnail_checks SELECT video_id, thumbnail_url,
        CASE id % 10 WHEN 0 THEN 'broken' WHEN 1 THEN 'placeholder' ELSE 'valid' END,
        NULL, 480, 360, unixepoch() - id, 'job:1'
        FROM videos ORDER BY video_id;
    INSERT INTO vvv_liveness_checks SELECT video_id,
        CASE id % 10 WHEN 0 THEN 'dead' ELSE 'alive' END, 'http 200', 200, unixepoch() - id, 'job:1'
        FROM videos ORDER BY video_id;
    INSERT INTO vvv_video_status SELECT video_id, 'valid', NULL, unixepoch(), 'alive', 'http 200',
        unixepoch() FROM videos ORDER BY video_id;
    INSERT INTO vvv_jobs (kind, payload, queue, state, error, items, queued_ms, started_ms, ended_ms)
        SELECT 'score', json_object('video_ids', json_array(video_id)), 'scoring',
            CASE id % 10 WHEN 0 THEN 'failed' ELSE 'succeeded' END,
            CASE id % 10 WHEN 0 THEN 'run a statement: no such table' END, 1,
            (unixepoch() - id) * 1000, (unixepoch() - id) * 1000 + 5, (unixepoch() - id) * 1000 + 9
        FROM videos WHERE id <= 100000;
    PRAGMA wal_checkpoint(TRUNCATE);";

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault.db");
    common::make_vault(&vault, VIDEOS, "WAL");
    // An engine makes our tables.
    start(&vault).blocking().shutdown(Duration::ZERO);
    let site = Connection::open(&vault).unwrap();
    site.execute_batch(MONTH).unwrap();
    let engine = start(&vault);
    let host = serve(&engine);
    println!("page                              first ms   p50 ms   worst ms");
    let video = format!("/video?id={}", common::video_id(VIDEOS / 2));
    for page in [
        "/",
        "/jobs",
        "/jobs?state=failed",
        "/jobs?queue=scoring&state=failed&kind=score",
        "/jobs/50000",
        "/videos",
        "/videos?region=PL",
        &video,
        "/thumbnails",
        "/thumbnails?status=broken",
        "/links",
        "/links?verdict=dead",
        "/metrics",
    ] {
        let first = look(host, page);
        let mut looks: Vec<f64> = (0..LOOKS).map(|_| look(host, page)).collect();
        let worst = looks.iter().copied().fold(first, f64::max);
        looks.sort_by(f64::total_cmp);
        let half = looks[LOOKS / 2];
        println!("{page:32}  {first:8.1}  {half:7.1}  {worst:9.1}");
    }
    engine.blocking().shutdown(Duration::from_secs(10));
}

fn start(vault: &Path) -> EngineHandle {
    Engine::builder().database(vault).durable().start().unwrap()
}

/// A host with the dashboard alone; it ends with the process.
fn serve(engine: &EngineHandle) -> SocketAddr {
    let web = Web::new(engine, Options::default().open_on_loopback()).unwrap();
    let (told, ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || App::new().service(web.scope("")));
            let server = server.workers(2).disable_signals();
            let server = server.bind("127.0.0.1:0").unwrap();
            told.send(server.addrs()[0]).unwrap();
            server.run().await.unwrap();
        });
    });
    ready.recv().unwrap()
}

/// Opens a page; how many milliseconds it took.
fn look(host: SocketAddr, page: &str) -> f64 {
    let began = Instant::now();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "GET {page} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{page}: {answer}");
    began.elapsed().as_secs_f64() * 1e3
}
