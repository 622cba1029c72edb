//! The configuration: typed sections, layers whose every value knows where it was set, and checks
//! that name the key. The defaults are one commented file, `conf/default.toml`, embedded; nothing
//! repeats them.

mod catalog;
mod check;
mod document;
mod error;
mod files;
mod layers;
pub mod sections;
pub mod units;

use std::collections::BTreeMap;

pub use catalog::DEFAULT_TOML;
pub use error::{ConfigError, Problem};
pub use layers::{Layers, Loaded, Origin, Override};
pub use sections::*;

impl Config {
    /// The embedded defaults alone: no file, no environment.
    ///
    /// # Errors
    /// None in practice: a test holds that the embedded file is complete and right.
    pub fn defaults() -> Result<Self, ConfigError> {
        Layers::defaults().map(|loaded| loaded.config)
    }

    /// Every value by its dotted key, as TOML writes it.
    ///
    /// # Errors
    /// When a value cannot be written as TOML, such as a path that is not UTF-8.
    pub fn values(&self) -> Result<BTreeMap<String, toml::Value>, ConfigError> {
        let table = toml::Table::try_from(self)
            .map_err(|error| ConfigError::Unwritable(error.to_string()))?;
        let mut values = BTreeMap::new();
        flatten("", table, &mut values);
        Ok(values)
    }
}

fn flatten(prefix: &str, table: toml::Table, values: &mut BTreeMap<String, toml::Value>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, values),
            leaf => {
                values.insert(key, leaf);
            }
        }
    }
}
