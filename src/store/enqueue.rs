//! Handing jobs to the durable queue by a call.

use rusqlite::OptionalExtension;

use super::error::StoreError;
use super::groups::{GroupId, close_group, open_group, open_still};
use super::operation::{Operation, Scope};
use super::placing::Placing;
use super::queue::{JobId, Moment};
use crate::domain::job::{Job, Queue};
use crate::domain::trace::TraceParent;

/// How many items a job of each queue holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    /// Of scores.
    pub scoring: usize,
    /// Of thumbnails.
    pub thumbnails: usize,
    /// Of liveness checks.
    pub cleanup: usize,
}

impl Chunks {
    pub(super) const fn of(self, queue: Queue) -> usize {
        match queue {
            Queue::Scoring => self.scoring,
            Queue::Thumbnails => self.thumbnails,
            Queue::Cleanup => self.cleanup,
        }
    }
}

/// Work to be queued. It may hold any number of items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest {
    /// What to do.
    pub job: Job,
    /// 0 (first) to 9.
    pub priority: u8,
    /// Milliseconds from now before it may run.
    pub delay_ms: i64,
    /// No two jobs have the same. That of a new group's first piece of work is the group's.
    pub unique_key: Option<String>,
    /// Seconds from now on after which a job that has ended gives its key up; none: when its
    /// row goes (`retention.results`).
    pub unique_for: Option<i64>,
    /// The trace it belongs to.
    pub trace: Option<TraceParent>,
}

/// What follows the last end of a group, once: a kind and a payload, JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FollowUps {
    /// If every job succeeded.
    pub on_success: Option<String>,
    /// In any case.
    pub on_finish: Option<String>,
}

/// Whether work is a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Grouping {
    /// Each piece by itself; one that is cut is a group of its own.
    #[default]
    None,
    /// All of it is a new group.
    New {
        /// What follows its end.
        follow_ups: FollowUps,
        /// Whether more is to come: until then it does not end.
        open: bool,
    },
    /// All of it joins a group that was left open.
    Join {
        /// The group.
        group: GroupId,
        /// Whether more is to come.
        open: bool,
    },
}

/// Queues work; all of it or, after an error, nothing.
#[derive(Debug, Clone)]
pub struct Enqueue {
    /// The work.
    pub requests: Vec<JobRequest>,
    /// Whether it is a group.
    pub grouping: Grouping,
    /// Where it is cut.
    pub chunks: Chunks,
    /// Now.
    pub now: Moment,
}

/// What [`Enqueue`] made of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueued {
    /// Its jobs, in order. Of a duplicate, the one that was there before; none if that is known by
    /// its group.
    pub ids: Vec<JobId>,
    /// Whether a job with its key was there before, so that nothing was queued.
    pub duplicate: bool,
}

impl Operation for Enqueue {
    type Output = (Vec<Enqueued>, Option<GroupId>);

    fn apply(&self, scope: &Scope<'_>) -> Result<Self::Output, StoreError> {
        if let Some(there) = self.group_that_is_there(scope)? {
            return Ok(there);
        }
        let group = match &self.grouping {
            Grouping::None => None,
            Grouping::New { follow_ups, .. } => Some(open_group(scope, 0, follow_ups, self.now)?),
            Grouping::Join { group, .. } => Some(open_still(scope, *group)?),
        };
        let mut queued = Vec::with_capacity(self.requests.len());
        for request in &self.requests {
            queued.push(self.enqueue(scope, request, group)?);
        }
        let stays_open = match self.grouping {
            Grouping::None => true,
            Grouping::New { open, .. } | Grouping::Join { open, .. } => open,
        };
        if let (Some(group), false) = (group, stays_open) {
            close_group(scope, group, self.now)?;
        }
        Ok((queued, group))
    }
}

impl Enqueue {
    /// For a new group whose first piece of work has a key that is taken: nothing new, and the group
    /// of whoever has it, if that is in one.
    fn group_that_is_there(
        &self,
        scope: &Scope<'_>,
    ) -> Result<Option<<Self as Operation>::Output>, StoreError> {
        let first = self.requests.first();
        let (Grouping::New { .. }, Some(key)) = (
            &self.grouping,
            first.and_then(|first| first.unique_key.as_ref()),
        ) else {
            return Ok(None);
        };
        let Some(holder) = holder_of(scope, key, self.now)? else {
            return Ok(None);
        };
        let group: Option<i64> = scope
            .prepare("SELECT group_id FROM main.vvv_jobs WHERE id = ?1")?
            .query_row([holder.0], |row| row.get(0))?;
        let nothing = |_: &JobRequest| Enqueued {
            ids: if group.is_none() {
                vec![holder]
            } else {
                Vec::new()
            },
            duplicate: true,
        };
        let queued = self.requests.iter().map(nothing).collect();
        Ok(Some((queued, group.map(GroupId))))
    }

    fn enqueue(
        &self,
        scope: &Scope<'_>,
        request: &JobRequest,
        group: Option<GroupId>,
    ) -> Result<Enqueued, StoreError> {
        if let Some(key) = &request.unique_key
            && let Some(id) = holder_of(scope, key, self.now)?
        {
            return Ok(Enqueued {
                ids: vec![id],
                duplicate: true,
            });
        }
        let placing = Placing {
            row: None,
            priority: request.priority,
            run_at_ms: self.now.0.saturating_add(request.delay_ms),
            unique_key: request.unique_key.as_deref(),
            unique_for: request.unique_for,
            trace: request.trace,
            group,
            now: self.now,
        };
        let ids = placing.place(scope, &request.job, self.chunks)?;
        Ok(Enqueued {
            ids,
            duplicate: false,
        })
    }
}

/// The job that holds a key, unless it has ended, its group too if it has one, for a key of work that
/// was cut is its first chunk's, and its time is over: then it gives the key up.
pub(super) fn holder_of(
    scope: &Scope<'_>,
    key: &str,
    now: Moment,
) -> Result<Option<JobId>, StoreError> {
    scope
        .prepare(
            "UPDATE main.vvv_jobs SET unique_key = NULL WHERE unique_key = ?1 \
             AND ended_ms IS NOT NULL AND queued_ms + unique_for * 1000 <= ?2 \
             AND NOT EXISTS (SELECT 1 FROM main.vvv_groups AS g \
               WHERE g.id = group_id AND g.ended_ms IS NULL)",
        )?
        .execute((key, now.0))?;
    let holder = scope
        .prepare("SELECT id FROM main.vvv_jobs WHERE unique_key = ?1")?
        .query_row([key], |row| row.get(0).map(JobId))
        .optional()?;
    Ok(holder)
}

#[cfg(test)]
mod tests;
