//! Looking at the queues: what waits in each, and whether it is paused.

use rusqlite::OptionalExtension;
use serde::Serialize;

use super::error::StoreError;
use super::reader::Reader;
use crate::domain::job::{Kind, Queue};

/// A queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QueueSummary {
    /// Its name.
    pub queue: Queue,
    /// Since when it is paused, Unix milliseconds.
    pub paused_ms: Option<i64>,
    /// Jobs that wait for a worker.
    pub available: u64,
    /// Jobs that wait for their time.
    pub scheduled: u64,
    /// Jobs that wait for their next attempt.
    pub retryable: u64,
    /// Claimed jobs.
    pub running: u64,
    /// Since when the one that waits longest for a worker is due, Unix milliseconds.
    pub oldest_ms: Option<i64>,
}

impl Reader {
    /// Every queue, with what waits in it.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn queues(&self) -> Result<Vec<QueueSummary>, StoreError> {
        Queue::ALL
            .into_iter()
            .map(|queue| self.queue(queue))
            .collect()
    }

    /// Every queue, with the rows of the site's that nobody has taken in yet as available ones.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn backlogs(&self) -> Result<Vec<QueueSummary>, StoreError> {
        let mut queues = self.queues()?;
        let mut new = self.connection.prepare_cached(
            "SELECT kind, count(*) FROM main.vvv_jobs WHERE queued_ms IS NULL GROUP BY kind",
        )?;
        let mut rows = new.query([])?;
        while let Some(row) = rows.next()? {
            let kind = row.get_ref(0)?.as_str().ok().and_then(Kind::from_name);
            let count: i64 = row.get(1)?;
            let queue = kind.map(Kind::queue);
            for summary in queues.iter_mut().filter(|of| Some(of.queue) == queue) {
                summary.available += count.unsigned_abs();
            }
        }
        Ok(queues)
    }

    fn queue(&self, queue: Queue) -> Result<QueueSummary, StoreError> {
        let count = |sql: &str| -> Result<u64, StoreError> {
            let jobs: i64 = self
                .connection
                .prepare_cached(sql)?
                .query_row([queue.name()], |row| row.get(0))?;
            Ok(jobs.unsigned_abs())
        };
        let waiting = |state: &str| {
            count(&format!(
                "SELECT count(*) FROM main.vvv_jobs WHERE queue = ?1 AND state = '{state}' \
                 AND state IN ('scheduled', 'retryable')"
            ))
        };
        let paused_ms = self
            .connection
            .prepare_cached("SELECT paused_ms FROM main.vvv_paused_queues WHERE queue = ?1")?
            .query_row([queue.name()], |row| row.get(0))
            .optional()?;
        Ok(QueueSummary {
            queue,
            paused_ms,
            available: count(
                "SELECT count(*) FROM main.vvv_jobs WHERE queue = ?1 AND state = 'available'",
            )?,
            scheduled: waiting("scheduled")?,
            retryable: waiting("retryable")?,
            running: count(
                "SELECT count(*) FROM main.vvv_jobs WHERE queue = ?1 AND state = 'running'",
            )?,
            oldest_ms: self.oldest(queue)?,
        })
    }

    /// When the oldest available job was due: a step into the index for each priority.
    fn oldest(&self, queue: Queue) -> Result<Option<i64>, StoreError> {
        let mut first = self.connection.prepare_cached(
            "SELECT run_at_ms FROM main.vvv_jobs WHERE queue = ?1 AND state = 'available' \
             AND priority = ?2 ORDER BY run_at_ms LIMIT 1",
        )?;
        let mut oldest = None;
        for priority in 0..=9 {
            let due: Option<i64> = first
                .query_row((queue.name(), priority), |row| row.get(0))
                .optional()?;
            oldest = match (oldest, due) {
                (Some(one), Some(other)) => Some(i64::min(one, other)),
                (one, other) => one.or(other),
            };
        }
        Ok(oldest)
    }
}
