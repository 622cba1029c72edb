//! How what the engine counts gets into a registry, and what is only looked up when somebody
//! scrapes: the queues, the rate window, the size of the files.

mod process;
mod register;

use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use self::process::Process;
use super::{EngineError, QueueSummary, QueueView, RateStatus};
use crate::actors::clock::Clock;
use crate::actors::meters::{Meters, Part};
use crate::config::Config;

/// What all names begin with.
const PREFIX: &str = "vvv";
/// How long one look into the file may take.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// What a scrape sees of an engine. Clones are the same.
#[derive(Clone)]
pub(super) struct Sight(Arc<Scene>);

struct Scene {
    meters: Meters,
    /// Whether the queue is in the file.
    durable: bool,
    config: Mutex<Arc<Config>>,
    /// Opened at the first scrape, and again after an error.
    view: Mutex<Option<QueueView>>,
}

impl Sight {
    pub(super) fn new(meters: Meters, config: Arc<Config>, durable: bool) -> Self {
        Self(Arc::new(Scene {
            meters,
            durable,
            config: Mutex::new(config),
            view: Mutex::new(None),
        }))
    }

    /// What the engine works by.
    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&lock(&self.0.config))
    }

    /// Looks by a new configuration from now on.
    pub(super) fn reload(&self, new: &Config) {
        let mut config = lock(&self.0.config);
        if let Ok((taken_over, _)) = config.reloaded(new) {
            *config = Arc::new(taken_over);
        }
        *lock(&self.0.view) = None;
    }

    /// Shows all of it in a registry.
    pub(super) fn register(&self, registry: &mut Registry) {
        // In this order: what could not be seen is counted before the counts are shown.
        let seen = registry.sub_registry_with_prefix(PREFIX);
        seen.register_collector(Box::new(self.clone()));
        let counted = registry.sub_registry_with_prefix(PREFIX);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        counted.register("build", "What runs", Info::new(version));
        self.0.meters.register(counted, self.0.durable);
    }

    /// Shows in a registry how the process fares.
    pub(super) fn register_process(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(Process::new(self.0.meters.clone())));
    }

    /// What a look at the file found; nothing if it cannot be had now, which is counted.
    fn look<T>(
        &self,
        part: Part,
        look: impl FnOnce(&QueueView) -> Result<T, EngineError>,
    ) -> Option<T> {
        let config = self.config();
        let mut kept = lock(&self.0.view);
        let seen = look_by(&mut kept, &config, look);
        if let Err(error) = &seen {
            *kept = None;
            self.0.meters.staff.left_out(part);
            tracing::debug!(%error, ?part, "left out of a scrape");
        }
        seen.ok()
    }
}

fn look_by<T>(
    kept: &mut Option<QueueView>,
    config: &Config,
    look: impl FnOnce(&QueueView) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let view = match kept {
        Some(view) => view,
        None => kept.insert(QueueView::open(config)?),
    };
    view.bound(Duration::ZERO, LONGEST_LOOK);
    look(view)
}

impl fmt::Debug for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sight")
    }
}

impl Collector for Sight {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauges = Gauges(encoder);
        // The queue of a one-shot run is in its writer's own memory.
        if self.0.durable
            && let Some(queues) = self.look(Part::Queues, QueueView::queues)
        {
            show_queues(&mut gauges, &queues)?;
        }
        if let Some(rate) = self.look(Part::RateWindow, QueueView::rate) {
            show_rate(&mut gauges, &rate)?;
        }
        let path = self.config().database.path.clone();
        match sizes(&path) {
            Ok(sizes) => gauges.show(
                "database_file",
                "How large the database's files are",
                Some(&Unit::Bytes),
                sizes.map(|(file, bytes)| ([("file", file)], bytes)),
            ),
            Err(_) => {
                self.0.meters.staff.left_out(Part::Files);
                Ok(())
            }
        }
    }
}

fn show_queues(gauges: &mut Gauges<'_>, queues: &[QueueSummary]) -> Result<(), fmt::Error> {
    let jobs = queues.iter().flat_map(|of| {
        [
            ("available", of.available),
            ("scheduled", of.scheduled),
            ("retryable", of.retryable),
            ("running", of.running),
        ]
        .map(|(state, jobs)| ([("queue", of.queue.name()), ("state", state)], jobs))
    });
    gauges.show("queue_jobs", "Jobs that have not ended", None, jobs)?;
    let now_ms = Clock::system().unix_ms();
    let ages = queues.iter().map(|of| {
        let age_ms = of
            .oldest_ms
            .map_or(0, |due_ms| now_ms.saturating_sub(due_ms));
        let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
        ([("queue", of.queue.name())], age.as_secs_f64())
    });
    gauges.show(
        "queue_oldest",
        "How long the job has been due that waits longest for a worker",
        Some(&Unit::Seconds),
        ages,
    )?;
    let paused = queues.iter().map(|of| {
        (
            [("queue", of.queue.name())],
            i64::from(of.paused_ms.is_some()),
        )
    });
    gauges.show("queue_paused", "Whether the queue is paused", None, paused)
}

fn show_rate(gauges: &mut Gauges<'_>, rate: &RateStatus) -> Result<(), fmt::Error> {
    let upstream = [("upstream", rate.upstream)];
    gauges.show(
        "rate_window_used",
        "Calls that fill the upstream's window now, of every process on the file",
        None,
        [(upstream, rate.used)],
    )?;
    gauges.show(
        "rate_window_limit",
        "Calls that fit the upstream's window",
        None,
        [(upstream, rate.limit)],
    )?;
    gauges.show(
        "rate_window",
        "How long the upstream's window is",
        Some(&Unit::Seconds),
        [(upstream, rate.window_s)],
    )?;
    gauges.show(
        "upstream_parked_for",
        "For how much longer the upstream is left alone",
        Some(&Unit::Seconds),
        [(upstream, rate.parked_s.unwrap_or(0))],
    )
}

/// The sizes of the database and its WAL. Told without opening them: closing a plain file handle
/// would drop every lock SQLite holds.
fn sizes(path: &Path) -> std::io::Result<[(&'static str, u64); 2]> {
    let database = std::fs::metadata(path)?.len();
    let mut wal = OsString::from(path);
    wal.push("-wal");
    let wal = match std::fs::metadata(Path::new(&wal)) {
        Ok(wal) => wal.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok([("database", database), ("wal", wal)])
}

/// Writes gauges whose values are known now.
pub(super) struct Gauges<'a>(pub(super) DescriptorEncoder<'a>);

impl Gauges<'_> {
    /// One gauge, with a value for each of the labels.
    pub(super) fn show<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> Result<(), fmt::Error> {
        let help = format!("{help}.");
        let mut family = self
            .0
            .encode_descriptor(name, &help, unit, MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// One gauge without labels.
    pub(super) fn only<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: &V,
    ) -> Result<(), fmt::Error> {
        let help = format!("{help}.");
        self.0
            .encode_descriptor(name, &help, unit, MetricType::Gauge)?
            .encode_gauge(value)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
