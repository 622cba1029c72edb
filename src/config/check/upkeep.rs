//! Rules about what the daemon does by itself.

use std::time::Duration;

use super::{HOUR, Rules};
use crate::config::Config;
use crate::domain::schedule::{self, Line, Task};

pub(super) fn schedule(config: &Config, rules: &mut Rules) {
    if let Err(error) = schedule::zone(&config.schedule.timezone) {
        rules.demand(false, "schedule.timezone", error.to_string());
    }
    for task in Task::ALL {
        let line = config.schedule.line(task);
        if line.is_empty() {
            continue;
        }
        if let Err(error) = Line::parse(line) {
            rules.demand(false, format!("schedule.{task}"), error.to_string());
        }
    }
}

pub(super) fn upkeep(config: &Config, rules: &mut Rules) {
    let (retention, alerts) = (&config.retention, &config.alerts);
    for (key, rows) in [
        ("retention.jobs_max_rows", retention.jobs_max_rows),
        ("retention.checks_max_rows", retention.checks_max_rows),
    ] {
        rules.demand(rows >= 1, key, "must be 1 or more");
    }
    let a_program = alerts
        .command
        .first()
        .is_none_or(|program| !program.is_empty());
    rules.demand(a_program, "alerts.command", "must begin with a program");
    rules.demand(
        (Duration::from_secs(1)..=HOUR / 6).contains(&alerts.timeout),
        "alerts.timeout",
        "must be 1s to 10m",
    );
}
