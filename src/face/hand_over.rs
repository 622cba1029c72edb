//! `--enqueue-rest`: hands what a run left to the durable queue.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use super::batch_file::Plan;
use super::client::{Client, ClientError, socket_of};
use super::protocol::{Status, SubmitBatch};
use super::report::{HandedOver, NotDone, Taker};
use crate::config::Config;
use crate::engine::{self, EngineError, JobRequest};

/// How long a daemon may take: the run's time is up.
const PROMPTLY: Duration = Duration::from_secs(10);

/// Hands over what was planned and not done: to the daemon if one works on this database, else
/// into the file.
///
/// # Errors
/// When neither takes it: then it is not queued.
pub fn hand_over(
    plan: &Plan,
    not_done: &NotDone,
    config: &Config,
    within: Option<Duration>,
) -> Result<Option<HandedOver>, EngineError> {
    if not_done.is_empty() {
        return Ok(None);
    }
    let rest = rest(plan, not_done);
    match to_daemon(&rest, config) {
        Ok(Some(taken)) => return Ok(Some(taken)),
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(%error, "the daemon does not take what is left; the file does");
        }
    }
    into_file(rest, config, within).map(Some)
}

/// The part of a plan that nobody got to.
fn rest(plan: &Plan, not_done: &NotDone) -> Plan {
    let left: HashSet<&String> = not_done.thumbnails.iter().collect();
    let some = |ids: &[String]| (!ids.is_empty()).then(|| ids.to_vec());
    let pictures = plan.thumbnails.iter().flatten();
    let pictures: Vec<_> = pictures
        .filter(|item| left.contains(&item.video_id))
        .cloned()
        .collect();
    Plan {
        scoring: some(&not_done.scoring),
        thumbnails: (!pictures.is_empty()).then_some(pictures),
        liveness: some(&not_done.liveness),
    }
}

/// None if there is no daemon, or it works on another database.
fn to_daemon(rest: &Plan, config: &Config) -> Result<Option<HandedOver>, ClientError> {
    let mut client = match Client::connect(&socket_of(config)) {
        Err(ClientError::NoDaemon { .. }) => return Ok(None),
        client => client?,
    };
    let status = client.ask_within(PROMPTLY, &Status {})?;
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let same = real(Path::new(&status.database)) == real(&config.database.path);
    if !same {
        return Ok(None);
    }
    let like = SubmitBatch {
        priority: engine::Job::DEFAULT_PRIORITY,
        ..SubmitBatch::default()
    };
    let taken = client.submit_batch(rest, &like)?;
    Ok(Some(HandedOver {
        jobs: taken.jobs().len(),
        group: taken.group,
        to: Taker::Daemon,
    }))
}

fn into_file(
    rest: Plan,
    config: &Config,
    within: Option<Duration>,
) -> Result<HandedOver, EngineError> {
    let request = |job| JobRequest {
        job,
        priority: engine::Job::DEFAULT_PRIORITY,
        delay_ms: 0,
        unique_key: None,
        unique_for: None,
    };
    let requests = rest.into_jobs().into_iter().map(request).collect();
    let (queued, group) = engine::enqueue_into_file(config, requests, within)?;
    Ok(HandedOver {
        jobs: queued.iter().map(|queued| queued.ids.len()).sum(),
        group: group.map(|group| group.0),
        to: Taker::File,
    })
}
