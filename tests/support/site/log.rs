//! The site's own record of who asked what and when: the judge in tests of rate limits,
//! retries and of what must never be asked.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::request::{Endpoint, Request};

/// One request as the site saw it.
#[derive(Debug, Clone)]
pub struct Call {
    /// When its head had been read. Monotonic.
    pub arrived: Instant,
    /// When the site had done all it meant to do with it; `None` while it still answers.
    pub finished: Option<Instant>,
    /// What was asked and how.
    pub request: Request,
    /// The status sent; `None` if no status line was.
    pub status: Option<u16>,
}

impl Call {
    /// The video asked about, if the request names one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.request.id.as_deref()
    }

    /// Whether it came to this endpoint.
    #[must_use]
    pub fn is(&self, endpoint: Endpoint) -> bool {
        self.request.endpoint == endpoint
    }
}

/// All requests so far, in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    /// Calls dropped by [`Log::clear`]; numbers go on.
    forgotten: usize,
    open: usize,
    accepted: usize,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request on its arrival and answers its number.
    pub(super) fn arrived(&self, request: Request, status: Option<u16>) -> usize {
        let mut state = self.lock();
        // Taken under the lock, so that the log's order is the order of time.
        let arrived = Instant::now();
        state.calls.push(Call {
            arrived,
            finished: None,
            request,
            status,
        });
        let number = state.forgotten + state.calls.len() - 1;
        drop(state);
        self.changed.notify_all();
        number
    }

    pub(super) fn finished(&self, number: usize) {
        let mut state = self.lock();
        if let Some(at) = number.checked_sub(state.forgotten) {
            state.calls[at].finished = Some(Instant::now());
        }
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn connected(&self) {
        let mut state = self.lock();
        state.open += 1;
        state.accepted += 1;
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn disconnected(&self) {
        self.lock().open -= 1;
        self.changed.notify_all();
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&[Call]) -> T) -> T {
        look(&self.lock().calls)
    }

    pub(super) fn connections(&self) -> (usize, usize) {
        let state = self.lock();
        (state.open, state.accepted)
    }

    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.forgotten += state.calls.len();
        state.calls.clear();
    }

    /// Waits until `condition` holds for the calls and the number of open connections.
    pub(super) fn wait_until(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&[Call], usize) -> bool,
    ) -> bool {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), timeout, |state| {
                !condition(&state.calls, state.open)
            })
            .unwrap_or_else(PoisonError::into_inner);
        condition(&state.calls, state.open)
    }
}

/// The largest number of `times` in any half-open window `[t, t + window)`. Exact: a fullest
/// window can always be moved until it begins at one of the times.
#[must_use]
pub fn max_in_window(times: &[Instant], window: Duration) -> usize {
    let mut times = times.to_vec();
    times.sort_unstable();
    let mut end = 0;
    let mut most = 0;
    for (begin, first) in times.iter().enumerate() {
        while end < times.len() && times[end] < *first + window {
            end += 1;
        }
        most = most.max(end - begin);
    }
    most
}

/// The largest number of calls the site was answering at one moment.
#[must_use]
pub fn max_at_once<'a>(calls: impl IntoIterator<Item = &'a Call>) -> usize {
    let mut changes = Vec::new();
    for call in calls {
        changes.push((call.arrived, true));
        if let Some(finished) = call.finished {
            changes.push((finished, false));
        }
    }
    // An end sorts before an arrival of the same moment.
    changes.sort_unstable();
    let (mut now, mut most) = (0usize, 0);
    for (_, arrival) in changes {
        now = if arrival { now + 1 } else { now - 1 };
        most = most.max(now);
    }
    most
}
