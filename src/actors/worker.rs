//! What every worker receives and answers, and what it works with.

use std::sync::Arc;
use std::time::Duration;

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Actor, Message, Recipient};
use tracing::{Instrument, Span};

use super::call_budget::CallBudget;
use super::clock::Clock;
use super::control::JobControl;
use super::db::Db;
use super::decoder::Decoder;
use super::faults::Faults;
use super::job_log::JobLog;
use super::meters::Meters;
use super::rate_limiter::RateLimiter;
use super::slot::Slot;
use super::tickets::{Origin, TicketEvent};
use crate::config::Config;
use crate::domain::backoff;
use crate::domain::finding::Findings;
use crate::domain::job::{Job, Queue};
use crate::domain::score::{Baselines, Score};
use crate::domain::trace::TraceParent;
use crate::store::{Claim, JobId, JobState, Moment, Operation, StoreError};
use crate::{fetch, store};

/// One attempt at one job.
#[derive(Message)]
#[rtype(result = "AttemptEnd")]
pub struct RunJob {
    /// What to do.
    pub job: Job,
    /// The claim each write is fenced by.
    pub claim: Claim,
    /// Where news of it goes.
    pub origin: Origin,
    /// Whether no try follows: items without a definitive answer get their last verdict.
    pub last_try: bool,
    /// What every line of the log about it is told under.
    pub span: Span,
    /// How the attempt is asked to stop.
    pub control: Arc<JobControl>,
}

/// How an attempt ended.
#[derive(Debug)]
pub enum AttemptEnd {
    /// Scores, to be written with the job's end.
    Scored {
        /// Each video's.
        scores: Arc<Vec<(String, Score)>>,
        /// What a request to stop left for later.
        rest: Option<Job>,
    },
    /// Every item is recorded.
    Finished {
        /// What was found, if it is to be kept.
        found: Option<Findings>,
    },
    /// Some items wait for another attempt.
    Unfinished {
        /// The items without a record.
        remaining: Job,
        /// Why, and when to go on.
        why: Why,
        /// What was found of the others, if it is to be kept.
        found: Option<Findings>,
    },
    /// The work was dropped: at its time limit, or at the end of a drain.
    Dropped,
    /// The attempt gave no answer.
    Failed(String),
}

/// Why items are left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// A failure that may pass: a try is spent.
    Transient {
        /// The last such failure.
        error: String,
        /// What the upstream asked for.
        retry_after: Option<Duration>,
    },
    /// The upstream must not be asked before this long; no try is spent.
    Parked(Duration),
    /// The attempt was asked to stop; no try is spent.
    Stopped,
    /// The run may make no more calls; the items stay undone.
    CallsSpent,
}

impl<A: Actor, M: Message<Result = Self>> MessageResponse<A, M> for AttemptEnd {
    fn handle(self, _: &mut A::Context, sender: Option<OneshotSender<Self>>) {
        if let Some(sender) = sender {
            let _ = sender.send(self);
        }
    }
}

/// News of a job for whoever waits for it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct JobNews {
    /// The work it belongs to.
    pub origin: Origin,
    /// What happened.
    pub event: TicketEvent,
}

/// A job of the durable queue is in another state now.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct JobMoved {
    /// The job.
    pub id: JobId,
    /// Its queue.
    pub queue: Queue,
    /// Where it is now.
    pub state: JobState,
    /// Why it failed, or waits.
    pub error: Option<String>,
    /// The trace it belongs to.
    pub trace: Option<TraceParent>,
}

/// Choices of one run that are no configuration.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Its jobs are this process's alone: it ends when its tickets end, rather than waiting for a
    /// queue to recover. Otherwise they are in the file, and outlive it.
    pub one_shot: bool,
    /// Reuse no earlier verdict.
    pub fresh: bool,
    /// Write no verdict and no score.
    pub dry_run: bool,
    /// The most calls to the rate-limited upstream.
    pub max_calls: Option<u64>,
}

/// What workers share: settings and the way to the other actors.
#[derive(Clone)]
pub struct Deps {
    /// The configuration.
    pub config: Arc<Config>,
    /// The choices of this run.
    pub run: Arc<RunOptions>,
    /// Tells this run's marks from another's.
    pub run_id: Arc<str>,
    /// The clocks.
    pub clock: Clock,
    /// The way to the one writer.
    pub db: Db,
    /// How readers open the file.
    pub store: Arc<store::Options>,
    /// The file that was opened.
    pub file: Option<store::FileIdentity>,
    /// What fetches of all arbiters share.
    pub fetch: fetch::Shared,
    /// How clients are built.
    pub fetch_settings: Arc<fetch::Settings>,
    /// Where pictures are decoded.
    pub decoder: Decoder,
    /// Where permits come from.
    pub limiter: Slot<RateLimiter>,
    /// The regions' baselines.
    pub baselines: Arc<Baselines>,
    /// Where news of jobs goes.
    pub news: Recipient<JobNews>,
    /// Where the moves of durable jobs go.
    pub moves: Recipient<JobMoved>,
    /// Calls made and allowed; outlives the limiter.
    pub calls: CallBudget,
    /// Where fetched pictures are kept for pages.
    pub pictures: Option<Arc<fetch::PictureCache>>,
    /// What is counted and timed.
    pub meters: Meters,
    /// What is told of each job.
    pub log: JobLog,
    /// Faults a test brings.
    pub faults: Faults,
}

/// No commit of ours takes as long.
const FELT_WAIT: Duration = Duration::from_secs(1);
/// A one-shot run does not sit out a longer request to wait: the item gets its last verdict. It is
/// also the longest a retry ever backs off by itself.
const LONGEST_WAIT: Duration = backoff::MAX_DELAY;

impl Deps {
    /// Whether a transient failure is worth another attempt in this run.
    #[must_use]
    pub fn may_try_again(&self, last_try: bool, retry_after: Option<Duration>) -> bool {
        let too_long = retry_after.is_some_and(|wait| wait > LONGEST_WAIT);
        !(last_try || self.run.one_shot && too_long)
    }

    /// Now on the clock that jobs wait by. Jobs that do not outlive the process wait by the one
    /// that nobody sets.
    #[must_use]
    pub fn queue_now(&self) -> Moment {
        Moment(if self.run.one_shot {
            self.clock.boot().ms
        } else {
            self.clock.unix_ms()
        })
    }

    /// The mark of a piece of work in this run: items recorded under it are not done again.
    #[must_use]
    pub fn mark(&self, origin: Origin) -> String {
        format!("{}:{}", self.run_id, origin.0)
    }

    /// Since when an earlier verdict is good enough, Unix seconds; `None` if none is. A `fresh_for`
    /// of "0s" is never, not within this second.
    #[must_use]
    pub fn fresh_since(&self, may_reuse: bool, fresh_for: Duration) -> Option<i64> {
        if self.run.fresh || !may_reuse || fresh_for.is_zero() {
            return None;
        }
        let age = i64::try_from(fresh_for.as_secs()).unwrap_or(i64::MAX);
        Some(self.clock.unix().saturating_sub(age))
    }

    /// Records a verdict. A wait that is felt is for another's lock, or for the disk, and no time limit
    /// counts it.
    ///
    /// # Errors
    /// The operation's.
    pub async fn record<O: Operation + Sync>(
        &self,
        control: &JobControl,
        operation: O,
    ) -> Result<O::Output, StoreError> {
        let operation = Arc::new(operation);
        let commit = tracing::debug_span!("record");
        let write = self.db.write(Arc::clone(&operation)).instrument(commit);
        tokio::pin!(write);
        let soon = tokio::time::timeout(FELT_WAIT, &mut write).await;
        let _waiting = control.waiting();
        let mut written = match soon {
            Ok(written) => written,
            Err(_) => write.await,
        };
        while !self.run.one_shot
            && !control.is_asked()
            && written.as_ref().is_err_and(StoreError::is_of_the_disk)
        {
            actix_rt::time::sleep(FELT_WAIT).await;
            written = self.db.write(Arc::clone(&operation)).await;
        }
        written
    }

    /// Tells where a job of the durable queue is now, after the commit that says so.
    pub fn moved(&self, moved: JobMoved) {
        if !self.run.one_shot {
            self.moves.do_send(moved);
        }
    }

    /// Passes committed news on.
    pub fn tell(&self, origin: Origin, event: TicketEvent) {
        self.news.do_send(JobNews { origin, event });
    }
}

/// What a caught panic said.
#[must_use]
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// A caught panic as an error.
#[must_use]
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    format!("panicked: {}", panic_message(panic))
}
