//! The raw news of submitted work, as the program's own one-shot runs gather them.

use tokio::sync::mpsc;

use super::TicketEvent;
use crate::actors::supervisor::Submitted;

/// Submitted work and its raw news.
#[doc(hidden)]
#[derive(Debug)]
pub struct JobEvents {
    jobs: usize,
    events: mpsc::UnboundedReceiver<TicketEvent>,
    ended: bool,
}

impl JobEvents {
    pub(super) fn new(submitted: Submitted) -> Self {
        Self {
            jobs: submitted.jobs,
            events: submitted.events,
            ended: false,
        }
    }

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

    /// Whether every job has ended; if not, the engine stopped before them.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended
    }
}
