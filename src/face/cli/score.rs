//! `score`: virality scores of videos, once.

use clap::Args;

use super::selection::{RunArgs, SelectionArgs};
use super::{Console, Global};
use crate::config::{Config, Loaded};
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
/// When the database or the configuration cannot be used, or nothing tells what is asked for.
pub fn run(
    arguments: &ScoreArgs,
    global: &Global,
    loaded: &Loaded,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    refuse_guesses(&arguments.selection, &loaded.config)?;
    OneShot::chosen(Kind::Score, &arguments.selection, &arguments.run, loaded)?
        .run(global, loaded, console)
}

/// What was scored when is kept with the details only: without them the longest unscored videos
/// would be the same ones at each run.
pub(super) fn refuse_guesses(selection: &SelectionArgs, config: &Config) -> Result<(), Failure> {
    let asked = match (selection.stale, selection.limit) {
        (Some(_), _) => "--stale",
        (None, Some(_)) => "--limit",
        (None, None) => return Ok(()),
    };
    if config.scoring.keep_details {
        return Ok(());
    }
    let error = anyhow::anyhow!(
        "pick videos by {asked}: with scoring.keep_details = false nothing says when a video was \
         last scored; name ids, or use --all or --region"
    );
    Err(Failure::new(Code::Usage, error))
}
