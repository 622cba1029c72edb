//! `status`: how the daemon fares, for people, for programs and, by `--check`, for a monitor.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::daemon_link::{Elsewhere, Source, connect, look};
use super::db::{json_line, print};
use super::{Console, Format, Global, queue};
use crate::config::units::parse_duration;
use crate::config::{Config, Loaded};
use crate::engine::QueueView;
use crate::face::client::ClientError;
use crate::face::exit::{Code, Failure};
use crate::face::one_shot::failure;
use crate::face::protocol::{Activity, QueueState, Status, StatusReport, Time};
use crate::face::text::{plain, span};

const AFTER_HELP: &str = "\
Examples:
  vvv-actors status                      queues, workers, rate window, alarms
  vvv-actors status --check              one line for Nagios and its like
  vvv-actors status --check --oldest 2h  jobs may wait longer before it warns

With --check it exits with 0 if all is well; 1 if somebody should look: an alarm, a paused queue,
a job that has been due for longer than --oldest, an upstream that told us to stay away, a locked
database, a stopping daemon; 2 if no daemon answers, or only one of another database. Without it, it exits with 0 unless nothing
can be told.";

/// How long a daemon that is asked by a monitor may take.
const PROMPTLY: Duration = Duration::from_secs(10);
/// The most of one line that is printed, in bytes.
const LONGEST_LINE: usize = 4096;

/// Arguments of `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[command(after_help = AFTER_HELP)]
pub struct StatusArgs {
    /// Print one line and exit with 0, 1 or 2, as a monitor wants it
    #[arg(long)]
    pub check: bool,
    /// Warn if a job has been due for longer than this
    #[arg(
        long,
        requires = "check",
        value_name = "DURATION",
        default_value = "1h",
        value_parser = parse_duration
    )]
    pub oldest: Duration,
}

/// Runs it.
///
/// # Errors
/// When no daemon answers and the file cannot be read either.
pub fn run(
    arguments: StatusArgs,
    global: &Global,
    loaded: &Loaded,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let config = &loaded.config;
    if arguments.check {
        let asked = connect(config).and_then(|mut client| client.ask_within(PROMPTLY, &Status {}));
        let named = &config.database.path;
        let other = asked
            .as_ref()
            .ok()
            .and_then(|status| Elsewhere::of(named, status));
        let (code, line) = match other {
            Some(other) => (Code::Critical, format!("CRITICAL: {other}")),
            None => judge(asked, arguments.oldest, Time::now()),
        };
        print(&format!("{}\n", plain(line, LONGEST_LINE)), console)?;
        return Ok(code);
    }
    let format = global.format(console.stdout_is_terminal);
    let text = look(config, global, console, |source| match (source, format) {
        (Source::Daemon(mut client), Format::Json) => Ok(json_line(&client.ask(&Status {})?)),
        (Source::Daemon(mut client), Format::Human) => Ok(lines(&client.ask(&Status {})?)),
        (Source::File(view), format) => from_file(&view, format, config),
    })?;
    print(&text, console)
}

/// How the queues are where no daemon runs.
pub(super) fn from_file(
    view: &QueueView,
    format: Format,
    config: &Config,
) -> Result<String, Failure> {
    let queues = view.queues().map_err(failure)?;
    let queues: Vec<QueueState> = queues.into_iter().map(QueueState::from).collect();
    let rate = view.rate().map_err(failure)?;
    Ok(match format {
        Format::Json => json_line(&json!({
            "state": "down",
            "database": config.database.path,
            "queues": queues,
            "rate": rate,
        })),
        Format::Human => format!("no daemon runs; in the file:\n\n{}", queue::lines(&queues)),
    })
}

/// How the daemon fares, for people.
pub(super) fn lines(status: &StatusReport) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "daemon {} pid {}, {} for {}, {}",
        status.version,
        status.pid,
        match status.state {
            Activity::Running => "running",
            Activity::Draining => "stopping, after having run",
        },
        span(status.uptime_s),
        plain(&status.database, LONGEST_LINE)
    );
    let _ = match &status.queue_error {
        None => writeln!(text, "\n{}", queue::lines(&status.queues)),
        Some(error) => writeln!(
            text,
            "\nwhat waits cannot be told: {}\n",
            plain(error, LONGEST_LINE)
        ),
    };
    for pool in &status.pools {
        let degraded = if pool.degraded {
            ", degraded: its workers kept dying"
        } else {
            ""
        };
        let (name, busy, workers) = (pool.queue.0, pool.busy, pool.workers);
        let _ = writeln!(text, "{name}: {busy} of {workers} workers busy{degraded}");
    }
    if let Some(rate) = rate_line(status) {
        let _ = writeln!(text, "{rate}");
    }
    if let Some(waited) = status.waiting_for_lock_s.filter(|waited| *waited > 0) {
        let _ = writeln!(text, "waiting for a lock, {waited} s");
    }
    for alarm in &status.alarms {
        let _ = writeln!(text, "alarm: {}", plain(alarm, LONGEST_LINE));
    }
    text
}

fn rate_line(status: &StatusReport) -> Option<String> {
    let rate = status.rate.as_ref()?;
    let mut line = format!(
        "{}: {} of {} calls in {} s",
        plain(&rate.upstream, LONGEST_LINE),
        rate.used,
        rate.limit,
        rate.window_s
    );
    if let Some(seconds) = rate.next_s {
        let _ = write!(line, ", next in {seconds} s");
    }
    if let Some(seconds) = rate.parked_s {
        let _ = write!(line, ", left alone for {seconds} s more");
    }
    Some(line)
}

/// What a monitor is told: a line, and the code that is its colour.
fn judge(asked: Result<StatusReport, ClientError>, oldest: Duration, now: Time) -> (Code, String) {
    let status = match asked {
        Ok(status) => status,
        // It answers; that it has no place for us now says nothing of its work.
        Err(error) if error.is_busy() => return (Code::Warning, format!("WARNING: {error}")),
        Err(error) => return (Code::Critical, format!("CRITICAL: {error}")),
    };
    let worries = worries(&status, oldest, now);
    let sum = |count: fn(&QueueState) -> u64| status.queues.iter().map(count).sum::<u64>();
    let (waiting, running) = (sum(|queue| queue.available), sum(|queue| queue.running));
    let figures = format!(
        "waiting={waiting} running={running} retrying={}",
        sum(|queue| queue.retryable)
    );
    if worries.is_empty() {
        let line = format!(
            "OK: running for {}, {running} jobs at work, {waiting} waiting | {figures}",
            span(status.uptime_s)
        );
        (Code::Success, line)
    } else {
        let line = format!("WARNING: {} | {figures}", worries.join("; "));
        // What follows the bar is for machines.
        (Code::Warning, line)
    }
}

fn worries(status: &StatusReport, oldest: Duration, now: Time) -> Vec<String> {
    let mut worries = status.alarms.clone();
    if let Some(error) = &status.queue_error {
        worries.push(format!("what waits cannot be told: {error}"));
    }
    if status.state == Activity::Draining {
        worries.push("the daemon is stopping".to_owned());
    }
    for queue in &status.queues {
        let name = queue.queue.0;
        if queue.paused_at.is_some() {
            worries.push(format!("{name} is paused"));
        } else if let Some(Time(due)) = queue.oldest_at {
            let waited = u64::try_from(now.0.saturating_sub(due)).unwrap_or(0) / 1000;
            if waited > oldest.as_secs() {
                worries.push(format!("a job of {name} has been due for {}", span(waited)));
            }
        }
    }
    let degraded = status.pools.iter().filter(|pool| pool.degraded);
    worries.extend(degraded.map(|pool| format!("{}: its workers kept dying", pool.queue.0)));
    let parked = status.rate.as_ref().and_then(|rate| rate.parked_s);
    if let Some(seconds) = parked {
        worries.push(format!(
            "the upstream told us to stay away, {seconds} s more"
        ));
    }
    if let Some(waited) = status.waiting_for_lock_s.filter(|waited| *waited >= 10) {
        worries.push(format!(
            "another process has held the database for {waited} s"
        ));
    }
    worries
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::path::PathBuf;

    fn report(change: impl FnOnce(&mut Value)) -> StatusReport {
        let mut status = json!({
            "version": "0.1.0", "pid": 7, "uptime_s": 273_600, "database": "v.db", "socket": "s",
            "state": "running", "writes_waiting": 0, "waiting_for_lock_s": null, "restarts": 0,
            "queues": [{"queue": "cleanup", "paused_at": null, "available": 12, "scheduled": 0,
                "retryable": 1, "running": 2, "oldest_at": "1970-01-01T00:00:00Z"}],
            "pools": [{"queue": "cleanup", "workers": 2, "busy": 2, "ready": 0, "uncommitted": 0,
                "restarts": 0, "degraded": false}],
            "rate": {"upstream": "oembed", "used": 3, "limit": 20, "window_s": 60,
                "next_s": null, "parked_s": null},
            "alarms": [],
        });
        change(&mut status);
        serde_json::from_value(status).unwrap()
    }

    fn told(change: impl FnOnce(&mut Value)) -> (u8, String) {
        let hour = Duration::from_secs(3600);
        let (code, line) = judge(Ok(report(change)), hour, Time(60_000));
        (code.number(), line)
    }

    #[test]
    fn a_monitor_is_told_in_a_line_and_a_code() {
        assert_eq!(
            told(|_| {}),
            (
                0,
                "OK: running for 3d 4h, 2 jobs at work, 12 waiting | waiting=12 running=2 retrying=1"
                    .to_owned()
            )
        );
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 8] = [
            (
                |status| status["queue_error"] = json!("lock the database"),
                "cannot be told: lock the database",
            ),
            (
                |status| status["alarms"] = json!(["the disk is full"]),
                "the disk is full",
            ),
            (|status| status["state"] = json!("draining"), "stopping"),
            (
                |status| status["queues"][0]["paused_at"] = json!("1970-01-01T00:00:00Z"),
                "cleanup is paused",
            ),
            (
                |status| status["queues"][0]["oldest_at"] = json!("1969-12-31T12:00:00Z"),
                "has been due for 12h 1m",
            ),
            (
                |status| status["pools"][0]["degraded"] = json!(true),
                "kept dying",
            ),
            (
                |status| status["rate"]["parked_s"] = json!(90),
                "stay away, 90 s",
            ),
            (
                |status| status["waiting_for_lock_s"] = json!(12),
                "held the database for 12 s",
            ),
        ];
        for (change, part) in cases {
            let (code, line) = told(change);
            assert!(code == 1 && line.starts_with("WARNING: "), "{line}");
            assert!(line.contains(part), "{line}");
        }
        let silent = ClientError::NoDaemon {
            socket: PathBuf::from("/run/x.sock"),
        };
        let (code, line) = judge(Err(silent), Duration::ZERO, Time(0));
        assert_eq!(code.number(), 2);
        assert!(
            line.starts_with("CRITICAL: no daemon at /run/x.sock"),
            "{line}"
        );
    }

    #[test]
    fn people_are_told_what_is_busy_and_what_is_wrong() {
        let text = lines(&report(|status| {
            status["alarms"] = json!(["\u{1b}[2Jx"]);
            status["rate"]["parked_s"] = json!(90);
        }));
        for part in [
            "running for 3d 4h",
            "2 of 2 workers busy",
            "oembed: 3 of 20 calls in 60 s, left alone for 90 s more",
            "alarm: \\u{1b}[2Jx",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
