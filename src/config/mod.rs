//! The configuration: typed sections, layers whose every value knows where it was set, and checks
//! that name the key. The defaults are one commented file, `conf/default.toml`, embedded; nothing
//! repeats them.

mod catalog;
mod check;
mod document;
mod error;
mod files;
mod http;
mod layers;
mod reload;
pub mod sections;
pub mod units;

pub use catalog::DEFAULT_TOML;
pub use error::{ConfigError, Problem};
pub use http::Http;
pub use layers::{Layers, Loaded, Origin, Override};
pub use reload::Reloaded;
pub use sections::*;

use document::Node;

impl Config {
    /// The embedded defaults alone: no file, no environment.
    ///
    /// # Errors
    /// None in practice: a test holds that the embedded file is complete and right.
    pub fn defaults() -> Result<Self, ConfigError> {
        Layers::defaults().map(|loaded| loaded.config)
    }

    /// Every value with its dotted key, in the order of the sections' types; a section's own keys
    /// before the sections in it.
    ///
    /// # Errors
    /// When a value cannot be written as TOML, such as a path that is not UTF-8.
    pub fn values(&self) -> Result<Vec<(String, toml::Value)>, ConfigError> {
        let text =
            toml::to_string(self).map_err(|error| ConfigError::Unwritable(error.to_string()))?;
        let mut entries =
            document::entries(&text).map_err(|error| ConfigError::Unwritable(error.message))?;
        entries.sort_by_key(|entry| entry.line);
        Ok(entries
            .into_iter()
            .filter_map(|entry| match entry.node {
                Node::Section => None,
                Node::Value(value) => Some((entry.key, value)),
            })
            .collect())
    }
}
