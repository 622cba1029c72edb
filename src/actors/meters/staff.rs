//! Who works, who died, and what is wrong.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::each::{Each, Labels, Of};
use super::labels::{Part, Who};
use super::shown;
use crate::domain::alarm::AlarmKind;
use crate::domain::job::Queue;

/// Workers, deaths and alarms.
#[derive(Default)]
pub struct StaffMeters {
    workers: Each<Of<Queue>, Gauge>,
    busy: Each<Of<Queue>, Gauge>,
    ready: Each<Of<Queue>, Gauge>,
    uncommitted: Each<Of<Queue>, Gauge>,
    restarts: Each<Of<Who>, Counter>,
    alarms: Each<Of<AlarmKind>, Gauge>,
    unseen: Each<Of<Part>, Counter>,
}

/// How a pool stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standing {
    /// Workers that live.
    pub workers: usize,
    /// Workers at work.
    pub busy: usize,
    /// Jobs claimed and not begun.
    pub ready: usize,
    /// Outcomes on their way to the database.
    pub uncommitted: usize,
}

impl StaffMeters {
    /// A queue's pool stands like this now.
    pub fn stands(&self, queue: Queue, standing: Standing) {
        let queue = Of(queue);
        self.workers.of(queue).set(shown(standing.workers));
        self.busy.of(queue).set(shown(standing.busy));
        self.ready.of(queue).set(shown(standing.ready));
        self.uncommitted.of(queue).set(shown(standing.uncommitted));
    }

    /// Somebody died.
    pub fn died(&self, who: Who) {
        self.restarts.of(Of(who)).inc();
    }

    /// Nothing is known to be wrong.
    pub fn no_alarm(&self) {
        for Of(kind) in Of::all() {
            self.alarm(kind, false);
        }
    }

    /// Something is wrong, or right again.
    pub fn alarm(&self, kind: AlarmKind, raised: bool) {
        self.alarms.of(Of(kind)).set(i64::from(raised));
    }

    /// A part of a scrape had to be left out.
    pub fn left_out(&self, part: Part) {
        self.unseen.of(Of(part)).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        self.workers
            .show(registry, "workers", "Workers that live, by their queue");
        self.busy.show(registry, "workers_busy", "Workers at work");
        self.ready
            .show(registry, "jobs_ready", "Jobs claimed and not begun");
        self.uncommitted.show(
            registry,
            "outcomes_uncommitted",
            "Outcomes of jobs on their way to the database",
        );
        self.restarts.show(
            registry,
            "restarts",
            "Workers and actors that died and are replaced",
        );
        self.unseen.show(
            registry,
            "scrape_errors",
            "Parts that had to be left out of a scrape",
        );
    }

    pub(super) fn register_alarms(&self, registry: &mut Registry) {
        self.alarms
            .show(registry, "alarm", "Whether an alarm of this kind is raised");
    }
}
