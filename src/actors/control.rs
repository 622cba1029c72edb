//! How a running job is asked to stop, and how long it has really worked.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Shared by the pool that watches a job and the worker that runs it.
pub struct JobControl {
    started: Instant,
    asked: AtomicBool,
    dropped: AtomicBool,
    /// Items that have their answer.
    done: AtomicUsize,
    changed: Notify,
    waits: Mutex<Waits>,
    interrupt: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl JobControl {
    /// A job that starts now.
    #[must_use]
    pub fn start() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            asked: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
            done: AtomicUsize::new(0),
            changed: Notify::new(),
            waits: Mutex::new(Waits::default()),
            interrupt: Mutex::new(None),
        })
    }

    /// Soft limit or drain: begin nothing new, commit what is done.
    pub fn ask_to_stop(&self) {
        self.asked.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Hard limit: the work is dropped where it stands.
    pub fn drop_work(&self) {
        self.dropped.store(true, Ordering::Release);
        self.ask_to_stop();
        if let Some(interrupt) = lock(&self.interrupt).as_ref() {
            interrupt();
        }
    }

    /// One item more has its answer.
    pub fn advance(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// How many items have their answer.
    #[must_use]
    pub fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Whether nothing new should begin.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Whether the work should be dropped.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    /// Resolves once nothing new should begin.
    pub async fn asked(&self) {
        self.until(Self::is_asked).await;
    }

    /// Resolves once the work should be dropped.
    pub async fn dropped(&self) {
        self.until(Self::is_dropped).await;
    }

    async fn until(&self, reached: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, or a change in between would be missed.
            changed.as_mut().enable();
            if reached(self) {
                return;
            }
            changed.await;
        }
    }

    /// What ends work that blocks its thread (a SQLite statement).
    pub fn on_drop(&self, interrupt: impl Fn() + Send + 'static) {
        *lock(&self.interrupt) = Some(Box::new(interrupt));
    }

    /// Marks the time until the guard falls as waiting, which no time limit counts.
    #[must_use]
    pub fn waiting(&self) -> Waiting<'_> {
        let mut waits = lock(&self.waits);
        if waits.now == 0 {
            waits.since = Some(Instant::now());
        }
        waits.now += 1;
        Waiting(self)
    }

    /// How long the job has worked, waits left out.
    #[must_use]
    pub fn worked(&self) -> Duration {
        let waits = lock(&self.waits);
        let waiting = waits.since.map_or(Duration::ZERO, |since| since.elapsed());
        self.started.elapsed().saturating_sub(waits.over + waiting)
    }
}

/// When items of the job waited, one or several at once.
#[derive(Default)]
struct Waits {
    now: usize,
    since: Option<Instant>,
    over: Duration,
}

/// Ends a wait when it falls.
pub struct Waiting<'a>(&'a JobControl);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waits = lock(&self.0.waits);
        waits.now = waits.now.saturating_sub(1);
        if waits.now == 0
            && let Some(since) = waits.since.take()
        {
            waits.over += since.elapsed();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_request_to_stop_is_seen_by_those_who_wait_and_those_who_look_later() {
        let control = JobControl::start();
        let watcher = Arc::clone(&control);
        let seen = actix_rt::spawn(async move { watcher.asked().await });
        assert!(!control.is_asked());
        control.ask_to_stop();
        seen.await.unwrap();
        control.asked().await;
        assert!(!control.is_dropped());
    }

    #[actix_rt::test]
    async fn dropping_the_work_interrupts_what_blocks() {
        let control = JobControl::start();
        let (sender, receiver) = std::sync::mpsc::channel();
        control.on_drop(move || sender.send(()).unwrap());
        control.drop_work();
        receiver.try_recv().unwrap();
        control.dropped().await;
        assert!(control.is_asked());
    }

    #[actix_rt::test]
    async fn waiting_is_not_working() {
        let control = JobControl::start();
        {
            let _waiting = control.waiting();
            drop(control.waiting());
            actix_rt::time::sleep(Duration::from_millis(60)).await;
            assert!(control.worked() < Duration::from_millis(50));
        }
        assert!(control.worked() < Duration::from_millis(50));
        assert!(control.started.elapsed() >= Duration::from_millis(60));
    }
}
