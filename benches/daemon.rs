//! Handing work to the daemon: how long the pipeline waits, and how much goes through.
//!
//! `cargo bench --bench daemon`. The headline is 2,000 new videos and 500 stale ids handed over by
//! one transaction of plain SQL and by one line on the socket, beside an fsync of 4 KB on the same
//! disk. Then durable submits by several clients, no-op jobs from end to end, and what an idle
//! daemon costs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark may stop at the first surprise"
)]

mod common;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};

const RUNS: usize = 200;
const NEW: usize = 2_000;
const STALE: usize = 500;
/// Before a hand-over on the socket that comes by itself.
const BETWEEN: Duration = Duration::from_millis(100);

fn main() {
    println!("journal   what                                     p50 ms   p99 ms");
    for journal in ["WAL", "DELETE"] {
        headline(journal);
    }
    println!("\njournal   clients   durable submits/s   bare inserts/s");
    for journal in ["WAL", "DELETE"] {
        submits(journal);
    }
    println!("\njournal   no-op jobs/s end to end");
    for journal in ["WAL", "DELETE"] {
        throughput(journal);
    }
    idle();
}

/// A daemon on a vault of its own; it ends with the value.
struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
}

impl Daemon {
    fn start(journal: &str, videos: usize, works: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vault = folder.path().join("vault.db");
        common::make_vault(&vault, videos, journal);
        let mut command = Command::new(env!("CARGO_BIN_EXE_vvv-actors"));
        command
            .args(["daemon", "--log-level", "warn", "--db"])
            .arg(&vault)
            .arg("--socket")
            .arg(folder.path().join("s"))
            .env("HOME", folder.path())
            .stdout(Stdio::null());
        if !works {
            for queue in ["SCORING", "THUMBNAILS", "CLEANUP"] {
                command.env(format!("VVV_QUEUES__{queue}__WORKERS"), "0");
            }
        }
        let child = command.spawn().unwrap();
        let daemon = Self { child, folder };
        let deadline = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(daemon.socket()).is_err() {
            assert!(Instant::now() < deadline, "the daemon lets nobody in");
            std::thread::sleep(Duration::from_millis(1));
        }
        daemon
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    fn vault(&self) -> PathBuf {
        self.folder.path().join("vault.db")
    }

    fn site(&self) -> Connection {
        let site = Connection::open(self.vault()).unwrap();
        site.busy_timeout(Duration::from_secs(10)).unwrap();
        site.execute_batch("PRAGMA synchronous = FULL").unwrap();
        site
    }

    fn client(&self) -> Client {
        let stream = UnixStream::connect(self.socket()).unwrap();
        Client {
            answers: BufReader::new(stream.try_clone().unwrap()),
            requests: stream,
        }
    }

    /// What its threads have run, to the nanosecond; `stat` counts in hundredths of a second.
    fn processor_time(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let ran = threads.map(|thread| {
            let told = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
            told.split(' ').next().unwrap().parse::<u64>().unwrap()
        });
        Duration::from_nanos(ran.sum())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client {
    requests: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Client {
    fn send(&mut self, line: &str) {
        self.requests.write_all(line.as_bytes()).unwrap();
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert!(answer["result"].is_object(), "{line}");
        answer
    }
}

fn request(method: &str, params: &Value) -> String {
    format!(
        "{}\n",
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    )
}

fn show(journal: &str, what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let ms = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!("{journal:8}  {what:40} {:7.2}  {:7.2}", ms(50), ms(99));
}

fn headline(journal: &str) {
    let daemon = Daemon::start(journal, NEW, false);
    let videos: Vec<Value> = (0..NEW)
        .map(common::video_id)
        .map(|id| json!({"video_id": id, "thumbnail_url": format!("https://i.ytimg.com/vi/{id}/hqdefault.jpg")}))
        .collect();
    let ids: Vec<String> = (0..NEW).map(common::video_id).collect();
    let stale: Vec<String> = (0..STALE).map(common::video_id).collect();
    let payloads = [
        ("score", json!({"video_ids": &ids}).to_string()),
        ("thumbnails", json!({"videos": &videos}).to_string()),
        ("liveness", json!({"video_ids": &stale}).to_string()),
    ];
    let mut site = daemon.site();
    let times = (0..RUNS).map(|_| {
        let began = Instant::now();
        let transaction = site
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .unwrap();
        for (kind, payload) in &payloads {
            transaction
                .prepare_cached("INSERT INTO vvv_jobs (kind, payload) VALUES (?1, ?2)")
                .unwrap()
                .execute((kind, payload))
                .unwrap();
        }
        transaction.commit().unwrap();
        let took = began.elapsed();
        taken_in(&site);
        took
    });
    show(journal, "plain SQL, one transaction", times.collect());
    let mut client = daemon.client();
    let batch = json!({"new_videos": videos, "stale_ids": stale});
    let line = request("jobs.submit_batch", &batch);
    let mut by_socket = || {
        let began = Instant::now();
        client.send(&line);
        client.answer();
        began.elapsed()
    };
    let mut by_disk = || fsync(daemon.folder.path());
    // A hand-over comes now and then, as the plain SQL above, which waits to be taken in; what was
    // idle is slower, the disk too.
    for (pause, when) in [(Duration::ZERO, "back to back"), (BETWEEN, "10 a second")] {
        show(
            journal,
            &format!("socket, one line, {when}"),
            timed(pause, &mut by_socket),
        );
        show(
            journal,
            &format!("fsync of 4 KB, {when}"),
            timed(pause, &mut by_disk),
        );
    }
}

fn timed(pause: Duration, mut run: impl FnMut() -> Duration) -> Vec<Duration> {
    let times = (0..RUNS).map(|_| {
        std::thread::sleep(pause);
        run()
    });
    times.collect()
}

fn taken_in(site: &Connection) {
    let waiting = "SELECT count(*) FROM vvv_jobs WHERE queued_ms IS NULL";
    while site
        .query_row(waiting, [], |row| row.get::<_, i64>(0))
        .unwrap()
        > 0
    {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn fsync(folder: &Path) -> Duration {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join("fsync"))
        .unwrap();
    let began = Instant::now();
    file.write_all_at(&[7; 4096], 0).unwrap();
    file.sync_data().unwrap();
    began.elapsed()
}

fn submits(journal: &str) {
    let submit = request(
        "jobs.submit",
        &json!({"kind": "liveness", "payload": {"video_ids": ["no such id"]}}),
    );
    for in_flight in [1, 64, 512] {
        let daemon = Daemon::start(journal, 10, false);
        // No more than the connections a daemon takes; the rest wait on them.
        let clients = in_flight.min(32);
        let submits = if in_flight == 1 { 1_000 } else { 20_000 };
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    let mut client = daemon.client();
                    let (mine, window) = (submits / clients, in_flight / clients);
                    for _ in 0..window {
                        client.send(&submit);
                    }
                    for n in 0..mine {
                        client.answer();
                        if n + window < mine {
                            client.send(&submit);
                        }
                    }
                });
            }
        });
        let rate = common::rate(submits / clients * clients, began.elapsed());
        let bare = bare_inserts(journal);
        println!("{journal:8}  {in_flight:7}   {rate:17.0}   {bare:14.0}");
    }
}

fn bare_inserts(journal: &str) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bare.db");
    common::make_vault(&path, 10, journal);
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA synchronous = EXTRA;
             CREATE TABLE jobs (id INTEGER PRIMARY KEY, kind TEXT, payload TEXT)",
        )
        .unwrap();
    let mut insert = connection
        .prepare("INSERT INTO jobs (kind, payload) VALUES ('liveness', '{\"video_ids\":[\"no such id\"]}')")
        .unwrap();
    let began = Instant::now();
    for _ in 0..1_000 {
        insert.execute([]).unwrap();
    }
    common::rate(1_000, began.elapsed())
}

fn throughput(journal: &str) {
    const JOBS: usize = 10_000;
    let daemon = Daemon::start(journal, 10, true);
    let site = daemon.site();
    let began = Instant::now();
    site.execute_batch("BEGIN IMMEDIATE").unwrap();
    for n in 0..JOBS {
        let payload = json!({"video_ids": [format!("nobody {n}")]}).to_string();
        site.prepare_cached("INSERT INTO vvv_jobs (kind, payload) VALUES ('score', ?1)")
            .unwrap()
            .execute([payload])
            .unwrap();
    }
    site.execute_batch("COMMIT").unwrap();
    let left = "SELECT count(*) FROM vvv_jobs WHERE ended_ms IS NULL";
    while site
        .query_row(left, [], |row| row.get::<_, i64>(0))
        .unwrap()
        > 0
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("{journal:8}  {:.0}", common::rate(JOBS, began.elapsed()));
}

fn idle() {
    let daemon = Daemon::start("WAL", 1_000, true);
    std::thread::sleep(Duration::from_secs(2));
    let (before, began) = (daemon.processor_time(), Instant::now());
    std::thread::sleep(Duration::from_secs(20));
    let used = daemon.processor_time() - before;
    let share = used.as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    println!("\nidle: {share:.2} % of a core over 20 s");
}
