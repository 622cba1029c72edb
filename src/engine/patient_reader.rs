//! A connection that looks: how long it waits for others' locks, and how long its looks may take.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::EngineError;
use super::waiting::patiently;
use crate::config::Config;
use crate::store::{Options, Reader, StoreError};

/// A reader that has patience.
pub(super) struct PatientReader {
    path: PathBuf,
    held: Mutex<Held>,
}

struct Held {
    reader: Reader,
    /// How long others' locks are waited for.
    within: Duration,
    /// How long all looks together may take, and wait for locks; none: each waits anew, and takes
    /// its time.
    longest: Option<Duration>,
}

impl PatientReader {
    /// Opens the file that the configuration names; `open` makes the reader. It and each look wait so
    /// long for others' locks.
    pub(super) fn open(
        config: &Config,
        within: Duration,
        open: impl Fn(&Options) -> Result<Reader, StoreError>,
    ) -> Result<Self, EngineError> {
        if config.database.path.as_os_str().is_empty() {
            return Err(EngineError::NoDatabase);
        }
        let options = super::store_options(config);
        let reader = patiently(&options.path, Some(within), || open(&options))?;
        let held = Held {
            reader,
            within,
            longest: None,
        };
        Ok(Self {
            path: options.path,
            held: Mutex::new(held),
        })
    }

    /// From now on all looks together wait so long for others' locks, and end as interrupted when they
    /// took longer than `longest`, the waiting not counted.
    pub(super) fn bound(&mut self, within: Duration, longest: Duration) {
        let held = self.held.get_mut().unwrap_or_else(PoisonError::into_inner);
        (held.within, held.longest) = (within, Some(longest));
    }

    /// Looks, and waits while another process holds the file.
    pub(super) fn look<T>(
        &self,
        look: impl Fn(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, EngineError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Held {
            reader,
            within,
            longest,
        } = &mut *held;
        let (began, mut took) = (Instant::now(), Duration::ZERO);
        let looked = patiently(&self.path, Some(*within), || {
            let begins = Instant::now();
            if let Some(longest) = *longest {
                // A short look would be over before SQLite asks whether it may go on.
                if longest.is_zero() {
                    return Err(StoreError::Interrupted);
                }
                reader.stop_at(begins + longest)?;
            }
            let looked = look(reader);
            if !matches!(looked, Err(StoreError::Locked)) {
                took = begins.elapsed();
            }
            looked
        });
        if let Some(longest) = longest {
            *longest = longest.saturating_sub(took);
            *within = within.saturating_sub(began.elapsed().saturating_sub(took));
        }
        Ok(looked?)
    }
}
