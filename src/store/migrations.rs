//! Our tables in the site's file, made and extended by numbered files.
//!
//! The number reached is a row of ours: `user_version` may be the site's. Migrations only add,
//! so the program before still runs, and a file that is ahead of this program is used as it is.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::error::StoreError;

/// The migrations in order; the first is number 1. One that was released is never edited.
const MIGRATIONS: [&str; 6] = [
    include_str!("migrations/0001_tables.sql"),
    include_str!("migrations/0002_score_tries.sql"),
    include_str!("migrations/0003_queue.sql"),
    include_str!("migrations/0004_pages.sql"),
    include_str!("migrations/0005_traces.sql"),
    include_str!("migrations/0006_job_lists.sql"),
];

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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::JobId;
    use super::super::fixture::{Fixture, JOURNALS};

    const OURS: &str = "SELECT type, name, sql FROM sqlite_master WHERE name LIKE 'vvv%'";

    #[test]
    fn our_tables_are_made_once_and_the_site_keeps_its_numbers() {
        for journal in JOURNALS {
            let fixture = Fixture::new(journal);
            fixture.sql("PRAGMA user_version = 42; PRAGMA application_id = 7");
            fixture.writer().close();
            let made = fixture.rows(OURS);
            assert!(made.len() >= 9, "{made:?}");
            fixture.writer().close();
            assert_eq!(fixture.rows(OURS), made);
            assert_eq!(fixture.rows("SELECT * FROM vvv_meta"), ["schema_version|6"]);
            assert_eq!(fixture.rows("PRAGMA user_version"), ["42"]);
            assert_eq!(fixture.rows("PRAGMA application_id"), ["7"]);
        }
    }

    #[test]
    fn a_file_of_an_older_program_gets_what_it_lacks_and_keeps_what_it_has() {
        let fixture = Fixture::new("wal");
        fixture.sql(&format!(
            "{}; CREATE TABLE vvv_meta (key TEXT PRIMARY KEY NOT NULL, value); \
             INSERT INTO vvv_meta VALUES ('schema_version', 1); \
             INSERT INTO vvv_scores VALUES ('a', 'PL', 1.0, 'NORMAL', 1, 1.0, 100);",
            super::MIGRATIONS[0]
        ));
        fixture.writer().close();
        assert_eq!(fixture.rows("SELECT video_id FROM vvv_scores"), ["a"]);
        assert_eq!(fixture.rows("SELECT * FROM vvv_score_tries"), [""; 0]);
        assert_eq!(fixture.rows("SELECT * FROM vvv_meta"), ["schema_version|6"]);
    }

    #[test]
    fn a_file_that_is_ahead_is_used_as_it_is() {
        let fixture = Fixture::new("wal");
        fixture.writer().close();
        fixture
            .sql("UPDATE vvv_meta SET value = 99; CREATE TABLE vvv_later (id INTEGER PRIMARY KEY)");
        fixture.writer().close();
        assert_eq!(
            fixture.rows("SELECT * FROM vvv_meta"),
            ["schema_version|99"]
        );
    }

    #[test]
    fn a_file_that_nobody_migrated_yet_is_looked_into_all_the_same() {
        let fixture = Fixture::new("wal");
        fixture.writer().close();
        fixture.sql("INSERT INTO vvv_jobs (kind, payload) VALUES ('score', '{}')");
        fixture.sql("ALTER TABLE vvv_jobs DROP COLUMN traceparent");
        let job = fixture.reader().job(JobId(1)).unwrap().unwrap();
        assert_eq!(
            (job.trace, job.summary.kind.as_deref()),
            (None, Some("score"))
        );
    }

    #[test]
    fn a_migration_that_was_cut_off_starts_over() {
        let fixture = Fixture::new("delete");
        // All of it is one transaction, so the most that can be there is the table before it.
        fixture.sql("CREATE TABLE vvv_meta (key TEXT PRIMARY KEY NOT NULL, value)");
        fixture.writer().close();
        assert_eq!(fixture.rows("SELECT * FROM vvv_meta"), ["schema_version|6"]);
    }

    #[test]
    fn several_may_migrate_at_once() {
        for journal in JOURNALS {
            let fixture = Fixture::new(journal);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| fixture.writer().close());
                }
            });
            assert_eq!(fixture.rows("SELECT * FROM vvv_meta"), ["schema_version|6"]);
        }
    }
}
