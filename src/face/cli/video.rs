//! `video`: what is known about one video.

use clap::{Args, Subcommand};

use super::ids;

/// Arguments of `video`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct VideoArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: VideoAction,
}

/// What `video` does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum VideoAction {
    /// Show the score, the verdicts and when they were made
    Show(VideoShowArgs),
}

/// Arguments of `video show`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct VideoShowArgs {
    /// The video's id; one that begins with a dash may need `--` before it
    #[arg(value_name = "ID", value_parser = ids::parse)]
    pub id: String,
}
