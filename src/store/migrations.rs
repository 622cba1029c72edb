//! Our tables in the site's file, made and extended by numbered files.
//!
//! The number reached is a row of ours: `user_version` may be the site's. Migrations only add,
//! so the program before still runs, and a file that is ahead of this program is used as it is.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::error::StoreError;

/// The migrations in order; the first is number 1. One that was released is never edited.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_tables.sql")];

/// Runs the migrations the file has not seen, each in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    for (number, migration) in (1_i64..).zip(MIGRATIONS) {
        if version(connection)? < number {
            step(connection, number, migration)?;
        }
    }
    Ok(())
}

fn step(connection: &mut Connection, number: i64, migration: &str) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    if version(&transaction)? < number {
        transaction.execute_batch(
            "CREATE TABLE IF NOT EXISTS vvv_meta (key TEXT PRIMARY KEY NOT NULL, value)",
        )?;
        transaction.execute_batch(migration)?;
        transaction.execute(
            "INSERT OR REPLACE INTO main.vvv_meta (key, value) VALUES ('schema_version', ?1)",
            [number],
        )?;
        tracing::info!(number, "migrated our tables in the site's database");
    }
    Ok(transaction.commit()?)
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    let known: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM main.sqlite_master \
         WHERE type = 'table' AND name = 'vvv_meta')",
        [],
        |row| row.get(0),
    )?;
    if !known {
        return Ok(0);
    }
    let version = connection
        .query_row(
            "SELECT CAST(value AS INTEGER) FROM main.vvv_meta WHERE key = 'schema_version'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    Ok(version.unwrap_or(0))
}
