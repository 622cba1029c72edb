//! Which videos a run works on, read from the site's own tables.

use std::time::Duration;

use super::waiting::patiently;
use super::{EngineError, store_options};
use crate::actors::clock::Clock;
use crate::config::Config;
use crate::store::{Reader, SelectedVideo, Selection, StoreError, Writer};

/// Picks videos, those that waited longest first. Waits for other processes to let go of the
/// database, but no longer than `within`.
///
/// # Errors
/// When no database is named, it cannot be read, or another process holds it for too long.
pub fn select(
    config: &Config,
    selection: &Selection,
    within: Option<Duration>,
) -> Result<Vec<SelectedVideo>, EngineError> {
    read(config, within, |reader| reader.select(selection))
}

/// Where the thumbnails of these videos lie; videos the site does not have are left out.
///
/// Waits as [`select`] does.
///
/// # Errors
/// When no database is named, it cannot be read, or another process holds it for too long.
pub fn thumbnail_urls(
    config: &Config,
    ids: &[String],
    within: Option<Duration>,
) -> Result<Vec<SelectedVideo>, EngineError> {
    read(config, within, |reader| reader.thumbnail_urls(ids))
}

/// Unix time in whole seconds.
#[must_use]
pub fn unix_now() -> i64 {
    Clock::system().unix()
}

fn read<T>(
    config: &Config,
    within: Option<Duration>,
    look: impl Fn(&Reader) -> Result<T, StoreError>,
) -> Result<T, EngineError> {
    if config.database.path.as_os_str().is_empty() {
        return Err(EngineError::NoDatabase);
    }
    let options = store_options(config);
    let found = patiently(&options.path, within, || {
        // Our own tables, which say what was checked when, may not be there yet.
        Writer::open(&options)?.close();
        look(&Reader::open(&options)?)
    });
    Ok(found?)
}
