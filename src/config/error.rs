//! What can be wrong with a configuration, told so that the operator finds the place at once:
//! file and line (or variable, or flag), key, value and what would be right.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::layers::Origin;
use crate::domain::cut::cut;

/// A longer value is cut in messages, in characters.
const SHOWN: usize = 120;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that is there, or was named, cannot be read.
    #[error("read configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no TOML.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser found and expected.
        message: String,
    },
    /// Keys or values that cannot be used, all that were found; at least one.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
    /// The configuration cannot be written as TOML, say because a path is not UTF-8.
    #[error("write the configuration as TOML: {0}")]
    Unwritable(String),
}

impl ConfigError {
    /// Whether the command line alone is to blame: every problem is a flag's value.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Invalid(problems) => problems
                .iter()
                .all(|problem| matches!(problem.origin, Some(Origin::Flag(_)))),
            Self::Unreadable { .. } | Self::Syntax { .. } | Self::Unwritable(_) => false,
        }
    }
}

/// One key or value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was set; `None` for a [`Config`](super::Config) made by hand.
    pub origin: Option<Origin>,
    /// The key with its sections, such as `queues.scoring.workers`; `None` for an environment
    /// variable that belongs to no key.
    pub key: Option<String>,
    /// The value as TOML; `None` if the key itself is the problem.
    pub value: Option<String>,
    /// What is wrong, or what would be right.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "`{key}`")?;
            if let Some(value) = &self.value {
                write!(f, " = {value}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.reason)
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

/// A value for a message: on one line, nothing in it that a terminal would obey, not too long.
pub(super) fn shown(value: &toml::Value) -> String {
    let text = match value {
        toml::Value::String(text) => format!("{text:?}"),
        toml::Value::Array(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    };
    cut(&text, SHOWN)
}
