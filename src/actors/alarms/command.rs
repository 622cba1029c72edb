//! Running `alerts.command`.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{DATABASE, log};
use crate::config::Alerts;
use crate::domain::alarm::{AlarmKind, Alarms, Change};

/// How often it is seen whether the command has ended.
const WAIT_STEP: Duration = Duration::from_millis(20);

/// What the command reads.
#[derive(Serialize)]
struct Told<'a> {
    database: &'a str,
    changes: &'a [Change],
}

/// Tells of what ends the engine, when nobody is left who could keep the alarm: the command runs to
/// its end, or to its time-out.
pub fn tell_last(alerts: &Alerts, database: &Path, kind: AlarmKind, text: String, now_ms: i64) {
    let change = Alarms::default().note(kind, DATABASE, Some(text), now_ms);
    let Some(change) = change else { return };
    log(&change);
    if let Err(error) = run_command(alerts, &database.display().to_string(), &[change]) {
        tracing::warn!(%error, "alerts.command failed");
    }
}

/// Runs `alerts.command` to its end, or to its time-out.
pub(super) fn run_command(
    alerts: &Alerts,
    database: &str,
    changes: &[Change],
) -> std::io::Result<()> {
    let Some((program, arguments)) = alerts.command.split_first() else {
        return Ok(());
    };
    let told = serde_json::to_vec(&Told { database, changes })?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // A few kilobytes fit the pipe whether or not it reads; more from a thread of its own.
    let stdin = child.stdin.take();
    let written = thread::Builder::new()
        .name("vvv-alert".to_owned())
        .spawn(move || stdin.map(|mut stdin| stdin.write_all(&told)));
    let status = wait(&mut child, alerts.timeout);
    drop(written);
    match status? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(std::io::Error::other(status.to_string())),
        None => Err(std::io::ErrorKind::TimedOut.into()),
    }
}

/// None: it took too long and was killed.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(WAIT_STEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alerts(script: &str) -> Alerts {
        Alerts {
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            timeout: Duration::from_secs(10),
            min_interval: Duration::ZERO,
            backlog_after: Duration::ZERO,
        }
    }

    #[test]
    fn it_is_heard_when_it_fails_hangs_or_is_not_there() {
        run_command(&alerts("grep -q '\"changes\":\\[\\]'"), "vault.db", &[]).unwrap();
        run_command(&alerts("exec 0<&-"), "vault.db", &[]).unwrap();
        let failed = run_command(&alerts("exit 3"), "vault.db", &[]).unwrap_err();
        assert!(failed.to_string().contains('3'), "{failed}");
        let slow = Alerts {
            timeout: Duration::from_millis(50),
            ..alerts("exec sleep 60")
        };
        let killed = run_command(&slow, "vault.db", &[]).unwrap_err();
        assert_eq!(killed.kind(), std::io::ErrorKind::TimedOut);
        let nobody = Alerts {
            command: vec!["/nowhere/at/all".to_owned()],
            ..slow
        };
        run_command(&nobody, "vault.db", &[]).unwrap_err();
    }
}
