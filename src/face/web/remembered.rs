//! What was found a moment ago is told again: what costs much is not done anew for everybody.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// What was found, and when. Whoever asks while it is being sought waits for that.
#[derive(Debug)]
pub(super) struct Remembered<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Remembered<T> {
    /// What was found no longer ago than `lasts`, or what is found now.
    pub(super) async fn within<F>(&self, lasts: Duration, find: impl FnOnce() -> F) -> T
    where
        F: Future<Output = T>,
    {
        let mut known = self.0.lock().await;
        if let Some((at, found)) = &*known
            && at.elapsed() < lasts
        {
            return found.clone();
        }
        let found = find().await;
        *known = Some((Instant::now(), found.clone()));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[actix_rt::test]
    async fn what_was_found_a_moment_ago_is_not_sought_anew() {
        let (remembered, looks) = (Remembered::default(), Cell::new(0));
        let look = || async {
            looks.set(looks.get() + 1);
            looks.get()
        };
        let lasts = Duration::from_secs(3600);
        for _ in 0..3 {
            assert_eq!(remembered.within(lasts, look).await, 1);
        }
        assert_eq!(remembered.within(Duration::ZERO, look).await, 2);
    }

    #[actix_rt::test]
    async fn who_waited_for_a_look_that_failed_does_not_wait_for_another() {
        let (remembered, looks) = (Remembered::default(), Cell::new(0));
        let fail = || async {
            looks.set(looks.get() + 1);
            tokio::task::yield_now().await;
            Err::<(), _>("locked")
        };
        let lasts = Duration::from_secs(3600);
        let (first, second) = tokio::join!(
            remembered.within(lasts, fail),
            remembered.within(lasts, fail)
        );
        assert_eq!(
            (first.is_err(), second.is_err(), looks.get()),
            (true, true, 1)
        );
    }
}
