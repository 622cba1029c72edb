//! The exact sliding window an upstream's calls are held to.
//!
//! A permit is taken before its call is sent and counts until a whole window after the call can
//! last have arrived. Counting from the taking alone would let network delay squeeze more calls
//! into a window than allowed.

use std::time::Duration;

/// A time no clock step can move: milliseconds since the boot named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootTime {
    /// The kernel's id of this boot.
    pub boot_id: String,
    /// CLOCK_BOOTTIME, milliseconds.
    pub ms: i64,
}

/// The boot of who cannot tell its boot.
pub const UNKNOWN_BOOT: &str = "unknown";

impl BootTime {
    /// Whether it may be of this boot. One that nobody can tell is taken for each: after a reboot its
    /// times count as long as they would, or longer, and those that lie ahead count as now.
    #[must_use]
    pub fn may_be_of(&self, boot_id: &str) -> bool {
        self.boot_id == boot_id || [&*self.boot_id, boot_id].contains(&UNKNOWN_BOOT)
    }
}

/// The right to send one call, as recorded before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// When it was taken, milliseconds since its boot.
    pub taken_ms: i64,
    /// Its call is sent and over before this, or not sent.
    pub expires_ms: i64,
    /// When its call was over, if that is known.
    pub released_ms: Option<i64>,
    /// The boot these times are of.
    pub boot_id: String,
}

/// So many calls in any window of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Calls.
    pub calls: u32,
    /// Milliseconds.
    pub window_ms: i64,
}

/// Whether a call may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Now.
    Grant,
    /// Not before this; sooner if a permit is released meanwhile.
    Wait {
        /// Milliseconds since this boot.
        until_ms: i64,
    },
}

impl Permit {
    /// The permit as `now` must see it: times that lie ahead (another clock wrote them) count
    /// as now, its length kept. Whoever stores permits may write this back.
    #[must_use]
    pub fn not_ahead_of(&self, now: &BootTime) -> Self {
        let ahead = if now.may_be_of(&self.boot_id) {
            self.taken_ms.saturating_sub(now.ms).max(0)
        } else {
            0
        };
        Self {
            taken_ms: self.taken_ms.saturating_sub(ahead),
            expires_ms: self.expires_ms.saturating_sub(ahead),
            released_ms: self
                .released_ms
                .map(|released| released.saturating_sub(ahead)),
            boot_id: self.boot_id.clone(),
        }
    }

    /// From when on it no longer counts, milliseconds since the boot of `now`.
    ///
    /// Of another boot's permits only this is known: their calls were over when this boot began.
    #[must_use]
    pub fn counts_until(&self, now: &BootTime, window_ms: i64) -> i64 {
        if !now.may_be_of(&self.boot_id) {
            return window_ms;
        }
        let ahead = self.taken_ms.saturating_sub(now.ms).max(0);
        let expires = self.expires_ms.saturating_sub(ahead);
        let over = self.released_ms.map_or(expires, |released| {
            // Nothing is released later than now.
            released.min(now.ms).min(expires)
        });
        over.saturating_add(window_ms)
    }
}

/// Decides whether one more call may be sent now, beside the permits taken so far.
#[must_use]
pub fn decide(permits: &[Permit], now: &BootTime, limit: Limit) -> Decision {
    let mut ends: Vec<i64> = permits
        .iter()
        .map(|permit| permit.counts_until(now, limit.window_ms))
        .filter(|&end| now.ms < end)
        .collect();
    let calls = usize::try_from(limit.calls).unwrap_or(usize::MAX);
    let Some(excess) = ends.len().checked_sub(calls) else {
        return Decision::Grant;
    };
    // Room for one comes when all but `calls - 1` have ended.
    ends.sort_unstable();
    let until_ms = ends
        .get(excess)
        .copied()
        .unwrap_or_else(|| now.ms.saturating_add(limit.window_ms));
    Decision::Wait { until_ms }
}

/// The first park of an upstream that names no time itself.
const FIRST_PARK: Duration = Duration::from_secs(60);

/// Parks double up to this.
const MAX_PARK: Duration = Duration::from_secs(3600);

/// How long an upstream that answered 429 is left alone: as long as it asks, else a minute;
/// doubled up to an hour for each of the `strikes` it gave in a row before, never less than it
/// asks. One that says "a second more" for ever would else be asked for ever.
///
/// A Retry-After of zero says nothing, so it counts as none.
#[must_use]
pub fn park_for(retry_after: Option<Duration>, strikes: u32) -> Duration {
    let asked = retry_after.filter(|asked| !asked.is_zero());
    asked
        .unwrap_or(FIRST_PARK)
        .saturating_mul(2_u32.saturating_pow(strikes))
        .min(MAX_PARK)
        .max(asked.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::slice;

    const WINDOW: i64 = 60_000;

    fn at(ms: i64) -> BootTime {
        boot_time("now", ms)
    }

    fn boot_time(boot_id: &str, ms: i64) -> BootTime {
        BootTime {
            boot_id: boot_id.to_owned(),
            ms,
        }
    }

    fn permit(taken_ms: i64, expires_ms: i64, released_ms: Option<i64>) -> Permit {
        Permit {
            taken_ms,
            expires_ms,
            released_ms,
            boot_id: "now".to_owned(),
        }
    }

    const fn limit(calls: u32) -> Limit {
        Limit {
            calls,
            window_ms: WINDOW,
        }
    }

    #[test]
    fn a_permit_counts_until_a_window_after_its_call_was_over() {
        let cases = [
            (permit(1_000, 11_000, None), 71_000),
            (permit(1_000, 11_000, Some(3_000)), 63_000),
            // Released after it expired: the call was over by then all the same.
            (permit(1_000, 11_000, Some(15_000)), 71_000),
        ];
        for (permit, until_ms) in cases {
            let permits = [permit];
            let wait = Decision::Wait { until_ms };
            assert_eq!(decide(&permits, &at(20_000), limit(1)), wait);
            assert_eq!(decide(&permits, &at(until_ms - 1), limit(1)), wait);
            assert_eq!(decide(&permits, &at(until_ms), limit(1)), Decision::Grant);
        }
    }

    #[test]
    fn permits_of_another_boot_count_for_the_first_window_of_this_one() {
        let old = Permit {
            boot_id: "before".to_owned(),
            ..permit(900_000, 910_000, Some(901_000))
        };
        assert_eq!(
            decide(slice::from_ref(&old), &at(5), limit(1)),
            Decision::Wait { until_ms: WINDOW }
        );
        assert_eq!(decide(&[old], &at(WINDOW), limit(1)), Decision::Grant);
    }

    #[test]
    fn a_permit_from_the_future_counts_as_taken_now() {
        let ahead = permit(1_000_000, 1_010_000, Some(1_002_000));
        let now = at(500);
        let until_ms = 500 + WINDOW;
        assert_eq!(
            decide(slice::from_ref(&ahead), &now, limit(1)),
            Decision::Wait { until_ms }
        );
        let seen = ahead.not_ahead_of(&now);
        assert_eq!(seen, permit(500, 10_500, Some(2_500)));
        assert_eq!(seen.not_ahead_of(&now), seen);
        let unreleased = permit(1_000_000, 1_010_000, None);
        assert_eq!(unreleased.counts_until(&now, WINDOW), 10_500 + WINDOW);
    }

    #[test]
    fn who_is_not_told_its_boot_shares_the_window_with_who_is() {
        for (theirs, ours) in [("now", UNKNOWN_BOOT), (UNKNOWN_BOOT, "now")] {
            let now = boot_time(ours, 200_000);
            let seen = |permit: Permit| Permit {
                boot_id: theirs.to_owned(),
                ..permit
            };
            let taken = seen(permit(190_000, 200_000, None));
            let wait = Decision::Wait { until_ms: 260_000 };
            assert_eq!(decide(&[taken], &now, limit(1)), wait);
            let ahead = seen(permit(1_000_000, 1_010_000, None));
            assert_eq!(
                ahead.not_ahead_of(&now),
                seen(permit(200_000, 210_000, None))
            );
        }
    }

    #[test]
    fn with_more_permits_than_places_the_wait_is_for_enough_of_them() {
        let permits = [30_000, 10_000, 20_000].map(|t| permit(t, t + 5_000, Some(t)));
        let now = at(40_000);
        let wait = |calls| match decide(&permits, &now, limit(calls)) {
            Decision::Grant => None,
            Decision::Wait { until_ms } => Some(until_ms),
        };
        assert_eq!(wait(4), None);
        assert_eq!(wait(3), Some(70_000));
        assert_eq!(wait(2), Some(80_000));
        assert_eq!(wait(1), Some(90_000));
        assert_eq!(wait(0), Some(100_000));
    }

    #[test]
    fn extreme_times_overflow_nothing() {
        for extreme in [i64::MIN, i64::MAX] {
            let permits = [permit(extreme, extreme, Some(extreme))];
            for now in [i64::MIN, 0, i64::MAX] {
                let _ = decide(&permits, &at(now), limit(1));
            }
        }
    }

    #[test]
    fn parking_obeys_the_upstream_or_doubles_to_an_hour() {
        let seconds = Duration::from_secs;
        let parks: Vec<u64> = (0..9).map(|n| park_for(None, n).as_secs()).collect();
        assert_eq!(parks, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        assert_eq!(park_for(None, u32::MAX), seconds(3600));
        assert_eq!(park_for(Some(seconds(7)), 0), seconds(7));
        assert_eq!(park_for(Some(seconds(7)), 5), seconds(224));
        assert_eq!(park_for(Some(seconds(86_400)), 9), seconds(86_400));
        assert_eq!(park_for(Some(seconds(86_400)), 0), seconds(86_400));
        assert_eq!(park_for(Some(Duration::ZERO), 1), seconds(120));
    }

    #[test]
    fn a_greedy_caller_gets_all_the_limit_allows() {
        let (calls, took_ms) = (20, 250);
        let mut permits: Vec<Permit> = Vec::new();
        let mut now = 0;
        while now < 10 * WINDOW {
            match decide(&permits, &at(now), limit(calls)) {
                Decision::Grant => {
                    permits.push(permit(now, now + 10_000, Some(now + took_ms)));
                    now += took_ms;
                }
                Decision::Wait { until_ms } => {
                    assert!(until_ms > now);
                    now = until_ms;
                }
            }
        }
        // Each round of 20 begins a window after the first call of the round before was over.
        assert!(permits.len() >= 196, "{} calls", permits.len());
    }

    /// What a process does next, one time step after another.
    #[derive(Debug, Clone)]
    enum Step {
        /// Asks for a permit; sends that long after it, and may release that long after that.
        Call {
            sent_after: i64,
            released_after: Option<i64>,
        },
        /// The machine restarts; whatever was not sent is not sent any more.
        Reboot,
    }

    fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
        let call =
            (0..=HOLD, prop::option::of(0..2 * HOLD)).prop_map(|(sent_after, released_after)| {
                Step::Call {
                    sent_after,
                    released_after,
                }
            });
        let step = prop_oneof![30 => call, 1 => Just(Step::Reboot)];
        prop::collection::vec((0_i64..120, step), 1..120)
    }

    const HOLD: i64 = 150;

    /// A call as nobody but this test sees it, in time that knows no boots.
    struct Sent {
        arrived: i64,
        released: Option<i64>,
        boot: i64,
        permit: Permit,
    }

    fn known_at(now: i64, calls: &[Sent]) -> Vec<Permit> {
        calls
            .iter()
            .map(|call| Permit {
                released_ms: call
                    .released
                    .filter(|&released| released <= now)
                    .map(|released| released - call.boot),
                ..call.permit.clone()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn no_window_ever_sees_more_calls_than_allowed(
            calls in 1_usize..6,
            window_ms in 1_i64..700,
            steps in steps(),
        ) {
            let limit = Limit { calls: u32::try_from(calls).unwrap(), window_ms };
            let mut sent: Vec<Sent> = Vec::new();
            let (mut now, mut boot) = (0, 0);
            for (gap, step) in steps {
                now += gap;
                let Step::Call { sent_after, released_after } = step else {
                    // Calls still to come died with the machine.
                    sent.iter_mut().for_each(|call| call.arrived = call.arrived.min(now));
                    boot = now;
                    continue;
                };
                let boot_time = boot_time(&boot.to_string(), now - boot);
                if decide(&known_at(now, &sent), &boot_time, limit) != Decision::Grant {
                    continue;
                }
                let arrived = now + sent_after;
                sent.push(Sent {
                    arrived,
                    released: released_after.map(|after| arrived + after),
                    boot,
                    permit: Permit {
                        taken_ms: boot_time.ms,
                        expires_ms: boot_time.ms + HOLD,
                        released_ms: None,
                        boot_id: boot_time.boot_id,
                    },
                });
            }
            let mut arrivals: Vec<i64> = sent.iter().map(|call| call.arrived).collect();
            arrivals.sort_unstable();
            for span in arrivals.windows(calls + 1) {
                prop_assert!(span[calls] - span[0] >= window_ms, "{span:?}");
            }
        }

        #[test]
        fn a_wait_ends_exactly_when_a_place_is_free(
            calls in 1_u32..6,
            taken in prop::collection::vec((0_i64..1_000, prop::option::of(0_i64..HOLD)), 0..12),
        ) {
            let now = 1_000;
            let limit = Limit { calls, window_ms: 700 };
            let permits: Vec<Permit> = taken
                .into_iter()
                .map(|(taken, after)| {
                    permit(taken, taken + HOLD, after.map(|after| (taken + after).min(now)))
                })
                .collect();
            match decide(&permits, &at(now), limit) {
                Decision::Grant => {
                    let counted = permits
                        .iter()
                        .filter(|p| p.released_ms.unwrap_or(p.expires_ms) + 700 > now)
                        .count();
                    prop_assert!(counted < usize::try_from(calls).unwrap());
                }
                wait @ Decision::Wait { until_ms } => {
                    prop_assert_eq!(decide(&permits, &at(until_ms - 1), limit), wait);
                    prop_assert_eq!(decide(&permits, &at(until_ms), limit), Decision::Grant);
                }
            }
        }
    }
}
