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
/// Jobs counted at a time.
const A_COUNT: usize = 1_000;
/// The most items of a report, which is made in memory: some 50 MB.
const MOST_ITEMS: u64 = 50_000;

impl Site {
    /// What the jobs of a group found so far. What has no answer yet is listed as not done.
    pub(in crate::face) async fn report(&self, id: i64) -> Result<Report, RpcError> {
        let group = self.group(id).await?;
        if self
            .queue()?
            .look(move |view| is_large(view, GroupId(id)))
            .await?
        {
            let reason = format!(
                "{id} has more than {MOST_ITEMS} items, too many for one report: list its jobs page \
                 by page, and look at each"
            );
            return Err(RpcError::params("group", reason));
        }
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
        let (mut jobs, mut before) = (Vec::new(), None);
        loop {
            let page = self.queue()?.look(move |view| page(view, group, before));
            let page = page.await?;
            let is_last = page.len() < A_LOOK;
            before = page.last().map(|job| JobId(job.summary.id));
            jobs.extend(page);
            if is_last {
                jobs.reverse();
                return Ok(jobs);
            }
        }
    }
}

/// Whether a group has more items than a report may.
fn is_large(view: &QueueView, group: GroupId) -> Result<bool, EngineError> {
    let (mut items, mut before) = (0_u64, None);
    loop {
        let jobs = view.jobs(&JobFilter {
            group: Some(group),
            before,
            limit: A_COUNT,
            ..JobFilter::default()
        })?;
        items += jobs.iter().map(|job| job.items.max(1)).sum::<u64>();
        if items > MOST_ITEMS || jobs.len() < A_COUNT {
            return Ok(items > MOST_ITEMS);
        }
        before = jobs.last().map(|job| job.id);
    }
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
        ended_by: group.ended_at.is_none().then(|| "it goes on".to_owned()),
        ..Summary::of(gathered, database)
    })
}

fn page(
    view: &QueueView,
    group: GroupId,
    before: Option<JobId>,
) -> Result<Vec<JobDetail>, EngineError> {
    let listed = view.jobs(&JobFilter {
        group: Some(group),
        before,
        limit: A_LOOK,
        ..JobFilter::default()
    })?;
    let read = listed.into_iter().map(|job| view.job(job.id));
    let found = read.collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().flatten().map(Into::into).collect())
}

/// From its being handed in to its end, or until now.
fn took(group: &GroupState) -> u64 {
    let end = group.ended_at.unwrap_or_else(Time::now);
    u64::try_from(end.0.saturating_sub(group.queued_at.0)).unwrap_or(0)
}
