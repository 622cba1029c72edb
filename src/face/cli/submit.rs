//! `submit`: hands work to the daemon's durable queue.

mod batch;
mod held;
mod wait;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde_json::json;

use super::daemon_link::{connect, daemon_on, say};
use super::db::{json_line, print};
use super::numbers::parse_priority;
use super::score::refuse_guesses;
use super::selection::SelectionArgs;
use super::{Console, Format, Global};
use crate::config::Loaded;
use crate::config::units::parse_duration;
use crate::engine::{Job, Kind};
use crate::face::client::Client;
use crate::face::client::submit::jobs;
use crate::face::exit::{Code, Failure};
use crate::face::one_shot;
use crate::face::protocol::{KindName, Span, Submit, Submitted, Trace};
use held::{Held, work_of};
use wait::{Awaited, listen, warn_of_pauses};

const AFTER_HELP: &str = "\
Examples:
  vvv-actors submit batch new.json                    a batch file, as one group
  pipeline | vvv-actors submit batch - --wait         and its report when it is done
  vvv-actors submit liveness --stale 30d --limit 500  the 500 longest unchecked videos
  vvv-actors submit score -Bg3w_kVyPQ --priority 0    one video, before all others
  vvv-actors submit thumbnails --all --unique-key nightly --unique-for 20h
                                                      nothing if it is queued already
  vvv-actors submit batch new.json --unique-key 2026-11-25T12
                                                      may be repeated after any error

Jobs are queued when it returns: neither a restart nor a power cut loses them. With --wait it
prints the report of the one-shot command and exits as that does; Ctrl-C only ends the waiting. Of
work whose --unique-key is there already it waits for what has the key, and reports on that.
TRACEPARENT (W3C), if it is set, names the trace that the jobs belong to.";

/// Arguments of `submit`.
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = AFTER_HELP)]
pub struct SubmitArgs {
    /// What to hand over.
    #[command(subcommand)]
    pub action: SubmitAction,
}

/// What is handed over.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum SubmitAction {
    /// Have videos scored
    Score(SubmitJobArgs),
    /// Have thumbnails checked
    Thumbnails(SubmitJobArgs),
    /// Have videos asked for
    Liveness(SubmitJobArgs),
    /// Have all done that a batch file names, as one group
    Batch(batch::SubmitBatchArgs),
}

/// Arguments of `submit score` and its like.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct SubmitJobArgs {
    /// Which videos.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Before or after others: 0 is first, 9 is last
    #[arg(long, value_name = "0-9", default_value_t = Job::DEFAULT_PRIORITY,
          value_parser = parse_priority)]
    pub priority: u8,
    /// Not before so long from now, such as 10m
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub delay: Option<Duration>,
    /// Queue nothing if there is a job with this key
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub unique_key: Option<String>,
    /// A job that has ended keeps its key so long from now; for ever without it
    #[arg(long, value_name = "DURATION", requires = "unique_key", value_parser = parse_duration)]
    pub unique_for: Option<Duration>,
    /// Wait for the end and print the report
    #[arg(long)]
    pub wait: bool,
}

/// Runs it.
///
/// # Errors
/// When no daemon answers, it refuses or works on another database, or the work cannot be read.
pub fn run(
    arguments: &SubmitArgs,
    global: &Global,
    loaded: &Loaded,
    trace: Option<Trace>,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let (kind, jobs) = match &arguments.action {
        SubmitAction::Score(score) => {
            refuse_guesses(&score.selection, &loaded.config)?;
            (Kind::Score, score)
        }
        SubmitAction::Thumbnails(thumbnails) => (Kind::Thumbnails, thumbnails),
        SubmitAction::Liveness(liveness) => (Kind::Liveness, liveness),
        SubmitAction::Batch(batch) => return batch::run(batch, global, loaded, trace, console),
    };
    submit_jobs(kind, jobs, global, loaded, trace, console)
}

fn submit_jobs(
    kind: Kind,
    arguments: &SubmitJobArgs,
    global: &Global,
    loaded: &Loaded,
    trace: Option<Trace>,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let began = Instant::now();
    let mut config = loaded.config.clone();
    let mut client = connect(&config)?;
    let status = daemon_on(&config.database.path, &mut client)?;
    // Who names no database means the daemon's.
    config.database.path = PathBuf::from(&status.database);
    let plan = one_shot::plan(kind, &arguments.selection, None, &config)?;
    let follower = listen(arguments.wait, &config)?;
    warn_of_pauses(&status, &plan, global, console);
    let parts = jobs(plan.clone());
    if parts.len() > 1 && arguments.unique_key.is_some() {
        let error = anyhow::anyhow!(
            "submit {kind}: {} parts of 1 MiB cannot share one --unique-key; take fewer videos",
            parts.len()
        );
        return Err(Failure::new(Code::Usage, error));
    }
    let Submitted {
        ids,
        duplicate,
        group,
    } = hand_over(&parts, arguments, trace, &mut client)?;
    if let Some(follower) = follower {
        let work = match ids.as_slice() {
            [id] if duplicate => {
                let line = format!("nothing new: {} has the key; waiting for it", named(&ids));
                say(&line, global, console);
                work_of(&mut client, kind, *id)?
            }
            _ => Held { plan, ids, group },
        };
        let awaited = Awaited {
            began,
            work,
            database: status.database,
            fail_on: Vec::new(),
        };
        return awaited.run(follower, global, &config, console);
    }
    let text = match global.format(console.stdout_is_terminal) {
        Format::Json => json_line(&json!({"ids": ids, "duplicate": duplicate})),
        Format::Human if duplicate => format!("nothing new: {} has the key\n", named(&ids)),
        Format::Human => format!("queued {}\n", named(&ids)),
    };
    print(&text, console)
}

/// Hands the parts over one by one; what came of all of them.
fn hand_over(
    parts: &[Job],
    arguments: &SubmitJobArgs,
    trace: Option<Trace>,
    client: &mut Client,
) -> Result<Submitted, Failure> {
    let mut all = Submitted::default();
    for part in parts {
        let submitted = client.ask(&request(part, arguments, trace)?)?;
        all.duplicate |= submitted.duplicate;
        // Of several parts each is a group of its own.
        all.group = submitted.group.filter(|_| parts.len() == 1);
        all.ids.extend(submitted.ids);
    }
    Ok(all)
}

fn request(job: &Job, arguments: &SubmitJobArgs, trace: Option<Trace>) -> Result<Submit, Failure> {
    let payload = job
        .payload()
        .and_then(|payload| serde_json::from_str(&payload))
        .map_err(|error| Failure::new(Code::Failed, error))?;
    Ok(Submit {
        kind: KindName(job.kind()),
        payload,
        priority: arguments.priority,
        delay: arguments.delay.map(Span),
        run_at: None,
        unique_key: arguments.unique_key.clone(),
        unique_for: arguments.unique_for.map(Span),
        traceparent: trace,
    })
}

fn named(ids: &[i64]) -> String {
    match ids {
        [id] => format!("job {id}"),
        [first, .., last] => format!("{} jobs, {first} to {last}", ids.len()),
        [] => "nothing".to_owned(),
    }
}
