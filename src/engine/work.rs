//! What a host submits, typed: each kind of work names the report it comes to.

use std::time::Duration;

use super::report::{LivenessReport, ScoreReport, ThumbnailsReport};
use super::{EngineError, SubmitError};
use crate::actors::supervisor::Submit;
use crate::domain::job::{Job, LivenessJob, ScoreJob, ThumbnailsJob};
use crate::domain::trace::TraceParent;
use crate::store::JobRequest;

/// Work an engine does: [`Score`](crate::Score), [`Thumbnails`](crate::Thumbnails) or
/// [`Liveness`](crate::Liveness). Each item is done once, however often it is named.
pub trait Work: sealed::Sealed + Send + 'static {
    /// What it comes to.
    type Report: Send + 'static;

    /// The same as any job.
    #[doc(hidden)]
    fn into_job(self) -> Job;
}

mod sealed {
    /// The kinds of work are a closed set.
    pub trait Sealed {}

    impl Sealed for super::ScoreJob {}
    impl Sealed for super::ThumbnailsJob {}
    impl Sealed for super::LivenessJob {}
}

impl Work for ScoreJob {
    type Report = ScoreReport;

    fn into_job(self) -> Job {
        Job::Score(self)
    }
}

impl Work for ThumbnailsJob {
    type Report = ThumbnailsReport;

    fn into_job(self) -> Job {
        Job::Thumbnails(self)
    }
}

impl Work for LivenessJob {
    type Report = LivenessReport;

    fn into_job(self) -> Job {
        Job::Liveness(self)
    }
}

/// How submitted work is queued.
///
/// ```
/// use std::time::Duration;
/// use vvv_actors::SubmitOptions;
///
/// let nightly = SubmitOptions {
///     priority: 9,
///     unique_key: Some("nightly".to_owned()),
///     unique_for: Some(Duration::from_secs(24 * 3600)),
///     ..SubmitOptions::default()
/// };
/// assert_eq!(nightly.delay, Duration::ZERO);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitOptions {
    /// 0 (first) to 9; 5 if nothing else is said. What is larger counts as 9.
    pub priority: u8,
    /// How long it waits before it may begin.
    pub delay: Duration,
    /// Names the work, with a durable queue only: while a job with this key is there nothing is
    /// queued, and the ticket is that job's.
    pub unique_key: Option<String>,
    /// How long from now on a job that has ended keeps its key; without it as long as its row is
    /// there (`retention.results`).
    pub unique_for: Option<Duration>,
    /// The trace it belongs to, and the span in it that submits it: W3C's `traceparent`, read by
    /// [`str::parse`]. Each job's spans and lines in the log are of that trace.
    pub traceparent: Option<TraceParent>,
}

impl Default for SubmitOptions {
    fn default() -> Self {
        Self {
            priority: Job::DEFAULT_PRIORITY,
            delay: Duration::ZERO,
            unique_key: None,
            unique_for: None,
            traceparent: None,
        }
    }
}

impl SubmitOptions {
    const LAST_PRIORITY: u8 = 9;

    /// For the durable queue.
    pub(super) fn request(self, job: Job) -> JobRequest {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        JobRequest {
            job,
            priority: self.priority.min(Self::LAST_PRIORITY),
            delay_ms: i64::try_from(self.delay.as_millis()).unwrap_or(i64::MAX),
            unique_key: self.unique_key,
            unique_for: self.unique_for.map(seconds),
            trace: self.traceparent,
        }
    }

    /// For the temporary queue.
    pub(super) fn submit(self, job: Job) -> Result<Submit, EngineError> {
        if self.unique_key.is_some() {
            return Err(SubmitError::NotDurable.into());
        }
        Ok(Submit {
            job,
            priority: self.priority.min(Self::LAST_PRIORITY),
            delay: self.delay,
            trace: self.traceparent,
        })
    }
}
