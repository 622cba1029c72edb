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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn after(ms: u64) -> Restart {
        Restart::After(Duration::from_millis(ms))
    }

    #[test]
    fn waits_double_until_the_budget_is_spent() {
        let mut budget = RestartBudget::new(5, MINUTE);
        let answers: Vec<Restart> = (0..6).map(|n| budget.spend(n * 1000)).collect();
        let spent = Restart::Spent {
            retry_at_ms: 60_000,
        };
        let expected = [100, 200, 400, 800, 1600].map(after);
        assert_eq!(answers[..5], expected);
        assert_eq!(answers[5], spent);
    }

    #[test]
    fn the_budget_has_room_again_when_the_oldest_restart_leaves_the_window() {
        let mut budget = RestartBudget::new(2, MINUTE);
        budget.spend(0);
        budget.spend(30_000);
        let spent = |retry_at_ms| Restart::Spent { retry_at_ms };
        assert_eq!(budget.spend(59_999), spent(60_000));
        assert_eq!(budget.spend(60_000), after(200));
        assert_eq!(budget.spend(60_001), spent(90_000));
        assert_eq!(budget.spend(500_000), after(100), "all forgotten");
    }

    #[test]
    fn without_any_budget_nothing_is_replaced() {
        let mut budget = RestartBudget::new(0, MINUTE);
        let spent = Restart::Spent {
            retry_at_ms: 67_000,
        };
        assert_eq!(budget.spend(7_000), spent);
    }

    #[test]
    fn waits_stop_growing() {
        let mut budget = RestartBudget::new(100, MINUTE);
        let last = (0..100).map(|n| budget.spend(n)).last();
        assert_eq!(last, Some(Restart::After(MAX_DELAY)));
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_the_budget_and_no_restart_is_refused_below_it(
            max in 1_usize..6,
            window_ms in 1_u64..2_000,
            gaps in prop::collection::vec(0_u64..500, 1..80),
        ) {
            let window = Duration::from_millis(window_ms);
            let mut budget = RestartBudget::new(u32::try_from(max).unwrap(), window);
            let mut granted: Vec<u64> = Vec::new();
            let mut now = 0;
            for gap in gaps {
                now += gap;
                let counted = granted.iter().filter(|&&t| now < t + window_ms).count();
                match budget.spend(now) {
                    Restart::After(_) => {
                        prop_assert!(counted < max);
                        granted.push(now);
                    }
                    Restart::Spent { retry_at_ms } => {
                        prop_assert_eq!(counted, max);
                        prop_assert!(retry_at_ms > now);
                        let early = budget.clone().spend(retry_at_ms - 1);
                        prop_assert_eq!(early, Restart::Spent { retry_at_ms });
                        let again = budget.clone().spend(retry_at_ms);
                        prop_assert!(matches!(again, Restart::After(_)));
                    }
                }
            }
        }
    }
}
