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
        let ahead = if self.boot_id == now.boot_id {
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
        if self.boot_id != now.boot_id {
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

/// How long an upstream that answered 429 is left alone: as long as it asks, else a minute,
/// doubled for each of the `strikes` it gave in a row before, up to an hour.
///
/// A Retry-After of zero says nothing, so it counts as none.
#[must_use]
pub fn park_for(retry_after: Option<Duration>, strikes: u32) -> Duration {
    retry_after
        .filter(|asked| !asked.is_zero())
        .unwrap_or_else(|| {
            FIRST_PARK
                .saturating_mul(2_u32.saturating_pow(strikes))
                .min(MAX_PARK)
        })
}
