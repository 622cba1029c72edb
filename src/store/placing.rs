//! Work becomes rows of the durable queue: cut into chunks, a row each.

use std::borrow::Cow;

use rusqlite::OptionalExtension;

use super::ending::{Ending, end_job};
use super::enqueue::{Chunks, FollowUps};
use super::error::StoreError;
use super::groups::{GroupId, open_group, widen_group};
use super::operation::Scope;
use super::queue::{JobId, JobState, Moment, written};
use crate::domain::job::{Job, Kind, Piece, ScoreJob};
use crate::domain::trace::TraceParent;

/// Whatever the site wrote to columns that are ours.
pub(super) const RESET: &str = "attempts = 0, crashes = 0, suspect = 0, lease = NULL, \
     remaining = NULL, result = NULL, error = NULL, \
     started_ms = NULL, ended_ms = NULL";

/// From so many ids on their order is looked up. Fewer are the pipeline's newest, and in order as they
/// come, or too far apart for any order to help; and somebody waits for the answer.
const WORTH_AN_ORDER: usize = 5_000;

/// Where and how the chunks of one piece of work are put.
pub(super) struct Placing<'a> {
    /// The row that is there already.
    pub(super) row: Option<JobId>,
    pub(super) priority: u8,
    pub(super) run_at_ms: i64,
    pub(super) unique_key: Option<&'a str>,
    pub(super) unique_for: Option<i64>,
    pub(super) trace: Option<TraceParent>,
    pub(super) group: Option<GroupId>,
    pub(super) now: Moment,
}

impl Placing<'_> {
    /// Cuts the work and writes a row a chunk. More than one of them are a group.
    pub(super) fn place(
        &self,
        scope: &Scope<'_>,
        job: &Job,
        chunks: Chunks,
    ) -> Result<Vec<JobId>, StoreError> {
        let kind = job.kind();
        let size = chunks.of(kind.queue());
        let mut pieces = in_order(scope, job)?
            .payloads(size)
            .map_err(StoreError::Payload)?;
        let is_empty = pieces.is_empty();
        if is_empty {
            let payload = Job::nothing(kind).payload().map_err(StoreError::Payload)?;
            pieces.push(Piece { items: 0, payload });
        }
        let group = match self.group {
            Some(group) => {
                widen_group(scope, group, pieces.len())?;
                Some(group)
            }
            None if pieces.len() > 1 => {
                let follow_ups = FollowUps::default();
                Some(open_group(scope, pieces.len(), &follow_ups, self.now)?)
            }
            None => None,
        };
        let mut ids = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let first = ids.is_empty();
            ids.push(self.write(scope, kind, &piece, group, first)?);
        }
        if is_empty && let Some(id) = ids.first() {
            let ending = Ending {
                state: JobState::Succeeded,
                error: None,
                result: None,
            };
            end_job(scope, *id, &ending, self.now)?;
        }
        Ok(ids)
    }

    fn write(
        &self,
        scope: &Scope<'_>,
        kind: Kind,
        piece: &Piece,
        group: Option<GroupId>,
        first: bool,
    ) -> Result<JobId, StoreError> {
        let run_at_ms = self.run_at_ms.max(self.now.0);
        let delay_ms = run_at_ms.saturating_sub(self.now.0);
        let state = if delay_ms > 0 {
            JobState::Scheduled
        } else {
            JobState::Available
        };
        let payload = &piece.payload;
        let items = i64::try_from(piece.items).unwrap_or(i64::MAX);
        let group = group.map(|group| group.0);
        let row = self.row.filter(|_| first);
        if let Some(JobId(id)) = row {
            scope
                .prepare(&format!(
                    "UPDATE main.vvv_jobs SET {RESET}, kind = ?2, payload = ?3, priority = ?4, \
                     run_at_ms = ?5, queue = ?6, state = ?7, group_id = ?8, delay_ms = ?9, \
                     items = ?10, queued_ms = ?11, traceparent = ?12 WHERE id = ?1",
                ))?
                .execute((
                    id,
                    kind.name(),
                    payload,
                    self.priority,
                    run_at_ms,
                    kind.queue().name(),
                    state.name(),
                    group,
                    delay_ms,
                    items,
                    self.now.0,
                    written(self.trace),
                ))?;
            return Ok(JobId(id));
        }
        let key = self.unique_key.filter(|_| first);
        let id = scope
            .prepare(
                "INSERT INTO main.vvv_jobs (kind, payload, priority, run_at_ms, queue, state, \
                 group_id, delay_ms, items, queued_ms, unique_key, unique_for, traceparent) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .insert((
                kind.name(),
                payload,
                self.priority,
                run_at_ms,
                kind.queue().name(),
                state.name(),
                group,
                delay_ms,
                items,
                self.now.0,
                key,
                self.unique_for.filter(|_| first),
                written(self.trace),
            ))?;
        Ok(JobId(id))
    }
}

/// Ids to score in the order of the site's rows, which makes writing them several times faster.
fn in_order<'a>(scope: &Scope<'_>, job: &'a Job) -> Result<Cow<'a, Job>, StoreError> {
    let video_ids = match job {
        Job::Score(ScoreJob { video_ids }) if video_ids.len() >= WORTH_AN_ORDER => video_ids,
        Job::Score(_) | Job::Thumbnails(_) | Job::Liveness(_) => return Ok(Cow::Borrowed(job)),
    };
    let Some(rowid_of) = &scope.site.rowid_of else {
        return Ok(Cow::Borrowed(job));
    };
    let mut lookup = scope.prepare(rowid_of)?;
    let mut placed = Vec::with_capacity(video_ids.len());
    for (at, id) in video_ids.iter().enumerate() {
        let rowid: Option<i64> = lookup.query_row([id], |row| row.get(0)).optional()?;
        placed.push((rowid.is_none(), rowid, at, id));
    }
    placed.sort_unstable();
    let video_ids = placed.into_iter().map(|(.., id)| id.clone()).collect();
    Ok(Cow::Owned(Job::Score(ScoreJob { video_ids })))
}
