//! How everything fares.

use std::time::Duration;

use tokio::time::timeout;

use super::Site;
use crate::engine::{QueueView, Status};
use crate::face::protocol::{Activity, ErrorCode, RpcError, StatusReport};

/// Actors that have not answered by then are stuck.
const TO_ANSWER: Duration = Duration::from_secs(2);

impl Site {
    /// How the engine fares, unless its actors are too stuck to say.
    pub(in crate::face) async fn engine_status(&self) -> Result<Status, RpcError> {
        let stuck = || RpcError::new(ErrorCode::Busy, "ask the engine: the actors do not answer");
        let status = timeout(TO_ANSWER, self.engine.status()).await;
        Ok(status.map_err(|_| stuck())??)
    }

    pub(in crate::face) async fn status(&self) -> Result<StatusReport, RpcError> {
        let status = self.engine_status().await?;
        // Whoever asks how we fare is told so, whoever holds the file.
        let queue = self.queue().map(|_| ());
        let is_ours = queue.is_ok();
        let glance = move |view: &QueueView| {
            let queues = if is_ours { view.queues()? } else { Vec::new() };
            Ok((queues, view.rate()?))
        };
        let (queues, rate, queue_error) = match self.views.glance(glance).await {
            Ok((queues, rate)) => (queues, Some(rate.into()), queue.err()),
            Err(error) => (Vec::new(), None, Some(error)),
        };
        let alarms = self.engine.alarms().await?;
        let is_draining = self.is_draining();
        Ok(StatusReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: self.facts.began.elapsed().as_secs(),
            database: self.facts.database.display().to_string(),
            socket: self.facts.socket.display().to_string(),
            state: if is_draining {
                Activity::Draining
            } else {
                Activity::Running
            },
            queues: queues.into_iter().map(Into::into).collect(),
            pools: status.pools.into_iter().map(Into::into).collect(),
            writes_waiting: status.writes_waiting,
            waiting_for_lock_s: status.waiting_for_lock_s,
            restarts: status.restarts,
            rate,
            queue_error: queue_error.map(|error| error.message),
            alarms: alarms.iter().map(ToString::to_string).collect(),
        })
    }
}
