//! Which command a line asks for: a line of parameters in, a line of answer out.

use serde::Serialize;

use crate::face::protocol::{
    Command, Drain, ErrorCode, Id, ListQueues, Method, Pause, Purge, Reload, Reply, Resume,
    RpcError, Shutdown, Status, params,
};
use crate::face::site::Site;

impl Site {
    /// Does what a line asks for; the answer as a line.
    pub(super) async fn answer(
        &self,
        method: Method,
        id: &Id,
        line: Vec<u8>,
    ) -> Result<Vec<u8>, RpcError> {
        match method {
            Method::JobsSubmit => done(id, &self.submit(taken(line)?).await?),
            Method::JobsSubmitBatch => done(id, &self.submit_batch(taken(line)?).await?),
            Method::JobsGet => done(id, &self.get(taken(line)?).await?),
            Method::JobsWait => done(id, &self.wait(taken(line)?).await?),
            Method::JobsList => done(id, &self.list(taken(line)?).await?),
            Method::JobsCancel => done(id, &self.cancel(taken(line)?).await?),
            Method::JobsRetry => done(id, &self.retry(taken(line)?).await?),
            Method::QueuesList => {
                taken::<ListQueues>(line)?;
                done(id, &self.queues().await?)
            }
            Method::QueuesPause => {
                let Pause { queue } = taken(line)?;
                done(id, &self.pause(queue, true).await?)
            }
            Method::QueuesResume => {
                let Resume { queue } = taken(line)?;
                done(id, &self.pause(queue, false).await?)
            }
            Method::QueuesPurge => {
                let Purge { queue } = taken(line)?;
                done(id, &self.purge(queue).await?)
            }
            Method::DaemonStatus => {
                taken::<Status>(line)?;
                done(id, &self.status().await?)
            }
            Method::DaemonDrain => {
                taken::<Drain>(line)?;
                done(id, &self.stop(false)?)
            }
            Method::DaemonShutdown => {
                let Shutdown { now } = taken(line)?;
                done(id, &self.stop(now)?)
            }
            Method::DaemonReload => {
                taken::<Reload>(line)?;
                done(id, &self.reload().await?)
            }
            // A stream is the connection's own affair.
            Method::EventsSubscribe => Err(RpcError::new(ErrorCode::Internal, "no answer")),
        }
    }
}

/// The parameters of a line, which is let go: it may be large, and the work may take for ever.
#[allow(clippy::needless_pass_by_value, reason = "it ends here")]
fn taken<C: Command>(line: Vec<u8>) -> Result<C, RpcError> {
    params(&line)
}

fn done<T: Serialize>(id: &Id, answer: &T) -> Result<Vec<u8>, RpcError> {
    Reply::success(id, answer)
        .map_err(|error| RpcError::new(ErrorCode::Internal, format!("write the answer: {error}")))
}
