//! Waiting for others' locks. Each call of the store waits for a moment at most and then answers
//! [`StoreError::Locked`]; who would rather wait on does so here.

use std::thread;
use std::time::{Duration, Instant};

use super::error::StoreError;

/// Between two tries where SQLite refuses at once instead of waiting.
const BREATH: Duration = Duration::from_millis(10);

/// How long others' locks are waited for, and who hears of it.
pub struct Patience<'a> {
    limit: Option<Duration>,
    told: &'a mut dyn FnMut(Duration),
}

impl<'a> Patience<'a> {
    /// Waits for as long as the limit says, for ever without one; `told` hears after each step,
    /// of at most 250 ms, how long it has been.
    pub fn new(limit: Option<Duration>, told: &'a mut dyn FnMut(Duration)) -> Self {
        Self { limit, told }
    }

    /// Waits for ever.
    pub fn endless(told: &'a mut dyn FnMut(Duration)) -> Self {
        Self::new(None, told)
    }

    /// Waits this long and then answers [`StoreError::Locked`].
    pub fn limited(limit: Duration, told: &'a mut dyn FnMut(Duration)) -> Self {
        Self::new(Some(limit), told)
    }

    /// Tries until no other connection is in the way.
    ///
    /// # Errors
    /// The attempt's, [`StoreError::Locked`] only when the limit is reached.
    pub fn wait<T>(
        &mut self,
        mut attempt: impl FnMut() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        loop {
            let outcome = attempt();
            let waited = begun.elapsed();
            let patient = self.limit.is_none_or(|limit| waited < limit);
            if !matches!(outcome, Err(StoreError::Locked)) || !patient {
                return outcome;
            }
            (self.told)(waited);
            thread::sleep(BREATH);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_waited_for_and_nothing_else_is() {
        let (mut tries, mut told) = (0, 0);
        let mut count = |_| told += 1;
        let mut patience = Patience::endless(&mut count);
        let opened = patience.wait(|| {
            tries += 1;
            if tries < 4 {
                Err(StoreError::Locked)
            } else {
                Ok(tries)
            }
        });
        assert_eq!(opened.unwrap(), 4);
        let refused: Result<(), _> = patience.wait(|| {
            tries += 1;
            Err(StoreError::StorageFull)
        });
        assert!(matches!(refused, Err(StoreError::StorageFull)));
        assert_eq!((tries, told), (5, 3));
    }

    #[test]
    fn even_no_patience_at_all_is_one_try() {
        let mut tries = 0;
        let refused: Result<(), _> = Patience::limited(Duration::ZERO, &mut |_| {}).wait(|| {
            tries += 1;
            Err(StoreError::Locked)
        });
        assert!(matches!(refused, Err(StoreError::Locked)));
        assert_eq!(tries, 1);
    }
}
