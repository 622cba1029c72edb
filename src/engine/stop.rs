//! The stop order up to the last write; whoever asks again while it goes on may hurry it.

use std::time::{Duration, Instant};

use actix::Addr;
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};

use crate::actors::db::Flush;
use crate::actors::pool::{Drain, Pool};
use crate::actors::rate_limiter::StopGranting;
use crate::actors::supervisor::follow::EndFollowing;
use crate::actors::supervisor::{BeginStop, Dissolve, Staff, Supervisor};

/// How long the last writes may take beyond the drain.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// A longer drain is one without end: no clock reaches further.
const LONGEST_DRAIN: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long those who wait for jobs may take to see what the drain has ended.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// A request to stop, and who waits for it.
pub(super) struct StopRequest {
    pub(super) drain: Duration,
    pub(super) stopped: oneshot::Sender<()>,
}

impl StopRequest {
    fn deadline(&self) -> Instant {
        Instant::now() + self.drain.min(LONGEST_DRAIN)
    }
}

/// Stops the actors; those who asked for it, first and later. None asked when every handle went.
pub(super) async fn stop(
    supervisor: &Addr<Supervisor>,
    first: Option<StopRequest>,
    stops: &mut mpsc::UnboundedReceiver<StopRequest>,
) -> Vec<StopRequest> {
    let mut requests: Vec<StopRequest> = first.into_iter().collect();
    let Ok(Staff {
        pools,
        limiter,
        writer,
    }) = supervisor.send(BeginStop).await
    else {
        return requests;
    };
    limiter.do_send(StopGranting);
    if !drain(&pools, &mut requests, stops).await {
        tracing::error!("running jobs did not end in time; what they had committed stays");
    }
    let flush = writer.send(Flush);
    if tokio::time::timeout(FLUSH_TIMEOUT, flush).await.is_err() {
        tracing::error!("the last writes are not done: another process holds the database");
    }
    let told = supervisor.send(EndFollowing);
    if tokio::time::timeout(LAST_LOOK, told).await.is_err() {
        tracing::warn!("the last ends of jobs are not told: another process holds the database");
    }
    let _ = supervisor.send(Dissolve).await;
    requests
}

/// Has the pools drain by the earliest deadline anybody asks for; whether they did.
async fn drain(
    pools: &[Addr<Pool>],
    requests: &mut Vec<StopRequest>,
    stops: &mut mpsc::UnboundedReceiver<StopRequest>,
) -> bool {
    let mut deadline = requests
        .first()
        .map_or_else(Instant::now, StopRequest::deadline);
    let mut drained = std::pin::pin!(join_all(
        pools.iter().map(|pool| pool.send(Drain { deadline }))
    ));
    loop {
        tokio::select! {
            biased;
            _ = &mut drained => return true,
            Some(sooner) = stops.recv() => {
                let wanted = sooner.deadline();
                requests.push(sooner);
                if wanted < deadline {
                    deadline = wanted;
                    pools.iter().for_each(|pool| pool.do_send(Drain { deadline }));
                }
            }
            () = tokio::time::sleep_until((deadline + FLUSH_TIMEOUT).into()) => return false,
        }
    }
}
