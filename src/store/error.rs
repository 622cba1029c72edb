//! What can go wrong with the site's file, told apart by what a caller does about it: wait for a
//! lock, retry, refuse to start, or give one job up.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use super::groups::GroupId;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file at the path; the store never creates one.
    #[error("find the database {}: no such file", path.display())]
    NoDatabase {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("read {} as a database: it is no SQLite file", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The path cannot be opened.
    #[error("open the database {}: {reason}", path.display())]
    Unopenable {
        /// The path.
        path: PathBuf,
        /// What the system or SQLite said.
        reason: String,
    },
    /// The site's tables are not where the configuration says.
    #[error("find the site's tables in {}: no {}", path.display(), list(missing))]
    Missing {
        /// The file.
        path: PathBuf,
        /// Everything that is missing, at once.
        missing: Vec<Missing>,
    },
    /// This program was linked against an SQLite that loses commits.
    #[error("trust SQLite {found}: from 3.51.3 on its WAL is safe with several writers")]
    OldSqlite {
        /// The version found.
        found: &'static str,
    },
    /// The file or its folder may not be written.
    #[error("write to the database {}: it is read-only", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Another connection holds the lock. Nothing was done; try again.
    #[error("lock the database: another connection holds it")]
    Locked,
    /// Stopped through its `InterruptHandle`. Nothing was done.
    #[error("finish the statement: it was interrupted")]
    Interrupted,
    /// The job is no longer this claim's. Nothing was written.
    #[error("record for a job: its claim is lost")]
    LeaseLost,
    /// The path names another file than the one that was opened, or none. Nothing was written.
    #[error("write to the database: its file, or the WAL beside it, was replaced or removed")]
    Replaced,
    /// The disk is full. Nothing was written.
    #[error("write to the database: the disk is full")]
    StorageFull,
    /// The disk answers with errors. Nothing was written.
    #[error("use the database's file: {0}")]
    Failing(String),
    /// The commit failed in a way that leaves open whether it happened.
    #[error("commit, which may have happened all the same: {0}")]
    Unknown(String),
    /// Our own code broke while writing. Nothing was written.
    #[error("write: panicked: {0}")]
    Panicked(String),
    /// The file is damaged.
    #[error("read the database: {0}")]
    Corrupt(String),
    /// There is no such group, or it has ended.
    #[error("join group {0}: there is none, or it has ended")]
    NoGroup(GroupId),
    /// A payload could not be written.
    #[error("write a job's payload: {0}")]
    Payload(#[source] serde_json::Error),
    /// Anything else SQLite says.
    #[error("run a statement: {0}")]
    Sqlite(#[source] rusqlite::Error),
}

/// A table or column the site's file does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The table.
    pub table: String,
    /// The column; none when the whole table is missing.
    pub column: Option<String>,
    /// The configuration key that maps it.
    pub key: String,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { table, column, key } = self;
        match column {
            None => write!(f, "table {table} ({key})"),
            Some(column) => write!(f, "column {table}.{column} ({key})"),
        }
    }
}

fn list(missing: &[Missing]) -> String {
    let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
    names.join(", ")
}

impl StoreError {
    /// Whether another connection holds the file: waiting helps.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        matches!(self, Self::Locked)
    }

    /// Whether it is the disk's fault, and no job's: there may be room again, or an answer.
    #[must_use]
    pub const fn is_of_the_disk(&self) -> bool {
        matches!(
            self,
            Self::StorageFull | Self::Failing(_) | Self::Unknown(_)
        )
    }

    /// Whether the file itself cannot be used, so that starting is pointless.
    #[must_use]
    pub const fn is_unusable(&self) -> bool {
        matches!(
            self,
            Self::NoDatabase { .. }
                | Self::NotADatabase { .. }
                | Self::Unopenable { .. }
                | Self::Missing { .. }
                | Self::OldSqlite { .. }
                | Self::ReadOnly { .. }
                | Self::Corrupt(_)
                | Self::Replaced
        )
    }
}

/// Whether there was no room. For the index of a WAL, SQLite tells it as an I/O error.
pub(super) fn is_no_room(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| {
        error.code == ErrorCode::DiskFull
            || error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
    })
}

/// Whether SQLite itself found the file no longer at its path, which it tells as read-only.
fn is_moved(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_READONLY_DBMOVED)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if is_no_room(&error) {
            return Self::StorageFull;
        }
        if is_moved(&error) {
            return Self::Replaced;
        }
        match error.sqlite_error_code() {
            // A WAL being set up or recovered by others answers "locking protocol".
            Some(ErrorCode::DatabaseBusy | ErrorCode::FileLockingProtocolFailed) => Self::Locked,
            Some(ErrorCode::OperationInterrupted) => Self::Interrupted,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt(error.to_string())
            }
            Some(ErrorCode::SystemIoFailure) => Self::Failing(error.to_string()),
            _ => Self::Sqlite(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_missing_is_named_with_its_key() {
        let error = StoreError::Missing {
            path: "vault.db".into(),
            missing: vec![
                Missing {
                    table: "films".into(),
                    column: None,
                    key: "schema.videos.table".into(),
                },
                Missing {
                    table: "video_snapshots".into(),
                    column: Some("region".into()),
                    key: "schema.snapshots.region".into(),
                },
            ],
        };
        assert_eq!(
            error.to_string(),
            "find the site's tables in vault.db: no table films (schema.videos.table), \
             column video_snapshots.region (schema.snapshots.region)"
        );
    }
}
