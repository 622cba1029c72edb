//! `liveness`: asks whether videos still exist, once.

use clap::Args;

use super::numbers::parse_calls;
use super::selection::{FailOn, RunArgs, SelectionArgs};
use super::{Console, Global};
use crate::config::Loaded;
use crate::engine::Kind;
use crate::face::exit::{Code, Failure};
use crate::face::one_shot::OneShot;

/// Arguments of `liveness`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct LivenessArgs {
    /// Which videos.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// How long, and whether to write.
    #[command(flatten)]
    pub run: RunArgs,
    /// Ask at most this many times, and list what is left
    #[arg(long, value_name = "N", value_parser = parse_calls)]
    pub max_calls: Option<u32>,
    /// Ask again about what was asked a short while ago
    #[arg(long)]
    pub fresh: bool,
    /// Exit with 1 if there is any such verdict; comma-separated
    #[arg(long, value_enum, value_name = "VERDICT", value_delimiter = ',')]
    pub fail_on: Vec<FailOn>,
}

/// Runs it.
///
/// # Errors
/// When the database or the configuration cannot be used.
pub fn run(
    arguments: &LivenessArgs,
    global: &Global,
    loaded: &Loaded,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let one_shot = OneShot {
        fresh: arguments.fresh,
        max_calls: arguments.max_calls.map(u64::from),
        fail_on: arguments.fail_on.clone(),
        ..OneShot::chosen(Kind::Liveness, &arguments.selection, &arguments.run, loaded)?
    };
    one_shot.run(global, loaded, console)
}
