//! The flags every command takes, and the configuration they are read into.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::config::{Layers, Loaded, Override};
use crate::face::exit::{Code, Failure};

/// Flags every command takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Read this configuration file instead of the user's or the machine's
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Use this database, whatever a batch file or the configuration names
    #[arg(long, global = true, value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// Log at this level: off, error, warn, info, debug, trace, or a filter
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// How results are printed [default: human on a terminal, else json]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Show no progress and log errors only
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for people
    Human,
    /// One JSON object
    Json,
}

impl Global {
    /// Reads the configuration these flags ask for.
    ///
    /// # Errors
    /// With [`Code::Usage`] if a flag is to blame, else [`Code::Unusable`].
    pub fn load(&self, environment: Vec<(OsString, OsString)>) -> Result<Loaded, Failure> {
        let mut overrides = Vec::new();
        if let Some(path) = &self.db {
            let value = path.to_str().ok_or_else(|| {
                let error = anyhow::anyhow!("--db {}: not UTF-8", path.display());
                Failure::new(Code::Usage, error)
            })?;
            overrides.push(Override {
                key: "database.path",
                value: value.to_owned(),
                flag: "--db",
            });
        }
        if let Some(level) = &self.log_level {
            overrides.push(Override {
                key: "log.level",
                value: level.clone(),
                flag: "--log-level",
            });
        }
        Ok(Layers::load(
            self.config.as_deref(),
            environment,
            &overrides,
        )?)
    }

    /// The format asked for, else the one that suits where standard output goes.
    #[must_use]
    pub fn format(&self, stdout_is_terminal: bool) -> Format {
        self.format.unwrap_or(if stdout_is_terminal {
            Format::Human
        } else {
            Format::Json
        })
    }
}
