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
