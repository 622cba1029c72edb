//! `[http]`: what the daemon serves to browsers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::units;

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// The most that cached pictures may take, bytes; 0: none are cached.
    #[serde(with = "units::bytes")]
    pub thumbnail_cache: u64,
    /// Where they lie. Empty: where the machine or the user keeps caches.
    pub thumbnail_cache_folder: PathBuf,
}
