//! Fetches the thumbnails of a job and judges each.

mod evidence;

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, ResponseFuture};
use futures_util::FutureExt;
use tracing::Instrument;

use self::evidence::{evidence_of, recognise};
use super::control::JobControl;
use super::faults::Step;
use super::items::{ItemEnd, Rest, work_through};
use super::meters::Lane;
use super::tickets::{Origin, TicketEvent};
use super::tools::{Tools, patiently};
use super::worker::{AttemptEnd, Deps, RunJob, Why, panic_message};
use crate::config::ThumbnailPolicy;
use crate::domain::finding::{Findings, ThumbnailFound};
use crate::domain::job::{Job, Queue, ThumbnailItem, ThumbnailsJob};
use crate::domain::thumbnail::{Evidence, Rules, Status, Verdict, is_transient, judge, reuse};
use crate::fetch::{self, Redirects, Request};
use crate::store::{Claim, RecordThumbnail, Since, StoreError};

/// Fetches on its arbiter with one long-lived client.
pub struct ThumbnailActor {
    deps: Deps,
    tools: Option<Rc<Tools>>,
}

impl ThumbnailActor {
    /// A worker that opens its client and connection when it first needs them.
    #[must_use]
    pub const fn new(deps: Deps) -> Self {
        Self { deps, tools: None }
    }
}

impl Actor for ThumbnailActor {
    type Context = Context<Self>;
}

impl Handler<RunJob> for ThumbnailActor {
    type Result = ResponseFuture<AttemptEnd>;

    fn handle(&mut self, run: RunJob, context: &mut Self::Context) -> Self::Result {
        if self.deps.faults.strike_in(Step::ThumbnailReceives, context) {
            return Box::pin(async { AttemptEnd::Failed("the arbiter ended".to_owned()) });
        }
        let tools = Tools::of(&mut self.tools, &self.deps);
        let deps = self.deps.clone();
        let span = run.span.clone();
        let attempt = async move {
            let Job::Thumbnails(job) = run.job else {
                return AttemptEnd::Failed("not a thumbnails job".to_owned());
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
                found: RefCell::default(),
            };
            attempt.run(job.videos, &run.control).await
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
    /// What was found, if it is to be kept with the job.
    found: RefCell<Vec<ThumbnailFound>>,
}

impl Attempt {
    async fn run(&self, items: Vec<ThumbnailItem>, control: &JobControl) -> AttemptEnd {
        let (to_fetch, reused) = match self.leave_out_known(&items, control).await {
            Ok(known) => known,
            // Asked to stop while another process held the database.
            Err(StoreError::Locked) => {
                return AttemptEnd::Unfinished {
                    remaining: Job::Thumbnails(ThumbnailsJob { videos: items }),
                    why: Why::Stopped,
                    found: None,
                };
            }
            Err(error) => return AttemptEnd::Failed(error.to_string()),
        };
        let in_flight = self.deps.config.queues.thumbnails.in_flight;
        let rest = work_through(to_fetch, in_flight, control, |item| {
            let span = tracing::debug_span!("thumbnail", id = item.video_id);
            self.check(item, control).instrument(span)
        })
        .await;
        if rest.is_settled() {
            let count = |status| self.deps.meters.thumbnail(status);
            reused.into_iter().for_each(count);
        }
        match rest {
            Rest::None => AttemptEnd::Finished {
                found: self.found(),
            },
            Rest::Items(videos, why) => AttemptEnd::Unfinished {
                remaining: Job::Thumbnails(ThumbnailsJob { videos }),
                why,
                found: self.found(),
            },
            Rest::Dropped => AttemptEnd::Dropped,
            Rest::Lost(error) => AttemptEnd::Failed(error),
        }
    }

    /// Answers what this run has recorded before, and what is fresh enough, without a fetch. The
    /// others, and what is reused.
    async fn leave_out_known(
        &self,
        items: &[ThumbnailItem],
        control: &JobControl,
    ) -> Result<(Vec<ThumbnailItem>, Vec<Status>), StoreError> {
        let mark = self.deps.mark(self.origin);
        let reader = self.tools.reader(&self.deps, control).await?;
        let marked = patiently(control, || {
            reader.known_thumbnails(items, Since::Mark(&mark))
        })
        .await?;
        let settings = &self.deps.config.thumbnails;
        let may_reuse = settings.policy == ThumbnailPolicy::Careful;
        let fresh = match self.deps.fresh_since(may_reuse, settings.fresh_for) {
            Some(since) => {
                patiently(control, || {
                    reader.known_thumbnails(items, Since::CheckedAt(since))
                })
                .await?
            }
            None => vec![None; items.len()],
        };
        let rules = self.rules();
        let (mut left, mut reused) = (Vec::new(), Vec::new());
        for ((item, marked), fresh) in items.iter().cloned().zip(marked).zip(fresh) {
            let cached = marked.is_none();
            match marked.or_else(|| reuse(fresh?, &rules)) {
                Some(verdict) => {
                    // What an earlier attempt recorded was counted then.
                    if cached {
                        reused.push(verdict.status);
                    }
                    self.tell(item, verdict, cached);
                }
                None => left.push(item),
            }
        }
        Ok((left, reused))
    }

    fn rules(&self) -> Rules {
        let thumbnails = &self.deps.config.thumbnails;
        Rules {
            min_width: thumbnails.min_width,
            min_height: thumbnails.min_height,
        }
    }

    async fn check(&self, item: ThumbnailItem, control: &JobControl) -> ItemEnd {
        let looked = AssertUnwindSafe(self.look_at(&item)).catch_unwind().await;
        let (evidence, retry_after) = looked
            .unwrap_or_else(|panic| (Evidence::Panicked(panic_message(panic.as_ref())), None));
        let verdict = tracing::debug_span!("judge").in_scope(|| judge(&evidence, &self.rules()));
        tracing::debug!(
            id = item.video_id,
            status = verdict.status.name(),
            reason = verdict.reason,
            "looked at a thumbnail"
        );
        if is_transient(&evidence) {
            let why = verdict.reason.as_deref().unwrap_or(verdict.status.name());
            let job = self.claim.job;
            self.deps
                .note_item(Queue::Thumbnails, job, &item.video_id, why);
            if self.deps.may_try_again(self.last_try, retry_after) {
                let error = why.to_owned();
                return ItemEnd::Left(Why::Transient { error, retry_after });
            }
        }
        match self.record(&item, &verdict, control).await {
            Ok(()) => {
                self.deps.meters.thumbnail(verdict.status);
                self.tell(item, verdict, false);
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

    /// Fetches and decodes one picture: what was seen, and what the upstream asked for.
    async fn look_at(&self, item: &ThumbnailItem) -> (Evidence, Option<Duration>) {
        let thumbnails = &self.deps.config.thumbnails;
        let request = Request {
            url: &item.thumbnail_url,
            accept: "image/jpeg,image/png,image/webp,image/gif",
            max_bytes: thumbnails.max_bytes,
            timeout: thumbnails.timeout,
            redirects: Redirects::Follow,
            sniff: Some(recognise),
            endpoint: false,
            not_after_ms: None,
        };
        match self.tools.get(Lane::Thumbnail, request).await {
            // What is left of the answer keeps a large body's place until the picture is decoded.
            Ok(answer) if answer.status == 200 => {
                let kept = self.to_keep(&answer.body);
                let decode = tracing::debug_span!("decode", bytes = answer.body.len());
                let decoding = self.deps.decoder.inspect(answer.body);
                let evidence = decoding.instrument(decode).await;
                if let (Evidence::Decoded(_), Some((cache, body))) = (&evidence, kept) {
                    cache.put(&item.video_id, &item.thumbnail_url, body);
                }
                (evidence, None)
            }
            Ok(answer) => (Evidence::Status(answer.status), answer.retry_after),
            Err(error) => (evidence_of(error), None),
        }
    }

    /// A copy of a body small enough for the cache, if there is one.
    fn to_keep(&self, body: &[u8]) -> Option<(&fetch::PictureCache, Vec<u8>)> {
        let cache = self.deps.pictures.as_deref()?;
        (body.len() <= fetch::LARGEST_CACHED).then(|| (cache, body.to_vec()))
    }

    async fn record(
        &self,
        item: &ThumbnailItem,
        verdict: &Verdict,
        control: &JobControl,
    ) -> Result<(), StoreError> {
        if self.deps.run.dry_run {
            return Ok(());
        }
        let record = RecordThumbnail {
            claim: self.claim,
            mark: self.deps.mark(self.origin),
            video_id: item.video_id.clone(),
            url: item.thumbnail_url.clone(),
            verdict: verdict.clone(),
            checked_at: self.deps.clock.unix(),
        };
        self.deps.record(control, record).await
    }

    fn found(&self) -> Option<Findings> {
        (!self.deps.run.one_shot).then(|| Findings::Thumbnails(self.found.take()))
    }

    fn tell(&self, item: ThumbnailItem, verdict: Verdict, cached: bool) {
        self.control.advance();
        if !self.deps.run.one_shot {
            let found = ThumbnailFound::new(&item, &verdict, cached);
            self.found.borrow_mut().push(found);
        }
        self.deps.tell(
            self.origin,
            TicketEvent::Thumbnail {
                item,
                verdict,
                cached,
            },
        );
    }
}
