//! The report of a group: what a one-shot run of the same batch would have printed.

use super::Site;
use crate::config::{Config, ThumbnailPolicy};
use crate::engine::{EngineError, GroupId, JobFilter, JobId, QueueView};
use crate::face::batch_file::Plan;
use crate::face::follow::{calls, note, plan_too};
use crate::face::protocol::{ErrorCode, GroupState, JobDetail, RpcError, Time};
use crate::face::report::{Collector, Report, Summary};

/// Jobs read by one look, with all they found.
const A_LOOK: usize = 100;
/// The most items of a report, which is made in memory: some 50 MB.
const MOST_ITEMS: u64 = 50_000;

impl Site {
    /// What the jobs of a group found so far. What has no answer yet is listed as not done.
    pub(in crate::face) async fn report(&self, id: i64) -> Result<Report, RpcError> {
        let group = self.group(id).await?;
        let jobs = self.jobs_of(GroupId(id)).await?;
        let config = self.engine.config();
        let collected = tokio::task::spawn_blocking(move || collect(jobs, &group, &config));
        collected.await.map_err(|error| {
            let message = format!("collect the report: {error}");
            RpcError::new(ErrorCode::Internal, message)
        })
    }

    /// All jobs of a group with what they found, in the order they were queued.
    async fn jobs_of(&self, group: GroupId) -> Result<Vec<JobDetail>, RpcError> {
        let (mut jobs, mut before, mut room) = (Vec::new(), None, MOST_ITEMS);
        loop {
            let read = self
                .queue()?
                .look(move |view| read(view, group, before, room));
            let read = read.await?.ok_or_else(|| too_large(group))?;
            jobs.extend(read.jobs);
            room -= read.items;
            before = read.next;
            if before.is_none() {
                jobs.reverse();
                return Ok(jobs);
            }
        }
    }
}

fn too_large(GroupId(id): GroupId) -> RpcError {
    let reason = format!(
        "{id} has more than {MOST_ITEMS} items, too many for one report: list its jobs page by page, \
         and look at each"
    );
    RpcError::params("group", reason)
}

fn collect(jobs: Vec<JobDetail>, group: &GroupState, config: &Config) -> Report {
    let mut plan = Plan::default();
    jobs.iter().for_each(|job| plan_too(&mut plan, job));
    let unknown_is_broken = config.thumbnails.policy == ThumbnailPolicy::Article;
    let mut collector = Collector::new(&plan, unknown_is_broken);
    let (count, oembed_calls) = (jobs.len(), jobs.iter().map(calls).sum());
    jobs.into_iter().for_each(|job| note(job, &mut collector));
    let database = config.database.path.display().to_string();
    collector.into_report(|gathered| Summary {
        jobs: count,
        oembed_calls,
        elapsed_ms: took(group),
        ..Summary::of(gathered, database)
    })
}

/// Some jobs of a group.
struct Read {
    jobs: Vec<JobDetail>,
    items: u64,
    /// The others are before this one.
    next: Option<JobId>,
}

/// Reads jobs, unless they have more items than there is room for.
fn read(
    view: &QueueView,
    group: GroupId,
    before: Option<JobId>,
    room: u64,
) -> Result<Option<Read>, EngineError> {
    let listed = view.jobs(&JobFilter {
        group: Some(group),
        before,
        limit: A_LOOK,
        ..JobFilter::default()
    })?;
    let items: u64 = listed.iter().map(|job| job.items.max(1)).sum();
    if items > room {
        return Ok(None);
    }
    let next = listed.last().filter(|_| listed.len() == A_LOOK);
    let next = next.map(|job| job.id);
    let found = listed.into_iter().map(|job| view.job(job.id));
    let found = found.collect::<Result<Vec<_>, _>>()?;
    Ok(Some(Read {
        jobs: found.into_iter().flatten().map(Into::into).collect(),
        items,
        next,
    }))
}

/// From its being handed in to its end, or until now.
fn took(group: &GroupState) -> u64 {
    let end = group.ended_at.unwrap_or_else(Time::now);
    u64::try_from(end.0.saturating_sub(group.queued_at.0)).unwrap_or(0)
}
