//! Jobs claimed and ended, and what was found of their items.

use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::each::{Both, Each, Of};
use super::labels::{Found, Outcome};
use super::{observe, waits};
use crate::domain::job::{Kind, Queue};
use crate::domain::score::Score;
use crate::store::{ClaimedJob, Moment};

/// Jobs and their items.
pub struct JobMeters {
    claimed: Each<Of<Queue>, Counter>,
    waited: Each<Of<Kind>, Histogram>,
    worked: Each<Of<Kind>, Histogram>,
    attempts: Each<Of<Kind>, Histogram>,
    outcomes: Each<Both<Kind, Outcome>, Counter>,
    items: Each<Found, Counter>,
    open: Each<Of<Queue>, Gauge>,
    refused: Counter,
}

impl Default for JobMeters {
    fn default() -> Self {
        Self {
            claimed: Each::default(),
            waited: Each::new(waits),
            // Waits for permits included.
            worked: Each::new(waits),
            attempts: Each::new(|| Histogram::new([1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 12.0, 20.0])),
            outcomes: Each::default(),
            items: Each::default(),
            open: Each::default(),
            refused: Counter::default(),
        }
    }
}

impl JobMeters {
    /// A job was claimed.
    pub fn claimed(&self, job: &ClaimedJob, now: Moment) {
        let kind = Of(job.kind);
        self.claimed.of(Of(job.kind.queue())).inc();
        if let Some(due_ms) = job.due_ms {
            let waited = u64::try_from(now.0.saturating_sub(due_ms)).unwrap_or(0);
            observe(self.waited.of(kind), Duration::from_millis(waited));
        }
    }

    /// It was committed what became of a claimed job.
    pub fn ended(&self, job: &ClaimedJob, outcome: Outcome, now: Instant) {
        let kind = Of(job.kind);
        self.outcomes.of(Both(job.kind, outcome)).inc();
        let worked = now.saturating_duration_since(job.claimed_at);
        observe(self.worked.of(kind), worked);
        if matches!(outcome, Outcome::Succeeded | Outcome::Failed) {
            self.attempts.of(kind).observe(f64::from(job.attempts));
        }
    }

    /// A job was cancelled, wherever it was.
    pub fn cancelled(&self, kind: Kind) {
        self.outcomes.of(Both(kind, Outcome::Cancelled)).inc();
    }

    /// A job was handed in for a temporary queue.
    pub fn opened(&self, queue: Queue) {
        self.open.of(Of(queue)).inc();
    }

    /// It has ended, however.
    pub fn closed(&self, queue: Queue) {
        self.open.of(Of(queue)).dec();
    }

    /// Rows of the site's could not be read.
    pub fn refused(&self, rows: usize) {
        self.refused.inc_by(u64::try_from(rows).unwrap_or(u64::MAX));
    }

    pub(super) fn found(&self, found: Found) {
        self.items.of(found).inc();
    }

    /// These scores were committed.
    pub fn scores(&self, scores: &[(String, Score)]) {
        let is_scored = |(_, score): &&(String, Score)| matches!(score, Score::Scored(_));
        let scored = scores.iter().filter(is_scored).count();
        let count = |found, items: usize| {
            let items = u64::try_from(items).unwrap_or(u64::MAX);
            self.items.of(found).inc_by(items);
        };
        count(Found::Scored, scored);
        count(Found::Unscored, scores.len() - scored);
    }

    pub(super) fn register_open(&self, registry: &mut Registry) {
        self.open.show(
            registry,
            "jobs_open",
            "Jobs of a temporary queue that have not ended",
        );
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        self.claimed
            .show(registry, "jobs_claimed", "Jobs claimed by a pool");
        self.waited.show_in(
            registry,
            "job_wait",
            Unit::Seconds,
            "From a job being due to its claim",
        );
        self.worked.show_in(
            registry,
            "job_duration",
            Unit::Seconds,
            "From a job's claim to the commit of what became of it",
        );
        self.attempts.show(
            registry,
            "job_attempts",
            "Attempts of jobs that succeeded or failed",
        );
        self.outcomes
            .show(registry, "job_outcomes", "What became of jobs");
        self.items
            .show(registry, "items", "Items of jobs by what was found of them");
        registry.register(
            "jobs_refused",
            "Jobs inserted by plain SQL that could not be read",
            self.refused.clone(),
        );
    }
}
