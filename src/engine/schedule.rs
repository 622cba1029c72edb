//! What is scheduled, with or without a daemon that runs it.

use serde::Serialize;

use super::{EngineError, store_options};
use crate::actors::clock::Clock;
use crate::config::Config;
use crate::domain::schedule::{Line, Task, shown, zone};
use crate::store::{Reader, StoreError};

/// A task and its ticks, times as people of the zone write them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scheduled {
    /// What is done.
    pub task: Task,
    /// Its line; empty if it is off.
    pub line: String,
    /// The zone of the line.
    pub zone: String,
    /// The last tick that ran, or that ticks count from.
    pub last: Option<String>,
    /// The next tick.
    pub next: Option<String>,
}

/// Every task. What ran last is read from the file, if one is named and was ever worked on.
///
/// # Errors
/// When the file cannot be read.
pub fn scheduled(config: &Config) -> Result<Vec<Scheduled>, EngineError> {
    let schedule = &config.schedule;
    let now_ms = Clock::system().unix_ms();
    let reader = reader(config)?;
    // Checked when the configuration was loaded.
    let zone = zone(&schedule.timezone).ok();
    let mut all = Vec::new();
    for task in Task::ALL {
        let line = schedule.line(task);
        let last_ms = match &reader {
            Some(reader) => reader.last_tick(task)?,
            None => None,
        };
        let show = |unix_ms: i64| zone.as_ref().map(|zone| shown(unix_ms, zone));
        let next_ms = zone.as_ref().and_then(|zone| {
            let line = Line::parse(line).ok()?;
            line.next_after(now_ms, zone)
        });
        all.push(Scheduled {
            task,
            line: line.to_owned(),
            zone: schedule.timezone.clone(),
            last: last_ms.and_then(show),
            next: next_ms.and_then(show),
        });
    }
    Ok(all)
}

/// None: there is no file, or nothing of ours in it yet.
fn reader(config: &Config) -> Result<Option<Reader>, EngineError> {
    if config.database.path.as_os_str().is_empty() {
        return Ok(None);
    }
    let reader = match Reader::open(&store_options(config)) {
        Ok(reader) => reader,
        Err(StoreError::NoDatabase { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(reader.has_queue()?.then_some(reader))
}
