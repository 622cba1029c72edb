//! How many jobs of each queue were ever claimed: a queue from which nothing is taken stands still.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::job::Queue;

/// How many jobs of each queue were ever claimed.
#[derive(Debug, Default)]
pub struct Claims([AtomicU64; 3]);

impl Claims {
    /// One more.
    pub fn count(&self, queue: Queue) {
        self.of(queue).fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn so_far(&self, queue: Queue) -> u64 {
        self.of(queue).load(Ordering::Relaxed)
    }

    const fn of(&self, queue: Queue) -> &AtomicU64 {
        let Self([scoring, thumbnails, cleanup]) = self;
        match queue {
            Queue::Scoring => scoring,
            Queue::Thumbnails => thumbnails,
            Queue::Cleanup => cleanup,
        }
    }
}
