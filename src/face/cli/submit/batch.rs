//! `submit batch`: hands a batch file to the daemon, as one group.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use super::super::batch::parse_kind;
use super::super::daemon_link::{connect, daemon_on, say};
use super::super::db::{json_line, print};
use super::super::numbers::parse_priority;
use super::super::selection::FailOn;
use super::super::{Console, Format, Global};
use super::held::{Held, work_of_group};
use super::named;
use super::wait::{Awaited, listen, warn_of_pauses};
use crate::config::units::parse_duration;
use crate::config::{Config, Loaded};
use crate::engine::{Job, Kind};
use crate::face::batch_file::{self, Plan};
use crate::face::client::submit::{Taken, lines_of};
use crate::face::exit::{Code, Failure};
use crate::face::protocol::{FollowUp, Span, SubmitBatch, Trace};

/// Arguments of `submit batch`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct SubmitBatchArgs {
    /// The batch file, or `-` for standard input; of any size
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Do only this part: a section of the report, a kind of job, a queue or a task's name;
    /// comma-separated, may be repeated
    #[arg(long, value_name = "PART", value_delimiter = ',', value_parser = parse_kind)]
    pub only: Vec<Kind>,
    /// Before or after others: 0 is first, 9 is last
    #[arg(long, value_name = "0-9", default_value_t = Job::DEFAULT_PRIORITY,
          value_parser = parse_priority)]
    pub priority: u8,
    /// Queue this job once all have succeeded: {"kind": "score", "payload": {"video_ids": […]}}
    #[arg(long, value_name = "JSON", value_parser = parse_follow_up)]
    pub on_success: Option<FollowUp>,
    /// Queue this job once all have ended, however
    #[arg(long, value_name = "JSON", value_parser = parse_follow_up)]
    pub on_finish: Option<FollowUp>,
    /// Queue nothing if there is a batch with this key; for a batch that fits into 1 MiB
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub unique_key: Option<String>,
    /// A batch that has ended keeps its key so long from now; for ever without it
    #[arg(long, value_name = "DURATION", requires = "unique_key", value_parser = parse_duration)]
    pub unique_for: Option<Duration>,
    /// Wait for the end and print the report
    #[arg(long)]
    pub wait: bool,
    /// Exit with 1 if there is any such verdict; comma-separated
    #[arg(
        long,
        value_enum,
        value_name = "VERDICT",
        value_delimiter = ',',
        requires = "wait"
    )]
    pub fail_on: Vec<FailOn>,
}

pub(super) fn run(
    arguments: &SubmitBatchArgs,
    global: &Global,
    loaded: &Loaded,
    trace: Option<Trace>,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let began = Instant::now();
    let config = &loaded.config;
    let (plan, database) = read_batch(arguments, global, config)?;
    let lines = lines_of(&plan);
    if lines > 1 && arguments.unique_key.is_some() {
        let error = anyhow::anyhow!(
            "submit the batch: {lines} parts of 1 MiB cannot share one --unique-key; take fewer videos"
        );
        return Err(Failure::new(Code::Usage, error));
    }
    let mut client = connect(config)?;
    let status = daemon_on(&database, &mut client)?;
    let follower = listen(arguments.wait, config)?;
    warn_of_pauses(&status, &plan, global, console);
    let taken = client.submit_batch(&plan, &like(arguments, trace))?;
    let ids = taken.jobs();
    if let Some(follower) = follower {
        let work = match taken.group {
            Some(group) if taken.duplicate => {
                let line = format!("nothing new: group {group} has the key; waiting for it");
                say(&line, global, console);
                work_of_group(&mut client, group)?
            }
            group => Held { plan, ids, group },
        };
        let awaited = Awaited {
            began,
            work,
            database: status.database,
            fail_on: arguments.fail_on.clone(),
        };
        return awaited.run(follower, global, config, console);
    }
    print(
        &told(&taken, global.format(console.stdout_is_terminal)),
        console,
    )
}

/// How all its jobs are to be queued.
fn like(arguments: &SubmitBatchArgs, trace: Option<Trace>) -> SubmitBatch {
    SubmitBatch {
        priority: arguments.priority,
        on_success: arguments.on_success.clone(),
        on_finish: arguments.on_finish.clone(),
        unique_key: arguments.unique_key.clone(),
        unique_for: arguments.unique_for.map(Span),
        traceparent: trace,
        ..SubmitBatch::default()
    }
}

fn told(taken: &Taken, format: Format) -> String {
    match (format, taken.group) {
        (Format::Json, group) => {
            json_line(&json!({"group": group, "ids": taken.ids, "duplicate": taken.duplicate}))
        }
        (Format::Human, Some(group)) if taken.duplicate => {
            format!("nothing new: group {group} has the key\n")
        }
        (Format::Human, Some(group)) => format!(
            "queued {} as group {group}; vvv-actors job wait --group {group} waits for it\n",
            named(&taken.jobs())
        ),
        (Format::Human, None) => "the batch is empty: nothing was queued\n".to_owned(),
    }
}

/// What the file asks for, and on which database; an empty path is the daemon's.
fn read_batch(
    arguments: &SubmitBatchArgs,
    global: &Global,
    config: &Config,
) -> Result<(Plan, PathBuf), Failure> {
    let batch = batch_file::read(&arguments.file, std::io::stdin())
        .map_err(|error| Failure::new(Code::Usage, error))?;
    let mut plan = batch.plan;
    if !arguments.only.is_empty() {
        plan.keep_only(&arguments.only);
    }
    let named = batch.database.filter(|_| global.db.is_none());
    Ok((plan, named.unwrap_or_else(|| config.database.path.clone())))
}

fn parse_follow_up(text: &str) -> Result<FollowUp, String> {
    let wrong = |error: &dyn std::fmt::Display| {
        let like = r#"{"kind": "score", "payload": {"video_ids": ["dQw4w9WgXcQ"]}}"#;
        format!("no job such as {like}: {error}")
    };
    let follow: FollowUp = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    Job::from_payload(follow.kind.0, &follow.payload.to_string()).map_err(|error| wrong(&error))?;
    Ok(follow)
}
