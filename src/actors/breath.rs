//! When the writer leaves the database's lock to others, and for how long.

use std::time::{Duration, Instant};

/// Others get the lock for a quarter of the time we held it: a writer that polls (SQLite's busy
/// handler does) then finds it free after a few tries.
const SHARE: u32 = 4;
const LONGEST: Duration = Duration::from_millis(20);
/// Holds in a row are followed by one breath when they add up to this: a timer is no finer than
/// a millisecond, and single commits are shorter.
const WORTH_A_BREATH: Duration = Duration::from_millis(5);
/// Readers of a rollback journal get this long, and longer each time they are in the way again.
const FOR_READERS: Duration = Duration::from_millis(250);
const MOST_FOR_READERS: u32 = 8;

/// The writer's manners.
pub struct Breath {
    ends: Instant,
    /// How long the lock was held since others last had their share of time.
    held_in_a_row: Duration,
    /// When it was last let go.
    released: Instant,
    /// How often in a row readers were in the way of a commit.
    given_way: u32,
}

impl Breath {
    /// Nothing was held yet.
    #[must_use]
    pub fn new() -> Self {
        let now = Instant::now();
        Self {
            ends: now,
            held_in_a_row: Duration::ZERO,
            released: now,
            given_way: 0,
        }
    }

    /// Until when the lock is left to others.
    #[must_use]
    pub const fn ends(&self) -> Instant {
        self.ends
    }

    /// Notes that the lock was held for so long until now.
    pub fn after_hold(&mut self, held: Duration, now: Instant) {
        self.given_way = 0;
        let since = now.saturating_duration_since(self.released);
        if since.saturating_sub(held) >= self.held_in_a_row / SHARE {
            self.held_in_a_row = Duration::ZERO;
        }
        self.held_in_a_row += held;
        self.released = now;
        if self.held_in_a_row >= WORTH_A_BREATH {
            self.ends = now + (self.held_in_a_row / SHARE).min(LONGEST);
        }
    }

    /// Notes that readers kept a commit from its lock, and that it kept new ones out meanwhile.
    pub fn after_readers(&mut self, now: Instant) {
        self.given_way = (self.given_way + 1).min(MOST_FOR_READERS);
        self.ends = now + FOR_READERS * self.given_way;
    }

    /// Nothing is tried before this.
    pub const fn until(&mut self, ends: Instant) {
        self.ends = ends;
    }
}

impl Default for Breath {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn single_commits_add_up_to_one_breath_of_their_quarter() {
        let mut breath = Breath::new();
        let mut now = breath.released;
        for _ in 0..4 {
            now += MS;
            breath.after_hold(MS, now);
            assert!(breath.ends() <= now, "not yet worth it");
        }
        now += MS;
        breath.after_hold(MS, now);
        assert_eq!(breath.ends(), now + 5 * MS / 4);
    }

    #[test]
    fn a_gap_that_was_others_counts_as_their_share() {
        let mut breath = Breath::new();
        let mut now = breath.released;
        for _ in 0..50 {
            now += 2 * MS;
            breath.after_hold(MS, now);
            assert!(breath.ends() <= now);
        }
    }

    #[test]
    fn readers_that_stay_get_ever_longer_breaths_up_to_two_seconds() {
        let mut breath = Breath::new();
        let now = breath.released;
        let breaths: Vec<Duration> = (0..10)
            .map(|_| {
                breath.after_readers(now);
                breath.ends() - now
            })
            .collect();
        assert_eq!(breaths[..3], [250 * MS, 500 * MS, 750 * MS]);
        assert_eq!(breaths[9], Duration::from_secs(2));
        breath.after_hold(MS, now);
        breath.after_readers(now);
        assert_eq!(breath.ends() - now, 250 * MS);
    }
}
