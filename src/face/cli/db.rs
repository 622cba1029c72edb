//! `db`: looks after the site's database file and our tables in it.

pub mod backup;
pub mod doctor;
mod size;
pub mod uninstall;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Console, Global};
use crate::config::Loaded;
use crate::engine::database::DatabaseError;
use crate::face::exit::{Code, Failure, printed};

/// The most of one line that is printed, in bytes.
const LONGEST_LINE: usize = 4096;

/// Arguments of `db`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DbArgs {
    /// What to do with the database.
    #[command(subcommand)]
    pub action: DbAction,
}

/// What `db` does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum DbAction {
    /// Look for what makes the database slow or unsafe, and mend what flags name
    ///
    /// Prints one line a finding, `ok`, `warn` or `bad`, and exits with 1 if something needs
    /// doing. Writes nothing unless a flag says so.
    Doctor(doctor::DoctorArgs),
    /// Show how large the file is and how much room our tables take
    Size,
    /// Copy the database while others use it, and check the copy
    Backup(backup::BackupArgs),
    /// Remove our tables, after showing them; what is the site's stays as it is
    Uninstall(uninstall::UninstallArgs),
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        let code = match &error {
            DatabaseError::NotNamed | DatabaseError::BackupExists(_) => Code::Usage,
            DatabaseError::BackupUnwritable { .. } | DatabaseError::CopyDamaged { .. } => {
                Code::Failed
            }
            DatabaseError::Store(_) => Code::Unusable,
        };
        Self::new(code, error)
    }
}

/// Runs it.
///
/// # Errors
/// When the database cannot be used, or standard output cannot be written.
pub fn run(
    arguments: &DbArgs,
    global: &Global,
    loaded: &Loaded,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let config = &loaded.config;
    match &arguments.action {
        DbAction::Doctor(doctor) => doctor::run(doctor, global, config, console),
        DbAction::Size => size::run(global, config, console),
        DbAction::Backup(backup) => backup::run(backup, global, config, console),
        DbAction::Uninstall(uninstall) => uninstall::run(uninstall, global, config, console),
    }
}

/// Bytes in the unit people would choose, one decimal.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut scaled = count as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while scaled >= 1024.0 {
        let Some(next) = units.next() else { break };
        scaled /= 1024.0;
        unit = Some(next);
    }
    format!("{scaled:.1} {}", unit.unwrap_or(&"KiB"))
}

/// One object on one line.
pub(super) fn json_line(value: &impl Serialize) -> String {
    // Nothing printed here can fail to be written as JSON.
    serde_json::to_string(value).map_or_else(|_| String::new(), |text| text + "\n")
}

/// Prints a result.
pub(super) fn print(text: &str, console: &mut Console<'_>) -> Result<Code, Failure> {
    let stdout = &mut *console.stdout;
    printed(
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_the_unit_people_would_choose() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(115 << 20), "115.0 MiB");
        assert_eq!(bytes(u64::MAX), "16777216.0 TiB");
    }
}
