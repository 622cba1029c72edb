//! Which videos a run works on, read from the site's own tables.

use super::{EngineError, store_options};
use crate::actors::clock::Clock;
use crate::config::Config;
use crate::store::{Reader, SelectedVideo, Selection, StoreError, Writer};

/// Picks videos, those that waited longest first.
///
/// # Errors
/// When no database is named or it cannot be read.
pub fn select(config: &Config, selection: &Selection) -> Result<Vec<SelectedVideo>, EngineError> {
    read(config, |reader| reader.select(selection))
}

/// Where the thumbnails of these videos lie; videos the site does not have are left out.
///
/// # Errors
/// When no database is named or it cannot be read.
pub fn thumbnail_urls(config: &Config, ids: &[String]) -> Result<Vec<SelectedVideo>, EngineError> {
    read(config, |reader| reader.thumbnail_urls(ids))
}

/// Unix time in whole seconds.
#[must_use]
pub fn unix_now() -> i64 {
    Clock::system().unix()
}

fn read<T>(
    config: &Config,
    look: impl Fn(&Reader) -> Result<T, StoreError>,
) -> Result<T, EngineError> {
    if config.database.path.as_os_str().is_empty() {
        return Err(EngineError::NoDatabase);
    }
    let options = store_options(config);
    // Our own tables, which say what was checked when, may not be there yet.
    Writer::open(&options)?.close();
    loop {
        match Reader::open(&options).and_then(|reader| look(&reader)) {
            // Another process writes: a locked database delays, never fails.
            Err(error) if error.is_locked() => {}
            result => return Ok(result?),
        }
    }
}
