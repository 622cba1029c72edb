//! What `db` does to a file when told to: journal mode, indexes, and taking our tables out again;
//! and how large everything is.

use std::time::Duration;

use rusqlite::{Connection, Row, TransactionBehavior};
use serde::Serialize;

use super::error::StoreError;
use super::inspect::{Inspector, quote};
use super::patience::Patience;

/// Something of ours in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnObject {
    /// `table`, `index`, `view` or `trigger`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The table it belongs to; its own name for a table.
    pub table: String,
    /// Its rows; none for what has none of its own.
    pub rows: Option<u64>,
}

/// The rows of a table, as far as they can be told in passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rows {
    /// Counted.
    Exact(u64),
    /// Too many to count in passing; the highest rowid, no fewer than there are.
    AtMost(u64),
    /// Too many to count in passing.
    Unknown,
}

/// The sizes SQLite itself tells of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pages {
    /// Bytes of one.
    pub size: u64,
    /// How many the file has.
    pub count: u64,
    /// How many of them hold nothing.
    pub free: u64,
}

impl Inspector {
    /// Turns the journal to a WAL; the mode it then has, which is another one where the file
    /// system allows none.
    ///
    /// # Errors
    /// When the file is locked for longer than the patience lasts, or cannot be written.
    pub fn set_wal(&self, patience: &mut Patience<'_>) -> Result<String, StoreError> {
        patience.wait(|| {
            let sql = "PRAGMA main.journal_mode = wal";
            Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
        })
    }

    /// Runs the statement of a [`NeededIndex`](super::NeededIndex). The write lock is held
    /// throughout.
    ///
    /// # Errors
    /// When the file is locked for longer than the patience lasts, or cannot be written.
    pub fn make_index(
        &self,
        statement: &str,
        patience: &mut Patience<'_>,
    ) -> Result<(), StoreError> {
        let run = |sql: &str| Ok(self.connection.execute_batch(sql)?);
        patience.wait(|| run("BEGIN IMMEDIATE"))?;
        // The COMMIT alone is tried again where readers of a rollback journal are in its way.
        let made = run(statement).and_then(|()| patience.wait(|| run("COMMIT")));
        if made.is_err() && !self.connection.is_autocommit() {
            run("ROLLBACK")?;
        }
        made
    }

    /// The names of our tables.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn own_tables(&self) -> Result<Vec<String>, StoreError> {
        let mut listed = self.connection.prepare(
            "SELECT name FROM main.sqlite_master \
             WHERE type = 'table' AND name GLOB 'vvv_*' ORDER BY name",
        )?;
        let names = listed.query_map([], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// Everything of ours in the file.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn own_objects(&self) -> Result<Vec<OwnObject>, StoreError> {
        own_objects(&self.connection)
    }

    /// Removes everything of ours, all or nothing; what was removed.
    ///
    /// # Errors
    /// When the file is locked for longer than the patience lasts, or cannot be written.
    pub fn drop_own(&mut self, patience: &mut Patience<'_>) -> Result<Vec<OwnObject>, StoreError> {
        patience.wait(|| {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let objects = own_objects(&transaction)?;
            for object in &objects {
                // Indexes and triggers go with a table of ours.
                let goes_along = object.kind != "table" && is_ours(&object.table);
                if !goes_along || object.kind == "view" {
                    let (kind, name) = (object.kind.to_uppercase(), quote(&object.name));
                    transaction.execute_batch(&format!("DROP {kind} main.{name}"))?;
                }
            }
            transaction.commit()?;
            Ok(objects)
        })
    }

    /// The file's pages.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn pages(&self) -> Result<Pages, StoreError> {
        let read = |name: &str| -> Result<u64, StoreError> {
            let sql = format!("PRAGMA main.{name}");
            Ok(self.connection.query_row(&sql, [], unsigned)?)
        };
        Ok(Pages {
            size: read("page_size")?,
            count: read("page_count")?,
            free: read("freelist_count")?,
        })
    }

    /// Counts the rows of a table, for at most `limit`; none: there is no such table.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn rows(&mut self, table: &str, limit: Duration) -> Result<Option<Rows>, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM main.sqlite_master \
                   WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE)";
        let is_there: bool = self.connection.query_row(sql, [table], |row| row.get(0))?;
        if !is_there {
            return Ok(None);
        }
        let table = quote(table);
        let counted = self.within(limit, |connection| {
            let sql = format!("SELECT count(*) FROM main.{table}");
            Ok(connection.query_row(&sql, [], unsigned)?)
        })?;
        if let Some(count) = counted {
            return Ok(Some(Rows::Exact(count)));
        }
        let sql = format!("SELECT max(_rowid_) FROM main.{table}");
        let highest: Option<i64> = self
            .connection
            .query_row(&sql, [], |row| row.get(0))
            .unwrap_or_default();
        let highest = highest.and_then(|rowid| u64::try_from(rowid).ok());
        Ok(Some(highest.map_or(Rows::Unknown, Rows::AtMost)))
    }

    /// The bytes of a table of ours with its indexes; none where this SQLite cannot tell, or not
    /// within `limit`.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn own_bytes(&mut self, table: &str, limit: Duration) -> Result<Option<u64>, StoreError> {
        let summed = self.within(limit, |connection| {
            let mut parts = connection.prepare(
                "SELECT name FROM main.sqlite_master WHERE tbl_name = ?1 AND rootpage > 0",
            )?;
            let mut bytes =
                connection.prepare("SELECT pgsize FROM dbstat('main', 1) WHERE name = ?1")?;
            let mut sum = 0_u64;
            for part in parts.query_map([table], |row| row.get::<_, String>(0))? {
                sum += bytes.query_row([part?], unsigned)?;
            }
            Ok(sum)
        });
        match summed {
            Err(StoreError::Sqlite(_)) => Ok(None),
            other => other,
        }
    }
}

/// A count or size: SQLite's integers are signed, these never negative.
fn unsigned(row: &Row<'_>) -> Result<u64, rusqlite::Error> {
    let integer: i64 = row.get(0)?;
    Ok(u64::try_from(integer).unwrap_or(0))
}

fn is_ours(name: &str) -> bool {
    name.starts_with("vvv_")
}

/// Triggers and views first: nothing must hang on a table that goes.
fn own_objects(connection: &Connection) -> Result<Vec<OwnObject>, StoreError> {
    let mut listed = connection.prepare(
        "SELECT type, name, tbl_name FROM main.sqlite_master WHERE name GLOB 'vvv_*' \
         ORDER BY type = 'table', type = 'index', type, name",
    )?;
    let mut objects: Vec<OwnObject> = listed
        .query_map([], |row| {
            Ok(OwnObject {
                kind: row.get(0)?,
                name: row.get(1)?,
                table: row.get(2)?,
                rows: None,
            })
        })?
        .collect::<Result<_, _>>()?;
    for table in objects.iter_mut().filter(|object| object.kind == "table") {
        let sql = format!("SELECT count(*) FROM main.{}", quote(&table.name));
        table.rows = Some(connection.query_row(&sql, [], unsigned)?);
    }
    Ok(objects)
}
