//! Which videos a one-shot command works on, and the limits it runs under: what `score`,
//! `thumbnails` and `liveness` share.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use super::ids;
use super::numbers::parse_limit;
use crate::config::units::parse_duration;

/// Ids from the command line, or videos from the database.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[group(skip)]
pub struct SelectionArgs {
    /// Ids of videos; one that begins with a dash may need `--` before it
    #[arg(
        value_name = "ID",
        value_parser = ids::parse,
        required_unless_present_any = ["all", "stale", "region", "limit"],
        conflicts_with_all = ["all", "stale", "region", "limit"]
    )]
    pub ids: Vec<String>,
    /// Every video of the database
    #[arg(long, conflicts_with = "stale")]
    pub all: bool,
    /// Videos never done, or last done longer ago than this, such as 7d
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub stale: Option<Duration>,
    /// Only videos whose latest snapshot is of this region
    #[arg(long, value_name = "XX", value_parser = NonEmptyStringValueParser::new())]
    pub region: Option<String>,
    /// At most this many videos, those longest not done first
    #[arg(long, value_name = "N", value_parser = parse_limit)]
    pub limit: Option<NonZeroUsize>,
}

/// Limits of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[group(skip)]
pub struct RunArgs {
    /// Stop in time for the whole command to take this long, such as 4m, and list what is left
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub deadline: Option<Duration>,
    /// Do everything but write scores and verdicts
    #[arg(long)]
    pub dry_run: bool,
}

/// A verdict that can make a run exit with 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// A video is gone
    Dead,
    /// An id no video can have
    Invalid,
    /// A thumbnail is broken, errors included
    Broken,
    /// A thumbnail is a placeholder
    Placeholder,
    /// No definitive answer
    Unknown,
}
