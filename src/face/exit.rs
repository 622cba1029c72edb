//! How a run ends: the exit code, and the one place where the error behind it is told.

use std::io::{self, Write};
use std::process::ExitCode;

use super::text::plain;
use crate::config::ConfigError;

/// The most of one line of an error that is printed, in bytes.
const LONGEST_LINE: usize = 4096;

/// Exit codes, the same for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Every job finished, whatever the verdicts.
    Success,
    /// Some job failed, or a verdict that `--fail-on` names was given.
    Failed,
    /// Bad usage or bad input.
    Usage,
    /// The database or the configuration cannot be used.
    Unusable,
    /// The engine was lost.
    EngineLost,
    /// Interrupted by SIGINT; finished work is kept.
    Interrupted,
    /// Ended by SIGTERM; finished work is kept.
    Terminated,
    /// To a monitor: somebody should look.
    Warning,
    /// To a monitor: nothing works.
    Critical,
}

impl Code {
    /// The number the process exits with.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unusable => 3,
            Self::EngineLost => 70,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::Warning => 1,
            Self::Critical => 2,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}

/// An error that ends the run, with the code it ends with.
#[derive(Debug)]
pub struct Failure {
    /// What the process exits with.
    pub code: Code,
    /// Why, with its causes.
    pub error: anyhow::Error,
}

impl Failure {
    /// An error and the code it ends the run with.
    pub fn new(code: Code, error: impl Into<anyhow::Error>) -> Self {
        Self {
            code,
            error: error.into(),
        }
    }

    /// Prints `error: …` with its causes, and gives the code. If standard error is closed there
    /// is nobody to tell.
    pub fn report(&self, stderr: &mut dyn Write) -> Code {
        for line in chain(&self.error).lines() {
            let _ = writeln!(stderr, "{}", plain(line, LONGEST_LINE));
        }
        let _ = stderr.flush();
        self.code
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let code = if error.is_usage() {
            Code::Usage
        } else {
            Code::Unusable
        };
        Self::new(code, error)
    }
}

/// What could not be printed ends a run quietly if the reader left (`| head`), else with an
/// error.
///
/// # Errors
/// When writing failed for another reason, such as a full disk.
pub fn printed(result: io::Result<()>) -> Result<Code, Failure> {
    match result {
        Ok(()) => Ok(Code::Success),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Code::Success),
        Err(error) => Err(Failure::new(
            Code::Failed,
            anyhow::Error::new(error).context("write to standard output"),
        )),
    }
}

/// The error and its causes on one line; a cause that the error already told is left out.
fn chain(error: &anyhow::Error) -> String {
    let mut told = format!("error: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !told.ends_with(&cause) {
            told.push_str(": ");
            told.push_str(&cause);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    fn reported(error: anyhow::Error) -> String {
        let mut stderr = Vec::new();
        Failure::new(Code::Failed, error).report(&mut stderr);
        String::from_utf8(stderr).unwrap()
    }

    #[test]
    fn an_error_is_told_once_with_its_causes() {
        let error = Err::<(), _>(anyhow!("no such table: videos"))
            .context("read the snapshots")
            .context("score 3 videos")
            .unwrap_err();
        assert_eq!(
            reported(error),
            "error: score 3 videos: read the snapshots: no such table: videos\n"
        );
    }

    #[test]
    fn a_cause_that_is_part_of_the_message_is_not_told_twice() {
        let error = anyhow!("disk full").context("commit: disk full");
        assert_eq!(reported(error), "error: commit: disk full\n");
    }

    #[test]
    fn nothing_in_an_error_reaches_the_terminal_as_a_command() {
        assert_eq!(
            reported(anyhow!("id \u{1b}[2Jx\r refused\nsecond\u{9b}line")),
            "error: id \\u{1b}[2Jx\\r refused\nsecond\\u{9b}line\n"
        );
    }

    #[test]
    fn a_reader_that_left_is_no_failure_but_a_full_disk_is() {
        let end = |kind| printed(Err(io::Error::from(kind)));
        assert_eq!(end(io::ErrorKind::BrokenPipe).unwrap(), Code::Success);
        let failure = end(io::ErrorKind::StorageFull).unwrap_err();
        assert_eq!(failure.code, Code::Failed);
        assert!(failure.error.to_string().contains("standard output"));
    }

    #[test]
    fn the_numbers_are_the_documented_ones() {
        let codes = [
            Code::Success,
            Code::Failed,
            Code::Usage,
            Code::Unusable,
            Code::EngineLost,
            Code::Interrupted,
            Code::Terminated,
        ];
        assert_eq!(codes.map(Code::number), [0, 1, 2, 3, 70, 130, 143]);
    }
}
