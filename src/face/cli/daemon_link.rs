//! How verbs reach the daemon, and what those that only look do when none answers.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Console, Global};
use crate::config::Config;
use crate::engine::{JobState, Queue, QueueView};
use crate::face::client::{Client, ClientError, PATIENCE, socket_of};
use crate::face::exit::{Code, Failure};
use crate::face::one_shot::failure;
use crate::face::protocol::{Status, StatusReport, Time};
use crate::face::text::{plain, span};

/// The most of a line that is printed, in bytes.
const LONGEST_LINE: usize = 4096;

/// Who is asked.
pub(super) enum Source {
    /// The daemon.
    Daemon(Client),
    /// The file that its queue is in.
    File(Box<QueueView>),
}

/// Connects to the daemon of this configuration.
pub(super) fn connect(config: &Config) -> Result<Client, ClientError> {
    Client::connect(&socket_of(config))
}

/// The same, and the daemon works on the database that the configuration names, if it names one.
///
/// # Errors
/// When no daemon answers, or it works on another database.
pub(super) fn connect_on(config: &Config) -> Result<Client, Failure> {
    let mut client = connect(config)?;
    match elsewhere(config, &mut client)? {
        None => Ok(client),
        Some(other) => Err(other.into()),
    }
}

/// A daemon of another database than was named.
#[derive(Debug, thiserror::Error)]
#[error("the daemon at {socket} works on {works_on}, not on {}", named.display())]
pub(super) struct Elsewhere {
    socket: String,
    works_on: String,
    named: PathBuf,
}

impl Elsewhere {
    /// None: it works on the named one. No name is any.
    pub(super) fn of(named: &Path, status: &StatusReport) -> Option<Self> {
        (!is_same(named, Path::new(&status.database))).then(|| Self {
            socket: status.socket.clone(),
            works_on: status.database.clone(),
            named: named.to_owned(),
        })
    }
}

impl From<Elsewhere> for Failure {
    fn from(other: Elsewhere) -> Self {
        Self::new(Code::Usage, other)
    }
}

fn elsewhere(config: &Config, client: &mut Client) -> Result<Option<Elsewhere>, ClientError> {
    let named = &config.database.path;
    if named.as_os_str().is_empty() {
        return Ok(None);
    }
    Ok(Elsewhere::of(named, &client.ask(&Status {})?))
}

/// Asks the daemon, or looks into the file if none answers that works on it, which is said.
pub(super) fn look<T>(
    config: &Config,
    global: &Global,
    console: &mut Console<'_>,
    mut ask: impl FnMut(Source) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let asked = connect(config).and_then(|mut client| {
        let other = elsewhere(config, &mut client)?;
        Ok((client, other))
    });
    let why = match asked {
        Ok((client, None)) => return ask(Source::Daemon(client)),
        Ok((_, Some(other))) => other.to_string(),
        Err(error) if !error.is_silence() || config.database.path.as_os_str().is_empty() => {
            return Err(error.into());
        }
        Err(silence) => silence.to_string(),
    };
    say(
        &format!("{why}; looking into {}", config.database.path.display()),
        global,
        console,
    );
    let view = QueueView::open_within(config, PATIENCE).map_err(failure)?;
    ask(Source::File(Box::new(view)))
}

/// Tells people something that is no result.
pub(super) fn say(text: &str, global: &Global, console: &mut Console<'_>) {
    if global.quiet {
        return;
    }
    // If standard error is closed there is nobody to tell.
    let _ = writeln!(console.stderr, "{}", plain(text, LONGEST_LINE));
    let _ = console.stderr.flush();
}

/// How the daemon fares, if it works on this database; an empty path is any.
///
/// # Errors
/// When it does not answer, or works on another one: the work is not for that.
pub(super) fn daemon_on(database: &Path, client: &mut Client) -> Result<StatusReport, Failure> {
    let status = client.ask(&Status {})?;
    match Elsewhere::of(database, &status) {
        None => Ok(status),
        Some(other) => Err(other.into()),
    }
}

fn is_same(database: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    database.as_os_str().is_empty() || real(database) == real(other)
}

/// A state on the command line.
pub(super) fn parse_state(text: &str) -> Result<JobState, String> {
    JobState::from_name(text.trim()).ok_or_else(|| {
        format!(
            "must be one of {}",
            JobState::ALL.map(JobState::name).join(", ")
        )
    })
}

/// A queue on the command line, by any of its names.
pub(super) fn parse_queue(text: &str) -> Result<Queue, String> {
    Queue::from_name(text.trim())
        .ok_or_else(|| format!("must be one of {}", Queue::ALL.map(Queue::name).join(", ")))
}

/// How long ago, or how soon, in two units.
pub(super) fn since(time: Option<Time>) -> String {
    let Some(Time(ms)) = time else {
        return "-".to_owned();
    };
    let passed = (Timestamp::now().as_millisecond() - ms) / 1000;
    match u64::try_from(passed) {
        Ok(seconds) => format!("{} ago", span(seconds)),
        Err(_) => format!("in {}", span(passed.unsigned_abs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_ago_or_to_come() {
        assert!(since(Some(Time(0))).ends_with("d ago") || since(Some(Time(0))).ends_with("h ago"));
        assert!(since(Some(Time(i64::MAX / 2))).starts_with("in "));
    }

    #[test]
    fn a_database_is_the_same_by_any_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("v.db");
        fs::write(&file, "").unwrap();
        assert!(is_same(&folder.path().join("./v.db"), &file));
        assert!(is_same(Path::new(""), &file));
        assert!(!is_same(&folder.path().join("w.db"), &file));
    }
}
