//! `jobs.wait`: subscribe first, then look, then wait; so no end is missed in between.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::Site;
use crate::engine::{GroupId, JobFilter, JobId, JobMoved, QueueView};
use crate::face::protocol::{ErrorCode, MOST_IDS, RpcError, Wait, Waited, WaitedJob, job_ids};

/// Looked again after so long, and then ever more rarely: a row of the site's that cannot be read
/// ends without news, and a group may grow.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const LOOK_RARELY: Duration = Duration::from_secs(10);

/// What is waited for.
#[derive(Debug, Clone)]
enum Awaited {
    Jobs(Vec<JobId>),
    Group(GroupId),
}

impl Site {
    pub(in crate::face) async fn wait(&self, wait: Wait) -> Result<Waited, RpcError> {
        let mut events = self.engine.moves();
        let deadline = wait.timeout.map(|timeout| Instant::now() + timeout.0);
        let awaited = match (wait.group, wait.ids.is_empty()) {
            (Some(group), true) => Awaited::Group(GroupId(group)),
            (None, false) => Awaited::Jobs(job_ids(wait.ids)?),
            (Some(_), false) | (None, true) => {
                return Err(RpcError::params("ids", "give either `ids` or a `group`"));
            }
        };
        let mut pause = LOOK_AGAIN;
        loop {
            let seen = self.see(awaited.clone()).await?;
            if seen.ended || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(seen);
            }
            let open: HashSet<i64> = seen
                .jobs
                .iter()
                .filter(|job| !job.state.0.is_ended())
                .map(|job| job.id)
                .collect();
            let news = news(&mut events, open);
            let again = Instant::now() + pause;
            pause = (pause * 2).min(LOOK_RARELY);
            let until = deadline.map_or(again, |deadline| deadline.min(again));
            if let Ok(Err(stopped)) = tokio::time::timeout_at(until, news).await {
                return Err(stopped);
            }
        }
    }

    async fn see(&self, awaited: Awaited) -> Result<Waited, RpcError> {
        match awaited {
            Awaited::Jobs(ids) => self.see_jobs(ids).await,
            Awaited::Group(id) => self.see_group(id).await,
        }
    }

    async fn see_jobs(&self, ids: Vec<JobId>) -> Result<Waited, RpcError> {
        let wanted = ids.clone();
        let found = self.queue()?.look(move |view| details(view, &ids)).await?;
        if let Some(missing) = wanted.get(found.len()) {
            return Err(RpcError::not_found("job", missing.0));
        }
        Ok(Waited {
            ended: found.iter().all(|job| job.state.0.is_ended()),
            jobs: found,
            group: None,
        })
    }

    async fn see_group(&self, id: GroupId) -> Result<Waited, RpcError> {
        let seen = self.queue()?.look(move |view| {
            let Some(group) = view.group(id)? else {
                return Ok(None);
            };
            let jobs = view.jobs(&JobFilter {
                group: Some(id),
                limit: MOST_IDS,
                ..JobFilter::default()
            })?;
            let ids: Vec<JobId> = jobs.iter().rev().map(|job| job.id).collect();
            Ok(Some((group, details(view, &ids)?)))
        });
        let Some((group, jobs)) = seen.await? else {
            return Err(RpcError::not_found("group", id.0));
        };
        Ok(Waited {
            ended: group.ended_ms.is_some(),
            jobs,
            group: Some(group.into()),
        })
    }
}

/// The jobs in the order they were named, up to the first that is not there.
fn details(view: &QueueView, ids: &[JobId]) -> Result<Vec<WaitedJob>, crate::engine::EngineError> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        match view.job(*id)? {
            Some(job) => found.push(job.into()),
            None => break,
        }
    }
    Ok(found)
}

/// Waits until all of these have ended, or something was missed.
async fn news(events: &mut Receiver<JobMoved>, mut open: HashSet<i64>) -> Result<(), RpcError> {
    loop {
        match events.recv().await {
            Ok(moved) => {
                let is_end = moved.state.is_ended() && open.remove(&moved.id.0);
                if is_end && open.is_empty() {
                    return Ok(());
                }
            }
            Err(RecvError::Lagged(_)) => return Ok(()),
            Err(RecvError::Closed) => {
                return Err(RpcError::new(ErrorCode::Stopping, "the engine has stopped"));
            }
        }
    }
}
