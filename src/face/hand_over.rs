//! `--enqueue-rest`: hands what a run left to the durable queue.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use super::batch_file::Plan;
use super::client::{Client, ClientError, socket_of};
use super::exit::{Code, Failure};
use super::one_shot::failure;
use super::protocol::{Status, SubmitBatch};
use super::report::{HandedOver, NotDone, Taker};
use crate::config::Config;
use crate::engine::{self, JobRequest};

/// How long a daemon may take: the run's time is up.
const PROMPTLY: Duration = Duration::from_secs(10);

/// Hands over what was planned and not done: to the daemon if one works on this database, else
/// into the file. What the daemon may have taken is not put into the file too.
///
/// # Errors
/// When neither takes it, or it is not known whether the daemon did.
pub fn hand_over(
    plan: &Plan,
    not_done: &NotDone,
    config: &Config,
    within: Option<Duration>,
) -> Result<Option<HandedOver>, Failure> {
    if not_done.is_empty() {
        return Ok(None);
    }
    let rest = rest(plan, not_done);
    match to_daemon(&rest, config) {
        Ok(Some(taken)) => return Ok(Some(taken)),
        Ok(None) => {}
        Err(error) if error.may_be_done() => {
            return Err(Failure::new(Code::Failed, uncertain(error)));
        }
        Err(error) => {
            tracing::warn!(%error, "the daemon does not take what is left; the file does");
        }
    }
    let queued = into_file(rest, config, within).map_err(failure)?;
    Ok(Some(queued))
}

fn uncertain(error: ClientError) -> anyhow::Error {
    anyhow::Error::new(error).context(
        "hand what is left to the daemon: it may be queued, or a part of it; see vvv-actors job \
         list before it is handed in again",
    )
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

/// None if there is no daemon for this database: nothing was asked of any.
fn to_daemon(rest: &Plan, config: &Config) -> Result<Option<HandedOver>, ClientError> {
    // Before the work is handed in nothing can be done twice, whatever goes wrong.
    let socket = socket_of(config);
    let asked = Client::connect(&socket).and_then(|mut client| {
        let status = client.ask_within(PROMPTLY, &Status {})?;
        Ok((client, status))
    });
    let (mut client, status) = match asked {
        Ok(asked) => asked,
        Err(ClientError::NoDaemon { .. }) => return Ok(None),
        Err(error) => {
            tracing::warn!(%error, "the daemon does not take what is left; the file does");
            return Ok(None);
        }
    };
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
) -> Result<HandedOver, engine::EngineError> {
    let request = |job| JobRequest {
        job,
        priority: engine::Job::DEFAULT_PRIORITY,
        delay_ms: 0,
        unique_key: None,
        unique_for: None,
        trace: None,
    };
    let requests = rest.into_jobs().into_iter().map(request).collect();
    let (queued, group) = engine::enqueue_into_file(config, requests, within)?;
    Ok(HandedOver {
        jobs: queued.iter().map(|queued| queued.ids.len()).sum(),
        group: group.map(|group| group.0),
        to: Taker::File,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::client::scripted::Script;
    use serde_json::json;

    #[test]
    fn what_the_daemon_may_have_taken_is_not_put_into_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("vault.db");
        std::fs::write(&database, "").unwrap();
        let status = json!({"jsonrpc": "2.0", "id": 1, "result": {
            "version": "1", "pid": 1, "uptime_s": 0, "database": database, "socket": "s",
            "state": "running", "queues": [], "pools": [], "writes_waiting": 0,
            "waiting_for_lock_s": null, "restarts": 0, "rate": null, "alarms": []}});
        // It hears of the work, says nothing of it and is gone.
        let script = Script::play([status.to_string()]);
        let mut config = Config::defaults().unwrap();
        config.database.path.clone_from(&database);
        config.daemon.socket = script.socket().to_owned();
        let ids = vec!["a".to_owned()];
        let plan = Plan {
            scoring: Some(ids.clone()),
            ..Plan::default()
        };
        let left = NotDone {
            scoring: ids,
            ..NotDone::default()
        };
        let failure = hand_over(&plan, &left, &config, None).unwrap_err();
        assert_eq!(failure.code, Code::Failed);
        let told = format!("{:#}", failure.error);
        assert!(told.contains("job list"), "{told}");
        assert_eq!(std::fs::read(&database).unwrap(), b"", "nothing is queued");
    }
}
