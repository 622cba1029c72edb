//! An engine as a plain thread holds it: each call waits on the spot.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use super::report::{Found, News, Report};
use super::{
    Alarm, EngineError, EngineEvent, EngineHandle, Enqueued, GroupId, Grouping, JobId, JobRequest,
    Queue, Status, Steered, SubmitOptions, Ticket, Work,
};
use crate::config::{Config, Reloaded};

/// An engine for threads that may block. Clones are the same engine, and so is the
/// [`handle`](Self::handle) it was made of.
///
/// ```no_run
/// # fn main() -> Result<(), vvv_actors::EngineError> {
/// use std::time::Duration;
/// use vvv_actors::{Engine, Score};
///
/// let engine = Engine::builder().database("vault.db").start()?.blocking();
/// let video_ids = vec!["dQw4w9WgXcQ".to_owned()];
/// let report = engine.submit(Score { video_ids })?.wait()?;
/// println!("{} scores", report.found.len());
/// engine.shutdown(Duration::from_secs(10));
/// # Ok(())
/// # }
/// ```
///
/// Within an async runtime these calls work as well, for the engine needs nothing of that runtime;
/// but they block its thread, as [`std::thread::sleep`] would. Tasks use the
/// [`EngineHandle`].
#[derive(Clone)]
pub struct BlockingEngine {
    handle: EngineHandle,
}

impl BlockingEngine {
    pub(super) const fn new(handle: EngineHandle) -> Self {
        Self { handle }
    }

    /// The engine as tasks hold it.
    #[must_use]
    pub const fn handle(&self) -> &EngineHandle {
        &self.handle
    }

    /// As [`EngineHandle::submit`].
    ///
    /// # Errors
    /// The same.
    pub fn submit<W: Work>(&self, work: W) -> Result<BlockingTicket<W::Report>, EngineError> {
        self.submit_with(work, SubmitOptions::default())
    }

    /// As [`EngineHandle::submit_with`].
    ///
    /// # Errors
    /// The same.
    pub fn submit_with<W: Work>(
        &self,
        work: W,
        options: SubmitOptions,
    ) -> Result<BlockingTicket<W::Report>, EngineError> {
        let ticket = wait_for(self.handle.submit_with(work, options))?;
        Ok(BlockingTicket { ticket })
    }

    /// As [`EngineHandle::status`].
    ///
    /// # Errors
    /// The same.
    pub fn status(&self) -> Result<Status, EngineError> {
        wait_for(self.handle.status())
    }

    /// As [`EngineHandle::alarms`].
    ///
    /// # Errors
    /// The same.
    pub fn alarms(&self) -> Result<Vec<Alarm>, EngineError> {
        wait_for(self.handle.alarms())
    }

    /// As [`EngineHandle::reload`].
    ///
    /// # Errors
    /// The same.
    pub fn reload(&self, config: Config) -> Result<Reloaded, EngineError> {
        wait_for(self.handle.reload(config))
    }

    /// As [`EngineHandle::events`]: an iterator that waits for each, and ends with the engine.
    ///
    /// ```no_run
    /// # fn example(engine: &vvv_actors::BlockingEngine) {
    /// use vvv_actors::EngineEvent;
    ///
    /// for event in engine.events() {
    ///     if let EngineEvent::Moved(job) = event {
    ///         println!("job {} is {}", job.id, job.state.name());
    ///     }
    /// }
    /// # }
    /// ```
    pub fn events(&self) -> impl Iterator<Item = EngineEvent> + Send + use<> {
        let mut events = self.handle.events();
        std::iter::from_fn(move || wait_for(events.next()))
    }

    /// As [`EngineHandle::shutdown`].
    pub fn shutdown(&self, drain: Duration) {
        wait_for(self.handle.shutdown(drain));
    }
}

/// The durable queue, steered.
///
/// ```no_run
/// # fn main() -> Result<(), vvv_actors::EngineError> {
/// use vvv_actors::Engine;
/// use vvv_actors::engine::Queue;
///
/// let engine = Engine::builder().database("vault.db").durable().start()?.blocking();
/// engine.pause(Queue::Cleanup, true)?;
/// println!("{} jobs cancelled", engine.purge(Queue::Cleanup)?);
/// engine.pause(Queue::Cleanup, false)?;
/// # Ok(())
/// # }
/// ```
impl BlockingEngine {
    /// As [`EngineHandle::enqueue`].
    ///
    /// # Errors
    /// The same.
    pub fn enqueue(
        &self,
        requests: Vec<JobRequest>,
        grouping: Grouping,
    ) -> Result<(Vec<Enqueued>, Option<GroupId>), EngineError> {
        wait_for(self.handle.enqueue(requests, grouping))
    }

    /// As [`EngineHandle::cancel`].
    ///
    /// # Errors
    /// The same.
    pub fn cancel(&self, ids: Vec<JobId>) -> Result<Steered, EngineError> {
        wait_for(self.handle.cancel(ids))
    }

    /// As [`EngineHandle::retry`].
    ///
    /// # Errors
    /// The same.
    pub fn retry(&self, ids: Vec<JobId>) -> Result<Steered, EngineError> {
        wait_for(self.handle.retry(ids))
    }

    /// As [`EngineHandle::pause`].
    ///
    /// # Errors
    /// The same.
    pub fn pause(&self, queue: Queue, pause: bool) -> Result<bool, EngineError> {
        wait_for(self.handle.pause(queue, pause))
    }

    /// As [`EngineHandle::purge`].
    ///
    /// # Errors
    /// The same.
    pub fn purge(&self, queue: Queue) -> Result<usize, EngineError> {
        wait_for(self.handle.purge(queue))
    }
}

/// Submitted work, as a plain thread waits for it. It is an iterator over its news.
#[derive(Debug)]
pub struct BlockingTicket<R> {
    ticket: Ticket<R>,
}

impl<R> BlockingTicket<R> {
    /// As [`Ticket::jobs`].
    #[must_use]
    pub const fn jobs(&self) -> usize {
        self.ticket.jobs()
    }

    /// As [`Ticket::ids`].
    #[must_use]
    pub fn ids(&self) -> &[JobId] {
        self.ticket.ids()
    }

    /// As [`Ticket::cancel`].
    ///
    /// # Errors
    /// The same.
    pub fn cancel(&self) -> Result<usize, EngineError> {
        wait_for(self.ticket.cancel())
    }

    /// The ticket as tasks hold it.
    #[must_use]
    pub fn into_ticket(self) -> Ticket<R> {
        self.ticket
    }
}

impl<F: Found> BlockingTicket<Report<F>> {
    /// As [`Ticket::wait`].
    ///
    /// # Errors
    /// The same.
    pub fn wait(&mut self) -> Result<Report<F>, EngineError> {
        wait_for(self.ticket.wait())
    }

    /// Waits no longer than this; none: the jobs have not ended by then.
    ///
    /// # Errors
    /// As [`Ticket::wait`].
    pub fn wait_within(&mut self, limit: Duration) -> Result<Option<Report<F>>, EngineError> {
        let until = Instant::now().checked_add(limit);
        wait_until(self.ticket.wait(), until).transpose()
    }

    /// As [`Ticket::take_report`].
    pub fn take_report(&mut self) -> Report<F> {
        self.ticket.take_report()
    }
}

impl<F: Found> Iterator for BlockingTicket<Report<F>> {
    type Item = Result<News<F>, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        wait_for(self.ticket.next())
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Some(value) = wait_until(future.as_mut(), None) {
            return value;
        }
    }
}

/// Waits for what other threads bring about: the future needs no runtime.
fn wait_until<T>(future: impl Future<Output = T>, until: Option<Instant>) -> Option<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    // Inside a task its budget would run out and never be renewed.
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        match until.map(|until| until.saturating_duration_since(Instant::now())) {
            None => thread::park(),
            Some(Duration::ZERO) => return None,
            Some(left) => thread::park_timeout(left),
        }
    }
}
