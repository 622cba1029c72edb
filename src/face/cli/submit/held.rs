//! Work that a key of ours belongs to already: handed in before, by us or by somebody else.

use std::time::{Duration, Instant};

use super::super::job::all_ids;
use crate::engine::Kind;
use crate::face::batch_file::Plan;
use crate::face::client::{Client, ClientError};
use crate::face::exit::{Code, Failure};
use crate::face::follow::plan_too;
use crate::face::protocol::{Get, JobDetail, KindName, List};

/// How long a row of the site's may take to be taken in: before it is, nobody knows its parts.
const TO_BE_TAKEN_IN: Duration = Duration::from_secs(10);
/// Between two looks.
const AGAIN: Duration = Duration::from_millis(100);

/// Work that is queued.
pub(super) struct Held {
    /// What it does.
    pub(super) plan: Plan,
    /// Its jobs.
    pub(super) ids: Vec<i64>,
    /// Its group, if it was cut.
    pub(super) group: Option<i64>,
}

/// The work of this kind that a job is part of.
///
/// # Errors
/// When the job is of another kind: what it finds is no answer to what was asked.
pub(super) fn work_of(client: &mut Client, kind: Kind, id: i64) -> Result<Held, Failure> {
    let job = taken_in(client, id)?.summary;
    if kind_of(job.kind.as_deref()) != Some(kind) {
        let found = job.kind.as_deref().unwrap_or("unreadable");
        let error = anyhow::anyhow!(
            "submit {kind}: nothing was queued: job {id}, a {found} job, has the --unique-key"
        );
        return Err(Failure::new(Code::Failed, error));
    }
    let Some(group) = job.group else {
        return held(client, vec![id], None);
    };
    let list = List {
        group: Some(group),
        kind: Some(KindName(kind)),
        ..List::default()
    };
    let ids = all_ids(list, |list| client.ask(list))?;
    held(client, ids, Some(group))
}

/// All the work of a group.
pub(super) fn work_of_group(client: &mut Client, group: i64) -> Result<Held, Failure> {
    let list = List {
        group: Some(group),
        ..List::default()
    };
    let ids = all_ids(list, |list| client.ask(list))?;
    held(client, ids, Some(group))
}

fn held(client: &mut Client, ids: Vec<i64>, group: Option<i64>) -> Result<Held, Failure> {
    let mut plan = Plan::default();
    for id in &ids {
        match client.ask(&Get { id: *id }) {
            Ok(got) => plan_too(&mut plan, &got.job),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Held { plan, ids, group })
}

fn taken_in(client: &mut Client, id: i64) -> Result<JobDetail, ClientError> {
    let deadline = Instant::now() + TO_BE_TAKEN_IN;
    loop {
        let job = client.ask(&Get { id })?.job;
        if job.summary.queued_at.is_some() || Instant::now() >= deadline {
            return Ok(job);
        }
        std::thread::sleep(AGAIN);
    }
}

fn kind_of(name: Option<&str>) -> Option<Kind> {
    name.and_then(Kind::from_name)
}
