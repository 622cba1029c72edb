//! Asks the provider, under permits, whether the videos of a job still exist.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, ResponseFuture};
use tokio::sync::oneshot;
use tracing::Instrument;
use url::Url;

use super::control::JobControl;
use super::faults::Step;
use super::items::{ItemEnd, Rest, work_through};
use super::meters::Lane;
use super::rate_limiter::{AcquirePermit, CallEnded, Park, Permit, Refusal};
use super::tickets::{Origin, TicketEvent};
use super::tools::{Tools, patiently};
use super::worker::{AttemptEnd, Deps, RunJob, Why};
use crate::config::LivenessPolicy;
use crate::domain::finding::{Findings, LivenessFound};
use crate::domain::job::{Job, LivenessJob, Queue};
use crate::domain::liveness::{
    Evidence, Judgement, Policy, Verdict, is_oembed, is_possible_id, is_reusable, is_transient,
    judge,
};
use crate::fetch::{FetchError, Redirects, Request};
use crate::store::Claim;
use crate::store::RecordLiveness;
use crate::store::{Since, StoreError};

/// The address a video is asked for by.
const WATCH_URL: &str = "https://www.youtube.com/watch?v=";
/// When the limiter had to be replaced under a waiting call, or cannot write.
const LIMITER_PAUSE: Duration = Duration::from_secs(1);

/// Asks on its arbiter with one long-lived client.
pub struct LivenessActor {
    deps: Deps,
    tools: Option<Rc<Tools>>,
}

impl LivenessActor {
    /// A worker that opens its client and connection when it first needs them.
    #[must_use]
    pub const fn new(deps: Deps) -> Self {
        Self { deps, tools: None }
    }
}

impl Actor for LivenessActor {
    type Context = Context<Self>;
}

impl Handler<RunJob> for LivenessActor {
    type Result = ResponseFuture<AttemptEnd>;

    fn handle(&mut self, run: RunJob, context: &mut Self::Context) -> Self::Result {
        if self.deps.faults.strike_in(Step::LivenessReceives, context) {
            return Box::pin(async { AttemptEnd::Failed("the arbiter ended".to_owned()) });
        }
        let tools = Tools::of(&mut self.tools, &self.deps);
        let deps = self.deps.clone();
        let span = run.span.clone();
        let attempt = async move {
            let Job::Liveness(job) = run.job else {
                return AttemptEnd::Failed("not a liveness job".to_owned());
            };
            let tools = match tools {
                Ok(tools) => tools,
                Err(error) => return AttemptEnd::Failed(error),
            };
            let attempt = Attempt {
                deps,
                tools,
                claim: run.claim,
                origin: run.origin,
                last_try: run.last_try,
                control: Arc::clone(&run.control),
                fresh: job.fresh,
                found: RefCell::default(),
            };
            attempt.run(job.video_ids, &run.control).await
        };
        Box::pin(attempt.instrument(span))
    }
}

/// One attempt at one job.
struct Attempt {
    deps: Deps,
    tools: Rc<Tools>,
    claim: Claim,
    origin: Origin,
    last_try: bool,
    control: Arc<JobControl>,
    /// Whether no earlier verdict will do.
    fresh: bool,
    /// What was found, if it is to be kept with the job.
    found: RefCell<Vec<LivenessFound>>,
}

/// How a call went.
enum Call {
    Answered {
        evidence: Evidence,
        retry_after: Option<Duration>,
    },
    /// No call was made, or the upstream asked for none.
    Held(Why),
}

impl Attempt {
    async fn run(&self, ids: Vec<String>, control: &JobControl) -> AttemptEnd {
        let (to_ask, reused) = match self.leave_out_known(&ids, control).await {
            Ok(known) => known,
            // Asked to stop while another process held the database.
            Err(StoreError::Locked) => {
                return AttemptEnd::Unfinished {
                    remaining: self.rest(ids),
                    why: Why::Stopped,
                    found: None,
                };
            }
            Err(error) => return AttemptEnd::Failed(error.to_string()),
        };
        let in_flight = self.deps.config.queues.cleanup.in_flight;
        let rest = work_through(to_ask, in_flight, control, |id| {
            let span = tracing::debug_span!("video", id);
            self.check(id, control).instrument(span)
        })
        .await;
        if rest.is_settled() {
            let count = |verdict| self.deps.meters.liveness(verdict);
            reused.into_iter().for_each(count);
        }
        match rest {
            Rest::None => AttemptEnd::Finished {
                found: self.found(),
            },
            Rest::Items(video_ids, why) => AttemptEnd::Unfinished {
                remaining: self.rest(video_ids),
                why,
                found: self.found(),
            },
            Rest::Dropped => AttemptEnd::Dropped,
            Rest::Lost(error) => AttemptEnd::Failed(error),
        }
    }

    /// The job of those that are left.
    fn rest(&self, video_ids: Vec<String>) -> Job {
        let fresh = self.fresh;
        Job::Liveness(LivenessJob { video_ids, fresh })
    }

    /// Answers what this run has recorded before, and what is fresh enough, without a call. The
    /// others, and the verdicts that are reused.
    async fn leave_out_known(
        &self,
        ids: &[String],
        control: &JobControl,
    ) -> Result<(Vec<String>, Vec<Verdict>), StoreError> {
        let mark = self.deps.mark(self.origin);
        let reader = self.tools.reader(&self.deps, control).await?;
        let marked = patiently(control, || reader.known_liveness(ids, Since::Mark(&mark))).await?;
        let settings = &self.deps.config.liveness;
        let may_reuse = settings.policy == LivenessPolicy::Careful && !self.fresh;
        let fresh = match self.deps.fresh_since(may_reuse, settings.fresh_for) {
            Some(since) => {
                patiently(control, || {
                    reader.known_liveness(ids, Since::CheckedAt(since))
                })
                .await?
            }
            None => vec![None; ids.len()],
        };
        let (mut left, mut reused) = (Vec::new(), Vec::new());
        for ((id, marked), fresh) in ids.iter().cloned().zip(marked).zip(fresh) {
            let cached = marked.is_none();
            match marked.or(fresh.filter(is_reusable)) {
                Some(judgement) => {
                    // What an earlier attempt recorded was counted then.
                    if cached {
                        reused.push(judgement.verdict);
                    }
                    self.tell(id, judgement, cached);
                }
                None => left.push(id),
            }
        }
        Ok((left, reused))
    }

    async fn check(&self, id: String, control: &JobControl) -> ItemEnd {
        let policy = match self.deps.config.liveness.policy {
            LivenessPolicy::Careful => Policy::Careful,
            LivenessPolicy::Http200 => Policy::Http200,
        };
        let call = if policy == Policy::Careful && !is_possible_id(&id) {
            Call::Answered {
                evidence: Evidence::ImpossibleId,
                retry_after: None,
            }
        } else {
            self.call(&id, control).await
        };
        let (evidence, retry_after) = match call {
            Call::Answered {
                evidence,
                retry_after,
            } => (evidence, retry_after),
            Call::Held(why) => match self.given_up(&why) {
                Some(evidence) => (evidence, None),
                None => return ItemEnd::Left(why),
            },
        };
        let judgement = tracing::debug_span!("judge").in_scope(|| judge(&evidence, policy));
        tracing::debug!(
            id,
            verdict = judgement.verdict.name(),
            reason = judgement.reason,
            "asked for a video"
        );
        if is_transient(&evidence, policy) {
            let (job, why) = (self.claim.job, &judgement.reason);
            self.deps.note_item(Queue::Cleanup, job, &id, why);
            if self.deps.may_try_again(self.last_try, retry_after) {
                return ItemEnd::Left(Why::Transient {
                    error: judgement.reason,
                    retry_after,
                });
            }
        }
        self.settle(id, judgement, control).await
    }

    /// Records a verdict, then counts and tells it.
    async fn settle(&self, id: String, judgement: Judgement, control: &JobControl) -> ItemEnd {
        match self.record(&id, &judgement, control).await {
            Ok(()) => {
                self.deps.meters.liveness(judgement.verdict);
                self.tell(id, judgement, false);
                ItemEnd::Done
            }
            // Asked to stop while the disk took nothing.
            Err(error) if error.is_of_the_disk() && !self.deps.run.one_shot => {
                ItemEnd::Left(Why::Stopped)
            }
            Err(StoreError::LeaseLost) => ItemEnd::NotOurs,
            Err(error) => ItemEnd::Left(Why::Transient {
                error: error.to_string(),
                retry_after: None,
            }),
        }
    }

    /// A one-shot run does not sit out a long park: what is left becomes `unknown`.
    fn given_up(&self, why: &Why) -> Option<Evidence> {
        match why {
            Why::Parked(wait)
                if self.deps.run.one_shot && *wait > self.deps.config.liveness.give_up_after =>
            {
                Some(Evidence::RateLimited)
            }
            Why::Parked(_) | Why::Transient { .. } | Why::Stopped | Why::CallsSpent => None,
        }
    }

    async fn call(&self, id: &str, control: &JobControl) -> Call {
        let url = match self.call_url(id) {
            Ok(url) => url,
            Err(error) => return failed(format!("build the oEmbed address: {error}")),
        };
        let wait = tracing::debug_span!("permit");
        let permit = match self.permit(control).instrument(wait).await {
            Ok(permit) => permit,
            Err(why) => return Call::Held(why),
        };
        self.deps.faults.strike(Step::LivenessWorks);
        let (evidence, retry_after) = self.ask(&url, &permit).await;
        // A 503 or a captcha between two 429s is no sign that the upstream has forgiven us.
        let verdict = judge(&evidence, Policy::Careful).verdict;
        self.deps.limiter.get().do_send(CallEnded {
            permit: permit.id,
            answered: verdict != Verdict::Unknown,
        });
        if matches!(evidence, Evidence::Answer { status: 429, .. }) {
            return self.park(id, retry_after).await;
        }
        Call::Answered {
            evidence,
            retry_after,
        }
    }

    /// What the endpoint says, and what it asked for.
    async fn ask(&self, url: &str, permit: &Permit) -> (Evidence, Option<Duration>) {
        let settings = &self.deps.config.liveness;
        let request = Request {
            url,
            accept: "application/json",
            max_bytes: settings.max_bytes,
            timeout: settings.timeout,
            redirects: Redirects::Refuse,
            sniff: None,
            endpoint: true,
            not_after_ms: Some(permit.expires_ms),
        };
        match self.tools.get(Lane::Oembed, request).await {
            Ok(answer) => {
                let evidence = Evidence::Answer {
                    status: answer.status,
                    content_is_oembed: is_oembed(&answer.body),
                    hint: page_hint(answer.content_type.as_deref()),
                };
                (evidence, answer.retry_after)
            }
            Err(error) => (evidence_of(&error), None),
        }
    }

    fn call_url(&self, id: &str) -> Result<String, url::ParseError> {
        let mut url = Url::parse(&self.deps.config.liveness.endpoint)?;
        let mut watch = Url::parse(WATCH_URL)?;
        watch.query_pairs_mut().clear().append_pair("v", id);
        url.query_pairs_mut()
            .append_pair("url", watch.as_str())
            .append_pair("format", "json");
        Ok(url.into())
    }

    /// Waits for a permit that still covers the whole call when it arrives.
    async fn permit(&self, control: &JobControl) -> Result<Permit, Why> {
        let hold = self.deps.config.liveness.timeout;
        let _waiting = control.waiting();
        loop {
            let (answer, answered) = oneshot::channel();
            let ask = AcquirePermit { hold, answer };
            self.deps.limiter.get().do_send(ask);
            let permit = tokio::select! {
                biased;
                () = control.asked() => return Err(Why::Stopped),
                answered = answered => answered,
            };
            let permit = match permit {
                Ok(Ok(permit)) => permit,
                // The job is not at fault: it waits, and spends no try.
                Ok(Err(Refusal::Failed {
                    is_of_the_disk: true,
                    ..
                })) if !self.deps.run.one_shot => {
                    actix_rt::time::sleep(LIMITER_PAUSE).await;
                    continue;
                }
                Ok(Err(refusal)) => return Err(why_not(refusal)),
                Err(_) => return Err(Why::Parked(LIMITER_PAUSE)),
            };
            let call_ends = self.deps.clock.boot().ms.saturating_add(milliseconds(hold));
            if call_ends <= permit.expires_ms {
                return Ok(permit);
            }
            // It came too late to cover the call; used, it would let one more into the window.
            let unused = CallEnded {
                permit: permit.id,
                answered: false,
            };
            self.deps.limiter.get().do_send(unused);
        }
    }

    async fn park(&self, id: &str, retry_after: Option<Duration>) -> Call {
        let why = "http 429, so nothing more is asked for now";
        self.deps.note_item(Queue::Cleanup, self.claim.job, id, why);
        match self.deps.limiter.get().send(Park { retry_after }).await {
            Ok(Ok(wait)) => Call::Held(Why::Parked(wait)),
            Ok(Err(error)) if error.is_of_the_disk() && !self.deps.run.one_shot => {
                Call::Held(Why::Parked(LIMITER_PAUSE))
            }
            Ok(Err(error)) => failed(format!("note a 429: {error}")),
            Err(_) => Call::Held(Why::Parked(LIMITER_PAUSE)),
        }
    }

    async fn record(
        &self,
        id: &str,
        judgement: &Judgement,
        control: &JobControl,
    ) -> Result<(), StoreError> {
        if self.deps.run.dry_run {
            return Ok(());
        }
        let record = RecordLiveness {
            claim: self.claim,
            mark: self.deps.mark(self.origin),
            video_id: id.to_owned(),
            judgement: judgement.clone(),
            checked_at: self.deps.clock.unix(),
        };
        self.deps.record(control, record).await
    }

    fn found(&self) -> Option<Findings> {
        (!self.deps.run.one_shot).then(|| Findings::Liveness(self.found.take()))
    }

    fn tell(&self, video_id: String, judgement: Judgement, cached: bool) {
        self.control.advance();
        if !self.deps.run.one_shot {
            let found = LivenessFound::new(&video_id, &judgement, cached);
            self.found.borrow_mut().push(found);
        }
        self.deps.tell(
            self.origin,
            TicketEvent::Liveness {
                video_id,
                judgement,
                cached,
            },
        );
    }
}

/// A 200 that is a web page is the upstream asking for a person.
fn page_hint(content_type: Option<&str>) -> Option<&'static str> {
    content_type
        .filter(|kind| kind.contains("html"))
        .map(|_| "a captcha or consent page")
}

/// What a call without a whole answer says.
fn evidence_of(error: &FetchError) -> Evidence {
    let unread = |status, hint| Evidence::Answer {
        status,
        content_is_oembed: false,
        hint: Some(hint),
    };
    match (error.status(), error) {
        (None, _) => Evidence::NoAnswer(error.to_string()),
        (Some(status), FetchError::TooLarge { .. }) => unread(status, "a body too large to read"),
        (Some(status), FetchError::Corrupt(_)) => unread(status, "a body that does not decode"),
        (Some(status), _) => Evidence::BrokenOff {
            status,
            why: error.to_string(),
        },
    }
}

const fn failed(error: String) -> Call {
    Call::Answered {
        evidence: Evidence::NoAnswer(error),
        retry_after: None,
    }
}

fn why_not(refusal: Refusal) -> Why {
    match refusal {
        Refusal::Parked(wait) => Why::Parked(wait),
        Refusal::CallsSpent => Why::CallsSpent,
        Refusal::Stopping => Why::Stopped,
        Refusal::Failed { error, .. } => Why::Transient {
            error,
            retry_after: None,
        },
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
