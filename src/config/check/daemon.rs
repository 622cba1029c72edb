//! What the daemon's own sections must be.

use std::time::Duration;

use super::super::Config;
use super::{HOUR, Rules};
use crate::domain::schedule::{self, Line, Task};

/// What fits a `sockaddr_un`, with the zero that ends it.
const LONGEST_SOCKET_PATH: usize = 107;

pub(super) fn daemon(config: &Config, rules: &mut Rules) {
    let daemon = &config.daemon;
    let length = daemon.socket.as_os_str().len();
    rules.demand(
        length <= LONGEST_SOCKET_PATH,
        "daemon.socket",
        format!("must be {LONGEST_SOCKET_PATH} bytes at most, for the system takes no more"),
    );
    let for_group = match daemon.socket_mode.as_str() {
        "0600" => false,
        "0660" => true,
        _ => {
            let reason = "must be \"0600\", or \"0660\" with daemon.socket_group";
            return rules.demand(false, "daemon.socket_mode", reason);
        }
    };
    rules.demand(
        !for_group || !daemon.socket_group.is_empty(),
        "daemon.socket_mode",
        "needs daemon.socket_group: a group's members are let in, never everybody",
    );
    rules.demand(
        for_group || daemon.socket_group.is_empty(),
        "daemon.socket_group",
        "needs daemon.socket_mode = \"0660\": \"0600\" lets no group in",
    );
}

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
