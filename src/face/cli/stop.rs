//! `stop`: ends the daemon.

use clap::Args;

use super::daemon_link::connect_on;
use super::db::{json_line, print};
use super::{Console, Format, Global};
use crate::config::Loaded;
use crate::face::exit::{Code, Failure};
use crate::face::protocol::Shutdown;

const AFTER_HELP: &str = "\
Examples:
  vvv-actors stop           as SIGTERM: running jobs finish within daemon.drain_timeout
  vvv-actors stop --now     running jobs are left to the next start too

It returns once the daemon has agreed. Nothing that was queued is lost either way. A daemon under
systemd is better stopped by systemctl stop, which waits for its end.";

/// Arguments of `stop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
#[command(after_help = AFTER_HELP)]
pub struct StopArgs {
    /// Do not let running jobs finish
    #[arg(long)]
    pub now: bool,
}

/// Runs it.
///
/// # Errors
/// When no daemon answers, or one of another database.
pub fn run(
    arguments: StopArgs,
    global: &Global,
    loaded: &Loaded,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let mut client = connect_on(&loaded.config)?;
    let stopping = client.ask(&Shutdown { now: arguments.now })?;
    let text = match global.format(console.stdout_is_terminal) {
        Format::Json => json_line(&stopping),
        Format::Human if arguments.now => "the daemon stops\n".to_owned(),
        Format::Human => "the daemon stops when running jobs have finished\n".to_owned(),
    };
    print(&text, console)
}
