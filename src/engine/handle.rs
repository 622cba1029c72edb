//! What a face or a host holds of an engine.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::{EngineError, Lost, Status, StopRequest, TicketEvent};
use crate::actors::call_budget::CallBudget;
use crate::actors::supervisor::durable::{Cancel, EnqueueJobs, Pause, Purge, Retry};
use crate::actors::supervisor::reload::Reload;
use crate::actors::supervisor::upkeep::GetAlarms;
use crate::actors::supervisor::{GetStatus, Submit, SubmitError, Supervisor};
use crate::actors::worker::JobMoved;
use crate::config::{Config, Reloaded};
use crate::domain::alarm::Alarm;
use crate::domain::job::{Job, Queue};
use crate::fetch::PictureCache;
use crate::store::{Enqueued, GroupId, Grouping, JobId, JobRequest};

/// A running engine. Clones are the same engine; any thread and any runtime will do.
#[derive(Clone)]
pub struct EngineHandle {
    supervisor: Addr<Supervisor>,
    stop: mpsc::UnboundedSender<StopRequest>,
    lost: watch::Receiver<Option<Lost>>,
    calls: CallBudget,
    events: broadcast::Sender<JobMoved>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    config: Arc<Config>,
    pictures: Option<Arc<PictureCache>>,
}

impl EngineHandle {
    pub(super) fn new(
        supervisor: Addr<Supervisor>,
        stop: mpsc::UnboundedSender<StopRequest>,
        lost: watch::Receiver<Option<Lost>>,
        calls: CallBudget,
        events: broadcast::Sender<JobMoved>,
        thread: JoinHandle<()>,
        config: Arc<Config>,
    ) -> Self {
        Self {
            supervisor,
            stop,
            lost,
            calls,
            events,
            thread: Arc::new(Mutex::new(Some(thread))),
            config,
            pictures: None,
        }
    }

    pub(super) fn showing(self, pictures: Option<Arc<PictureCache>>) -> Self {
        Self { pictures, ..self }
    }

    /// What it was started with.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config)
    }

    /// A thumbnail as it was fetched, if the cache has it: the bytes are a stranger's, see
    /// [`resized`](super::resized). May block for a moment.
    #[must_use]
    pub fn picture(&self, video_id: &str, url: &str) -> Option<Vec<u8>> {
        self.pictures.as_ref()?.get(video_id, url)
    }

    /// Submits work of any size; it is cut into jobs.
    ///
    /// # Errors
    /// When the engine is stopping or lost, or the queue is switched off.
    pub async fn submit(&self, job: Job) -> Result<Ticket, EngineError> {
        match self.supervisor.send(Submit(job)).await {
            Ok(submitted) => {
                let (jobs, events) = submitted?;
                Ok(Ticket {
                    jobs,
                    events,
                    ended: false,
                })
            }
            Err(_) => Err(EngineError::Lost),
        }
    }

    /// Queues work in the durable queue; answers after the commit.
    ///
    /// # Errors
    /// When the engine is stopping, lost or has no durable queue, or the database refuses. After
    /// [`StoreError::Unknown`](super::StoreError::Unknown) the work may be queued all the same.
    pub async fn enqueue(
        &self,
        requests: Vec<JobRequest>,
        grouping: Grouping,
    ) -> Result<(Vec<Enqueued>, Option<GroupId>), EngineError> {
        self.ask(EnqueueJobs { requests, grouping }).await
    }

    /// Cancels jobs that have not ended, running ones too; those it cancelled.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn cancel(&self, ids: Vec<JobId>) -> Result<Vec<JobId>, EngineError> {
        self.ask(Cancel(ids)).await
    }

    /// Has failed and cancelled jobs done again; those that will be.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn retry(&self, ids: Vec<JobId>) -> Result<Vec<JobId>, EngineError> {
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

    /// Takes over what of a new configuration can change while the engine runs: workers, retries,
    /// limits, policies. The rest is named.
    ///
    /// # Errors
    /// When the engine is lost.
    pub async fn reload(&self, config: Config) -> Result<Reloaded, EngineError> {
        let reload = Reload(Box::new(config));
        match self.supervisor.send(reload).await {
            Ok(Ok(reloaded)) => Ok(reloaded),
            Ok(Err(error)) => Err(EngineError::Config(error)),
            Err(_) => Err(EngineError::Lost),
        }
    }

    /// The moves of durable jobs from now on, each after the commit that says so.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<JobMoved> {
        self.events.subscribe()
    }

    async fn ask<M, T>(&self, message: M) -> Result<T, EngineError>
    where
        M: Message<Result = Result<T, SubmitError>> + Send + 'static,
        T: Send + 'static,
        Supervisor: Handler<M>,
        <Supervisor as Actor>::Context: ToEnvelope<Supervisor, M>,
    {
        match self.supervisor.send(message).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(EngineError::Lost),
        }
    }

    /// How the engine fares.
    ///
    /// # Errors
    /// When the engine is lost.
    pub async fn status(&self) -> Result<Status, EngineError> {
        self.supervisor
            .send(GetStatus)
            .await
            .map_err(|_| EngineError::Lost)
    }

    /// Whether the engine died.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost().is_some()
    }

    /// What is wrong and not right again.
    ///
    /// # Errors
    /// When the engine is lost.
    pub async fn alarms(&self) -> Result<Vec<Alarm>, EngineError> {
        let asked = self.supervisor.send(GetAlarms).await;
        asked.map_err(|_| EngineError::Lost)
    }

    /// Why the engine is no more, unless it was told to stop.
    #[must_use]
    pub fn lost(&self) -> Option<Lost> {
        *self.lost.borrow()
    }

    /// Calls made so far to the rate-limited upstream.
    #[must_use]
    pub fn calls_made(&self) -> u64 {
        self.calls.made()
    }

    /// Stops the engine: running jobs may finish within `drain`, the rest is released. Returns
    /// when its threads have ended. Stopping what has stopped is no error.
    pub async fn shutdown(&self, drain: Duration) {
        let (stopped, done) = oneshot::channel();
        if self.stop.send(StopRequest { drain, stopped }).is_ok() {
            let _ = done.await;
        }
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // Its last act was to answer; joining takes no time worth a thread of its own.
            let _ = thread.join();
        }
    }
}

/// Submitted work, as seen by whoever waits for it.
#[derive(Debug)]
pub struct Ticket {
    jobs: usize,
    events: mpsc::UnboundedReceiver<TicketEvent>,
    ended: bool,
}

impl Ticket {
    /// How many jobs the work was cut into.
    #[must_use]
    pub const fn jobs(&self) -> usize {
        self.jobs
    }

    /// The next committed news; `None` when all jobs have ended, or the engine has.
    pub async fn next(&mut self) -> Option<TicketEvent> {
        match self.events.recv().await {
            Some(TicketEvent::End) => {
                self.ended = true;
                None
            }
            event => event,
        }
    }

    /// Whether every job of the ticket has ended; if not, the engine stopped before them.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended
    }
}
