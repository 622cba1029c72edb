//! `liveness`: asks whether videos still exist, once.

use clap::Args;

use super::selection::{FailOn, RunArgs, SelectionArgs};

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
    #[arg(long, value_name = "N")]
    pub max_calls: Option<u32>,
    /// Ask again about what was asked a short while ago
    #[arg(long)]
    pub fresh: bool,
    /// Exit with 1 if there is any such verdict; comma-separated
    #[arg(long, value_enum, value_name = "VERDICT", value_delimiter = ',')]
    pub fail_on: Vec<FailOn>,
}
