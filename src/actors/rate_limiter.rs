//! Grants permits to call a rate-limited upstream, first come first served.
//!
//! The window itself is rows in the database, shared with every other process on the file; this
//! actor holds only who waits, and one timer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture, SpawnHandle,
    WrapFuture,
};
use tokio::sync::oneshot;

use super::call_budget::CallBudget;
use super::clock::Clock;
use super::db::Db;
use super::faults::{Faults, Step};
use super::meters::Meters;
use crate::config::Config;
use crate::domain::rate_window::Limit;
use crate::store::StoreError;
use crate::store::{
    ParkUpstream, PermitAnswer, PermitId, ReleasePermit, TakePermit, UnparkUpstream,
};

/// How an upstream is named in the rows.
pub const OEMBED: &str = "oembed";
/// The window of calls to the oEmbed endpoint.
#[must_use]
pub fn oembed_limit(config: &Config) -> Limit {
    let rate = config.rate_limits.oembed;
    Limit {
        calls: rate.calls,
        window_ms: i64::try_from(rate.per.as_millis()).unwrap_or(i64::MAX),
    }
}

/// A permit outlasts its call by this: the call may begin that much later and still be covered.
const SLACK: Duration = Duration::from_secs(2);
/// After a failure to ask the database.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Holds those who wait for a permit.
pub struct RateLimiter {
    db: Db,
    clock: Clock,
    limit: Limit,
    calls: CallBudget,
    waiting: VecDeque<Waiter>,
    asking: bool,
    timer: Option<SpawnHandle>,
    closed: bool,
    /// Whether the upstream may have strikes that a good answer should clear.
    may_have_strikes: bool,
    /// Until when the upstream is left alone, as far as it was counted.
    parked_until_ms: i64,
    meters: Meters,
    faults: Faults,
}

struct Waiter {
    hold: Duration,
    since: Instant,
    answer: oneshot::Sender<Answer>,
}

/// A right to make one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// Its row.
    pub id: PermitId,
    /// When it lapses, milliseconds since boot.
    pub expires_ms: i64,
}

/// Why no permit was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The upstream must not be asked for this long.
    Parked(Duration),
    /// The run may make no more calls.
    CallsSpent,
    /// The engine is stopping.
    Stopping,
    /// The database could not be asked.
    Failed {
        /// Why.
        error: String,
        /// Whether that may pass by itself.
        is_of_the_disk: bool,
    },
}

type Answer = Result<Permit, Refusal>;

impl RateLimiter {
    /// A limiter for the oEmbed endpoint.
    #[must_use]
    pub const fn new(
        db: Db,
        clock: Clock,
        limit: Limit,
        calls: CallBudget,
        meters: Meters,
        faults: Faults,
    ) -> Self {
        Self {
            db,
            clock,
            limit,
            calls,
            waiting: VecDeque::new(),
            asking: false,
            timer: None,
            closed: false,
            may_have_strikes: true,
            parked_until_ms: i64::MIN,
            meters,
            faults,
        }
    }

    /// Asks the database for the first waiter's permit, unless an answer or the timer is due.
    fn pump(&mut self, context: &mut Context<Self>) {
        self.waiting.retain(|waiter| !waiter.answer.is_closed());
        self.meters.permits.waiting(self.waiting.len());
        if self.closed {
            return self.refuse_all(&Refusal::Stopping);
        }
        if self.asking || self.timer.is_some() {
            return;
        }
        if self.calls.is_spent() {
            return self.refuse_all(&Refusal::CallsSpent);
        }
        let Some(first) = self.waiting.front() else {
            return;
        };
        self.asking = true;
        let clock = self.clock.clone();
        let take = TakePermit {
            id: PermitId(fastrand::i64(..)),
            upstream: OEMBED.to_owned(),
            clock: move || clock.boot(),
            limit: self.limit,
            hold_ms: i64::try_from((first.hold + SLACK).as_millis()).unwrap_or(i64::MAX),
        };
        let db = self.db.clone();
        let ask = async move { db.write(take).await };
        context.spawn(ask.into_actor(self).map(|answer, actor, context| {
            actor.asking = false;
            actor.answered(answer, context);
        }));
    }

    fn answered(&mut self, answer: Result<PermitAnswer, StoreError>, context: &mut Context<Self>) {
        match answer {
            Ok(PermitAnswer::Granted { permit, expires_ms }) => {
                let id = permit;
                self.grant(Permit { id, expires_ms }, context);
                self.pump(context);
            }
            Ok(PermitAnswer::Wait { .. }) if self.closed => self.pump(context),
            Ok(PermitAnswer::Wait { until_ms }) => self.pause(self.until(until_ms), context),
            Ok(PermitAnswer::Parked { until_ms }) => {
                self.refuse_all(&Refusal::Parked(self.until(until_ms)));
            }
            Err(error) => {
                self.refuse_all(&Refusal::Failed {
                    error: error.to_string(),
                    is_of_the_disk: error.is_of_the_disk(),
                });
                self.pause(ASK_AGAIN, context);
            }
        }
    }

    fn until(&self, until_ms: i64) -> Duration {
        between(self.clock.boot().ms, until_ms)
    }

    /// Counts what a park adds to those before.
    fn count_park(&mut self, from_ms: i64, until_ms: i64) {
        let from_ms = from_ms.max(self.parked_until_ms);
        self.meters.permits.parked(between(from_ms, until_ms));
        self.parked_until_ms = from_ms.max(until_ms);
    }

    /// Hands the permit to the first who still waits, or gives it back unused.
    fn grant(&mut self, permit: Permit, context: &mut Context<Self>) {
        let mut permit = permit;
        while let Some(waiter) = self.waiting.pop_front() {
            match waiter.answer.send(Ok(permit)) {
                Ok(()) => {
                    self.meters.permits.granted(waiter.since.elapsed());
                    self.calls.spend();
                    return;
                }
                Err(Ok(unclaimed)) => permit = unclaimed,
                Err(Err(_)) => return,
            }
        }
        self.write(
            ReleasePermit {
                permit: permit.id,
                now: self.clock.boot(),
            },
            context,
        );
    }

    fn refuse_all(&mut self, refusal: &Refusal) {
        for waiter in self.waiting.drain(..) {
            let _ = waiter.answer.send(Err(refusal.clone()));
        }
        self.meters.permits.waiting(0);
    }

    fn pause(&mut self, pause: Duration, context: &mut Context<Self>) {
        let pause = pause.max(Duration::from_millis(1));
        self.timer = Some(context.run_later(pause, |actor, context| {
            actor.timer = None;
            actor.pump(context);
        }));
    }

    /// What the timer waits for may have changed: a call that ended early makes room sooner.
    fn ask_anew(&mut self, context: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        self.pump(context);
    }

    fn write<O: crate::store::Operation>(&self, operation: O, context: &mut Context<Self>) {
        let db = self.db.clone();
        let write = async move {
            if let Err(error) = db.write(operation).await {
                // The row then lapses by itself.
                tracing::warn!(%error, "failed to note the end of a call");
            }
        };
        context.spawn(write.into_actor(self));
    }
}

fn between(from_ms: i64, until_ms: i64) -> Duration {
    let left = until_ms.saturating_sub(from_ms);
    Duration::from_millis(u64::try_from(left).unwrap_or(0))
}

impl Actor for RateLimiter {
    type Context = Context<Self>;
}

/// Asks for the right to make one call. The answer comes through the channel, so that the limiter
/// sees who has stopped waiting: a reply by the mailbox would be awaited by actix itself.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AcquirePermit {
    /// The call's whole deadline.
    pub hold: Duration,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Permit, Refusal>>,
}

impl Handler<AcquirePermit> for RateLimiter {
    type Result = ();

    fn handle(&mut self, ask: AcquirePermit, context: &mut Self::Context) {
        self.faults.strike_in(Step::LimiterAcquires, context);
        self.waiting.push_back(Waiter {
            hold: ask.hold,
            since: Instant::now(),
            answer: ask.answer,
        });
        self.pump(context);
    }
}

/// Tells that a call is over, with what it says about the upstream.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CallEnded {
    /// The permit the call was made under.
    pub permit: PermitId,
    /// Whether the upstream gave a real answer.
    pub answered: bool,
}

impl Handler<CallEnded> for RateLimiter {
    type Result = ();

    fn handle(&mut self, call: CallEnded, context: &mut Self::Context) {
        self.write(
            ReleasePermit {
                permit: call.permit,
                now: self.clock.boot(),
            },
            context,
        );
        self.ask_anew(context);
        if call.answered && self.may_have_strikes {
            self.may_have_strikes = false;
            self.write(
                UnparkUpstream {
                    upstream: OEMBED.to_owned(),
                },
                context,
            );
        }
    }
}

/// Parks the upstream after a 429; answers for how long.
#[derive(Message)]
#[rtype(result = "Result<Duration, StoreError>")]
pub struct Park {
    /// What the upstream asked for.
    pub retry_after: Option<Duration>,
}

impl Handler<Park> for RateLimiter {
    type Result = ResponseActFuture<Self, Result<Duration, StoreError>>;

    fn handle(&mut self, park: Park, _: &mut Self::Context) -> Self::Result {
        self.may_have_strikes = true;
        let (db, now) = (self.db.clone(), self.clock.boot());
        let from_ms = now.ms;
        let write = async move {
            let upstream = OEMBED.to_owned();
            db.write(ParkUpstream {
                upstream,
                now,
                retry_after: park.retry_after,
            })
            .await
        };
        Box::pin(write.into_actor(self).map(move |until, actor, _| {
            let until_ms = until?;
            actor.count_park(from_ms, until_ms);
            Ok(between(from_ms, until_ms))
        }))
    }
}

/// Grants by another limit from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ChangeLimit(pub Limit);

impl Handler<ChangeLimit> for RateLimiter {
    type Result = ();

    fn handle(&mut self, ChangeLimit(limit): ChangeLimit, context: &mut Self::Context) {
        self.limit = limit;
        self.ask_anew(context);
    }
}

/// Asks whether it lives.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Ping;

impl Handler<Ping> for RateLimiter {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

/// Grants nothing more: the engine is stopping.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StopGranting;

impl Handler<StopGranting> for RateLimiter {
    type Result = ();

    fn handle(&mut self, _: StopGranting, context: &mut Self::Context) {
        self.closed = true;
        self.ask_anew(context);
    }
}
