//! A connection that looks after the file rather than at the work: it needs none of the site's
//! tables, waits for others as long as it is told to, and leaves the file as it found it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::connection::LOCK_STEP;
use super::error::StoreError;
use super::patience::Patience;

/// How many of SQLite's own instructions pass between two looks at the clock.
const LOOK_EVERY: i32 = 1000;

/// What a connection is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// It can write nothing.
    Look,
    /// It may write.
    Mend,
}

/// A connection to a file that need not be a site's.
pub struct Inspector {
    pub(super) connection: Connection,
}

impl Inspector {
    /// Opens the file.
    ///
    /// # Errors
    /// When there is none, it is no database or may not be read, or to mend it, not written.
    pub fn open(
        path: &Path,
        intent: Intent,
        patience: &mut Patience<'_>,
    ) -> Result<Self, StoreError> {
        let real = locate(path)?;
        // Folding a WAL back and deleting it is a change too: a reader that may not make one
        // could read the file before and no longer after.
        let leaves_wal = intent == Intent::Look && with_suffix(&real, "-wal").exists();
        patience.wait(|| {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&real, flags)
                .and_then(|connection| prepare(connection, intent, leaves_wal))
                .map_err(|error| unusable(path, error))?;
            if intent == Intent::Mend && connection.is_readonly("main")? {
                return Err(StoreError::ReadOnly {
                    path: path.to_owned(),
                });
            }
            Ok(Self { connection })
        })
    }

    /// The journal mode, as SQLite names it: `delete`, `wal` and others.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn journal_mode(&self) -> Result<String, StoreError> {
        let sql = "PRAGMA main.journal_mode";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// Runs `work` for at most `limit`; none: it took longer and was stopped.
    pub(super) fn within<T>(
        &mut self,
        limit: Duration,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let deadline = Instant::now() + limit;
        self.unless(move || Instant::now() >= deadline, work)
    }

    /// Runs `work` until `stop` says so; none: it did.
    pub(super) fn unless<T>(
        &mut self,
        stop: impl FnMut() -> bool + Send + 'static,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.connection.progress_handler(LOOK_EVERY, Some(stop))?;
        let outcome = work(&self.connection);
        self.connection
            .progress_handler(LOOK_EVERY, None::<fn() -> bool>)?;
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(StoreError::Interrupted) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the file has this table; ours are made by the first run.
    pub(super) fn has_table(&self, name: &str) -> Result<bool, StoreError> {
        has_table(&self.connection, name)
    }
}

/// Whether the file has this table; ours are made by the first run.
pub(super) fn has_table(connection: &Connection, name: &str) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = ?1")?
        .exists([name])?)
}

/// The file behind links, which is the one SQLite puts its other files beside.
fn locate(path: &Path) -> Result<PathBuf, StoreError> {
    let unopenable = |reason: String| StoreError::Unopenable {
        path: path.to_owned(),
        reason,
    };
    match path.canonicalize() {
        Ok(real) if real.is_file() => Ok(real),
        Ok(_) => Err(unopenable("not a file".to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(StoreError::NoDatabase {
            path: path.to_owned(),
        }),
        Err(error) => Err(unopenable(error.to_string())),
    }
}

/// The path of a file SQLite keeps beside a database: `-wal`, `-shm`, `-journal`.
#[must_use]
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn prepare(
    connection: Connection,
    intent: Intent,
    leaves_wal: bool,
) -> Result<Connection, rusqlite::Error> {
    connection.busy_timeout(LOCK_STEP)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, leaves_wal)?;
    // The site's rows are not ours to delete by its keys.
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    connection.pragma_update(None, "query_only", intent == Intent::Look)?;
    // The first read of the file: here it proves to be a database.
    connection.query_row("SELECT count(*) FROM main.sqlite_master", [], |_| Ok(()))?;
    Ok(connection)
}

/// What an error at the first read says about the file.
fn unusable(path: &Path, error: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::NotADatabase { path },
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::SystemIoFailure
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly,
        ) => StoreError::Unopenable {
            path,
            reason: error.to_string(),
        },
        _ => error.into(),
    }
}

/// Quotes a name with backticks: where a name in double quotes is no column, SQLite silently
/// takes it for text.
pub(super) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
