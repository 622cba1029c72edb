//! A host with the engine inside: how long its visitors wait. `cargo bench --bench embed`.
//!
//! 2,000 requests a second for a video's page, each a look into the same database, timed from when
//! they were due: a host that falls behind is not let off. Meanwhile the engine is
//! - idle, for 10 s: what the other stages are held against;
//! - idle, but every processor has a loop as nice as the engine: what no program that keeps its
//!   processors busy can do better on this machine;
//! - asked once in 30 s to score 100,000 videos, as a site does;
//! - asked to score them again as soon as it has, for 30 s: far more than any site has, to see what
//!   each moment of work costs.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark may stop at the first surprise"
)]

mod common;

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use rusqlite::Connection;
use vvv_actors::web::{Options, Web};
use vvv_actors::{Config, Engine, EngineHandle, Score};

const VIDEOS: usize = 100_000;
const A_SECOND: usize = 2_000;
const CLIENTS: usize = 8;
const SHORT: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(30);

fn main() {
    println!("journal   engine   p50 ms   p99 ms   p99 / idle   videos scored a second");
    for journal in ["WAL", "DELETE"] {
        let folder = tempfile::tempdir().unwrap();
        let vault = folder.path().join("vault.db");
        common::make_vault(&vault, VIDEOS, journal);
        let engine = Engine::builder()
            .database(&vault)
            .durable()
            .start()
            .unwrap();
        let host = serve(&engine, vault);
        let idle = visit(host, SHORT);
        show(journal, "idle", &idle, &idle, None);
        let loops = beside(spin, || visit(host, SHORT));
        show(journal, "loops", &loops, &idle, None);
        for (stage, work) in [("once", once as Work), ("again", again)] {
            let scored = AtomicUsize::new(0);
            let (busy, count) = beside(
                |over| work(&engine, over, &scored),
                || (visit(host, LONG), scored.load(Ordering::Relaxed)),
            );
            let rate = common::rate(count, LONG);
            show(journal, stage, &busy, &idle, Some(rate));
        }
        engine.blocking().shutdown(Duration::from_secs(10));
    }
}

type Work = fn(&EngineHandle, &AtomicBool, &AtomicUsize);

/// What comes of `visits` while `work` goes on, which is then told that it is over.
fn beside<T>(work: impl Fn(&AtomicBool) + Sync, visits: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| work(&over));
        let visited = visits();
        over.store(true, Ordering::Relaxed);
        visited
    })
}

/// Keeps every processor busy, as nicely as the engine.
fn spin(over: &AtomicBool) {
    let processors = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                step_back();
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
    });
}

/// Makes this thread as nice as the engine's.
fn step_back() {
    let nice = Config::defaults().unwrap().engine.nice;
    let thread = rustix::thread::gettid();
    rustix::process::setpriority_process(Some(thread), i32::from(nice)).unwrap();
}

/// A host with two workers; it ends with the process.
fn serve(engine: &EngineHandle, vault: PathBuf) -> SocketAddr {
    let background = Web::new(engine, Options::default().open_on_loopback()).unwrap();
    let (told, ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(web::Data::new(vault.clone()))
                    .service(background.scope("/background"))
                    .route("/videos/{n}", web::get().to(video))
            });
            let server = server.workers(2).disable_signals();
            let server = server.bind("127.0.0.1:0").unwrap();
            told.send(server.addrs()[0]).unwrap();
            server.run().await.unwrap();
        });
    });
    ready.recv().unwrap()
}

thread_local! {
    static SITE: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// A page of the site's own.
async fn video(vault: web::Data<PathBuf>, n: web::Path<usize>) -> HttpResponse {
    let score = SITE.with_borrow_mut(|site| {
        let site = site.get_or_insert_with(|| open(&vault));
        site.prepare_cached("SELECT virality_score FROM videos WHERE video_id = ?1")
            .unwrap()
            .query_row([common::video_id(*n)], |row| row.get::<_, Option<f64>>(0))
            .unwrap()
    });
    HttpResponse::Ok().body(format!("{score:?}"))
}

fn open(vault: &Path) -> Connection {
    let site = Connection::open(vault).unwrap();
    site.busy_timeout(Duration::from_secs(5)).unwrap();
    site
}

/// Scores all videos.
fn once(engine: &EngineHandle, _: &AtomicBool, scored: &AtomicUsize) {
    let video_ids = (0..VIDEOS).map(common::video_id).collect();
    let ticket = engine.blocking().submit(Score { video_ids });
    let report = ticket.unwrap().wait().unwrap();
    scored.fetch_add(report.found.len(), Ordering::Relaxed);
}

/// Scores all videos, over and over, until told to stop. That somebody names 100,000 ids each
/// second is no work of the engine's, so it steps back as well.
fn again(engine: &EngineHandle, over: &AtomicBool, scored: &AtomicUsize) {
    step_back();
    while !over.load(Ordering::Relaxed) {
        once(engine, over, scored);
    }
}

/// How long each visitor waited, sorted.
fn visit(host: SocketAddr, time: Duration) -> Vec<Duration> {
    let each = A_SECOND / CLIENTS * usize::try_from(time.as_secs()).unwrap();
    let gap = Duration::from_secs(1) / u32::try_from(A_SECOND / CLIENTS).unwrap();
    let mut waited: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || visits(host, client, each, gap)))
            .collect();
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    });
    waited.sort_unstable();
    waited
}

fn visits(host: SocketAddr, client: usize, count: usize, gap: Duration) -> Vec<Duration> {
    let stream = TcpStream::connect(host).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut requests = stream;
    let began = Instant::now() + gap * u32::try_from(client).unwrap() / 8;
    let visit = |n: usize| {
        let due = began + gap * u32::try_from(n).unwrap();
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let video = (n * 7_919 + client) % VIDEOS;
        write!(
            requests,
            "GET /videos/{video} HTTP/1.1\r\nHost: {host}\r\n\r\n"
        )
        .unwrap();
        hear(&mut answers);
        due.elapsed()
    };
    (0..count).map(visit).collect()
}

fn hear(answers: &mut BufReader<TcpStream>) {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        answers.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    answers.read_exact(&mut vec![0; length]).unwrap();
}

fn at(sorted: &[Duration], share: usize) -> f64 {
    sorted[(sorted.len() - 1) * share / 100].as_secs_f64() * 1e3
}

fn show(journal: &str, engine: &str, waited: &[Duration], idle: &[Duration], rate: Option<f64>) {
    let rate = rate.map(|rate| format!("{rate:10.0}")).unwrap_or_default();
    let (half, most) = (at(waited, 50), at(waited, 99));
    let times = most / at(idle, 99);
    println!("{journal:8}  {engine:6}  {half:7.2}  {most:7.2}  {times:11.2}  {rate}");
}
