//! Commits, and what keeps them waiting.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{observe, shown};

/// Less than this passes between any two looks at the clock; it is no wait for a lock.
const NO_WAIT: Duration = Duration::from_millis(1);

/// Commits and waits for the database.
pub struct DatabaseMeters {
    operations: Histogram,
    held: Histogram,
    locked: Counter<f64, AtomicU64>,
    waiting: Gauge,
}

impl Default for DatabaseMeters {
    fn default() -> Self {
        Self {
            operations: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
            held: Histogram::new([
                0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
                2.5, 5.0,
            ]),
            locked: Counter::default(),
            waiting: Gauge::default(),
        }
    }
}

impl DatabaseMeters {
    /// So many operations were committed together. The lock was held for so long, and all of it
    /// took so long.
    pub fn committed(&self, operations: usize, held: Duration, took: Duration) {
        let operations = u32::try_from(operations).unwrap_or(u32::MAX);
        self.operations.observe(f64::from(operations));
        // What did not touch the file held no lock of it.
        if !held.is_zero() {
            observe(&self.held, held);
            self.locked_out(took.saturating_sub(held));
        }
    }

    /// Another process's lock was waited for.
    pub fn locked_out(&self, waited: Duration) {
        if waited >= NO_WAIT {
            self.locked.inc_by(waited.as_secs_f64());
        }
    }

    /// So many operations wait to be written now.
    pub fn waiting(&self, waiting: usize) {
        self.waiting.set(shown(waiting));
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "commit_operations",
            "Operations committed together",
            self.operations.clone(),
        );
        registry.register_with_unit(
            "commit_duration",
            "How long a commit held the file's write lock",
            Unit::Seconds,
            self.held.clone(),
        );
        registry.register_with_unit(
            "database_lock_wait",
            "Time the writer waited for another process's lock",
            Unit::Seconds,
            self.locked.clone(),
        );
        registry.register(
            "writes_waiting",
            "Operations that wait to be written",
            self.waiting.clone(),
        );
    }
}
