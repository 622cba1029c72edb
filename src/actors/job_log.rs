//! The last lines told of jobs, for whoever asks what became of one. They are in memory alone and end
//! with the engine; what the row of a job tells, and what was found, is in the file.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::worker::Deps;
use crate::domain::job::Queue;
use crate::store::JobId;

/// Lines kept of each queue, so that a busy one takes no room from the others: with the longest texts
/// they are two megabytes in all.
pub const LINES_KEPT: usize = 2_000;
/// The most of a text, in bytes.
const LONGEST: usize = 240;
/// Lines of one job after which no more of its items have lines of their own.
const MOST_OF_A_JOB: usize = 200;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// As it should be.
    Info,
    /// Something did not work.
    Warn,
}

impl LogLevel {
    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
        }
    }
}

/// What was told of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// How bad it is.
    pub level: LogLevel,
    /// What happened. Strangers' texts may be part of it.
    pub text: String,
}

type Lines = VecDeque<(JobId, LogLine)>;

/// The last lines of each queue.
#[derive(Debug, Clone, Default)]
pub struct JobLog(Arc<Mutex<[Lines; Queue::ALL.len()]>>);

impl JobLog {
    fn kept(&self) -> MutexGuard<'_, [Lines; Queue::ALL.len()]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what happened to a job.
    pub fn note(&self, queue: Queue, job: JobId, line: LogLine) {
        if let Some(lines) = self.kept().get_mut(queue as usize) {
            keep(lines, job, line);
        }
    }

    /// Notes what happened to one of a job's items, unless there were very many.
    pub fn note_item(&self, queue: Queue, job: JobId, mut line: LogLine) {
        let mut kept = self.kept();
        let Some(lines) = kept.get_mut(queue as usize) else {
            return;
        };
        match lines.iter().filter(|(of, _)| *of == job).count() {
            ..MOST_OF_A_JOB => {}
            MOST_OF_A_JOB => "and others, which have no line here".clone_into(&mut line.text),
            _ => return,
        }
        keep(lines, job, line);
    }

    /// What was told of a job and is still kept, in order.
    #[must_use]
    pub fn of(&self, job: JobId) -> Vec<LogLine> {
        let kept = self.kept();
        let lines = kept.iter().flatten().filter(|(of, _)| *of == job);
        lines.map(|(_, line)| line.clone()).collect()
    }
}

fn keep(lines: &mut Lines, job: JobId, mut line: LogLine) {
    let mut end = line.text.len().min(LONGEST);
    while !line.text.is_char_boundary(end) {
        end -= 1;
    }
    line.text.truncate(end);
    line.text.shrink_to_fit();
    if lines.len() >= LINES_KEPT {
        lines.pop_front();
    }
    lines.push_back((job, line));
}

impl Deps {
    /// Notes what happened to a job of the durable queue, for whoever asks what became of it.
    pub fn note(&self, queue: Queue, job: JobId, level: LogLevel, text: impl FnOnce() -> String) {
        if !self.run.one_shot {
            self.log.note(queue, job, self.line(level, text()));
        }
    }

    /// Notes that one of its items has no answer yet.
    pub fn note_item(&self, queue: Queue, job: JobId, item: &str, why: &str) {
        if !self.run.one_shot {
            let line = self.line(LogLevel::Warn, format!("{item}: {why}"));
            self.log.note_item(queue, job, line);
        }
    }

    fn line(&self, level: LogLevel, text: String) -> LogLine {
        LogLine {
            at_ms: self.clock.unix_ms(),
            level,
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: impl Into<String>) -> LogLine {
        LogLine {
            at_ms: 1,
            level: LogLevel::Info,
            text: text.into(),
        }
    }

    #[test]
    fn a_busy_queue_takes_no_room_from_the_others() {
        let log = JobLog::default();
        log.note(Queue::Cleanup, JobId(1), line("begins"));
        for _ in 0..=LINES_KEPT {
            log.note(Queue::Scoring, JobId(2), line("ended"));
        }
        log.note(Queue::Cleanup, JobId(1), line("ends"));
        assert_eq!(log.of(JobId(1)), [line("begins"), line("ends")]);
        assert_eq!(log.of(JobId(2)).len(), LINES_KEPT);
        assert_eq!(log.of(JobId(3)), []);
    }

    #[test]
    fn a_job_of_thousands_does_not_drown_the_others() {
        let log = JobLog::default();
        log.note(Queue::Thumbnails, JobId(1), line("other"));
        for _ in 0..=LINES_KEPT {
            log.note_item(Queue::Thumbnails, JobId(2), line("failed"));
        }
        log.note(Queue::Thumbnails, JobId(2), line("ends"));
        let told = log.of(JobId(2));
        assert_eq!(told.len(), MOST_OF_A_JOB + 2);
        assert!(told[MOST_OF_A_JOB].text.starts_with("and others"));
        assert_eq!(
            (told.last(), log.of(JobId(1)).len()),
            (Some(&line("ends")), 1)
        );
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let log = JobLog::default();
        log.note(
            Queue::Scoring,
            JobId(1),
            line("x".to_owned() + &"ż".repeat(LONGEST)),
        );
        assert_eq!(log.of(JobId(1))[0].text.len(), LONGEST - 1);
    }
}
