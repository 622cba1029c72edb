//! How many calls to the rate-limited upstream a run may make.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Calls to the rate-limited upstream: how many were made, how many a run may make.
#[derive(Debug, Clone)]
pub struct CallBudget {
    made: Arc<AtomicU64>,
    most: Option<u64>,
}

impl CallBudget {
    /// A budget of this many calls; `None` = no bound.
    #[must_use]
    pub fn new(most: Option<u64>) -> Self {
        Self {
            made: Arc::default(),
            most,
        }
    }

    /// Whether no call is left.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.most.is_some_and(|most| self.made() >= most)
    }

    /// Takes one call.
    pub fn spend(&self) {
        self.made.fetch_add(1, Ordering::AcqRel);
    }

    /// Calls made so far.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Acquire)
    }
}
