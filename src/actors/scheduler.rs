//! Runs what the schedule says, each tick once: work is queued in the transaction that records the
//! tick, and what is no job is a few short operations.

mod tasks;

use std::collections::BTreeMap;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient,
    SpawnHandle, WrapFuture,
};
use jiff::tz::TimeZone;

pub(super) use self::tasks::read;
use self::tasks::{Tick, run_tick};
use super::worker::Deps;
use crate::domain::job::Kind;
use crate::domain::schedule::{Line, Standing, Task, zone};

/// The longest sleep: so soon a clock that was set is noticed, and what failed is tried again.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// Knows what ran when, and one timer.
pub struct Scheduler {
    deps: Deps,
    /// Hears of jobs that were queued.
    queued: Recipient<TickQueued>,
    /// The last tick of each task; none before they were read.
    ran: Option<BTreeMap<Task, i64>>,
    timer: Option<SpawnHandle>,
    at_work: bool,
}

impl Scheduler {
    /// A scheduler for the lines of the configuration.
    #[must_use]
    pub const fn new(deps: Deps, queued: Recipient<TickQueued>) -> Self {
        Self {
            deps,
            queued,
            ran: None,
            timer: None,
            at_work: false,
        }
    }

    /// The lines that are on; configuration was checked, so none is left out in silence.
    fn lines(&self) -> (TimeZone, Vec<(Task, Line)>) {
        let schedule = &self.deps.config.schedule;
        let zone = zone(&schedule.timezone).unwrap_or(TimeZone::UTC);
        let line = |task| Some((task, Line::parse(schedule.line(task)).ok()?));
        (zone, Task::ALL.into_iter().filter_map(line).collect())
    }

    fn look(&mut self, context: &mut Context<Self>) {
        if self.at_work {
            return;
        }
        let Some(ran) = &self.ran else {
            return self.read_ticks(context);
        };
        let now_ms = self.deps.clock.unix_ms();
        let (zone, lines) = self.lines();
        let mut sleep = LONGEST_SLEEP;
        let mut due = Vec::new();
        for (task, line) in &lines {
            let next_ms = line.next_after(now_ms, &zone).unwrap_or(i64::MAX);
            let left = u64::try_from(next_ms.saturating_sub(now_ms)).unwrap_or(0);
            sleep = sleep.min(Duration::from_millis(left.saturating_add(1)));
            let (at_ms, begins) = match line.standing(ran.get(task).copied(), now_ms, &zone) {
                Standing::Waiting => continue,
                Standing::Begin(at_ms) => (at_ms, true),
                Standing::Due(at_ms) => (at_ms, false),
            };
            due.push(Tick {
                task: *task,
                at_ms,
                begins,
                next_ms,
            });
        }
        if due.is_empty() {
            self.sleep(sleep, context);
        } else {
            self.run(due, context);
        }
    }

    fn sleep(&mut self, sleep: Duration, context: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        self.timer = Some(context.run_later(sleep, |actor, context| {
            actor.timer = None;
            actor.look(context);
        }));
    }

    fn read_ticks(&mut self, context: &mut Context<Self>) {
        self.at_work = true;
        let deps = self.deps.clone();
        let read = async move {
            read(&deps, |reader| {
                let mut ran = BTreeMap::new();
                for task in Task::ALL {
                    if let Some(tick) = reader.last_tick(task)? {
                        ran.insert(task, tick);
                    }
                }
                Ok(ran)
            })
            .await
        };
        context.spawn(read.into_actor(self).map(|ran, actor, context| {
            actor.at_work = false;
            match ran {
                Ok(ran) => {
                    actor.ran = Some(ran);
                    actor.look(context);
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to read what of the schedule has run");
                    actor.sleep(LONGEST_SLEEP, context);
                }
            }
        }));
    }

    fn run(&mut self, due: Vec<Tick>, context: &mut Context<Self>) {
        self.at_work = true;
        let (deps, queued) = (self.deps.clone(), self.queued.clone());
        let run = async move {
            let mut ran = Vec::new();
            let mut all_ran = true;
            for tick in due {
                match run_tick(&deps, &queued, tick).await {
                    Ok(()) => ran.push(tick),
                    Err(error) => {
                        all_ran = false;
                        tracing::warn!(task = %tick.task, %error, "failed to run a scheduled task");
                    }
                }
            }
            (ran, all_ran)
        };
        context.spawn(run.into_actor(self).map(|(done, all_ran), actor, context| {
            actor.at_work = false;
            if let Some(ran) = &mut actor.ran {
                ran.extend(done.into_iter().map(|tick| (tick.task, tick.at_ms)));
            }
            if all_ran {
                actor.look(context);
            } else {
                actor.sleep(LONGEST_SLEEP, context);
            }
        }));
    }
}

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.look(context);
    }
}

/// Tells that a tick queued work of this kind.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TickQueued(pub Kind);

/// Takes over a new configuration.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reschedule(pub Deps);

impl Handler<Reschedule> for Scheduler {
    type Result = ();

    fn handle(&mut self, Reschedule(deps): Reschedule, context: &mut Self::Context) {
        self.deps = deps;
        self.look(context);
    }
}

/// Runs nothing more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StopScheduling;

impl Handler<StopScheduling> for Scheduler {
    type Result = ();

    fn handle(&mut self, _: StopScheduling, context: &mut Self::Context) {
        context.stop();
    }
}
