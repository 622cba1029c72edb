//! What is asked of others: fetches, and permits to call the rate-limited upstream.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::each::{Both, Each, Of};
use super::labels::{FetchEnd, Lane};
use super::{durations, observe, shown, waits};
use crate::fetch::{Answer, FetchError};

/// Fetches.
pub struct FetchMeters {
    ends: Each<Both<Lane, FetchEnd>, Counter>,
    took: Each<Of<Lane>, Histogram>,
    bytes: Each<Of<Lane>, Counter>,
}

impl Default for FetchMeters {
    fn default() -> Self {
        Self {
            ends: Each::default(),
            took: Each::new(durations),
            bytes: Each::default(),
        }
    }
}

impl FetchMeters {
    /// A fetch has ended.
    pub fn ended(&self, lane: Lane, answer: &Result<Answer, FetchError>, took: Duration) {
        let end = match answer {
            Ok(answer) => FetchEnd::status(answer.status),
            Err(error) => FetchEnd::error(error),
        };
        self.ends.of(Both(lane, end)).inc();
        observe(self.took.of(Of(lane)), took);
        if let Ok(answer) = answer {
            let bytes = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
            self.bytes.of(Of(lane)).inc_by(bytes);
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        self.ends.show(
            registry,
            "fetches",
            "Fetches by the class of their status, or by why they have none",
        );
        self.took.show_in(
            registry,
            "fetch_duration",
            Unit::Seconds,
            "Whole fetches, waits for a place at the host included",
        );
        self.bytes.show_in(
            registry,
            "fetched",
            Unit::Bytes,
            "Bodies that arrived whole, decoded",
        );
    }
}

/// Permits to call the rate-limited upstream.
pub struct PermitMeters {
    granted: Counter,
    waited: Histogram,
    waiting: Gauge,
    parked: Counter<f64, AtomicU64>,
}

impl Default for PermitMeters {
    fn default() -> Self {
        Self {
            granted: Counter::default(),
            waited: waits(),
            waiting: Gauge::default(),
            parked: Counter::default(),
        }
    }
}

impl PermitMeters {
    /// Somebody got a permit after so long.
    pub fn granted(&self, waited: Duration) {
        self.granted.inc();
        observe(&self.waited, waited);
    }

    /// So many wait for one now.
    pub fn waiting(&self, waiting: usize) {
        self.waiting.set(shown(waiting));
    }

    /// The upstream is left alone for so much longer than it was.
    pub fn parked(&self, more: Duration) {
        self.parked.inc_by(more.as_secs_f64());
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "permits_granted",
            "Permits to call the rate-limited upstream",
            self.granted.clone(),
        );
        registry.register_with_unit(
            "permit_wait",
            "From asking for a permit to having it",
            Unit::Seconds,
            self.waited.clone(),
        );
        registry.register(
            "permits_waiting",
            "Calls that wait for a permit",
            self.waiting.clone(),
        );
        registry.register_with_unit(
            "upstream_parked",
            "Time the upstream was asked to be left alone for by its answers to us",
            Unit::Seconds,
            self.parked.clone(),
        );
    }
}
