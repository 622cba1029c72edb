//! The one writer: every change to the database goes through here, many to a transaction.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult,
    Recipient, ResponseFuture, SpawnHandle, WrapFuture,
};
use tokio::sync::oneshot;

use super::faults::{Faults, Step};
use super::slot::Slot;
use crate::store::ReadQueue;
use crate::store::{self, GroupEnd, Operation, Pending, StoreError, Writer, pending};

/// Others get the lock for a quarter of the time we held it: a writer that polls (SQLite's busy
/// handler does) then finds it free after a few tries.
const BREATH_SHARE: u32 = 4;
const LONGEST_BREATH: Duration = Duration::from_millis(20);
/// Holds in a row are followed by one breath when they add up to this: a timer is no finer than
/// a millisecond, and single commits are shorter.
const HOLD_WORTH_A_BREATH: Duration = Duration::from_millis(5);
/// Readers of a rollback journal get this long, and longer each time they are in the way again.
const READERS_BREATH: Duration = Duration::from_millis(250);
const MOST_READERS_BREATHS: u32 = 8;
/// How long an operation that may wait for others does.
const LONGEST_WAIT: Duration = Duration::from_millis(25);
/// So many operations are worth a transaction without waiting for more.
const WORTH_A_GROUP: usize = 128;
/// Between two tries to open a database that went away.
const REOPEN_DELAY: Duration = Duration::from_millis(500);
/// After so many in a row the actor gives up.
const MOST_FAILED_OPENS: u32 = 20;

/// Owns the only read-write connection and serialises every write.
pub struct DbActor {
    /// `None` while the connection waits to be opened again.
    writer: Option<Writer>,
    options: Arc<store::Options>,
    waiting: VecDeque<Box<dyn Pending>>,
    /// When the next group is due, and what wakes us then.
    next_flush: Option<(Instant, SpawnHandle)>,
    /// Until when the lock is left to others.
    breath_ends: Instant,
    /// How long the lock was held since others last had their share of time.
    held_in_a_row: Duration,
    /// When it was last let go.
    released: Instant,
    /// How often in a row readers were in the way of a commit.
    given_way: u32,
    locked_since: Option<Instant>,
    failed_opens: u32,
    reopened: Recipient<WriterReopened>,
    /// Why the last connection was given up.
    doubt: String,
    faults: Faults,
}

impl DbActor {
    /// A writer actor over an open connection.
    #[must_use]
    pub fn new(
        writer: Writer,
        options: Arc<store::Options>,
        reopened: Recipient<WriterReopened>,
        faults: Faults,
    ) -> Self {
        Self {
            writer: Some(writer),
            options,
            waiting: VecDeque::new(),
            next_flush: None,
            breath_ends: Instant::now(),
            held_in_a_row: Duration::ZERO,
            released: Instant::now(),
            given_way: 0,
            locked_since: None,
            failed_opens: 0,
            reopened,
            doubt: String::new(),
            faults,
        }
    }

    /// Sees to it that what waits is written by then, but not before the breath is over. Even at
    /// once means after the mailbox is empty, so that all that came together shares a transaction.
    fn flush_within(&mut self, wait: Duration, context: &mut Context<Self>) {
        let due = (Instant::now() + wait).max(self.breath_ends);
        match self.next_flush {
            Some((planned, _)) if planned <= due => return,
            Some((_, later)) => {
                context.cancel_future(later);
            }
            None => {}
        }
        let pause = async move {
            if due > Instant::now() {
                actix_rt::time::sleep_until(due.into()).await;
            }
        };
        let flush = context.spawn(pause.into_actor(self).map(|(), actor, context| {
            actor.next_flush = None;
            actor.flush(context);
        }));
        self.next_flush = Some((due, flush));
    }

    fn flush(&mut self, context: &mut Context<Self>) {
        if self.waiting.is_empty() {
            return;
        }
        if self.faults.strike_in(Step::DbWrites, context) {
            return;
        }
        let Some(writer) = self.writer.as_mut() else {
            return self.reopen(context);
        };
        match writer.commit_group(&mut self.waiting) {
            GroupEnd::Committed { operations, held } => {
                tracing::trace!(operations, held_us = held.as_micros(), "committed");
                self.locked_since = None;
                self.given_way = 0;
                self.plan_breath(held);
                if !self.waiting.is_empty() {
                    self.flush_within(Duration::ZERO, context);
                }
            }
            GroupEnd::Locked => {
                let since = *self.locked_since.get_or_insert_with(Instant::now);
                tracing::debug!(waited_s = since.elapsed().as_secs(), "waiting for a lock");
                // A moment for pings: the wait itself happened in the store.
                self.flush_within(Duration::from_millis(1), context);
            }
            GroupEnd::ReadersInTheWay => {
                let since = *self.locked_since.get_or_insert_with(Instant::now);
                tracing::debug!(waited_s = since.elapsed().as_secs(), "waiting for readers");
                self.given_way = (self.given_way + 1).min(MOST_READERS_BREATHS);
                self.breath_ends = Instant::now() + READERS_BREATH * self.given_way;
                self.flush_within(Duration::ZERO, context);
            }
            GroupEnd::Reopen => {
                writer.doubt().clone_into(&mut self.doubt);
                tracing::error!(
                    error = self.doubt,
                    "commit failed, the outcome is unknown; opening the database again"
                );
                self.writer = None;
                self.reopen(context);
            }
        }
    }

    /// Leaves the lock to others once we have held it for long enough without a gap that was
    /// theirs.
    fn plan_breath(&mut self, held: Duration) {
        let now = Instant::now();
        let gap = now
            .saturating_duration_since(self.released)
            .saturating_sub(held);
        if gap >= self.held_in_a_row / BREATH_SHARE {
            self.held_in_a_row = Duration::ZERO;
        }
        self.held_in_a_row += held;
        self.released = now;
        if self.held_in_a_row >= HOLD_WORTH_A_BREATH {
            self.breath_ends = now + (self.held_in_a_row / BREATH_SHARE).min(LONGEST_BREATH);
        }
    }

    fn reopen(&mut self, context: &mut Context<Self>) {
        match Writer::open(&self.options) {
            Ok(writer) => {
                self.writer = Some(writer);
                self.failed_opens = 0;
                self.give_up_queued();
                let reason = std::mem::take(&mut self.doubt);
                self.reopened.do_send(WriterReopened { reason });
                self.flush_within(Duration::ZERO, context);
            }
            Err(error) => {
                tracing::error!(%error, "failed to open the database again");
                self.failed_opens += 1;
                if self.failed_opens < MOST_FAILED_OPENS {
                    self.breath_ends = Instant::now() + REOPEN_DELAY;
                    self.flush_within(Duration::ZERO, context);
                } else {
                    // The supervisor takes over, within its budget.
                    context.stop();
                }
            }
        }
    }

    /// What waits for a queue that is gone would go into the new one, beside the same work
    /// submitted again.
    fn give_up_queued(&mut self) {
        let (kept, queued) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|next| next.touches_file());
        self.waiting = kept;
        let queued: VecDeque<Box<dyn Pending>> = queued;
        for operation in queued {
            operation.answer(Err(StoreError::Unknown(self.doubt.clone())));
        }
    }
}

impl Actor for DbActor {
    type Context = Context<Self>;
}

/// A change to the database.
pub struct Write<O: Operation>(pub O);

impl<O: Operation> Message for Write<O> {
    type Result = Result<O::Output, StoreError>;
}

impl<O: Operation> Handler<Write<O>> for DbActor {
    type Result = ResponseFuture<Result<O::Output, StoreError>>;

    fn handle(&mut self, Write(operation): Write<O>, context: &mut Self::Context) -> Self::Result {
        let (answer, answered) = oneshot::channel();
        let wait = if operation.may_wait() && self.waiting.len() < WORTH_A_GROUP {
            LONGEST_WAIT
        } else {
            Duration::ZERO
        };
        self.waiting.push_back(pending(operation, move |result| {
            let _ = answer.send(result);
        }));
        self.flush_within(wait, context);
        Box::pin(async move { answered.await.unwrap_or_else(|_| Err(writer_ended())) })
    }
}

/// Asks how the writer fares. It answers between the steps of a wait, too.
#[derive(Message)]
#[rtype(result = "WriterState")]
pub struct GetWriterState;

/// How the writer fares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriterState {
    /// Operations that wait to be written.
    pub waiting: usize,
    /// How long another process has held the lock we wait for.
    pub locked_for: Option<Duration>,
}

impl Handler<GetWriterState> for DbActor {
    type Result = MessageResult<GetWriterState>;

    fn handle(&mut self, _: GetWriterState, _: &mut Self::Context) -> Self::Result {
        MessageResult(WriterState {
            waiting: self.waiting.len(),
            locked_for: self.locked_since.map(|since| since.elapsed()),
        })
    }
}

/// Tells the supervisor that the connection is a new one: its temporary queue is empty.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WriterReopened {
    /// Why the one before was given up.
    pub reason: String,
}

/// The way to the writer for everybody else.
#[derive(Clone)]
pub struct Db(Slot<DbActor>);

impl Db {
    /// The way to the writer in this slot.
    #[must_use]
    pub const fn new(slot: Slot<DbActor>) -> Self {
        Self(slot)
    }

    /// Hands an operation over; resolves after its commit.
    ///
    /// # Errors
    /// The operation's own failure, or [`StoreError::Unknown`] if the writer ended meanwhile.
    pub async fn write<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        match self.0.get().send(Write(operation)).await {
            Ok(result) => result,
            Err(_) => Err(writer_ended()),
        }
    }

    /// Where the writer's address is kept.
    #[must_use]
    pub const fn slot(&self) -> &Slot<DbActor> {
        &self.0
    }
}

fn writer_ended() -> StoreError {
    StoreError::Unknown("the database actor ended before it answered".to_owned())
}

/// Resolves when all that waits has been written.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Flush;

impl Handler<Flush> for DbActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Flush, context: &mut Self::Context) -> Self::Result {
        let last = self.handle(Write(ReadQueue), context);
        Box::pin(async move {
            let _ = last.await;
        })
    }
}
