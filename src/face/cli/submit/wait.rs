//! Follows what was submitted to its end, and prints what a one-shot run would have.

use std::time::{Duration, Instant};

use super::super::daemon_link::say;
use super::super::selection::FailOn;
use super::super::{Console, Global};
use super::held::Held;
use crate::config::{Config, ThumbnailPolicy};
use crate::engine::JobState;
use crate::face::batch_file::Plan;
use crate::face::client::socket_of;
use crate::face::exit::{Code, Failure};
use crate::face::follow::{Follower, calls, note};
use crate::face::one_shot::print;
use crate::face::progress::Progress;
use crate::face::protocol::StatusReport;
use crate::face::report::{Collector, HandedOver, Taker};
use crate::face::run::{Choices, Early, conclude};
use crate::face::signals::Signals;

/// How soon a signal is heard.
const TICK: Duration = Duration::from_millis(200);
/// How long may be looked at what unended jobs have found, once nobody waits for them.
const SO_FAR: Duration = Duration::from_secs(2);

/// Listens before anything is queued, so that no end is missed.
pub(super) fn listen(wait: bool, config: &Config) -> Result<Option<Follower>, Failure> {
    let follower = wait.then(|| Follower::listen(&socket_of(config)));
    Ok(follower.transpose()?)
}

/// Nobody waits gladly for what is paused without knowing it.
pub(super) fn warn_of_pauses(
    status: &StatusReport,
    plan: &Plan,
    global: &Global,
    console: &mut Console<'_>,
) {
    for job in plan.clone().into_jobs() {
        let name = job.kind().queue();
        let mut queues = status.queues.iter();
        if queues.any(|queue| queue.queue.0 == name && queue.paused_at.is_some()) {
            say(
                &format!("{name} is paused: its jobs wait for vvv-actors queue resume {name}"),
                global,
                console,
            );
        }
    }
}

/// Work that was submitted and is waited for.
pub(super) struct Awaited {
    pub(super) began: Instant,
    pub(super) work: Held,
    pub(super) database: String,
    pub(super) fail_on: Vec<FailOn>,
}

impl Awaited {
    /// Waits for its end and prints the report.
    pub(super) fn run(
        self,
        mut follower: Follower,
        global: &Global,
        config: &Config,
        console: &mut Console<'_>,
    ) -> Result<Code, Failure> {
        let signals = Signals::watch().map_err(|error| Failure::new(Code::Unusable, error))?;
        let choices = Choices {
            began: self.began,
            deadline: None,
            drain: Duration::ZERO,
            fail_on: self.fail_on,
            dry_run: false,
            database: self.database,
            unknown_is_broken: config.thumbnails.policy == ThumbnailPolicy::Article,
        };
        let Held { plan, ids, group } = self.work;
        let jobs = ids.len();
        let mut collector = Collector::new(&plan, choices.unknown_is_broken);
        let mut progress = Progress::new(global.quiet, console.stderr_is_terminal);
        follower.expect(ids);
        let (early, asked) = follow(&mut follower, signals, &mut collector, &mut progress)?;
        progress.finish();
        let left = follower.open();
        let (mut report, code) = conclude(collector, &choices, jobs, asked, early);
        // Nobody is to hand in again what is queued.
        report.summary.enqueued = (left > 0).then_some(HandedOver {
            jobs: left,
            group,
            to: Taker::Daemon,
        });
        print(&report, global.format(console.stdout_is_terminal), console)?;
        Ok(code)
    }
}

/// What ended the waiting early, and how many calls the jobs made.
fn follow(
    follower: &mut Follower,
    mut signals: Signals,
    collector: &mut Collector,
    progress: &mut Progress,
) -> Result<(Option<Early>, u64), Failure> {
    let (mut asked, mut withdrawn) = (0, 0);
    while follower.open() > 0 {
        if let Some(signal) = signals.heard() {
            progress.say("not waiting any more; the jobs stay queued");
            for job in follower.so_far(SO_FAR) {
                asked += calls(&job);
                note(job, collector);
            }
            return Ok((Some(Early::Signal(signal)), asked));
        }
        for job in follower.ended(TICK)? {
            withdrawn += usize::from(job.summary.state.0 == JobState::Cancelled);
            asked += calls(&job);
            note(job, collector);
        }
        progress.count(collector);
        progress.tell_retries(follower.retries());
    }
    withdrawn += follower.gone();
    Ok((
        (withdrawn > 0).then_some(Early::Withdrawn(withdrawn)),
        asked,
    ))
}
