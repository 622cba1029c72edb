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
    /// Whether so many ended that those of the first minutes were not counted.
    pub capped: bool,
}

impl Reader {
    /// What every queue got done up to `now_ms`, Unix milliseconds; empty without a durable queue.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted.
    pub fn job_rates(&self, now_ms: i64) -> Result<Vec<QueueRate>, StoreError> {
        if !self.has_queue()? {
            return Ok(Vec::new());
        }
        let mut rates = Queue::ALL.map(|queue| QueueRate {
            queue,
            succeeded: 0,
            failed: 0,
            ended: [0; MINUTES],
            capped: false,
        });
        let span = i64::try_from(MINUTES).unwrap_or(0) * MINUTE_MS;
        let mut statement = self.connection.prepare_cached(ENDED)?;
        let bounds = (now_ms.saturating_sub(span), now_ms, JOBS_COUNTED);
        let mut rows = statement.query(bounds)?;
        let mut counted = 0;
        while let Some(row) = rows.next()? {
            counted += 1;
            let age_ms = now_ms.saturating_sub(row.get(0)?);
            let name = row.get_ref(1)?.as_str().unwrap_or_default();
            let Some(rate) = rates.iter_mut().find(|rate| rate.queue.name() == name) else {
                continue;
            };
            rate.count(age_ms, row.get_ref(2)?.as_str().unwrap_or_default());
        }
        for rate in &mut rates {
            rate.capped = counted == JOBS_COUNTED;
        }
        Ok(rates.into())
    }
}

impl QueueRate {
    fn count(&mut self, age_ms: i64, state: &str) {
        let minutes_ago = usize::try_from(age_ms / MINUTE_MS).unwrap_or(MINUTES);
        if let Some(ended) = self.ended.iter_mut().rev().nth(minutes_ago) {
            *ended += 1;
        }
        if minutes_ago == 0 {
            self.succeeded += u64::from(state == JobState::Succeeded.name());
            self.failed += u64::from(state == JobState::Failed.name());
        }
    }
}
