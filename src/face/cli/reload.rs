//! `reload`: has the daemon read its configuration again.

use std::fmt::Write as _;

use super::daemon_link::connect_on;
use super::db::{json_line, print};
use super::{Console, Format, Global};
use crate::config::Loaded;
use crate::face::exit::{Code, Failure};
use crate::face::protocol::Reload;

/// Runs it.
///
/// # Errors
/// When no daemon answers, or it cannot use the configuration and goes on as before.
pub fn run(global: &Global, loaded: &Loaded, console: &mut Console<'_>) -> Result<Code, Failure> {
    let reloaded = connect_on(&loaded.config)?.ask(&Reload {})?;
    let text = match global.format(console.stdout_is_terminal) {
        Format::Json => json_line(&reloaded),
        Format::Human => {
            let mut text = String::new();
            for key in &reloaded.applied {
                let _ = writeln!(text, "in force: {key}");
            }
            for key in &reloaded.needs_restart {
                let _ = writeln!(text, "needs a restart: {key}");
            }
            if text.is_empty() {
                text.push_str("nothing has changed\n");
            }
            text
        }
    };
    print(&text, console)
}
