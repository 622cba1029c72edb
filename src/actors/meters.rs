//! What an engine counts and times, for whoever scrapes it. Each engine has its own; nothing is
//! global. Every counter is found when the engine starts, so that counting takes nanoseconds.

mod calls;
mod database;
mod each;
mod jobs;
mod labels;
mod staff;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub use self::calls::{FetchMeters, PermitMeters};
pub use self::database::DatabaseMeters;
pub use self::jobs::JobMeters;
use self::labels::Found;
pub use self::labels::{Lane, Outcome, Part, Who};
pub use self::staff::{StaffMeters, Standing};
use crate::domain::liveness::Verdict;
use crate::domain::thumbnail::Status;

/// What an engine counts and times. Clones are the same.
#[derive(Clone, Default)]
pub struct Meters(Arc<Parts>);

/// All of it, by what it is about.
#[derive(Default)]
pub struct Parts {
    /// Jobs and their items.
    pub jobs: JobMeters,
    /// Workers, deaths and alarms.
    pub staff: StaffMeters,
    /// Fetches.
    pub fetches: FetchMeters,
    /// Permits to call the rate-limited upstream.
    pub permits: PermitMeters,
    /// Commits and waits for the database.
    pub database: DatabaseMeters,
}

impl Deref for Meters {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Meters {
    /// Something was found of a thumbnail.
    pub fn thumbnail(&self, status: Status) {
        self.jobs.found(Found::Thumbnail(status));
    }

    /// Something was found of a video that was asked for.
    pub fn liveness(&self, verdict: Verdict) {
        self.jobs.found(Found::Liveness(verdict));
    }

    /// Shows all of it in a registry, whose prefix tells whose they are. Without a durable queue nobody
    /// looks for alarms, and with one nobody counts its open jobs; a 0 would be a lie.
    pub fn register(&self, registry: &mut Registry, durable: bool) {
        self.jobs.register(registry);
        self.staff.register(registry);
        if durable {
            self.staff.register_alarms(registry);
        } else {
            self.jobs.register_open(registry);
        }
        self.fetches.register(registry);
        self.permits.register(registry);
        self.database.register(registry);
    }
}

/// From a moment's work to what runs into its time limit.
const SECONDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
];

/// How long work takes.
fn durations() -> Histogram {
    Histogram::new(SECONDS)
}

/// How long something waits, which may be hours.
fn waits() -> Histogram {
    Histogram::new(SECONDS.into_iter().chain([600.0, 3600.0, 21_600.0]))
}

fn observe(histogram: &Histogram, took: Duration) {
    histogram.observe(took.as_secs_f64());
}

/// A count as gauges show it.
fn shown(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
