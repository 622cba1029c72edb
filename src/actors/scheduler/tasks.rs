//! What each scheduled task does.

use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;

use super::TickQueued;
use crate::actors::supervisor::durable::chunks;
use crate::actors::worker::Deps;
use crate::domain::job::Job;
use crate::domain::schedule::{Task, calls_until};
use crate::fetch::aside;
use crate::store::{
    Expiring, GiveKeysUp, ITEMS_A_SLICE, LetGroupsGo, Moment, Operation, Optimize, Patience, Prune,
    ROWS_A_SLICE, Reader, RunTick, StoreError,
};

/// So long another process's lock is waited for; the next look tries again.
const READ_PATIENCE: Duration = Duration::from_secs(5);

/// A tick to be run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tick {
    pub(super) task: Task,
    pub(super) at_ms: i64,
    pub(super) begins: bool,
    pub(super) next_ms: i64,
}

/// Records the tick with its work. What is no job follows: cut short it is done at the next tick.
pub(super) async fn run_tick(
    deps: &Deps,
    queued: &Recipient<TickQueued>,
    tick: Tick,
) -> Result<(), StoreError> {
    let Tick { task, begins, .. } = tick;
    let work = if begins {
        None
    } else {
        work(deps, tick).await?
    };
    let jobs = queue_slices(deps, queued, tick, work).await?;
    let (Some(jobs), false) = (jobs, begins) else {
        return Ok(());
    };
    tracing::info!(%task, jobs, "a scheduled task is due");
    // The tick ran; what of this fails is told and done with the next.
    let kept = match task {
        Task::Prune => prune(deps).await,
        Task::Optimize => deps.db.write(Optimize).await,
        Task::Rescore | Task::Thumbnails | Task::Liveness => Ok(()),
    };
    if let Err(error) = kept {
        tracing::warn!(%task, %error, "a scheduled task was cut short");
    }
    Ok(())
}

/// Queues the tick's work in slices; how many jobs it is, none if the tick ran before.
async fn queue_slices(
    deps: &Deps,
    queued: &Recipient<TickQueued>,
    tick: Tick,
    work: Option<Job>,
) -> Result<Option<usize>, StoreError> {
    let kind = work.as_ref().map(Job::kind);
    let slices = work.map_or_else(Vec::new, |work| work.into_chunks(ITEMS_A_SLICE));
    let (mut slices, mut jobs) = (slices.into_iter(), 0);
    loop {
        let run = RunTick {
            task: tick.task,
            tick: Moment(tick.at_ms),
            begins: tick.begins,
            work: slices.next(),
            more: slices.len() > 0,
            chunks: chunks(&deps.config),
            now: deps.queue_now(),
        };
        let Some(ids) = deps.db.write(run).await? else {
            return Ok(None);
        };
        jobs += ids.len();
        if let (Some(kind), false) = (kind, ids.is_empty()) {
            queued.do_send(TickQueued(kind));
        }
        if slices.len() == 0 {
            return Ok(Some(jobs));
        }
    }
}

/// What the task is to work on, as the file stands now, less what it queued before it was cut short.
async fn work(deps: &Deps, tick: Tick) -> Result<Option<Job>, StoreError> {
    let now = deps.clock.unix();
    let ago = |age: Duration| now.saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    let config = &deps.config;
    let job = match tick.task {
        Task::Prune | Task::Optimize => return Ok(None),
        Task::Rescore => read(deps, Reader::due_for_score).await?,
        Task::Thumbnails => {
            let before = ago(config.schedule.thumbnails_after);
            read(deps, move |reader| reader.due_for_thumbnail(before)).await?
        }
        Task::Liveness => {
            let (before, rate) = (ago(config.liveness.fresh_for), config.rate_limits.oembed);
            let calls = calls_until(tick.next_ms, tick.at_ms, rate.calls, rate.per);
            read(deps, move |reader| {
                reader.due_for_liveness(before, now, calls)
            })
            .await?
        }
    };
    let begun = read(deps, move |reader| reader.begun_by_tick(tick.task)).await?;
    Ok(Some(job.without(&begun)))
}

/// Deletes what is kept no longer, a slice at a time.
async fn prune(deps: &Deps) -> Result<(), StoreError> {
    let now = deps.queue_now();
    let age_ms = i64::try_from(deps.config.retention.results.as_millis()).unwrap_or(i64::MAX);
    let before = Moment(now.0.saturating_sub(age_ms));
    while write(deps, LetGroupsGo { before, now }).await? > 0 {}
    let mut pruned = 0;
    for table in Expiring::ALL {
        loop {
            let (keep, now) = (deps.config.retention.clone(), deps.queue_now());
            let found = read(deps, move |reader| reader.expired(table, &keep, now)).await?;
            let mut gone = 0;
            for rows in found.chunks(ROWS_A_SLICE) {
                let rows = rows.to_vec();
                gone += write(deps, Prune { table, rows }).await?;
            }
            pruned += gone;
            if gone == 0 {
                break;
            }
        }
    }
    let keys = GiveKeysUp {
        now: deps.queue_now(),
    };
    while write(deps, keys).await? > 0 {}
    if pruned > 0 {
        tracing::info!(rows = pruned, "pruned our tables");
    }
    Ok(())
}

async fn write<O: Operation>(deps: &Deps, operation: O) -> Result<O::Output, StoreError> {
    deps.db.write(operation).await
}

/// Looks into the file, which may take a while: not on the System's thread.
pub(in crate::actors) async fn read<T: Send + 'static>(
    deps: &Deps,
    look: impl Fn(&Reader) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let store = Arc::clone(&deps.store);
    let looked = aside(move || {
        let mut nobody = |_| {};
        Patience::limited(READ_PATIENCE, &mut nobody).wait(|| look(&Reader::open(&store)?))
    });
    let ended = |error| StoreError::Panicked(format!("a look into the file: {error}"));
    looked.await.map_err(ended)?
}
