//! The SQLite of the site's own programs, as far as it can be asked from here.

use std::fmt;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::finding::Finding;

/// A program takes this long at most to tell its version.
const LIMIT: Duration = Duration::from_secs(5);

/// Between two looks whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The programs asked and what makes them print their SQLite's version. Python is kept from
/// importing modules of the current folder, which may be anyone's.
const PROGRAMS: [(&str, &[&str]); 2] = [
    (
        "python3",
        &["-I", "-c", "import sqlite3; print(sqlite3.sqlite_version)"],
    ),
    ("php", &["-r", "echo SQLite3::version()['versionString'];"]),
];

/// A version of SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.').map(|part| part.parse().ok());
        Some(Self(parts.next()??, parts.next()??, parts.next()??))
    }

    /// Whether it can lose commits of others when it resets a WAL: fixed in 3.51.3 and carried
    /// back to two older lines.
    fn has_wal_reset_bug(self) -> bool {
        let fixed = match (self.0, self.1) {
            (3, 44) => Self(3, 44, 6),
            (3, 50) => Self(3, 50, 7),
            _ => Self(3, 51, 3),
        };
        self < fixed && self >= Self(3, 7, 0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What to know of each of those programs that is there and answers.
pub(super) fn findings() -> Vec<Finding> {
    versions()
        .into_iter()
        .map(|(program, version)| {
            let text = format!("{program} here uses SQLite {version}");
            if !version.has_wal_reset_bug() {
                return Finding::ok("site_sqlite", text);
            }
            let text = format!("{text}, which can lose others' commits when it folds a WAL back");
            let advice = "where the site writes with it: update to 3.51.3 or newer, else run \
                          PRAGMA wal_autocheckpoint=0 after each connect and never wal_checkpoint, \
                          VACUUM or journal_mode";
            Finding::warn("site_sqlite", text).advice(advice)
        })
        .collect()
}

/// The SQLite versions of those programs that are there and answer.
fn versions() -> Vec<(&'static str, Version)> {
    PROGRAMS
        .into_iter()
        .filter_map(|(program, arguments)| {
            let text = ask(program, arguments)?;
            Some((program, Version::parse(&text)?))
        })
        .collect()
}

fn ask(program: &str, arguments: &[&str]) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let deadline = Instant::now() + LIMIT;
    // A version fits the pipe many times over, so it is read afterwards.
    let succeeded = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.success(),
            Ok(None) if Instant::now() < deadline => thread::sleep(LOOK_EVERY),
            Ok(None) | Err(_) => {
                // It may have ended this very moment; then there is nothing to end.
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    };
    let mut text = String::new();
    let output = child.stdout.take()?;
    output.take(64).read_to_string(&mut text).ok()?;
    succeeded.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_with_the_bug_are_known() {
        let buggy = |text| Version::parse(text).unwrap().has_wal_reset_bug();
        for text in ["3.7.0", "3.40.1", "3.44.5", "3.50.6", "3.51.2", "3.45.0"] {
            assert!(buggy(text), "{text}");
        }
        for text in ["3.6.23", "3.44.6", "3.50.7", "3.51.3", "3.54.1", "4.0.0"] {
            assert!(!buggy(text), "{text}");
        }
        assert_eq!(Version::parse("3.40"), None);
        assert_eq!(Version::parse("Warning: no"), None);
    }

    #[test]
    fn a_program_that_is_not_there_or_fails_tells_nothing() {
        assert_eq!(ask("no-such-program-anywhere", &[]), None);
        assert_eq!(ask("false", &[]), None);
        assert_eq!(ask("echo", &["3.40.1"]).as_deref(), Some("3.40.1\n"));
    }
}
