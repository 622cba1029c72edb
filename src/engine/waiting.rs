//! Waiting for another process to let go of the database before there is an engine to say so.

use std::path::Path;
use std::time::Duration;

use super::database::lock_holders;
use crate::store::{Patience, StoreError};

/// A shorter wait is nobody's business.
const FELT: Duration = Duration::from_secs(2);

/// Tries until no other process is in the way, or until the limit; a wait that is felt is told
/// once in the log.
pub(super) fn patiently<T>(
    database: &Path,
    limit: Option<Duration>,
    attempt: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut is_told = false;
    let mut tell = |waited: Duration| {
        if !is_told && waited >= FELT {
            is_told = true;
            tracing::warn!(
                "another process holds the database; waiting{}",
                who_blocks(database)
            );
        }
    };
    Patience::new(limit, &mut tell).wait(attempt)
}

/// The processes that keep writers of the database waiting, to be put after a text: `: pid 7
/// (python3 fetch.py), RESERVED lock`. Empty where the kernel names none.
#[must_use]
pub fn who_blocks(database: &Path) -> String {
    let holders = lock_holders(database).unwrap_or_default();
    let names: Vec<String> = holders
        .iter()
        .filter(|holder| holder.strongest().blocks_writers())
        .map(ToString::to_string)
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(": {}", names.join("; "))
    }
}
