//! `score`: virality scores of videos, once.

use clap::Args;

use super::selection::{RunArgs, SelectionArgs};

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
