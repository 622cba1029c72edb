//! How long a failed job waits for its next attempt.

use std::time::Duration;

/// No wait grows beyond this by doubling.
pub const MAX_DELAY: Duration = Duration::from_secs(600);

/// The wait before retry number `retry` (from 1): `base` doubled with each, at most
/// [`MAX_DELAY`], then between half and all of that as `jitter` (0 to 1, random) says, so that
/// jobs that failed together do not come back together.
///
/// Never under `at_least`, the Retry-After of whoever was asked.
#[must_use]
pub fn delay(retry: u32, base: Duration, jitter: f64, at_least: Option<Duration>) -> Duration {
    let doublings = retry.saturating_sub(1);
    let full = 2_u32
        .checked_pow(doublings)
        .and_then(|factor| base.checked_mul(factor))
        .unwrap_or(MAX_DELAY)
        .min(MAX_DELAY);
    let jitter = if jitter.is_nan() {
        1.0
    } else {
        jitter.clamp(0.0, 1.0)
    };
    full.mul_f64(0.5 + 0.5 * jitter)
        .max(at_least.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_retry_waits_twice_as_long_up_to_ten_minutes() {
        let waits: Vec<u64> = (1..=8)
            .map(|retry| delay(retry, 30 * SECOND, 1.0, None).as_secs())
            .collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 600, 600, 600]);
        assert_eq!(delay(0, SECOND, 1.0, None), SECOND);
        assert_eq!(delay(u32::MAX, SECOND, 1.0, None), MAX_DELAY);
        assert_eq!(delay(2, Duration::MAX, 1.0, None), MAX_DELAY);
    }

    #[test]
    fn jitter_takes_up_to_half_away() {
        assert_eq!(delay(1, 8 * SECOND, 0.0, None), 4 * SECOND);
        assert_eq!(delay(1, 8 * SECOND, 0.5, None), 6 * SECOND);
        assert_eq!(delay(1, 8 * SECOND, f64::NAN, None), 8 * SECOND);
        assert_eq!(delay(1, 8 * SECOND, -7.0, None), 4 * SECOND);
    }

    #[test]
    fn a_retry_after_is_never_undercut() {
        let hour = 3600 * SECOND;
        assert_eq!(delay(1, SECOND, 0.3, Some(hour)), hour);
        assert_eq!(
            delay(4, 100 * SECOND, 1.0, Some(7 * SECOND)),
            600 * SECOND,
            "nor does it shorten a longer wait"
        );
    }

    proptest! {
        #[test]
        fn a_wait_is_between_half_and_all_of_the_capped_doubling(
            retry in 1_u32..100,
            base_ms in 0_u64..10_000_000,
            jitter in 0.0..=1.0,
        ) {
            let base = Duration::from_millis(base_ms);
            let wait = delay(retry, base, jitter, None).as_secs_f64();
            let full = (base.as_secs_f64() * 2_f64.powf(f64::from(retry - 1))).min(600.0);
            prop_assert!(wait >= full * 0.5 - 1e-6 && wait <= full + 1e-6, "{wait} of {full}");
        }
    }
}
