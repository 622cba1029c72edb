//! `job`: looks at jobs of the durable queue, waits for them, cancels them or has them done again.

mod outcome;
mod poll;
mod show;
mod wait;

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::{Args, Subcommand};

use self::outcome::{Steered, tell};
use super::daemon_link::{Source, connect_on, look, parse_queue, parse_state};
use super::db::{json_line, print};
use super::numbers::{parse_group, parse_job, parse_limit};
use super::{Console, Format, Global};
use crate::config::units::parse_duration;
use crate::config::{Config, Loaded};
use crate::engine::{JobState, Queue};
use crate::face::client::{Client, ClientError};
use crate::face::exit::{Code, Failure};
use crate::face::one_shot::failure;
use crate::face::protocol::{
    Cancel, Job, JobDetail, LONGEST_PAGE, List, Listed, MOST_IDS, QueueName, Retry, State, States,
};

const AFTER_HELP: &str = "\
Examples:
  vvv-actors job list --state failed --limit 20     the latest failures and why
  vvv-actors job list --group 12 --format json      a batch's jobs for a script
  vvv-actors job show 41                            payload, what is left, what was found
  vvv-actors job wait 41 42 --timeout 5m            exits with 0 if both succeeded
  vvv-actors job cancel 41                          running ones too
  vvv-actors job retry --all-failed                 once the cause is mended";

/// Arguments of `job`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = AFTER_HELP)]
pub struct JobArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: JobAction,
}

/// What `job` does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum JobAction {
    /// List jobs, newest first; without a daemon, from the file
    List(ListArgs),
    /// Show everything of jobs; without a daemon, from the file
    Show(Ids),
    /// Wait until jobs have ended, and tell how; without a daemon, by the file
    Wait(WaitArgs),
    /// Cancel jobs that have not ended, running ones too
    Cancel(Ids),
    /// Have failed and cancelled jobs done again
    Retry(RetryArgs),
}

/// Numbers of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Ids {
    /// The jobs' numbers
    #[arg(value_name = "JOB", required = true, value_parser = parse_job)]
    pub ids: Vec<i64>,
}

/// Arguments of `job list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ListArgs {
    /// Only in these states: scheduled, available, running, retryable, succeeded, failed,
    /// cancelled; comma-separated
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = parse_state)]
    pub state: Vec<JobState>,
    /// Only of this queue, or kind
    #[arg(long, visible_alias = "kind", value_name = "QUEUE", value_parser = parse_queue)]
    pub queue: Option<Queue>,
    /// Only of this group
    #[arg(long, value_name = "GROUP", value_parser = parse_group)]
    pub group: Option<i64>,
    /// Only those whose payload, key or error holds this, such as a video's id
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub text: Option<String>,
    /// Only those before this one: where the last page ended
    #[arg(long, value_name = "JOB", value_parser = parse_job)]
    pub before: Option<i64>,
    /// How many at most
    #[arg(long, value_name = "N", default_value = "50", value_parser = parse_limit)]
    pub limit: NonZeroUsize,
}

/// Arguments of `job wait`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct WaitArgs {
    /// The jobs' numbers
    #[arg(value_name = "JOB", required_unless_present = "group", value_parser = parse_job)]
    pub ids: Vec<i64>,
    /// All jobs of this group
    #[arg(long, value_name = "GROUP", conflicts_with = "ids", value_parser = parse_group)]
    pub group: Option<i64>,
    /// No longer than this, such as 5m; then exit with 1
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
}

/// Arguments of `job retry`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RetryArgs {
    /// The jobs' numbers
    #[arg(value_name = "JOB", required_unless_present = "all_failed", value_parser = parse_job)]
    pub ids: Vec<i64>,
    /// Every job that has failed
    #[arg(long, conflicts_with = "ids")]
    pub all_failed: bool,
    /// Of the failed ones only those of this queue, or kind
    #[arg(long, value_name = "QUEUE", requires = "all_failed", value_parser = parse_queue)]
    pub queue: Option<Queue>,
}

/// Runs it.
///
/// # Errors
/// When no daemon answers (and for what only looks the file cannot be read either), it refuses,
/// or there is no such job.
pub fn run(
    arguments: &JobArgs,
    global: &Global,
    loaded: &Loaded,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let config = &loaded.config;
    match &arguments.action {
        JobAction::List(list) => list_jobs(list, global, config, console),
        JobAction::Show(ids) => show_jobs(&ids.ids, global, config, console),
        JobAction::Wait(wait) => wait::run(wait, global, config, console),
        JobAction::Cancel(ids) => {
            let mut client = connect_on(config)?;
            let mut steered = Steered::default();
            for ids in ids.ids.chunks(MOST_IDS) {
                let cancelled = client.ask(&Cancel { ids: ids.to_vec() })?;
                steered.done.extend(cancelled.cancelled);
                steered.left.extend(cancelled.not_cancelled);
            }
            tell("cancelled", &steered, global, console)
        }
        JobAction::Retry(retry) => {
            let steered = retry_jobs(retry, &mut connect_on(config)?)?;
            tell("retried", &steered, global, console)
        }
    }
}

fn list_jobs(
    arguments: &ListArgs,
    global: &Global,
    config: &Config,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let wanted = arguments.limit.get();
    let listed = look(config, global, console, |mut source| {
        let mut listed = Listed {
            jobs: Vec::new(),
            next: arguments.before,
        };
        // More than a page is several.
        while listed.jobs.len() < wanted {
            let page = page(
                &mut source,
                &List {
                    state: States(arguments.state.iter().copied().map(State).collect()),
                    queue: arguments.queue.map(QueueName),
                    group: arguments.group,
                    text: arguments.text.clone(),
                    before: listed.next,
                    limit: (wanted - listed.jobs.len()).min(LONGEST_PAGE),
                    ..List::default()
                },
            )?;
            listed.jobs.extend(page.jobs);
            listed.next = page.next;
            if listed.next.is_none() {
                break;
            }
        }
        Ok(listed)
    })?;
    let text = match global.format(console.stdout_is_terminal) {
        Format::Json => json_line(&listed),
        Format::Human => show::lines(&listed),
    };
    print(&text, console)
}

/// One page of jobs, from whoever has them.
fn page(source: &mut Source, list: &List) -> Result<Listed, Failure> {
    match source {
        Source::Daemon(client) => Ok(client.ask(list)?),
        Source::File(view) => {
            let limit = list.limit;
            let refused = |error| Failure::new(Code::Usage, anyhow::Error::new(error));
            // It asks for one more, which tells whether another page follows.
            let filter = list.clone().into_filter().map_err(refused)?;
            let found = view.jobs(&filter).map_err(failure)?;
            let more = found.len() > limit;
            let jobs: Vec<Job> = found.into_iter().take(limit).map(Job::from).collect();
            Ok(Listed {
                next: jobs.last().filter(|_| more).map(|job| job.id),
                jobs,
            })
        }
    }
}

fn show_jobs(
    ids: &[i64],
    global: &Global,
    config: &Config,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    // What is there is shown, whatever is not.
    let (jobs, missing) = look(config, global, console, |mut source| {
        let mut jobs: Vec<JobDetail> = Vec::new();
        let mut missing = None;
        for id in ids {
            match show::get(&mut source, *id) {
                Ok(job) => jobs.push(job),
                Err(error) if error.code == Code::Failed => missing = missing.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Ok((jobs, missing))
    })?;
    let format = global.format(console.stdout_is_terminal);
    let text: String = jobs
        .iter()
        .map(|job| match format {
            Format::Json => json_line(job),
            Format::Human => show::card(job),
        })
        .collect();
    print(&text, console)?;
    missing.map_or(Ok(Code::Success), Err)
}

/// Those that will be done again, and those that will not.
fn retry_jobs(arguments: &RetryArgs, client: &mut Client) -> Result<Steered, ClientError> {
    let asked = if arguments.all_failed {
        let list = List {
            state: States(vec![State(JobState::Failed)]),
            queue: arguments.queue.map(QueueName),
            ..List::default()
        };
        all_ids(list, |list| client.ask(list))?
    } else {
        arguments.ids.clone()
    };
    let mut steered = Steered::default();
    for ids in asked.chunks(MOST_IDS) {
        let retried = client.ask(&Retry { ids: ids.to_vec() })?;
        steered.done.extend(retried.retried);
        steered.left.extend(retried.not_retried);
    }
    Ok(steered)
}

/// The numbers of all jobs that a list is of.
pub(super) fn all_ids<E>(
    mut list: List,
    mut page: impl FnMut(&List) -> Result<Listed, E>,
) -> Result<Vec<i64>, E> {
    list.limit = LONGEST_PAGE;
    let mut ids = Vec::new();
    loop {
        let Listed { jobs, next } = page(&list)?;
        ids.extend(jobs.iter().map(|job| job.id));
        list.before = next;
        if next.is_none() {
            return Ok(ids);
        }
    }
}
