//! The rate window as the upstream sees it: never more calls in any sliding window than allowed,
//! whatever becomes of the processes that make them, and not far fewer either.
//!
//! The judge is the site's own log. `VVV_SEED` repeats a run's moments and delays.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::run::{Output, Run, Running};
use support::site::{Call, Endpoint, Reply, Site, max_in_window, oembed};
use support::vault::{Journal, Vault};

/// One at a time: each measures time.
static ALONE: Mutex<()> = Mutex::new(());

struct Scene {
    _alone: MutexGuard<'static, ()>,
    _folder: tempfile::TempDir,
    vault: Vault,
    site: Site,
    limit: Limit,
    timeout: Duration,
    dice: fastrand::Rng,
}

/// `calls` in any `window`.
#[derive(Debug, Clone, Copy)]
struct Limit {
    calls: usize,
    window: Duration,
}

impl Limit {
    const fn new(calls: usize, seconds: u64) -> Self {
        let window = Duration::from_secs(seconds);
        Self { calls, window }
    }

    fn setting(self) -> String {
        format!("{}/{}s", self.calls, self.window.as_secs())
    }

    /// The least time `calls` need.
    fn shortest(self, calls: usize) -> Duration {
        self.window * u32::try_from((calls - 1) / self.calls).unwrap()
    }
}

impl Scene {
    fn new(limit: Limit, journal: Journal) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let seed = std::env::var("VVV_SEED").map_or_else(
            |_| fastrand::u64(..),
            |seed| seed.parse().expect("VVV_SEED is a number"),
        );
        println!("VVV_SEED={seed}");
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::empty(&folder.path().join("vault.db"), journal, true);
        Self {
            _alone: alone,
            _folder: folder,
            vault,
            site: Site::start(),
            limit,
            timeout: Duration::from_millis(500),
            dice: fastrand::Rng::with_seed(seed),
        }
    }

    /// Asks about these ids in a process of its own.
    fn ask(&self, ids: &[String]) -> Run {
        Run::new(env!("CARGO_BIN_EXE_vvv-actors"))
            .args(["liveness", "--format", "json", "--db"])
            .args([&self.vault.path])
            .args(["--"])
            .args(ids)
            .env("VVV_LIVENESS__ENDPOINT", self.site.oembed_endpoint())
            .env(
                "VVV_LIVENESS__TIMEOUT",
                format!("{}ms", self.timeout.as_millis()),
            )
            .env("VVV_FETCH__ALLOW", self.site.authority())
            .env("VVV_RATE_LIMITS__OEMBED", self.limit.setting())
            .env("VVV_QUEUES__CLEANUP__RETRY_DELAY", "50ms")
            .timeout(Duration::from_secs(400))
    }

    fn between(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.dice.u64(least..=most))
    }

    /// Kills one process after another until `until`; answers how many.
    fn crash_loop(&mut self, ids: &[String], until: Instant, moments: (u64, u64)) -> usize {
        let mut kills = 0;
        while Instant::now() < until {
            let process = self.ask(ids).start();
            thread::sleep(self.between(moments.0, moments.1));
            let ended = process.kill();
            kills += usize::from(ended.signal == Some(9));
        }
        kills
    }

    fn arrivals(&self) -> Vec<Instant> {
        let calls = self.site.calls();
        assert!(calls.iter().all(|call| call.is(Endpoint::Oembed)));
        calls.iter().map(|call| call.arrived).collect()
    }

    /// Holds the log against the limit; answers the fullest window and the time from the first
    /// call to the last.
    fn judge(&self, what: &str) -> (usize, Duration) {
        let arrivals = self.arrivals();
        let most = max_in_window(&arrivals, self.limit.window);
        let took = *arrivals.last().unwrap() - arrivals[0];
        println!(
            "{what}: {} calls in {:.2} s, at most {most} in any {:?}",
            arrivals.len(),
            took.as_secs_f64(),
            self.limit.window
        );
        assert!(
            most <= self.limit.calls,
            "{what}: {most} calls in a window of {}\n{}",
            self.limit.setting(),
            timeline(&arrivals)
        );
        (most, took)
    }

    /// Besides, no slower than 80% of the rate while nothing else is in the way.
    fn judge_speed(&self, what: &str) {
        let (most, took) = self.judge(what);
        let calls = self.arrivals().len();
        let shortest = self.limit.shortest(calls);
        assert_eq!(most, self.limit.calls, "{what}: no window was full");
        assert!(
            took.as_secs_f64() <= shortest.as_secs_f64() / 0.8,
            "{what}: {calls} calls took {took:?} where {shortest:?} would do\n{}",
            timeline(&self.arrivals())
        );
    }
}

fn timeline(arrivals: &[Instant]) -> String {
    let mut text = String::new();
    for arrival in arrivals {
        let at = arrival.duration_since(arrivals[0]).as_millis();
        write!(text, "{at} ").unwrap();
    }
    text
}

fn ids(from: usize, count: usize) -> Vec<String> {
    (from..from + count)
        .map(|n| oembed::id("alive", n))
        .collect()
}

fn all_alive(ended: &Output, count: usize) {
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stderr, ended.stdout);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["liveness"]["alive"], count, "{report}");
}

#[test]
fn a_cold_start_fills_its_windows_and_none_beyond() {
    for journal in Journal::ALL {
        let scene = Scene::new(Limit::new(20, 2), journal);
        all_alive(&scene.ask(&ids(0, 60)).output(), 60);
        scene.judge_speed(journal.name());
        assert_eq!(scene.arrivals().len(), 60, "an id was asked twice");
    }
}

#[test]
fn a_crash_restart_loop_never_bursts() {
    for journal in Journal::ALL {
        let mut scene = Scene::new(Limit::new(5, 1), journal);
        let ids = ids(0, 60);
        for id in &ids {
            // Kills strike between a call and its answer, too.
            let late = scene.between(0, 300);
            scene.site.oembed(id, oembed::alive(id).late(late));
        }
        let until = Instant::now() + Duration::from_secs(12);
        let kills = scene.crash_loop(&ids, until, (200, 900));
        scene.judge(&format!("{kills} kills, {}", journal.name()));
        assert!(kills >= 10, "only {kills} kills");
        assert_eq!(scene.vault.integrity(), "ok");
        // What the dead held lapses; the rest is done at the full rate.
        all_alive(&scene.ask(&ids).output(), ids.len());
        scene.judge("in all");
    }
}

#[test]
fn two_processes_share_one_window() {
    for journal in Journal::ALL {
        let scene = Scene::new(Limit::new(20, 2), journal);
        let first = scene.ask(&ids(0, 40)).start();
        let second = scene.ask(&ids(100, 40)).start();
        all_alive(&first.wait(), 40);
        all_alive(&second.wait(), 40);
        scene.judge_speed(journal.name());
    }
}

#[test]
fn a_slow_upstream_never_sees_more_than_its_limit() {
    let mut scene = Scene::new(Limit::new(10, 1), Journal::Wal);
    let ids = ids(0, 60);
    for id in &ids {
        let late = scene.between(0, 400);
        scene.site.oembed(id, oembed::alive(id).late(late));
    }
    all_alive(&scene.ask(&ids).output(), 60);
    scene.judge("late answers");
}

#[test]
fn a_process_that_sleeps_between_permit_and_call_makes_no_burst() {
    let mut scene = Scene::new(Limit::new(5, 1), Journal::Wal);
    let first = scene.ask(&ids(0, 30)).start();
    let second = scene.ask(&ids(100, 30)).start();
    // As a laptop's lid or a busy host would: calls go out long after their permits.
    for round in 0..12 {
        let stopped: &Running = if round % 2 == 0 { &first } else { &second };
        stopped.signal(Signal::STOP);
        thread::sleep(scene.between(300, 1_500));
        stopped.signal(Signal::CONT);
        thread::sleep(scene.between(20, 120));
    }
    let ended = [first.wait(), second.wait()];
    assert!(ended.iter().all(|ended| ended.code == Some(0)), "{ended:?}");
    scene.judge("stopped and continued");
}

/// Calls that came after the first 429 had been noted and before its Retry-After was over.
fn came_too_early(calls: &[Call], parked: Duration) -> Vec<Duration> {
    let refused = calls.iter().find(|call| call.status == Some(429)).unwrap();
    // Calls already under way when the answer came are nobody's fault.
    let noted = refused.finished.unwrap() + Duration::from_millis(250);
    let over = refused.arrived + parked;
    calls
        .iter()
        .map(|call| call.arrived)
        .filter(|arrived| (noted..over).contains(arrived))
        .map(|arrived| arrived - refused.arrived)
        .collect()
}

const RETRY_AFTER: u32 = 2;

fn refuse_once(site: &Site, id: &str) {
    let refused = Reply::status(429).retry_after(RETRY_AFTER);
    site.oembed(id, [refused, oembed::alive(id)]);
}

#[test]
fn a_429_parks_every_process_on_the_file() {
    for journal in Journal::ALL {
        let scene = Scene::new(Limit::new(5, 1), journal);
        let (mine, others) = (ids(0, 20), ids(100, 20));
        refuse_once(&scene.site, &mine[6]);
        let first = scene.ask(&mine).start();
        let second = scene.ask(&others).start();
        all_alive(&first.wait(), 20);
        all_alive(&second.wait(), 20);
        let calls = scene.site.calls();
        let early = came_too_early(&calls, Duration::from_secs(RETRY_AFTER.into()));
        assert!(
            early.is_empty(),
            "{early:?} {}",
            timeline(&scene.arrivals())
        );
        // Refused once, asked once more; nobody else twice.
        assert_eq!(calls.len(), 41);
        scene.judge(journal.name());
    }
}

#[test]
fn a_park_outlives_the_process_that_was_told() {
    let scene = Scene::new(Limit::new(50, 1), Journal::Wal);
    let ids = ids(0, 10);
    refuse_once(&scene.site, &ids[2]);
    let first = scene.ask(&ids).start();
    let refused = |calls: &[Call]| {
        let refused = calls.iter().find(|call| call.status == Some(429));
        refused.is_some_and(|call| call.finished.is_some())
    };
    assert!(scene.site.wait_until(Duration::from_secs(20), refused));
    let parked = "SELECT count(*) FROM vvv_upstreams WHERE parked_until_ms > 0";
    let deadline = Instant::now() + Duration::from_secs(10);
    while scene.vault.ask(parked) != "1" {
        assert!(Instant::now() < deadline, "the park is not recorded");
    }
    assert_eq!(first.kill().signal, Some(9));
    all_alive(&scene.ask(&ids).output(), 10);
    let early = came_too_early(&scene.site.calls(), Duration::from_secs(RETRY_AFTER.into()));
    assert!(
        early.is_empty(),
        "{early:?} {}",
        timeline(&scene.arrivals())
    );
}

/// The window as it is: five minutes, so it runs when asked for
/// (`cargo test --test permits the_real_minute -- --ignored --nocapture`).
#[test]
#[ignore = "takes five minutes"]
fn the_real_minute() {
    let mut scene = Scene::new(Limit::new(20, 60), Journal::Wal);
    scene.timeout = Duration::from_secs(8);
    let ids = ids(0, 400);
    for id in &ids {
        let late = scene.between(0, 400);
        scene.site.oembed(id, oembed::alive(id).late(late));
    }
    let began = Instant::now();
    let until = began + Duration::from_secs(190);
    let kills = scene.crash_loop(&ids, until, (200, 9_000));
    let first = scene.ask(&ids[..200]).start();
    let second = scene.ask(&ids[200..]).start();
    thread::sleep(Duration::from_secs(120));
    // SIGTERM: an orderly end gives its permits back.
    first.signal(Signal::TERM);
    second.signal(Signal::TERM);
    let codes = [first.wait().code, second.wait().code];
    assert_eq!(codes, [Some(143), Some(143)]);
    let calls = scene.arrivals().len();
    scene.judge(&format!("{kills} kills, then two processes"));
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    // Permits of killed calls count for their whole deadline more; half is left at the least.
    assert!(
        calls as f64 >= 10.0 * minutes,
        "only {calls} calls in {minutes:.1} minutes"
    );
    println!(
        "{:.1} calls a minute over {minutes:.1} minutes",
        calls as f64 / minutes
    );
    assert_eq!(scene.vault.integrity(), "ok");
}
