//! The durable queue from outside, with or without a daemon that works it off: looking into it, and
//! putting work there.

use std::time::Duration;

use serde::Serialize;

use super::patient_reader::PatientReader;
use super::waiting::patiently;
use super::{EngineError, store_options};
use crate::actors::clock::Clock;
use crate::actors::rate_limiter::{OEMBED, oembed_limit};
use crate::actors::supervisor::durable::chunks;
use crate::config::Config;
use crate::domain::rate_window::Limit;
use crate::store::{
    Enqueue, Enqueued, FollowUps, GroupId, GroupSummary, Grouping, JobDetail, JobFilter, JobId,
    JobRequest, JobSummary, Moment, QueueHome, QueueSummary, Reader, StoreError, Writer,
};

/// Queues work in the file, as one group, and leaves it there: a daemon that works it off sees it
/// within a moment, else it waits for the next. Waits for other processes to let go of the
/// database, but no longer than `within`.
///
/// # Errors
/// When no database is named, it cannot be written, or another process holds it for too long;
/// then nothing is queued.
pub fn enqueue_into_file(
    config: &Config,
    requests: Vec<JobRequest>,
    within: Option<Duration>,
) -> Result<(Vec<Enqueued>, Option<GroupId>), EngineError> {
    if config.database.path.as_os_str().is_empty() {
        return Err(EngineError::NoDatabase);
    }
    let mut options = store_options(config);
    options.queue = QueueHome::File;
    let enqueue = Enqueue {
        requests,
        grouping: Grouping::New {
            follow_ups: FollowUps::default(),
            open: false,
        },
        chunks: chunks(config),
        now: Moment(Clock::system().unix_ms()),
    };
    let mut writer = patiently(&options.path, within, || Writer::open(&options))?;
    let queued = patiently(&options.path, within, || writer.run(enqueue.clone()));
    writer.close();
    Ok(queued?)
}

/// A view of the queue in the file. Each call may block for a moment, or for as long as others' locks
/// are waited for.
pub struct QueueView {
    reader: PatientReader,
    limit: Limit,
    clock: Clock,
}

/// How the window of the rate-limited upstream is filled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RateStatus {
    /// The upstream.
    pub upstream: &'static str,
    /// Calls that fill the window now.
    pub used: u32,
    /// How many fit.
    pub limit: u32,
    /// The window, seconds.
    pub window_s: u64,
    /// In how many seconds the next call may be sent; none: now.
    pub next_s: Option<u64>,
    /// For how many seconds more the upstream is left alone; none: it is not.
    pub parked_s: Option<u64>,
}

impl QueueView {
    /// Opens the file that the configuration names, and waits for no lock.
    ///
    /// # Errors
    /// When no database is named, it cannot be read, or no queue was ever made in it.
    pub fn open(config: &Config) -> Result<Self, EngineError> {
        Self::open_within(config, Duration::ZERO)
    }

    /// The same, waiting so long for others' locks, now and at each look.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_within(config: &Config, within: Duration) -> Result<Self, EngineError> {
        let reader = PatientReader::open(config, within, Reader::open)?;
        if !reader.look(Reader::has_queue)? {
            return Err(EngineError::NoQueue);
        }
        Ok(Self {
            reader,
            limit: oembed_limit(config),
            clock: Clock::system(),
        })
    }

    /// From now on all looks together wait so long for others' locks, and end as interrupted when they
    /// took longer than `longest`, the waiting not counted.
    pub fn bound(&mut self, within: Duration, longest: Duration) {
        self.reader.bound(within, longest);
    }

    /// How the window of the rate-limited upstream is filled.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn rate(&self) -> Result<RateStatus, EngineError> {
        let now = self.clock.boot();
        let window = self.look(|reader| reader.rate_window(OEMBED, self.limit, &now))?;
        let seconds = |until_ms: i64| {
            let left = u64::try_from(until_ms.saturating_sub(now.ms)).unwrap_or(0);
            left.div_ceil(1000)
        };
        Ok(RateStatus {
            upstream: OEMBED,
            used: window.used,
            limit: self.limit.calls,
            window_s: u64::try_from(self.limit.window_ms)
                .unwrap_or(0)
                .div_ceil(1000),
            next_s: window.next_ms.map(seconds),
            parked_s: window.parked_until_ms.map(seconds),
        })
    }

    fn look<T>(&self, look: impl Fn(&Reader) -> Result<T, StoreError>) -> Result<T, EngineError> {
        self.reader.look(look)
    }

    /// Lists jobs, newest first.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobSummary>, EngineError> {
        self.look(|reader| reader.jobs(filter))
    }

    /// Everything of one job.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn job(&self, id: JobId) -> Result<Option<JobDetail>, EngineError> {
        self.look(|reader| reader.job(id))
    }

    /// One group.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn group(&self, id: GroupId) -> Result<Option<GroupSummary>, EngineError> {
        self.look(|reader| reader.group(id))
    }

    /// Every queue, with the rows of the site's that nobody has taken in yet.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn queues(&self) -> Result<Vec<QueueSummary>, EngineError> {
        self.look(Reader::backlogs)
    }
}
