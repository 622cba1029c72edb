//! `db`: looks after the site's database file and our tables in it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
    Doctor(DoctorArgs),
    /// Show how much room our tables take
    Size,
    /// Copy the database while others use it
    Backup(BackupArgs),
    /// Remove our tables; what is the site's stays as it is
    Uninstall(UninstallArgs),
}

/// Arguments of `db doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DoctorArgs {
    /// Create the index that lookups of snapshots need, if it is missing
    #[arg(long)]
    pub create_index: bool,
    /// Turn the file's journal mode to WAL
    #[arg(long)]
    pub set_wal: bool,
}

/// Arguments of `db backup`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct BackupArgs {
    /// The copy to write; must not exist yet
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Arguments of `db uninstall`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct UninstallArgs {
    /// Do it; without this only say what would be removed
    #[arg(long)]
    pub yes: bool,
}
