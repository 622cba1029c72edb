//! Jobs that wait for their next try, and how whoever waits for them hears of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::protocol::{Job, Time};
use super::text::{plain, span};
use crate::engine::JobState;

/// Between two lines of a log.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// The most of an error that is shown, in bytes.
const LONGEST_ERROR: usize = 200;

/// Which of the jobs that are waited for are tried again, when and why.
#[derive(Debug, Default)]
pub struct Retries {
    waiting: BTreeMap<i64, Retry>,
    last_said: Option<Instant>,
}

#[derive(Debug)]
struct Retry {
    at: Time,
    why: String,
    /// Whether a line of the log told of it.
    said: bool,
}

impl Retries {
    /// Takes note of where a job is now.
    pub fn note(&mut self, job: &Job) {
        let (JobState::Retryable, Some(at)) = (job.state.0, job.run_at) else {
            return self.forget(job.id);
        };
        let known = self.waiting.get(&job.id);
        let retry = Retry {
            at,
            why: job.error.clone().unwrap_or_default(),
            said: known.is_some_and(|known| known.said && known.at == at),
        };
        self.waiting.insert(job.id, retry);
    }

    /// The job is no more.
    pub fn forget(&mut self, job: i64) {
        self.waiting.remove(&job);
    }

    /// How many jobs wait, until when and why; none if none does.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        self.told_at(Time::now())
    }

    /// The same for a log: once for each wait, and no more than a line in ten seconds.
    pub fn to_log(&mut self) -> Option<String> {
        if self.last_said.is_some_and(|at| at.elapsed() < SAY_EVERY)
            || self.waiting.values().all(|retry| retry.said)
        {
            return None;
        }
        let told = self.told()?;
        self.last_said = Some(Instant::now());
        self.waiting
            .values_mut()
            .for_each(|retry| retry.said = true);
        Some(told)
    }

    fn told_at(&self, now: Time) -> Option<String> {
        // Those whose time has come are tried, or about to be.
        let waiting = || self.waiting.values().filter(|retry| retry.at.0 > now.0);
        let first = waiting().min_by_key(|retry| retry.at.0)?;
        let wait_ms = u64::try_from(first.at.0 - now.0).unwrap_or(0);
        let wait = span(wait_ms.div_ceil(1000));
        let why = plain(&first.why, LONGEST_ERROR);
        Some(match waiting().count() {
            1 => format!("1 job is tried again in {wait}: {why}"),
            jobs => format!("{jobs} jobs are tried again, the first in {wait}: {why}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(id: i64, state: &str, error: &str, run_at: &str) -> Job {
        serde_json::from_value(json!({"id": id, "kind": "liveness", "queue": "cleanup",
            "state": state, "priority": 5, "items": 1, "attempts": 1, "crashes": 0, "group": null,
            "unique_key": null, "error": error, "run_at": run_at, "queued_at": null,
            "started_at": null, "ended_at": null}))
        .unwrap()
    }

    fn now() -> Time {
        serde_json::from_value(json!("2100-01-01T00:00:00Z")).unwrap()
    }

    #[test]
    fn the_next_try_is_told_with_its_reason() {
        let mut retries = Retries::default();
        assert_eq!(retries.told_at(now()), None);
        retries.note(&job(1, "retryable", "http 503", "2100-01-01T00:01:40Z"));
        let one = "1 job is tried again in 1m 40s: http 503";
        assert_eq!(retries.told_at(now()).unwrap(), one);
        retries.note(&job(2, "retryable", "a\nb", "2100-01-01T00:00:41.5Z"));
        // Its time has come.
        retries.note(&job(3, "retryable", "gone", "2099-12-31T23:59:59Z"));
        let two = "2 jobs are tried again, the first in 42s: a\\nb";
        assert_eq!(retries.told_at(now()).unwrap(), two);
        retries.note(&job(2, "running", "", "2100-01-01T00:00:41.5Z"));
        retries.forget(1);
        assert_eq!(retries.told_at(now()), None);
    }

    #[test]
    fn a_log_hears_of_each_wait_once() {
        let mut retries = Retries::default();
        let waits = job(1, "retryable", "http 503", "2100-01-01T00:00:41Z");
        retries.note(&waits);
        assert!(retries.to_log().is_some());
        retries.last_said = None;
        retries.note(&waits);
        assert_eq!(retries.to_log(), None, "it was told");
        retries.note(&job(1, "retryable", "http 502", "2100-01-01T00:05:00Z"));
        assert!(retries.to_log().unwrap().ends_with("http 502"));
        retries.note(&job(2, "retryable", "http 503", "2100-01-01T00:05:00Z"));
        assert_eq!(
            retries.to_log(),
            None,
            "the last line is not ten seconds old"
        );
    }
}
