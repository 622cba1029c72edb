//! `db uninstall`: shows what is ours and removes it once told to.

use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use serde_json::json;

use super::super::waiting::notice;
use super::super::{Console, Format, Global};
use super::{LONGEST_LINE, json_line, print};
use crate::config::Config;
use crate::engine::database::{self, OwnObject, Patience};
use crate::face::exit::{Code, Failure};
use crate::face::text::plain;

/// Arguments of `db uninstall`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct UninstallArgs {
    /// Do it without asking
    #[arg(long)]
    pub yes: bool,
}

pub(super) fn run(
    arguments: &UninstallArgs,
    global: &Global,
    config: &Config,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let path = config.database.path.as_path();
    let mut waiting = notice(path, global, console.stderr);
    let ours = database::what_is_ours(config, &mut Patience::endless(&mut waiting))?;
    drop(waiting);
    let format = global.format(console.stdout_is_terminal);
    if format == Format::Human {
        print(&own_lines(&ours), console)?;
    }
    let agreed = !ours.is_empty() && (arguments.yes || agrees(console));
    let mut removed = Vec::new();
    if agreed {
        let mut waiting = notice(path, global, console.stderr);
        removed = database::uninstall(config, &mut Patience::endless(&mut waiting))?;
    }
    let text = match format {
        Format::Json => json_line(&json!({
            "removed": agreed,
            "objects": if agreed { removed } else { ours },
        })),
        Format::Human if agreed => format!(
            "removed {}; the file keeps its size, the room is used again\n",
            counted(removed.len())
        ),
        Format::Human if ours.is_empty() => String::new(),
        Format::Human => "nothing was removed; --yes does it\n".to_owned(),
    };
    print(&text, console)
}

fn own_lines(objects: &[OwnObject]) -> String {
    if objects.is_empty() {
        return "nothing in this file is ours\n".to_owned();
    }
    let mut text = String::new();
    for OwnObject {
        kind, name, rows, ..
    } in objects
    {
        let rows = rows.map_or_else(String::new, |rows| format!(", {rows} rows"));
        let _ = writeln!(text, "{kind} {}{rows}", plain(name, LONGEST_LINE));
    }
    text
}

fn counted(objects: usize) -> String {
    match objects {
        1 => "1 object".to_owned(),
        more => format!("{more} objects"),
    }
}

/// Asks whoever sits at a terminal; nobody there is a no.
fn agrees(console: &mut Console<'_>) -> bool {
    let stdin = io::stdin();
    if !stdin.is_terminal() || !console.stderr_is_terminal {
        return false;
    }
    let asked = write!(console.stderr, "Remove all of this? [y/N] ").and_then(|()| {
        console.stderr.flush()?;
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer)?;
        Ok(answer)
    });
    asked.is_ok_and(|answer| matches!(answer.trim(), "y" | "Y" | "yes"))
}
