//! How often a dead actor may be replaced before its queue counts as degraded.
//!
//! A replacement that dies at once would otherwise be made for ever, at full speed.

use std::collections::VecDeque;
use std::time::Duration;

/// The wait before the first replacement in a window.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// Waits double up to this.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// What to do about a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Replace it after this wait, which doubles with each replacement in the window.
    After(Duration),
    /// Leave it for now; from this time on the budget has room again.
    Spent {
        /// On the clock `spend` is asked by, milliseconds.
        retry_at_ms: u64,
    },
}

/// At most so many replacements in a sliding window.
#[derive(Debug, Clone)]
pub struct RestartBudget {
    max: usize,
    window_ms: u64,
    /// Times of the replacements in the window, oldest first.
    spent: VecDeque<u64>,
}

impl RestartBudget {
    /// A full budget of `max` replacements in any `window`.
    #[must_use]
    pub fn new(max: u32, window: Duration) -> Self {
        Self {
            max: usize::try_from(max).unwrap_or(usize::MAX),
            window_ms: u64::try_from(window.as_millis()).unwrap_or(u64::MAX),
            spent: VecDeque::new(),
        }
    }

    /// Asks for a replacement at `now_ms`, of any clock that only goes forward; one that is
    /// granted is taken from the budget.
    pub fn spend(&mut self, now_ms: u64) -> Restart {
        while let Some(&oldest) = self.spent.front() {
            if now_ms < oldest.saturating_add(self.window_ms) {
                break;
            }
            self.spent.pop_front();
        }
        if self.spent.len() >= self.max {
            let oldest = self.spent.front().copied().unwrap_or(now_ms);
            return Restart::Spent {
                retry_at_ms: oldest.saturating_add(self.window_ms),
            };
        }
        let earlier = u32::try_from(self.spent.len()).unwrap_or(u32::MAX);
        self.spent.push_back(now_ms);
        let delay = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(earlier));
        Restart::After(delay.min(MAX_DELAY))
    }
}
