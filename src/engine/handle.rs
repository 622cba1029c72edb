//! What a face or a host holds of an engine.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use actix::Addr;
use tokio::sync::{mpsc, oneshot, watch};

use super::{EngineError, Status, StopRequest, TicketEvent};
use crate::actors::supervisor::{GetStatus, Submit, Supervisor};
use crate::actors::worker::CallBudget;
use crate::domain::job::Job;

/// A running engine. Clones are the same engine; any thread and any runtime will do.
#[derive(Clone)]
pub struct EngineHandle {
    supervisor: Addr<Supervisor>,
    stop: mpsc::UnboundedSender<StopRequest>,
    lost: watch::Receiver<bool>,
    calls: CallBudget,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl EngineHandle {
    pub(super) fn new(
        supervisor: Addr<Supervisor>,
        stop: mpsc::UnboundedSender<StopRequest>,
        lost: watch::Receiver<bool>,
        calls: CallBudget,
        thread: JoinHandle<()>,
    ) -> Self {
        Self {
            supervisor,
            stop,
            lost,
            calls,
            thread: Arc::new(Mutex::new(Some(thread))),
        }
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
