//! How many jobs of each queue ended of late, minute by minute.

use serde::Serialize;

use super::error::StoreError;
use super::queue::JobState;
use super::reader::Reader;
use crate::domain::job::Queue;

/// How many minutes are told.
pub const MINUTES: usize = 30;
const MINUTE_MS: i64 = 60_000;
/// More are not counted in passing.
const JOBS_COUNTED: i64 = 200_000;

const ENDED: &str = "SELECT ended_ms, queue, state FROM main.vvv_jobs \
     WHERE ended_ms > ?1 AND ended_ms <= ?2 ORDER BY ended_ms DESC LIMIT ?3";

/// What a queue got done of late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueRate {
    /// The queue.
    pub queue: Queue,
    /// Jobs that succeeded within the last minute.
    pub succeeded: u64,
    /// Jobs that failed within it.
    pub failed: u64,
    /// Jobs that ended in each of the last 30 minutes, cancelled ones too, the oldest minute
    /// first.
    pub ended: [u64; MINUTES],
    /// Whether so many ended that the earliest were not counted.
    pub capped: bool,
    /// In how many of these minutes, the last ones, jobs were counted; if capped, in the first of them
    /// not all.
    pub counted: usize,
}

impl Reader {
    /// What every queue got done up to `now_ms`, Unix milliseconds; empty without a durable queue.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted.
    pub fn job_rates(&self, now_ms: i64) -> Result<Vec<QueueRate>, StoreError> {
        self.rates_of(now_ms, JOBS_COUNTED)
    }

    fn rates_of(&self, now_ms: i64, most: i64) -> Result<Vec<QueueRate>, StoreError> {
        if !self.has_queue()? {
            return Ok(Vec::new());
        }
        let mut rates = Queue::ALL.map(|queue| QueueRate {
            queue,
            succeeded: 0,
            failed: 0,
            ended: [0; MINUTES],
            capped: false,
            counted: MINUTES,
        });
        let span = i64::try_from(MINUTES).unwrap_or(0) * MINUTE_MS;
        let mut statement = self.connection.prepare_cached(ENDED)?;
        let bounds = (now_ms.saturating_sub(span), now_ms, most);
        let mut rows = statement.query(bounds)?;
        let (mut counted, mut age_ms) = (0, 0);
        while let Some(row) = rows.next()? {
            counted += 1;
            age_ms = now_ms.saturating_sub(row.get(0)?);
            let name = row.get_ref(1)?.as_str().unwrap_or_default();
            let Some(rate) = rates.iter_mut().find(|rate| rate.queue.name() == name) else {
                continue;
            };
            rate.count(age_ms, row.get_ref(2)?.as_str().unwrap_or_default());
        }
        if counted == most {
            for rate in &mut rates {
                rate.capped = true;
                rate.counted = (minutes_ago(age_ms) + 1).min(MINUTES);
            }
        }
        Ok(rates.into())
    }
}

fn minutes_ago(age_ms: i64) -> usize {
    usize::try_from(age_ms / MINUTE_MS).unwrap_or(MINUTES)
}

impl QueueRate {
    fn count(&mut self, age_ms: i64, state: &str) {
        let minutes_ago = minutes_ago(age_ms);
        if let Some(ended) = self.ended.iter_mut().rev().nth(minutes_ago) {
            *ended += 1;
        }
        if minutes_ago == 0 {
            self.succeeded += u64::from(state == JobState::Succeeded.name());
            self.failed += u64::from(state == JobState::Failed.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, searches};
    use super::super::{QueueHome, Writer};
    use super::*;

    #[test]
    fn jobs_are_counted_in_the_minute_they_ended_in() {
        let mut fixture = Fixture::new("wal");
        assert_eq!(fixture.reader().job_rates(0).unwrap(), []);
        fixture.options.queue = QueueHome::File;
        Writer::open(&fixture.options).unwrap().close();
        let now = 10_000_000;
        for (queue, state, age_ms) in [
            ("scoring", "succeeded", 0),
            ("scoring", "succeeded", 59_999),
            ("scoring", "failed", 1_000),
            ("scoring", "cancelled", 2_000),
            ("scoring", "failed", 60_000),
            ("cleanup", "succeeded", 30 * 60_000 - 1),
            ("cleanup", "succeeded", 30 * 60_000),
            ("cleanup", "succeeded", -1),
            ("later", "succeeded", 0),
        ] {
            let ended = now - age_ms;
            fixture.sql(&format!(
                "INSERT INTO vvv_jobs (kind, queue, state, ended_ms) \
                 VALUES ('score', '{queue}', '{state}', {ended})"
            ));
        }
        let reader = fixture.reader();
        let rates = reader.job_rates(now).unwrap();
        let [scoring, thumbnails, cleanup] = rates.as_slice() else {
            panic!("{rates:?}")
        };
        assert_eq!((scoring.succeeded, scoring.failed), (2, 1));
        assert_eq!(scoring.ended[MINUTES - 2..], [1, 4]);
        assert_eq!(thumbnails.ended, [0; MINUTES]);
        assert_eq!((cleanup.ended[0], cleanup.ended[1]), (1, 0));
        assert!(rates.iter().all(|rate| !rate.capped));
        for (most, counted) in [(5, 1), (6, 2), (7, MINUTES)] {
            let capped = reader.rates_of(now, most).unwrap();
            let all = capped
                .iter()
                .all(|rate| rate.capped && rate.counted == counted);
            assert!(all, "{most}: {capped:?}");
        }
        let plan = searches(&reader, ENDED);
        assert!(plan.contains("COVERING INDEX vvv_jobs_ended"), "{plan}");
    }
}
