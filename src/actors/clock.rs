//! The clocks actors read, in one place so that time can be passed in.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::rate_window::{BootTime, UNKNOWN_BOOT};
use crate::fetch::boot_ms;

/// Wall clock and time since boot.
#[derive(Debug, Clone)]
pub struct Clock {
    boot_id: String,
}

impl Clock {
    /// The machine's clocks. Where the kernel tells no boot id, as in a jail without `/proc`, one name
    /// stands for every boot, and is taken for each: all processes still share a window.
    #[must_use]
    pub fn system() -> Self {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map(|id| id.trim().to_owned())
            .unwrap_or_else(|_| UNKNOWN_BOOT.to_owned());
        Self { boot_id }
    }

    /// Milliseconds since boot, suspended time included, with the boot they belong to.
    #[must_use]
    pub fn boot(&self) -> BootTime {
        BootTime {
            boot_id: self.boot_id.clone(),
            ms: boot_ms(),
        }
    }

    /// Unix time in milliseconds.
    #[must_use]
    pub fn unix_ms(&self) -> i64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// Unix time in whole seconds.
    #[must_use]
    pub fn unix(&self) -> i64 {
        self.unix_ms().div_euclid(1000)
    }
}
