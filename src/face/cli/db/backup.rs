//! `db backup`: a checked copy while others use the database.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::super::waiting::notice;
use super::super::{Console, Format, Global};
use super::{LONGEST_LINE, bytes, json_line, print};
use crate::config::Config;
use crate::engine::database::{self, Copied, Patience};
use crate::face::exit::{Code, Failure};
use crate::face::text::plain;

/// Arguments of `db backup`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct BackupArgs {
    /// The copy to write; must not exist yet
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

pub(super) fn run(
    arguments: &BackupArgs,
    global: &Global,
    config: &Config,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let shows = console.stderr_is_terminal && !global.quiet;
    let mut shown = None;
    let mut progress = |copied: Copied| {
        let percent = (copied.pages * 100).checked_div(copied.of);
        if shows && percent != shown {
            shown = percent;
            // Beside the notice's stream: both only ever append to standard error.
            let _ = write!(io::stderr(), "\rcopied {} %", percent.unwrap_or(100));
        }
    };
    let mut waiting = notice(&config.database.path, global, console.stderr);
    let patience = &mut Patience::endless(&mut waiting);
    let made = database::backup(config, &arguments.file, &mut progress, patience);
    drop(waiting);
    if shown.is_some() {
        let _ = writeln!(console.stderr);
    }
    let made = made?;
    let text = match global.format(console.stdout_is_terminal) {
        Format::Json => json_line(&made),
        Format::Human => format!(
            "{}: {}, checked\n",
            plain(made.file.display(), LONGEST_LINE),
            bytes(made.bytes)
        ),
    };
    print(&text, console)
}
