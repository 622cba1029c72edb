//! `queue`: what waits in each queue; and a queue paused, resumed or emptied.

use clap::{Args, Subcommand};

use super::daemon_link::{Source, connect_on, look, parse_queue, since};
use super::db::{json_line, print};
use super::{Console, Format, Global};
use crate::config::Loaded;
use crate::engine::{Queue, once_each};
use crate::face::client::Client;
use crate::face::exit::{Code, Failure};
use crate::face::one_shot::failure;
use crate::face::protocol::{
    Changed, ListQueues, Pause, Purge, Purged, QueueName, QueueState, Queues, Resume,
};
use crate::face::tables::{cell, number, table};

const AFTER_HELP: &str = "\
Examples:
  vvv-actors queue list                     what waits, runs and is paused
  vvv-actors queue pause cleanup            ask YouTube nothing until resumed, restarts or not
  vvv-actors queue resume cleanup
  vvv-actors queue purge thumbnails         cancel all that waits there; job retry brings it back

A queue is named by its own name, its kind of job or its task: cleanup, liveness,
tasks.detect_dead_videos.";

/// Arguments of `queue`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = AFTER_HELP)]
pub struct QueueArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: QueueAction,
}

/// What `queue` does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum QueueAction {
    /// Show what waits in each queue; without a daemon, from the file
    List,
    /// Have queues claim no more jobs, until resumed; running ones finish
    Pause(QueueNames),
    /// Let queues go on
    Resume(QueueNames),
    /// Cancel every job that waits in these queues
    Purge(QueueNames),
}

/// Queues on the command line.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct QueueNames {
    /// The queues
    #[arg(value_name = "QUEUE", required = true, value_parser = parse_queue)]
    pub queues: Vec<Queue>,
}

/// Runs it.
///
/// # Errors
/// When no daemon answers (and for a list the file cannot be read either), or it refuses.
pub fn run(
    arguments: &QueueArgs,
    global: &Global,
    loaded: &Loaded,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let config = &loaded.config;
    let format = global.format(console.stdout_is_terminal);
    let text = match &arguments.action {
        QueueAction::List => {
            let queues = look(config, global, console, queues)?;
            match format {
                Format::Json => json_line(&queues),
                Format::Human => lines(&queues.queues),
            }
        }
        QueueAction::Pause(names) => steer(names, format, &mut connect_on(config)?, pause)?,
        QueueAction::Resume(names) => steer(names, format, &mut connect_on(config)?, resume)?,
        QueueAction::Purge(names) => steer(names, format, &mut connect_on(config)?, purge)?,
    };
    print(&text, console)
}

fn queues(source: Source) -> Result<Queues, Failure> {
    match source {
        Source::Daemon(mut client) => Ok(client.ask(&ListQueues {})?),
        Source::File(view) => {
            let queues = view.queues().map_err(failure)?;
            Ok(Queues {
                queues: queues.into_iter().map(QueueState::from).collect(),
            })
        }
    }
}

/// Queues as a table.
pub(super) fn lines(queues: &[QueueState]) -> String {
    let header = [
        "queue",
        "state",
        "waiting",
        "scheduled",
        "retrying",
        "running",
        "oldest due",
    ];
    let mut table = table(&header);
    for queue in queues {
        let state = queue.paused_at.map_or_else(
            || "open".to_owned(),
            |paused| format!("paused {}", since(Some(paused))),
        );
        table.add_row(vec![
            cell(queue.queue.0),
            cell(state),
            number(queue.available),
            number(queue.scheduled),
            number(queue.retryable),
            number(queue.running),
            cell(since(queue.oldest_at)),
        ]);
    }
    format!("{table}\n")
}

/// What was done to one queue: as JSON, and in words.
type Done = (String, String);

fn steer(
    names: &QueueNames,
    format: Format,
    client: &mut Client,
    act: impl Fn(&mut Client, QueueName) -> Result<Done, Failure>,
) -> Result<String, Failure> {
    let mut text = String::new();
    // One may have been named twice, by different names.
    for queue in &once_each(names.queues.clone()) {
        let (json, words) = act(client, QueueName(*queue))?;
        match format {
            Format::Json => text.push_str(&json),
            Format::Human => text.push_str(&words),
        }
    }
    Ok(text)
}

fn pause(client: &mut Client, queue: QueueName) -> Result<Done, Failure> {
    let changed = client.ask(&Pause { queue })?;
    Ok(told(&changed, "paused", "was paused before"))
}

fn resume(client: &mut Client, queue: QueueName) -> Result<Done, Failure> {
    let changed = client.ask(&Resume { queue })?;
    Ok(told(&changed, "goes on", "was not paused"))
}

fn told(changed: &Changed, now: &str, before: &str) -> Done {
    let what = if changed.changed { now } else { before };
    (json_line(changed), format!("{} {what}\n", changed.queue.0))
}

fn purge(client: &mut Client, queue: QueueName) -> Result<Done, Failure> {
    let purged: Purged = client.ask(&Purge { queue })?;
    let words = format!("{}: {} jobs cancelled\n", queue.0, purged.cancelled);
    Ok((json_line(&purged), words))
}
