//! `db size`: how large the file is and how much of it is ours.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::{DatabaseError, options};
use crate::config::Config;
use crate::store::{Inspector, Intent, Pages, Patience, Rows, StoreError, with_suffix};

/// How long a table may be counted: a WAL's readers are in no one's way …
const COUNT_WAL: Duration = Duration::from_secs(2);

/// … a rollback journal's keep the site from committing.
const COUNT_ROLLBACK: Duration = Duration::from_millis(200);

/// How large everything is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of the WAL beside it; none where there is none.
    pub wal_bytes: Option<u64>,
    /// The file's pages.
    pub pages: Pages,
    /// Our tables; none where no run has made them yet.
    pub ours: Vec<TableSize>,
    /// The site's tables that we read.
    pub site: Vec<TableSize>,
}

/// How large a table is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableSize {
    /// Its name.
    pub table: String,
    /// Its rows.
    pub rows: Rows,
    /// Its bytes with its indexes; none for the site's, and where they cannot be told.
    pub bytes: Option<u64>,
}

/// Measures the database.
///
/// # Errors
/// When it cannot be opened or read.
pub fn size(config: &Config, patience: &mut Patience<'_>) -> Result<Sizes, DatabaseError> {
    let options = options(config)?;
    // Before it is opened: a WAL that lies there afterwards may be our own.
    let (file_bytes, wal_bytes) = bytes_on_disk(&options.path)?;
    let mut inspector = Inspector::open(&options.path, Intent::Look, patience)?;
    let is_wal = patience.wait(|| inspector.journal_mode())? == "wal";
    let limit = if is_wal { COUNT_WAL } else { COUNT_ROLLBACK };
    let pages = patience.wait(|| inspector.pages())?;
    let mut ours = Vec::new();
    for table in patience.wait(|| inspector.own_tables())? {
        let Some(rows) = patience.wait(|| inspector.rows(&table, limit))? else {
            continue;
        };
        let bytes = patience.wait(|| inspector.own_bytes(&table, limit))?;
        ours.push(TableSize { table, rows, bytes });
    }
    let mut site = Vec::new();
    for table in [
        &options.schema.videos.table,
        &options.schema.snapshots.table,
    ] {
        if let Some(rows) = patience.wait(|| inspector.rows(table, limit))? {
            site.push(TableSize {
                table: table.clone(),
                rows,
                bytes: None,
            });
        }
    }
    Ok(Sizes {
        file_bytes,
        wal_bytes,
        pages,
        ours,
        site,
    })
}

/// The bytes of the file and of its WAL.
fn bytes_on_disk(path: &Path) -> Result<(u64, Option<u64>), DatabaseError> {
    let found = path.canonicalize().and_then(|real| {
        let wal = with_suffix(&real, "-wal").metadata();
        Ok((real.metadata()?.len(), wal.ok().map(|found| found.len())))
    });
    found.map_err(|error| {
        let path = path.to_owned();
        DatabaseError::Store(match error.kind() {
            io::ErrorKind::NotFound => StoreError::NoDatabase { path },
            _ => StoreError::Unopenable {
                path,
                reason: error.to_string(),
            },
        })
    })
}
