//! `thumbnails`: checks of videos' thumbnails, once.

use clap::Args;

use super::selection::{FailOn, RunArgs, SelectionArgs};

/// Arguments of `thumbnails`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ThumbnailsArgs {
    /// Which videos.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// How long, and whether to write.
    #[command(flatten)]
    pub run: RunArgs,
    /// Fetch again what was checked a short while ago
    #[arg(long)]
    pub fresh: bool,
    /// Exit with 1 if there is any such verdict; comma-separated
    #[arg(long, value_enum, value_name = "VERDICT", value_delimiter = ',')]
    pub fail_on: Vec<FailOn>,
}
