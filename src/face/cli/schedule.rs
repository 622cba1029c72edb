//! `schedule`: what the daemon does by itself, and when.

use std::fmt::Write as _;

use clap::Args;
use serde_json::json;

use super::{Console, Format, Global};
use crate::config::Loaded;
use crate::engine::{Scheduled, scheduled};
use crate::face::exit::{Code, Failure, printed};
use crate::face::one_shot::failure;

const AFTER_HELP: &str = "\
last is the last tick that ran or, before any has, the one from which ticks are counted.";

/// Arguments of `schedule`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ScheduleArgs {}

/// Shows every task with its line, zone, last and next tick.
///
/// # Errors
/// When the database cannot be read, or standard output cannot be written.
pub fn run(global: &Global, loaded: &Loaded, console: &mut Console<'_>) -> Result<Code, Failure> {
    let tasks = scheduled(&loaded.config).map_err(failure)?;
    let text = match global.format(console.stdout_is_terminal) {
        Format::Json => format!("{}\n", json!({ "tasks": tasks })),
        Format::Human => lines(&tasks),
    };
    let stdout = &mut *console.stdout;
    printed(
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush()),
    )
}

fn lines(tasks: &[Scheduled]) -> String {
    let mut text = String::new();
    for Scheduled {
        task,
        line,
        zone,
        last,
        next,
    } in tasks
    {
        let known = |time: &Option<String>| time.clone().unwrap_or_else(|| "-".to_owned());
        let line = if line.is_empty() {
            "off".to_owned()
        } else {
            format!("{line} ({zone})")
        };
        let _ = writeln!(
            text,
            "{:<10}  {line:<32}  last {:<23}  next {}",
            task.name(),
            known(last),
            known(next)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn every_task_has_a_line_of_its_own() {
        let mut config = Config::defaults().unwrap();
        config.schedule.rescore = "15 3 * * *".to_owned();
        config.schedule.timezone = "Europe/Warsaw".to_owned();
        let tasks = scheduled(&config).unwrap();
        let text = lines(&tasks);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows.len(), 5);
        assert!(
            rows[0].starts_with("rescore     15 3 * * * (Europe/Warsaw)"),
            "{text}"
        );
        assert!(rows[0].contains(" 03:15:00 CE"), "{text}");
        assert!(rows[1].contains("thumbnails  off"), "{text}");
        assert!(rows[1].ends_with("next -"), "{text}");
    }
}
