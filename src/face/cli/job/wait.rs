//! `job wait`: until jobs have ended.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::super::daemon_link::connect;
use super::super::db::{json_line, print};
use super::super::{Console, Format, Global};
use super::{WaitArgs, all_ids, show};
use crate::config::Config;
use crate::engine::JobState;
use crate::face::client::socket_of;
use crate::face::exit::{Code, Failure};
use crate::face::follow::Follower;
use crate::face::protocol::{Job, List};

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(200);

pub(super) fn run(
    arguments: &WaitArgs,
    global: &Global,
    config: &Config,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let began = Instant::now();
    let mut follower = Follower::listen(&socket_of(config))?;
    let ids = match arguments.group {
        Some(group) => all_ids(
            &mut connect(config)?,
            List {
                group: Some(group),
                ..List::default()
            },
        )?,
        None => arguments.ids.clone(),
    };
    if let (Some(group), true) = (arguments.group, ids.is_empty()) {
        let error = anyhow::anyhow!("wait for group {group}: it has no job");
        return Err(Failure::new(Code::Failed, error));
    }
    let bar = bar(ids.len(), global, console);
    follower.expect(ids);
    let mut jobs: Vec<Job> = Vec::new();
    let is_late = || {
        arguments
            .timeout
            .is_some_and(|timeout| began.elapsed() >= timeout)
    };
    while follower.open() > 0 && !is_late() {
        let ended = follower.ended(TICK)?;
        bar.inc(u64::try_from(ended.len()).unwrap_or_default());
        jobs.extend(ended.into_iter().map(|job| job.summary));
    }
    bar.finish_and_clear();
    jobs.sort_unstable_by_key(|job| job.id);
    let open = follower.open();
    let text = match global.format(console.stdout_is_terminal) {
        Format::Json => {
            json_line(&json!({"ended": open == 0, "gone": follower.gone(), "jobs": jobs}))
        }
        Format::Human => format!("{}{}", show::of(&jobs), missing(open, follower.gone())),
    };
    print(&text, console)?;
    let all_well = jobs.iter().all(|job| job.state.0 == JobState::Succeeded);
    Ok(if all_well && open == 0 && follower.gone() == 0 {
        Code::Success
    } else {
        Code::Failed
    })
}

fn missing(open: usize, gone: usize) -> String {
    let mut text = String::new();
    if open > 0 {
        text += &format!("{open} have not ended\n");
    }
    if gone > 0 {
        text += &format!("{gone} are not there\n");
    }
    text
}

fn bar(jobs: usize, global: &Global, console: &Console<'_>) -> ProgressBar {
    if global.quiet || !console.stderr_is_terminal {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(jobs).unwrap_or(u64::MAX));
    match ProgressStyle::with_template("{prefix:>10} {bar:30} {pos}/{len} {elapsed_precise}") {
        Ok(style) => bar.with_style(style).with_prefix("jobs"),
        Err(_) => bar,
    }
}
