//! The one writer: every change to the database goes through here, many to a transaction.

mod handle;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult,
    Recipient, ResponseActFuture, ResponseFuture, SpawnHandle, WrapFuture,
};
use tokio::sync::oneshot;

use super::breath::Breath;
use super::faults::{Faults, Step};
use super::meters::Meters;
use crate::store::{self, GroupEnd, Operation, Pending, StoreError, WalLength, Writer, pending};
use crate::store::{EndRun, FileIdentity, ReadQueue};

use self::handle::writer_ended;
pub use self::handle::{Db, Trouble, Troubles};

/// How long an operation that may wait for others does.
const LONGEST_WAIT: Duration = Duration::from_millis(25);
/// So many operations are worth a transaction without waiting for more.
const WORTH_A_GROUP: usize = 128;
/// How often a daemon looks whether other processes have written to the file.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// After the last commit, before a WAL is folded back.
const FOLD_AFTER: Duration = Duration::from_secs(1);
/// The same of a long one: soon, so that whoever hands work in now and then does not meet it.
const FOLD_LONG_AFTER: Duration = Duration::from_millis(20);
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
    breath: Breath,
    locked_since: Option<Instant>,
    failed_opens: u32,
    reopened: Recipient<WriterReopened>,
    /// The watch over the file.
    watch: Option<Watch>,
    /// When the last group was committed whose pages are in the WAL still.
    unfolded_since: Option<Instant>,
    /// Whether it is to be seen soon if a long WAL can be folded back.
    fold_planned: bool,
    /// Whether the file was replaced: nothing is written any more.
    is_replaced: bool,
    /// Why the last connection was given up.
    doubt: String,
    /// Whether a commit failed so, and none was done since.
    is_in_doubt: bool,
    meters: Meters,
    faults: Faults,
}

impl DbActor {
    /// A writer actor over an open connection.
    #[must_use]
    pub fn new(
        writer: Writer,
        options: Arc<store::Options>,
        reopened: Recipient<WriterReopened>,
        meters: Meters,
        faults: Faults,
    ) -> Self {
        Self {
            writer: Some(writer),
            options,
            waiting: VecDeque::new(),
            next_flush: None,
            breath: Breath::new(),
            locked_since: None,
            failed_opens: 0,
            reopened,
            watch: None,
            unfolded_since: None,
            fold_planned: false,
            is_replaced: false,
            doubt: String::new(),
            is_in_doubt: false,
            meters,
            faults,
        }
    }

    /// Tells of what others do to the file: within a second, or where it takes in nobody's rows, at the
    /// next write.
    #[must_use]
    pub fn watching(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Whether it is a daemon's, or a host's with a durable queue.
    fn looks_after_rows(&self) -> bool {
        self.watch
            .as_ref()
            .is_some_and(|watch| watch.changed.is_some())
    }

    fn look(&mut self, _: &mut Context<Self>) {
        if self.stops_for_ghost() {
            return;
        }
        let (Some(writer), Some(watch)) = (&mut self.writer, &self.watch) else {
            return;
        };
        // A lock is another's writing: the next look sees what came of it.
        if writer.has_changed().unwrap_or(false) {
            watch.tell_changed();
        }
        self.fold_if_quiet(FOLD_AFTER);
    }

    /// Folds the WAL back if nothing was written for so long.
    fn fold_if_quiet(&mut self, quiet: Duration) {
        let is_quiet = |since: Instant| self.waiting.is_empty() && since.elapsed() >= quiet;
        if let (Some(writer), true) = (&self.writer, self.unfolded_since.is_some_and(is_quiet)) {
            self.unfolded_since = None;
            fold_wal(writer, false);
        }
    }

    /// Folds a long WAL back as soon as there is a quiet moment.
    fn plan_fold(&mut self, context: &mut Context<Self>) {
        if std::mem::replace(&mut self.fold_planned, true) {
            return;
        }
        context.run_later(FOLD_LONG_AFTER, |actor, context| {
            actor.fold_planned = false;
            actor.fold_if_quiet(FOLD_LONG_AFTER);
            if actor.unfolded_since.is_some() {
                actor.plan_fold(context);
            }
        });
    }

    /// Whether the file is no longer the one at its path; then nothing more is written, and whoever
    /// waits is told.
    fn stops_for_ghost(&mut self) -> bool {
        let Some(watch) = &self.watch else {
            return false;
        };
        // Its own first: while there is no connection, the next must not be to another file.
        let is_gone = watch
            .file
            .is_some_and(|file| file.has_left(&self.options.path));
        let has_lost = self.writer.as_ref().is_some_and(Writer::has_lost_its_file);
        if !self.is_replaced && (is_gone || has_lost) {
            self.is_replaced = true;
            watch.replaced.do_send(DatabaseReplaced);
            if let Some(writer) = self.writer.take() {
                writer.abandon();
            }
        }
        if self.is_replaced {
            for operation in std::mem::take(&mut self.waiting) {
                operation.answer(Err(StoreError::Replaced));
            }
        }
        self.is_replaced
    }

    /// A clean stop: the last word to the file.
    fn end_run(&mut self) {
        if let Some(writer) = &self.writer {
            fold_wal(writer, true);
        }
    }

    /// Sees to it that what waits is written by then, but not before the breath is over. Even at
    /// once means after the mailbox is empty, so that all that came together shares a transaction.
    fn flush_within(&mut self, wait: Duration, context: &mut Context<Self>) {
        let due = (Instant::now() + wait).max(self.breath.ends());
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
        // Those whose jobs went with the connection wait for a new one even if no write does.
        if self.waiting.is_empty() && self.writer.is_some() {
            return;
        }
        if self.faults.strike_in(Step::DbWrites, context) || self.stops_for_ghost() {
            return;
        }
        let Some(writer) = self.writer.as_mut() else {
            return self.reopen(context);
        };
        let began = Instant::now();
        let end = writer.commit_group(&mut self.waiting);
        let took = began.elapsed();
        self.meters.database.waiting(self.waiting.len());
        match end {
            GroupEnd::Committed { operations, held } => {
                self.meters.database.committed(operations, held, took);
                tracing::trace!(operations, held_us = held.as_micros(), "committed");
                self.after_commit(held, context);
            }
            GroupEnd::Locked => {
                self.meters.database.locked_out(took);
                self.wait_for_lock(context);
            }
            GroupEnd::ReadersInTheWay => {
                self.meters.database.locked_out(took);
                self.breath.after_readers(Instant::now());
                self.wait_for_lock(context);
            }
            GroupEnd::Reopen => self.give_connection_up(context),
        }
    }

    fn after_commit(&mut self, held: Duration, context: &mut Context<Self>) {
        self.locked_since = None;
        if std::mem::take(&mut self.is_in_doubt) {
            tracing::info!("the database takes commits again");
        }
        self.breath.after_hold(held, Instant::now());
        self.unfolded_since = Some(Instant::now());
        if let Some(writer) = &mut self.writer {
            if let Some(watch) = &self.watch {
                if writer.has_written() {
                    watch.troubles.has_written();
                }
                if writer.has_new_rows() {
                    watch.tell_changed();
                }
            }
            match writer.wal_length() {
                WalLength::Short => {}
                WalLength::Long => self.plan_fold(context),
                // Those who waited have their answers.
                WalLength::TooLong => fold_wal(writer, false),
            }
        }
        if !self.waiting.is_empty() {
            self.flush_within(Duration::ZERO, context);
        }
    }

    /// A commit failed, and whether it happened nobody knows.
    fn give_connection_up(&mut self, context: &mut Context<Self>) {
        let Some(writer) = self.writer.take() else {
            return;
        };
        writer.doubt().clone_into(&mut self.doubt);
        drop(writer);
        if std::mem::replace(&mut self.is_in_doubt, true) {
            // Told already, and opening alone does not mend it.
            tracing::debug!(error = self.doubt, "commit failed once more");
            self.breath.until(Instant::now() + REOPEN_DELAY);
            return self.flush_within(Duration::ZERO, context);
        }
        tracing::error!(
            error = self.doubt,
            "commit failed, the outcome is unknown; opening the database again"
        );
        self.reopen(context);
    }

    fn wait_for_lock(&mut self, context: &mut Context<Self>) {
        let since = *self.locked_since.get_or_insert_with(Instant::now);
        tracing::debug!(waited_s = since.elapsed().as_secs(), "waiting for a lock");
        // A moment for pings: the wait itself happened in the store.
        self.flush_within(Duration::from_millis(1), context);
    }

    fn reopen(&mut self, context: &mut Context<Self>) {
        if self.stops_for_ghost() {
            return;
        }
        match Writer::open(&self.options) {
            Ok(writer) => {
                self.writer = Some(writer);
                self.failed_opens = 0;
                self.give_up_queued();
                self.locked_since = None;
                let reason = std::mem::take(&mut self.doubt);
                self.reopened.do_send(WriterReopened { reason });
                self.flush_within(Duration::ZERO, context);
            }
            Err(StoreError::Locked) => self.wait_for_lock(context),
            Err(error) => {
                tracing::error!(%error, "failed to open the database again");
                self.failed_opens += 1;
                if self.failed_opens < MOST_FAILED_OPENS {
                    self.breath.until(Instant::now() + REOPEN_DELAY);
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

    fn started(&mut self, context: &mut Self::Context) {
        if self.looks_after_rows() {
            context.run_interval(LOOK_EVERY, Self::look);
        }
    }
}

/// What the file is watched for, and who hears of it.
#[derive(Clone)]
pub struct Watch {
    /// Hears when another process has written to the file; none where nobody's rows are taken in.
    pub changed: Option<Recipient<FileChanged>>,
    /// Hears when the file is no longer the one at its path.
    pub replaced: Recipient<DatabaseReplaced>,
    /// The file that was opened.
    pub file: Option<FileIdentity>,
    /// Where it is kept what keeps writes from being done.
    pub troubles: Troubles,
}

impl Watch {
    fn tell_changed(&self) {
        if let Some(changed) = &self.changed {
            changed.do_send(FileChanged);
        }
    }
}

/// Tells that the file was replaced or removed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DatabaseReplaced;

/// Tells that another process has written to the file.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FileChanged;

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
        let troubles = self.watch.as_ref().map(|watch| watch.troubles.clone());
        self.waiting.push_back(pending(operation, move |result| {
            if let (Err(error), Some(troubles)) = (&result, troubles) {
                troubles.note(error);
            }
            let _ = answer.send(result);
        }));
        self.meters.database.waiting(self.waiting.len());
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

fn fold_wal(writer: &Writer, whole: bool) {
    if let Err(error) = writer.fold_wal(whole) {
        tracing::debug!(%error, "failed to fold the WAL back");
    }
}

/// Resolves when all that waits has been written; of a daemon, with the word that it ended well.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Flush;

impl Handler<Flush> for DbActor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Flush, context: &mut Self::Context) -> Self::Result {
        if !self.looks_after_rows() {
            let last = self.handle(Write(ReadQueue), context);
            return Box::pin(last.into_actor(self).map(|_, _, _| ()));
        }
        let last = self.handle(Write(EndRun), context);
        Box::pin(last.into_actor(self).map(|_, actor, _| actor.end_run()))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::config::Config;

    struct Nobody;

    impl Actor for Nobody {
        type Context = Context<Self>;
    }

    impl Handler<WriterReopened> for Nobody {
        type Result = ();

        fn handle(&mut self, _: WriterReopened, _: &mut Self::Context) {}
    }

    #[actix_rt::test]
    async fn a_lock_in_the_way_of_opening_again_keeps_nobody_from_an_answer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.db");
        let site = Connection::open(&path).unwrap();
        site.execute_batch(
            "CREATE TABLE videos (video_id, virality_score); CREATE TABLE video_snapshots \
             (video_id, view_count, likes, comments, region, fetched_at);",
        )
        .unwrap();
        let config = Config::defaults().unwrap();
        let options = Arc::new(store::Options {
            path,
            database: config.database,
            schema: config.schema,
            keep_details: true,
            queue: store::QueueHome::Memory,
        });
        let writer = Writer::open(&options).unwrap();
        let nobody = Nobody.start().recipient();
        let mut actor = DbActor::new(
            writer,
            options,
            nobody,
            Meters::default(),
            Faults::default(),
        );
        actor.writer = None;
        site.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let actor = actor.start();
        let unpark = store::UnparkUpstream {
            upstream: "oembed".to_owned(),
        };
        let write = actor.send(Write(unpark));
        let begun = Instant::now();
        while actor
            .send(GetWriterState)
            .await
            .unwrap()
            .locked_for
            .is_none()
        {
            tokio::task::yield_now().await;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "no ping got in");
        site.execute_batch("COMMIT").unwrap();
        write.await.unwrap().unwrap();
        let state = actor.send(GetWriterState).await.unwrap();
        assert_eq!(state, WriterState::default());
    }
}
