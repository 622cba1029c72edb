//! What a table of the site's is: its columns, its indexes, and whether its rows have places.

use rusqlite::{Connection, OptionalExtension};

use super::error::StoreError;
use super::site::qualify;

/// A table or view of the site's.
pub(super) struct Table {
    /// Empty: there is no such table.
    pub(super) columns: Vec<String>,
    /// The name its rowid goes by; none for a view and a table without one.
    pub(super) rowid: Option<&'static str>,
    pub(super) is_view: bool,
    pub(super) has_triggers: bool,
    /// The columns of each index, its primary key among them, in order.
    indexes: Vec<Vec<String>>,
}

impl Table {
    /// Looks a name up.
    pub(super) fn find(connection: &Connection, name: &str) -> Result<Self, StoreError> {
        let columns: Vec<String> = connection
            .prepare("SELECT name FROM pragma_table_xinfo(?1, 'main')")?
            .query_map([name], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let is_view = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM main.sqlite_master \
             WHERE type = 'view' AND name = ?1 COLLATE NOCASE)",
            [name],
            |row| row.get(0),
        )?;
        let has_triggers = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM main.sqlite_master \
             WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE)",
            [name],
            |row| row.get(0),
        )?;
        let rowid = if is_view {
            None
        } else {
            rowid_name(connection, name, &columns)?
        };
        Ok(Self {
            indexes: indexes(connection, name)?,
            columns,
            rowid,
            is_view,
            has_triggers,
        })
    }

    pub(super) fn has(&self, column: &str) -> bool {
        self.columns
            .iter()
            .any(|known| known.eq_ignore_ascii_case(column))
    }

    /// Whether rows are found by these columns, the first ones of an index.
    pub(super) fn is_indexed(&self, columns: &[&String]) -> bool {
        self.indexes.iter().any(|index| {
            index.len() >= columns.len()
                && index
                    .iter()
                    .zip(columns)
                    .all(|(indexed, column)| indexed.eq_ignore_ascii_case(column))
        })
    }
}

/// The alias of the rowid that no column of the table hides.
fn rowid_name(
    connection: &Connection,
    table: &str,
    columns: &[String],
) -> Result<Option<&'static str>, StoreError> {
    let free = ["rowid", "_rowid_", "oid"].into_iter().find(|alias| {
        !columns
            .iter()
            .any(|column| column.eq_ignore_ascii_case(alias))
    });
    let Some(alias) = free else { return Ok(None) };
    match connection.prepare(&format!("SELECT {alias} FROM {}", qualify(table))) {
        Ok(_) => Ok(Some(alias)),
        Err(error) => match StoreError::from(error) {
            // WITHOUT ROWID: there is no such column.
            StoreError::Sqlite(_) => Ok(None),
            other => Err(other),
        },
    }
}

fn indexes(connection: &Connection, table: &str) -> Result<Vec<Vec<String>>, StoreError> {
    let mut listed =
        connection.prepare("SELECT name FROM pragma_index_list(?1, 'main') WHERE partial = 0")?;
    let mut columns = connection
        .prepare("SELECT coalesce(name, '') FROM pragma_index_info(?1, 'main') ORDER BY seqno")?;
    let names: Vec<String> = listed
        .query_map([table], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut indexes = Vec::with_capacity(names.len() + 1);
    for name in names {
        indexes.push(
            columns
                .query_map([name], |row| row.get(0))?
                .collect::<Result<_, _>>()?,
        );
    }
    // A rowid with a name of its own needs no index.
    let own_rowid: Option<String> = connection
        .query_row(
            "SELECT max(name) FROM pragma_table_xinfo(?1, 'main') WHERE pk > 0 \
             HAVING count(*) = 1 AND max(type) = 'INTEGER' COLLATE NOCASE",
            [table],
            |row| row.get(0),
        )
        .optional()?
        .flatten();
    indexes.extend(own_rowid.map(|name| vec![name]));
    Ok(indexes)
}
