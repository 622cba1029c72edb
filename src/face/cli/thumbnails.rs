//! `thumbnails`: checks of videos' thumbnails, once.

use std::time::Instant;

use clap::Args;

use super::selection::{FailOn, RunArgs, SelectionArgs};
use super::{Console, Global};
use crate::config::Loaded;
use crate::engine::Kind;
use crate::face::exit::{Code, Failure};
use crate::face::one_shot::{OneShot, plan};

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

/// Runs it.
///
/// # Errors
/// When the database or the configuration cannot be used.
pub fn run(
    arguments: &ThumbnailsArgs,
    global: &Global,
    loaded: &Loaded,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let began = Instant::now();
    let plan = plan(
        Kind::Thumbnails,
        &arguments.selection,
        &arguments.run,
        &loaded.config,
    )?;
    let one_shot = OneShot {
        began,
        plan,
        database: loaded.config.database.path.clone(),
        run: arguments.run.clone(),
        fresh: arguments.fresh,
        max_calls: None,
        fail_on: arguments.fail_on.clone(),
    };
    one_shot.run(global, loaded, console)
}
