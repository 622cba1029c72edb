//! Groups of jobs: counters that go with the jobs' own ends, and what follows the last of them.

use std::fmt;

use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};

use super::enqueue::FollowUps;
use super::error::StoreError;
use super::operation::{Operation, Scope};
use super::queue::{JobId, JobState, Moment};

/// A group's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub i64);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many groups are let go by one operation.
const GROUPS_A_TURN: i64 = 100;

/// Makes a group of so many jobs, none of which has ended; of none yet, it is held for some to come.
pub(super) fn open_group(
    scope: &Scope<'_>,
    jobs: usize,
    follow_ups: &FollowUps,
    now: Moment,
) -> Result<GroupId, StoreError> {
    let id = scope
        .prepare(
            "INSERT INTO main.vvv_groups (jobs, on_success, on_finish, queued_ms, held) \
             VALUES (?1, ?2, ?3, ?4, ?1 = 0)",
        )?
        .insert((
            i64::try_from(jobs).unwrap_or(i64::MAX),
            &follow_ups.on_success,
            &follow_ups.on_finish,
            now.0,
        ))?;
    Ok(GroupId(id))
}

/// A group that has not ended; it is held from here on.
pub(super) fn open_still(scope: &Scope<'_>, group: GroupId) -> Result<GroupId, StoreError> {
    let held = scope
        .prepare("UPDATE main.vvv_groups SET held = 1 WHERE id = ?1 AND ended_ms IS NULL")?
        .execute([group.0])?;
    if held == 0 {
        return Err(StoreError::NoGroup(group));
    }
    Ok(group)
}

/// Lets a group end that was kept open for more.
pub(super) fn close_group(
    scope: &Scope<'_>,
    group: GroupId,
    now: Moment,
) -> Result<(), StoreError> {
    scope
        .prepare("UPDATE main.vvv_groups SET held = 0 WHERE id = ?1")?
        .execute([group.0])?;
    close_if_ended(scope, group, now)
}

/// Adds jobs to a group.
pub(super) fn widen_group(
    scope: &Scope<'_>,
    group: GroupId,
    jobs: usize,
) -> Result<(), StoreError> {
    let jobs = i64::try_from(jobs).unwrap_or(i64::MAX);
    scope
        .prepare("UPDATE main.vvv_groups SET jobs = jobs + ?2 WHERE id = ?1")?
        .execute((group.0, jobs))?;
    Ok(())
}

/// Counts a job's end. With the last one the group ends, and what follows it is queued: once, for
/// it happens in the transaction of that end.
pub(super) fn count_end(
    scope: &Scope<'_>,
    job: JobId,
    state: JobState,
    now: Moment,
) -> Result<(), StoreError> {
    let group: Option<i64> = scope
        .prepare("SELECT group_id FROM main.vvv_jobs WHERE id = ?1")?
        .query_row([job.0], |row| row.get(0))
        .optional()?
        .flatten();
    let Some(group) = group else { return Ok(()) };
    let count = match state {
        JobState::Succeeded => "UPDATE main.vvv_groups SET succeeded = succeeded + 1 WHERE id = ?1",
        JobState::Failed => "UPDATE main.vvv_groups SET failed = failed + 1 WHERE id = ?1",
        JobState::Cancelled => "UPDATE main.vvv_groups SET cancelled = cancelled + 1 WHERE id = ?1",
        JobState::Scheduled | JobState::Available | JobState::Running | JobState::Retryable => {
            return Ok(());
        }
    };
    scope.prepare(count)?.execute([group])?;
    close_if_ended(scope, GroupId(group), now)
}

/// Ends a group whose last job has ended.
fn close_if_ended(scope: &Scope<'_>, group: GroupId, now: Moment) -> Result<(), StoreError> {
    let ended = scope
        .prepare(
            "UPDATE main.vvv_groups SET ended_ms = ?2 WHERE id = ?1 AND ended_ms IS NULL \
             AND held = 0 AND succeeded + failed + cancelled >= jobs",
        )?
        .execute((group.0, now.0))?;
    if ended == 0 {
        return Ok(());
    }
    // A group that was opened again by a retry has been followed already.
    let first = scope
        .prepare("UPDATE main.vvv_groups SET followed = 1 WHERE id = ?1 AND followed = 0")?
        .execute([group.0])?;
    if first == 0 {
        return Ok(());
    }
    let (all_well, on_success, on_finish): (bool, Option<String>, Option<String>) = scope
        .prepare(
            "SELECT succeeded = jobs, on_success, on_finish FROM main.vvv_groups WHERE id = ?1",
        )?
        .query_row([group.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for spec in on_success.filter(|_| all_well).into_iter().chain(on_finish) {
        queue_follow_up(scope, &spec, group)?;
    }
    Ok(())
}

/// Lets held groups end for which nothing came for so long that whoever was to hand more in is taken
/// for dead; what follows them is queued.
#[derive(Debug, Clone, Copy)]
pub struct LetGroupsGo {
    /// Nothing was handed in and nothing ended since.
    pub before: Moment,
    /// Now.
    pub now: Moment,
}

impl Operation for LetGroupsGo {
    /// How many: a hundred at most.
    type Output = usize;

    fn apply(&self, scope: &Scope<'_>) -> Result<usize, StoreError> {
        let groups: Vec<GroupId> = scope
            .prepare(
                "SELECT id FROM main.vvv_groups AS g WHERE held = 1 AND ended_ms IS NULL \
                 AND succeeded + failed + cancelled >= jobs \
                 AND max(queued_ms, coalesce((SELECT max(max(j.queued_ms, j.ended_ms)) \
                     FROM main.vvv_jobs AS j WHERE j.group_id = g.id), 0)) < ?1 LIMIT ?2",
            )?
            .query_map((self.before.0, GROUPS_A_TURN), |row| {
                row.get(0).map(GroupId)
            })?
            .collect::<Result<_, _>>()?;
        for group in &groups {
            close_group(scope, *group, self.now)?;
        }
        Ok(groups.len())
    }
}

/// Takes a job's end back: it is to be done again.
pub(super) fn uncount_end(
    scope: &Scope<'_>,
    job: JobId,
    state: JobState,
) -> Result<(), StoreError> {
    let sql = match state {
        JobState::Failed => {
            "UPDATE main.vvv_groups SET failed = failed - 1, ended_ms = NULL \
             WHERE id = (SELECT group_id FROM main.vvv_jobs WHERE id = ?1)"
        }
        JobState::Cancelled => {
            "UPDATE main.vvv_groups SET cancelled = cancelled - 1, ended_ms = NULL \
             WHERE id = (SELECT group_id FROM main.vvv_jobs WHERE id = ?1)"
        }
        JobState::Scheduled
        | JobState::Available
        | JobState::Running
        | JobState::Retryable
        | JobState::Succeeded => return Ok(()),
    };
    scope.prepare(sql)?.execute([job.0])?;
    Ok(())
}

/// A follow-up job as it is kept with its group.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    kind: String,
    payload: serde_json::Value,
}

/// Puts it in as the site would: it is taken in, or refused, with the next rows. It is of the trace
/// that the group's first job is of.
fn queue_follow_up(scope: &Scope<'_>, spec: &str, group: GroupId) -> Result<(), StoreError> {
    let (kind, payload) = match serde_json::from_str::<Spec>(spec) {
        Ok(Spec { kind, payload }) => (kind, payload.to_string()),
        Err(error) => (
            format!("a follow-up that cannot be read: {error}"),
            spec.to_owned(),
        ),
    };
    scope
        .prepare(
            "INSERT INTO main.vvv_jobs (kind, payload, traceparent) VALUES (?1, ?2, \
             (SELECT traceparent FROM main.vvv_jobs WHERE group_id = ?3 ORDER BY id LIMIT 1))",
        )?
        .execute((kind, payload, group.0))?;
    scope.new_rows.set(true);
    Ok(())
}
