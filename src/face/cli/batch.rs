//! `batch`: one file of new videos and stale ids, one report.

use std::path::PathBuf;

use clap::Args;

use super::selection::{FailOn, RunArgs};
use crate::domain::job::Kind;

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
    #[arg(long, value_name = "N")]
    pub max_calls: Option<u32>,
    /// Fetch and ask again what was checked a short while ago
    #[arg(long)]
    pub fresh: bool,
    /// Exit with 1 if there is any such verdict; comma-separated
    #[arg(long, value_enum, value_name = "VERDICT", value_delimiter = ',')]
    pub fail_on: Vec<FailOn>,
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    Kind::from_name(text.trim()).ok_or_else(|| {
        let names = Kind::ALL.map(|kind| {
            let mut names = vec![
                kind.section(),
                kind.name(),
                kind.queue().name(),
                kind.alias(),
            ];
            names.dedup();
            names.join(", ")
        });
        format!("must be one of {}", names.join(", "))
    })
}
