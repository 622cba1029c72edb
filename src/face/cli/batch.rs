//! `batch`: one file of new videos and stale ids, one report.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::numbers::parse_calls;
use super::selection::{FailOn, RunArgs};
use super::{Console, Global};
use crate::config::Loaded;
use crate::engine::{Kind, once_each};
use crate::face::batch_file;
use crate::face::exit::{Code, Failure};
use crate::face::one_shot::OneShot;

/// Arguments of `batch`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct BatchArgs {
    /// The batch file, or `-` for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Do only this part: a section of the report, a kind of job, a queue or a task's name;
    /// comma-separated, may be repeated
    #[arg(long, value_name = "PART", value_delimiter = ',', value_parser = parse_kind)]
    pub only: Vec<Kind>,
    /// How long, and whether to write.
    #[command(flatten)]
    pub run: RunArgs,
    /// Ask the oEmbed service at most this many times, and list what is left
    #[arg(long, value_name = "N", value_parser = parse_calls)]
    pub max_calls: Option<u32>,
    /// Fetch and ask again what was checked a short while ago
    #[arg(long)]
    pub fresh: bool,
    /// Hand what the deadline or --max-calls left to the durable queue: to the daemon if one
    /// answers, else into the file, where the next daemon finds it
    #[arg(long, conflicts_with = "dry_run")]
    pub enqueue_rest: bool,
    /// Exit with 1 if there is any such verdict; comma-separated
    #[arg(long, value_enum, value_name = "VERDICT", value_delimiter = ',')]
    pub fail_on: Vec<FailOn>,
}

/// Runs it.
///
/// # Errors
/// When the file is no batch file, or the database or the configuration cannot be used.
pub fn run(
    arguments: &BatchArgs,
    global: &Global,
    loaded: &Loaded,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let began = Instant::now();
    let batch = batch_file::read(&arguments.file, std::io::stdin())
        .map_err(|error| Failure::new(Code::Usage, error))?;
    let mut plan = batch.plan;
    if !arguments.only.is_empty() {
        plan.keep_only(&arguments.only);
    }
    let named = if global.db.is_some() {
        None
    } else {
        batch.database
    };
    let one_shot = OneShot {
        began,
        plan,
        database: named.unwrap_or_else(|| loaded.config.database.path.clone()),
        run: arguments.run.clone(),
        fresh: arguments.fresh,
        max_calls: arguments.max_calls.map(u64::from),
        enqueue_rest: arguments.enqueue_rest,
        fail_on: arguments.fail_on.clone(),
    };
    one_shot.run(global, loaded, console)
}

pub(super) fn parse_kind(text: &str) -> Result<Kind, String> {
    Kind::from_name(text.trim()).ok_or_else(|| {
        let names = Kind::ALL.into_iter().flat_map(|kind| {
            [
                kind.section(),
                kind.name(),
                kind.queue().name(),
                kind.alias(),
            ]
        });
        format!("must be one of {}", once_each(names.collect()).join(", "))
    })
}
