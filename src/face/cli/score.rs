//! `score`: virality scores of videos, once.

use clap::Args;

use super::selection::{RunArgs, SelectionArgs};
use super::{Console, Global};
use crate::config::Loaded;
use crate::engine::Kind;
use crate::face::exit::{Code, Failure};
use crate::face::one_shot::OneShot;

/// Arguments of `score`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ScoreArgs {
    /// Which videos.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// How long, and whether to write.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Runs it.
///
/// # Errors
/// When the database or the configuration cannot be used.
pub fn run(
    arguments: &ScoreArgs,
    global: &Global,
    loaded: &Loaded,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    OneShot::chosen(Kind::Score, &arguments.selection, &arguments.run, loaded)?
        .run(global, loaded, console)
}
