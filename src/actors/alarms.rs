//! Looks after what can go wrong unseen, keeps the alarms, and runs the command that tells of them.

mod claims;
mod command;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult,
    Recipient, WrapFuture,
};

pub use self::claims::Claims;
use self::command::run_command;
pub use self::command::tell_last;
use super::db::Trouble;
use super::rate_limiter::{OEMBED, oembed_limit};
use super::scheduler::read;
use super::supervisor::{GetStatus, SeatStatus, Status};
use super::worker::Deps;
use crate::domain::alarm::{Alarm, AlarmKind, Alarms, Backlog, Change};
use crate::domain::job::Queue;
use crate::fetch::aside;
use crate::store::{QueueSummary, RateWindow, StoreError};

/// How often everything is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Changes kept for the next run of the command; of more, the oldest are only in the log.
const MOST_UNTOLD: usize = 100;
/// What alarms about the file are about.
const DATABASE: &str = "database";

/// Keeps the alarms.
pub struct AlarmKeeper {
    deps: Deps,
    status: Recipient<GetStatus>,
    claims: Arc<Claims>,
    alarms: Alarms,
    backlogs: [Backlog; 3],
    started: Instant,
    looking: bool,
    untold: Vec<Change>,
    telling: bool,
    told_at: Option<Instant>,
}

/// What one look saw.
type Seen = (
    Result<Status, ()>,
    Result<(Vec<QueueSummary>, RateWindow), StoreError>,
);

impl AlarmKeeper {
    /// A keeper without alarms.
    #[must_use]
    pub fn new(deps: Deps, status: Recipient<GetStatus>, claims: Arc<Claims>) -> Self {
        deps.meters.staff.no_alarm();
        Self {
            deps,
            status,
            claims,
            alarms: Alarms::default(),
            backlogs: Default::default(),
            started: Instant::now(),
            looking: false,
            untold: Vec::new(),
            telling: false,
            told_at: None,
        }
    }

    fn look(&mut self, context: &mut Context<Self>) {
        self.note_trouble(context);
        if self.looking {
            return;
        }
        self.looking = true;
        let (deps, status) = (self.deps.clone(), self.status.clone());
        let look = async move {
            let status = status.send(GetStatus).await.map_err(|_| ());
            let (limit, now) = (oembed_limit(&deps.config), deps.clock.boot());
            let seen = read(&deps, move |reader| {
                Ok((reader.backlogs()?, reader.rate_window(OEMBED, limit, &now)?))
            });
            (status, seen.await)
        };
        context.spawn(look.into_actor(self).map(|seen, actor, context| {
            actor.looking = false;
            actor.judge(seen, context);
        }));
    }

    fn note_trouble(&mut self, context: &mut Context<Self>) {
        let trouble = self.deps.db.trouble();
        let full = trouble == Some(Trouble::StorageFull);
        let full = full.then(|| "the disk is full; work waits until there is room".to_owned());
        self.note(AlarmKind::StorageFull, DATABASE, full, context);
        let failing = trouble == Some(Trouble::Failing);
        let failing = failing.then(|| "the disk answers with errors; work waits".to_owned());
        self.note(AlarmKind::StorageFailing, DATABASE, failing, context);
        // It is not right again before somebody has mended it.
        if trouble == Some(Trouble::Damaged) {
            let text = "SQLite finds the database damaged; see vvv-actors db doctor".to_owned();
            self.note(AlarmKind::DatabaseDamaged, DATABASE, Some(text), context);
        }
    }

    fn judge(&mut self, (status, file): Seen, context: &mut Context<Self>) {
        let (pools, seats) = status.map_or_else(
            |()| Default::default(),
            |status| (status.pools, status.seats),
        );
        for SeatStatus {
            actor,
            restarts,
            is_spent,
        } in seats
        {
            let text = format!("it died {restarts} times; it is replaced after a while");
            let wrong = is_spent.then_some(text);
            self.note(AlarmKind::RestartsSpent, &actor, wrong, context);
        }
        for pool in pools {
            let text = format!(
                "its workers died {} times; it rests for a while",
                pool.restarts
            );
            let wrong = pool.degraded.then_some(text);
            self.note(AlarmKind::RestartsSpent, pool.queue.name(), wrong, context);
        }
        // A lock in the way says nothing.
        let Ok((queues, window)) = file else { return };
        for summary in queues {
            self.judge_backlog(&summary, context);
        }
        let now_ms = self.deps.clock.boot().ms;
        let parked = window.parked_until_ms.map(|until_ms| {
            let left = until_ms.saturating_sub(now_ms) / 1000;
            format!("it wants to be left alone, for {left} s more")
        });
        self.note(AlarmKind::UpstreamParked, OEMBED, parked, context);
    }

    fn judge_backlog(&mut self, summary: &QueueSummary, context: &mut Context<Self>) {
        let queue = summary.queue;
        let after = self.deps.config.alerts.backlog_after;
        let taken = self.claims.so_far(queue);
        let [scoring, thumbnails, cleanup] = &mut self.backlogs;
        let backlog = match queue {
            Queue::Scoring => scoring,
            Queue::Thumbnails => thumbnails,
            Queue::Cleanup => cleanup,
        };
        let more = backlog.look(summary.available, taken, self.started.elapsed(), after);
        let wrong = more.map(|more| {
            let paused = if summary.paused_ms.is_some() {
                "; it is paused"
            } else {
                ""
            };
            let waiting = summary.available;
            format!("{waiting} jobs wait, {more} more than when one was last taken{paused}")
        });
        self.note(AlarmKind::Backlog, queue.name(), wrong, context);
    }

    fn note(
        &mut self,
        kind: AlarmKind,
        subject: &str,
        wrong: Option<String>,
        context: &mut Context<Self>,
    ) {
        let now_ms = self.deps.clock.unix_ms();
        let Some(change) = self.alarms.note(kind, subject, wrong, now_ms) else {
            return;
        };
        let is_raised = self.alarms.is_raised(kind);
        self.deps.meters.staff.alarm(kind, is_raised);
        log(&change);
        self.untold.push(change);
        let surplus = self.untold.len().saturating_sub(MOST_UNTOLD);
        self.untold.drain(..surplus);
        self.tell(context);
    }

    /// Runs the command, unless it runs or ran a moment ago: then later.
    fn tell(&mut self, context: &mut Context<Self>) {
        let alerts = &self.deps.config.alerts;
        if alerts.command.is_empty() {
            self.untold.clear();
        }
        if self.telling || self.untold.is_empty() {
            return;
        }
        let since = self.told_at.map(|told| told.elapsed());
        let wait = since.map_or(Duration::ZERO, |since| {
            alerts.min_interval.saturating_sub(since)
        });
        self.telling = true;
        if !wait.is_zero() {
            context.run_later(wait, |actor, context| {
                actor.telling = false;
                actor.tell(context);
            });
            return;
        }
        let changes = std::mem::take(&mut self.untold);
        let (alerts, database) = (alerts.clone(), self.deps.store.path.display().to_string());
        let run = aside(move || run_command(&alerts, &database, &changes));
        context.spawn(run.into_actor(self).map(|ran, actor, context| {
            actor.telling = false;
            actor.told_at = Some(Instant::now());
            if let Err(error) = ran.and_then(|ran| ran) {
                tracing::warn!(%error, "alerts.command failed");
            }
            actor.tell(context);
        }));
    }
}

fn log(change: &Change) {
    let Alarm {
        kind,
        subject,
        text,
        ..
    } = &change.alarm;
    if change.raised {
        tracing::error!(alarm = ?kind, subject, text, "alarm");
    } else {
        tracing::info!(alarm = ?kind, subject, "the alarm is over");
    }
}

impl Actor for AlarmKeeper {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(LOOK_EVERY, Self::look);
    }
}

/// What a check of the file found wrong.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Damaged(pub String);

impl Handler<Damaged> for AlarmKeeper {
    type Result = ();

    fn handle(&mut self, Damaged(text): Damaged, context: &mut Self::Context) {
        self.note(AlarmKind::DatabaseDamaged, DATABASE, Some(text), context);
    }
}

/// Asks for the alarms that are raised.
#[derive(Message)]
#[rtype(result = "Vec<Alarm>")]
pub struct ListAlarms;

impl Handler<ListAlarms> for AlarmKeeper {
    type Result = MessageResult<ListAlarms>;

    fn handle(&mut self, _: ListAlarms, context: &mut Self::Context) -> Self::Result {
        // What is known in memory is told as it is now.
        self.note_trouble(context);
        MessageResult(self.alarms.raised())
    }
}

/// Takes over a new configuration.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ChangeAlerts(pub Deps);

impl Handler<ChangeAlerts> for AlarmKeeper {
    type Result = ();

    fn handle(&mut self, ChangeAlerts(deps): ChangeAlerts, _: &mut Self::Context) {
        self.deps = deps;
    }
}

/// Looks at nothing more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StopLooking;

impl Handler<StopLooking> for AlarmKeeper {
    type Result = ();

    fn handle(&mut self, _: StopLooking, context: &mut Self::Context) {
        context.stop();
    }
}
