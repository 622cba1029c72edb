//! `job wait`: until jobs have ended.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

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
use crate::face::progress::Progress;
use crate::face::protocol::{Job, JobDetail, List};
use crate::face::report::found;
use crate::face::retries::Retries;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(200);

/// Who tells of ends.
enum Teller {
    Daemon(Box<Follower>),
    File(Box<Poll>),
}

impl Teller {
    fn ended(&mut self) -> Result<Vec<JobDetail>, Failure> {
        match self {
            Self::Daemon(follower) => Ok(follower.ended(TICK)?),
            Self::File(poll) => poll.ended(TICK),
        }
    }

    const fn retries(&mut self) -> &mut Retries {
        match self {
            Self::Daemon(follower) => follower.retries(),
            Self::File(poll) => poll.retries(),
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
    let of = teller.open();
    let mut progress = Progress::new(global.quiet, console.stderr_is_terminal);
    let mut jobs: Vec<Job> = Vec::new();
    let mut unknown = BTreeMap::new();
    let is_late = || {
        arguments
            .timeout
            .is_some_and(|timeout| began.elapsed() >= timeout)
    };
    while teller.open() > 0 && !is_late() {
        for job in teller.ended()? {
            let items = show::findings(&job).map_or(0, |found| found::unknown(&found).len());
            if items > 0 {
                unknown.insert(job.summary.id, items);
            }
            jobs.push(job.summary);
        }
        progress.count_jobs(of - teller.open(), of);
        progress.tell_retries(teller.retries());
    }
    progress.finish();
    jobs.sort_unstable_by_key(|job| job.id);
    let (unended, gone) = (teller.unended(), teller.gone());
    let open = unended.len();
    let text = match global.format(console.stdout_is_terminal) {
        Format::Json => json_line(
            &json!({"ended": open == 0, "gone": gone, "unended": unended,
            "unknown": unknown, "jobs": jobs}),
        ),
        Format::Human if jobs.is_empty() => missing(&unended, gone),
        Format::Human => {
            let (unknown, missing) = (unanswered(&unknown), missing(&unended, gone));
            format!("{}{unknown}{missing}", show::of(&jobs))
        }
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

/// Jobs that are named.
const MOST_NAMED: usize = 20;

/// Where to look for the items without a definitive answer, by job.
fn unanswered(unknown: &BTreeMap<i64, usize>) -> String {
    if unknown.is_empty() {
        return String::new();
    }
    let items: usize = unknown.values().sum();
    let jobs = unknown.keys().take(MOST_NAMED).map(i64::to_string);
    let jobs = jobs.collect::<Vec<_>>().join(" ");
    let more = if unknown.len() > MOST_NAMED {
        " …"
    } else {
        ""
    };
    format!("unknown items: {items}; vvv-actors job show {jobs}{more} tells which and why\n")
}

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
