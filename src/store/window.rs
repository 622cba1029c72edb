//! Looking at the rate window: how full it is, and until when.

use rusqlite::Connection;

use super::error::StoreError;
use super::permits::{Upstream, read_permits};
use super::reader::Reader;
use crate::domain::rate_window::{BootTime, Decision, Limit, Permit, decide};

/// An upstream's window. Times are milliseconds since this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateWindow {
    /// Permits that fill it now.
    pub used: u32,
    /// When the next call may be sent, if not now.
    pub next_ms: Option<i64>,
    /// Until when the upstream is left alone, if it is.
    pub parked_until_ms: Option<i64>,
}

impl Reader {
    /// How an upstream's window is filled.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn rate_window(
        &self,
        upstream: &str,
        limit: Limit,
        now: &BootTime,
    ) -> Result<RateWindow, StoreError> {
        rate_window(&self.connection, upstream, limit, now)
    }
}

/// How an upstream's window is filled.
pub(super) fn rate_window(
    connection: &Connection,
    upstream: &str,
    limit: Limit,
    now: &BootTime,
) -> Result<RateWindow, StoreError> {
    let permits: Vec<Permit> = read_permits(connection, upstream)?
        .into_iter()
        .map(|(_, permit)| permit)
        .filter(|permit| permit.counts_until(now, limit.window_ms) > now.ms)
        .collect();
    let next_ms = match decide(&permits, now, limit) {
        Decision::Grant => None,
        Decision::Wait { until_ms } => Some(until_ms),
    };
    Ok(RateWindow {
        used: u32::try_from(permits.len()).unwrap_or(u32::MAX),
        next_ms,
        parked_until_ms: Upstream::read(connection, upstream)?.parked_until(now),
    })
}
