//! How a handle steers the durable queue.

use tracing::Instrument;

use super::{EngineError, EngineHandle};
use crate::actors::spans;
use crate::actors::supervisor::durable::{Cancel, Pause, Purge, Retry};
use crate::actors::supervisor::enqueue::EnqueueJobs;
use crate::domain::job::Queue;
use crate::store::{Enqueued, GroupId, Grouping, JobId, JobRequest, Steered};

impl EngineHandle {
    /// Queues work in the durable queue; answers after the commit, and waits for another's lock as
    /// [`Self::submit`] does.
    ///
    /// # Errors
    /// When the engine is stopping, lost or has no durable queue, or the database refuses. After
    /// [`StoreError::Unknown`](super::StoreError::Unknown) the work may be queued all the same.
    pub async fn enqueue(
        &self,
        mut requests: Vec<JobRequest>,
        grouping: Grouping,
    ) -> Result<(Vec<Enqueued>, Option<GroupId>), EngineError> {
        let given = requests.iter().find_map(|request| request.trace);
        let span = spans::submit(given);
        if given.is_none() {
            let begun = spans::trace_of(&span, None);
            requests
                .iter_mut()
                .for_each(|request| request.trace = begun);
        }
        let queueing = self.ask(EnqueueJobs { requests, grouping });
        let (queued, group) = queueing.instrument(span.clone()).await?;
        let jobs: usize = queued.iter().map(|queued| queued.ids.len()).sum();
        span.record("jobs", jobs);
        Ok((queued, group))
    }

    /// Cancels jobs that have not ended, running ones too; those it cancelled, and those it did not.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn cancel(&self, ids: Vec<JobId>) -> Result<Steered, EngineError> {
        self.ask(Cancel(ids)).await
    }

    /// Has failed and cancelled jobs done again; those that will be, and those that will not.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn retry(&self, ids: Vec<JobId>) -> Result<Steered, EngineError> {
        self.ask(Retry(ids)).await
    }

    /// Pauses a queue or lets it go on, until told otherwise; whether that changed anything.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn pause(&self, queue: Queue, pause: bool) -> Result<bool, EngineError> {
        self.ask(Pause { queue, pause }).await
    }

    /// Cancels every job of a queue that waits; how many.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn purge(&self, queue: Queue) -> Result<usize, EngineError> {
        let mut purged = 0;
        loop {
            match self.ask(Purge(queue)).await?.len() {
                0 => return Ok(purged),
                more => purged += more,
            }
        }
    }
}
