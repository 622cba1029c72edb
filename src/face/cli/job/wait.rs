//! `job wait`: until jobs have ended.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::super::daemon_link::{Source, look};
use super::super::db::{json_line, print};
use super::super::{Console, Format, Global};
use super::poll::Poll;
use super::{WaitArgs, all_ids, page, show};
use crate::config::Config;
use crate::engine::{JobState, QueueView};
use crate::face::client::socket_of;
use crate::face::exit::{Code, Failure};
use crate::face::follow::Follower;
use crate::face::one_shot::failure;
use crate::face::protocol::{Job, List};

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(200);

/// Who tells of ends.
enum Teller {
    Daemon(Box<Follower>),
    File(Box<Poll>),
}

impl Teller {
    fn ended(&mut self) -> Result<Vec<Job>, Failure> {
        match self {
            Self::Daemon(follower) => {
                let ended = follower.ended(TICK)?;
                Ok(ended.into_iter().map(|job| job.summary).collect())
            }
            Self::File(poll) => poll.ended(TICK),
        }
    }

    fn open(&self) -> usize {
        match self {
            Self::Daemon(follower) => follower.open(),
            Self::File(poll) => poll.open(),
        }
    }

    fn unended(&self) -> Vec<i64> {
        match self {
            Self::Daemon(follower) => follower.unended().collect(),
            Self::File(poll) => poll.unended().collect(),
        }
    }

    fn gone(&self) -> usize {
        match self {
            Self::Daemon(follower) => follower.gone(),
            Self::File(poll) => poll.gone(),
        }
    }
}

pub(super) fn run(
    arguments: &WaitArgs,
    global: &Global,
    config: &Config,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let began = Instant::now();
    let mut teller = look(config, global, console, |source| {
        teller(arguments, config, source)
    })?;
    let bar = bar(teller.open(), global, console);
    let mut jobs: Vec<Job> = Vec::new();
    let is_late = || {
        arguments
            .timeout
            .is_some_and(|timeout| began.elapsed() >= timeout)
    };
    while teller.open() > 0 && !is_late() {
        let ended = teller.ended()?;
        bar.inc(u64::try_from(ended.len()).unwrap_or_default());
        jobs.extend(ended);
    }
    bar.finish_and_clear();
    jobs.sort_unstable_by_key(|job| job.id);
    let (unended, gone) = (teller.unended(), teller.gone());
    let open = unended.len();
    let text = match global.format(console.stdout_is_terminal) {
        Format::Json => {
            json_line(&json!({"ended": open == 0, "gone": gone, "unended": unended, "jobs": jobs}))
        }
        Format::Human if jobs.is_empty() => missing(&unended, gone),
        Format::Human => format!("{}{}", show::of(&jobs), missing(&unended, gone)),
    };
    print(&text, console)?;
    let all_well = jobs.iter().all(|job| job.state.0 == JobState::Succeeded);
    Ok(if all_well && open == 0 && gone == 0 {
        Code::Success
    } else {
        Code::Failed
    })
}

fn teller(arguments: &WaitArgs, config: &Config, mut source: Source) -> Result<Teller, Failure> {
    // It listens before it looks, so that no end is missed.
    let mut teller = match &source {
        Source::Daemon(_) => Teller::Daemon(Box::new(Follower::listen(&socket_of(config))?)),
        Source::File(_) => Teller::File(Box::new(Poll::new(
            QueueView::open(config).map_err(failure)?,
        ))),
    };
    let ids = ids(arguments, &mut source)?;
    match &mut teller {
        Teller::Daemon(follower) => follower.expect(ids),
        Teller::File(poll) => poll.expect(ids),
    }
    Ok(teller)
}

fn ids(arguments: &WaitArgs, source: &mut Source) -> Result<Vec<i64>, Failure> {
    let Some(group) = arguments.group else {
        return Ok(arguments.ids.clone());
    };
    let list = List {
        group: Some(group),
        ..List::default()
    };
    let ids = all_ids(list, |list| page(source, list))?;
    if ids.is_empty() {
        let error = anyhow::anyhow!("wait for group {group}: it has no job");
        return Err(Failure::new(Code::Failed, error));
    }
    Ok(ids)
}

/// Unended jobs that are named.
const MOST_NAMED: usize = 20;

fn missing(unended: &[i64], gone: usize) -> String {
    let mut text = String::new();
    if !unended.is_empty() {
        let named = unended.iter().take(MOST_NAMED).map(i64::to_string);
        let named = named.collect::<Vec<_>>().join(", ");
        let more = if unended.len() > MOST_NAMED {
            ", …"
        } else {
            ""
        };
        text += &format!("{} have not ended: {named}{more}\n", unended.len());
    }
    if gone > 0 {
        text += &format!("{gone} are not there\n");
    }
    text
}

fn bar(jobs: usize, global: &Global, console: &Console<'_>) -> ProgressBar {
    if global.quiet || !console.stderr_is_terminal {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(jobs).unwrap_or(u64::MAX));
    match ProgressStyle::with_template("{prefix:>10} {bar:30} {pos}/{len} {elapsed_precise}") {
        Ok(style) => bar.with_style(style).with_prefix("jobs"),
        Err(_) => bar,
    }
}
