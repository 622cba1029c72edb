//! What the overview is made of: a tile a queue, the gauge of the window, who works on what.

use super::format::{Moment, count, span};
use crate::engine::{MINUTES, QueueRate};
use crate::face::protocol::{PoolState, QueueState, Rate, StatusReport, Time};

/// The height of a sparkline, in its own units.
const HEIGHT: u64 = 24;
/// The width of one bar with the gap after it.
const STEP: usize = 4;

/// A queue.
pub(super) struct Tile {
    pub(super) name: &'static str,
    pub(super) paused: Option<Moment>,
    pub(super) degraded: bool,
    /// Whether it has workers at all.
    pub(super) on: bool,
    /// All that wait, for a worker or for their time.
    pub(super) waiting: String,
    pub(super) available: String,
    pub(super) scheduled: String,
    pub(super) retryable: String,
    pub(super) running: String,
    pub(super) oldest: Option<String>,
    pub(super) done: String,
    pub(super) failed: u64,
    pub(super) spark: Option<Spark>,
}

/// Jobs that ended, minute by minute.
pub(super) struct Spark {
    pub(super) bars: Vec<Bar>,
    pub(super) width: usize,
    pub(super) height: u64,
    /// The same in words.
    pub(super) told: String,
}

/// A minute.
pub(super) struct Bar {
    pub(super) x: usize,
    pub(super) y: u64,
    pub(super) height: u64,
}

/// The tiles of all queues.
pub(super) fn tiles(status: &StatusReport, rates: &[QueueRate]) -> Vec<Tile> {
    let tile = |queue: &QueueState| {
        let pool = status.pools.iter().find(|pool| pool.queue == queue.queue);
        let rate = rates.iter().find(|rate| rate.queue == queue.queue.0);
        tile(queue, pool, rate)
    };
    status.queues.iter().map(tile).collect()
}

fn tile(queue: &QueueState, pool: Option<&PoolState>, rate: Option<&QueueRate>) -> Tile {
    let now = Time::now().0;
    let waited = |time: Time| span(now.saturating_sub(time.0));
    Tile {
        name: queue.queue.0.name(),
        paused: queue.paused_at.map(Moment::of),
        degraded: pool.is_some_and(|pool| pool.degraded),
        on: pool.is_some(),
        waiting: count(queue.available + queue.scheduled + queue.retryable),
        available: count(queue.available),
        scheduled: count(queue.scheduled),
        retryable: count(queue.retryable),
        running: count(queue.running),
        oldest: queue.oldest_at.map(waited),
        done: rate.map_or_else(|| "–".to_owned(), done),
        failed: rate.map_or(0, |rate| rate.failed),
        spark: rate.map(spark),
    }
}

fn done(rate: &QueueRate) -> String {
    let more = if rate.capped && rate.counted <= 1 {
        "+"
    } else {
        ""
    };
    count(rate.succeeded) + more
}

fn spark(rate: &QueueRate) -> Spark {
    let most = rate.ended.iter().copied().max().unwrap_or(0);
    let at_least = if rate.capped { "at least " } else { "" };
    let bar = |(minute, ended): (usize, &u64)| {
        // What is not nothing is seen.
        let height = (ended * HEIGHT)
            .checked_div(most)
            .map_or(0, |height| height.max(u64::from(*ended > 0)));
        Bar {
            x: minute * STEP,
            y: HEIGHT - height,
            height,
        }
    };
    let total: u64 = rate.ended.iter().sum();
    let counted = rate.ended.iter().enumerate();
    Spark {
        // What was not counted is not drawn as nothing.
        bars: counted
            .skip(MINUTES - rate.counted.min(MINUTES))
            .map(bar)
            .collect(),
        width: MINUTES * STEP,
        height: HEIGHT,
        told: format!(
            "{at_least}{} jobs ended in the last {MINUTES} minutes, {at_least}{} in the busiest one",
            count(total),
            count(most)
        ),
    }
}

/// The window of the rate-limited upstream.
pub(super) struct Gauge {
    pub(super) used: u32,
    pub(super) limit: u32,
    pub(super) window_s: u64,
    /// How full, percent.
    pub(super) full: u32,
    pub(super) next: String,
    pub(super) parked: Option<String>,
}

impl Gauge {
    pub(super) fn of(rate: &Rate) -> Self {
        let seconds = |s: u64| span(i64::try_from(s).unwrap_or(i64::MAX / 1_000) * 1_000);
        let full = u64::from(rate.used) * 100 / u64::from(rate.limit.max(1));
        Self {
            used: rate.used,
            limit: rate.limit,
            window_s: rate.window_s,
            full: u32::try_from(full.min(100)).unwrap_or(100),
            next: rate
                .next_s
                .map_or_else(|| "now".to_owned(), |s| format!("in {}", seconds(s))),
            parked: rate.parked_s.map(seconds),
        }
    }
}

/// A queue's workers.
pub(super) struct Crew {
    pub(super) queue: &'static str,
    pub(super) slots: Vec<Slot>,
    pub(super) busy: usize,
    pub(super) workers: usize,
    pub(super) ready: usize,
    pub(super) uncommitted: usize,
    pub(super) restarts: u64,
    pub(super) degraded: bool,
}

/// A worker.
pub(super) enum Slot {
    /// It has nothing to do.
    Idle,
    /// It is at work.
    Busy(Progress),
}

/// How far a job has come.
pub(super) struct Progress {
    pub(super) id: i64,
    pub(super) items: usize,
    pub(super) done: usize,
    /// Percent.
    pub(super) share: usize,
}

/// Who works.
pub(super) fn crews(status: &StatusReport) -> Vec<Crew> {
    status.pools.iter().map(crew).collect()
}

fn crew(pool: &PoolState) -> Crew {
    let mut slots: Vec<Slot> = progress(pool).map(Slot::Busy).collect();
    let idle = pool.workers.saturating_sub(slots.len());
    slots.extend(std::iter::repeat_with(|| Slot::Idle).take(idle));
    Crew {
        queue: pool.queue.0.name(),
        slots,
        busy: pool.busy,
        workers: pool.workers,
        ready: pool.ready,
        uncommitted: pool.uncommitted,
        restarts: pool.restarts,
        degraded: pool.degraded,
    }
}

/// How far the running jobs of a pool have come.
pub(super) fn progress(pool: &PoolState) -> impl Iterator<Item = Progress> {
    pool.running.iter().map(|job| Progress {
        id: job.id,
        items: job.items,
        done: job.done,
        share: (job.done * 100)
            .checked_div(job.items)
            .unwrap_or(0)
            .min(100),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Queue;

    #[test]
    fn what_was_not_counted_is_not_drawn() {
        let mut rate = QueueRate {
            queue: Queue::Scoring,
            succeeded: 1_200,
            failed: 0,
            ended: [0; MINUTES],
            capped: false,
            counted: MINUTES,
        };
        rate.ended[MINUTES - 1] = 1_200;
        let whole = spark(&rate);
        assert_eq!((whole.bars.len(), done(&rate).as_str()), (MINUTES, "1,200"));
        assert!(whole.told.starts_with("1,200 jobs ended"), "{}", whole.told);
        (rate.capped, rate.counted) = (true, 1);
        let capped = spark(&rate);
        let places: Vec<usize> = capped.bars.iter().map(|bar| bar.x).collect();
        assert_eq!(places, [(MINUTES - 1) * STEP]);
        assert_eq!(done(&rate), "1,200+");
        assert!(
            capped.told.starts_with("at least 1,200 jobs ended"),
            "{}",
            capped.told
        );
    }
}
