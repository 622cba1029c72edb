//! What a running fetch does, and the clock it runs against. A fetch that waits for a place of
//! ours says nothing about its peer, so that wait is not its time.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use actix_rt::time::{Instant, sleep_until};

use super::Request;
use super::error::{FetchError, Stage};

struct Progress {
    stage: Cell<Stage>,
    not_after_ms: Option<i64>,
    /// How long it has waited for places so far.
    waited: Cell<Duration>,
}

tokio::task_local! {
    // awc hands its connector a URL and nothing else, so the progress of the fetch that a
    // connection is opened for travels with the task.
    static PROGRESS: Rc<Progress>;
}

impl Stage {
    /// Notes what the running fetch does now; without effect outside [`within`].
    pub(super) fn enter(self) {
        // A pooled connector used outside a fetch has nobody to tell.
        let _ = PROGRESS.try_with(|progress| progress.stage.set(self));
    }
}

/// Milliseconds since boot, the time a machine slept included.
#[must_use]
pub fn boot_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds_ms = now.tv_sec.saturating_mul(1000);
    seconds_ms.saturating_add(now.tv_nsec / 1_000_000)
}

/// Fails once the running fetch may send no more.
pub(super) fn may_send() -> Result<(), FetchError> {
    let late = |progress: &Rc<Progress>| {
        let late = progress.not_after_ms.is_some_and(|end| end <= boot_ms());
        late.then(|| progress.stage.get())
    };
    match PROGRESS.try_with(late) {
        Ok(Some(stage)) => Err(FetchError::TimedOut { stage }),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// Waits for a place.
pub(super) async fn for_a_place<F: Future>(place: F) -> F::Output {
    Stage::Place.enter();
    let since = Instant::now();
    let place = place.await;
    let _ = PROGRESS.try_with(|progress| {
        progress.waited.set(progress.waited.get() + since.elapsed());
    });
    place
}

/// Runs a fetch within its request's time. Only an endpoint's waits for places are counted.
pub(super) async fn within<T>(
    request: &Request<'_>,
    fetch: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    let progress = Rc::new(Progress {
        stage: Cell::new(Stage::Place),
        not_after_ms: request.not_after_ms,
        waited: Cell::default(),
    });
    let mut end = Instant::now() + request.timeout;
    let mut alarm = pin!(sleep_until(end));
    let mut fetch = pin!(PROGRESS.scope(Rc::clone(&progress), fetch));
    poll_fn(|cx| {
        if let Poll::Ready(answer) = fetch.as_mut().poll(cx) {
            return Poll::Ready(answer);
        }
        let stage = progress.stage.get();
        if !request.endpoint {
            if stage == Stage::Place {
                // The place that comes free wakes this task.
                return Poll::Pending;
            }
            end += progress.waited.take();
            if alarm.deadline() != end {
                alarm.as_mut().reset(end);
            }
        }
        alarm
            .as_mut()
            .poll(cx)
            .map(|()| Err(FetchError::TimedOut { stage }))
    })
    .await
}
