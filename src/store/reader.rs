//! A connection that only looks. It never blocks the writer of a WAL for longer than one call.

use std::path::PathBuf;
use std::time::Instant;

use rusqlite::{Connection, InterruptHandle, OptionalExtension};

use super::Options;
use super::connection::connect;
use super::error::StoreError;
use super::site::Site;

/// Its pages are good until the next commit, so a large cache would only be filled in vain.
const CACHE_MIB: u16 = 1;
/// So many, and writers that a rollback journal keeps out meanwhile get their turn.
const LOOKUPS_A_SNAPSHOT: usize = 5_000;
/// Instructions of SQLite's machine, a few rows, between looks at the clock: one row alone may cost
/// tens of milliseconds.
const STEPS: i32 = 100;

/// A read-only connection to the site's file. Open the [`Writer`](super::Writer) first: it makes
/// the tables some reads look at.
///
/// Opening it and every read wait up to 250 ms for a lock and then answer
/// [`StoreError::Locked`]: a [`Patience`](super::Patience) waits longer.
pub struct Reader {
    pub(super) connection: Connection,
    pub(super) site: Site,
    /// The file, to name it in errors.
    pub(super) path: PathBuf,
}

impl Reader {
    /// Opens the file.
    ///
    /// # Errors
    /// When there is no usable database, it is locked, or tables of the site's are missing.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        let (connection, site) = connect(options, CACHE_MIB)?;
        // Not opened read-only: then it could not clean up after a writer that crashed.
        connection.pragma_update(None, "query_only", true)?;
        Ok(Self {
            connection,
            site,
            path: options.path.clone(),
        })
    }

    /// Stops, from another thread, the call that runs now; it answers
    /// [`StoreError::Interrupted`]. Between calls it does nothing.
    #[must_use]
    pub fn interrupt_handle(&self) -> InterruptHandle {
        self.connection.get_interrupt_handle()
    }

    /// Stops every call that still runs then; it answers [`StoreError::Interrupted`], and so does
    /// every later one that takes long, until another time is set.
    ///
    /// # Errors
    /// When SQLite does not take it.
    pub fn stop_at(&mut self, deadline: Instant) -> Result<(), StoreError> {
        let is_over = move || Instant::now() >= deadline;
        Ok(self.connection.progress_handler(STEPS, Some(is_over))?)
    }

    /// Sorts ids by where their rows lie, so that writes to neighbours come together. Ids the
    /// site does not have come last, in their order; where there are no places, nothing moves.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted.
    pub fn in_rowid_order(&self, ids: &mut [String]) -> Result<(), StoreError> {
        let Some(rowid_of) = &self.site.rowid_of else {
            return Ok(());
        };
        let mut places = Vec::with_capacity(ids.len());
        for piece in ids.chunks(LOOKUPS_A_SNAPSHOT) {
            self.in_snapshot(|| {
                let mut lookup = self.connection.prepare_cached(rowid_of)?;
                for id in piece {
                    let rowid: Option<i64> = lookup.query_row([id], |row| row.get(0)).optional()?;
                    places.push((rowid.is_none(), rowid.unwrap_or_default(), places.len()));
                }
                Ok(())
            })?;
        }
        places.sort_unstable();
        let mut unsorted: Vec<String> = ids.iter_mut().map(std::mem::take).collect();
        for (id, (_, _, at)) in ids.iter_mut().zip(places) {
            *id = unsorted.get_mut(at).map(std::mem::take).unwrap_or_default();
        }
        Ok(())
    }

    /// Runs reads on one state of the file.
    pub(super) fn in_snapshot<T>(
        &self,
        reads: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        // An interrupt is forgotten when the last running statement ends, so one that comes
        // between two lookups would be lost: this one runs throughout.
        let mut running = self
            .connection
            .prepare_cached("SELECT 1 UNION ALL SELECT 2")?;
        let mut rows = running.query([])?;
        rows.next()?;
        let outcome = reads();
        drop(rows);
        // Committed whatever came out, for a transaction left open would block the next call.
        let ended = transaction.commit();
        let value = outcome?;
        ended?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, JOURNALS};
    use super::*;

    fn in_rowid_order(reader: &Reader, ids: &[&str]) -> Result<Vec<String>, StoreError> {
        let mut ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        reader.in_rowid_order(&mut ids)?;
        Ok(ids)
    }

    #[test]
    fn a_reader_cannot_write() {
        for journal in JOURNALS {
            let fixture = Fixture::new(journal);
            let reader = fixture.reader();
            let refused = reader.connection.execute("DELETE FROM videos", []);
            assert!(refused.unwrap_err().to_string().contains("readonly"));
        }
    }

    #[test]
    fn a_call_that_takes_too_long_is_stopped_and_the_next_one_is_not() {
        let fixture = Fixture::new("wal");
        let mut reader = fixture.reader();
        let count = |reader: &Reader| {
            let long = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n \
                        WHERE x < 50000) SELECT count(*) FROM n";
            let counted = reader.connection.query_row(long, [], |row| row.get(0));
            counted.map_err(StoreError::from)
        };
        reader.stop_at(Instant::now()).unwrap();
        let stopped: Result<i64, _> = count(&reader);
        assert!(matches!(stopped, Err(StoreError::Interrupted)));
        reader
            .stop_at(Instant::now() + std::time::Duration::from_secs(60))
            .unwrap();
        assert_eq!(count(&reader).unwrap(), 50_000);
    }

    #[test]
    fn ids_are_put_in_the_order_of_their_rows() {
        for journal in JOURNALS {
            let fixture = Fixture::new(journal);
            fixture.sql("INSERT INTO videos (video_id) VALUES ('m'), ('a'), ('z'), ('b')");
            let ordered =
                in_rowid_order(&fixture.reader(), &["?", "b", "a", "!", "z", "m", "a"]).unwrap();
            assert_eq!(ordered, ["m", "a", "a", "z", "b", "?", "!"]);
        }
    }

    #[test]
    fn without_places_ids_stay_as_they_are() {
        let snapshots = "CREATE TABLE video_snapshots \
            (video_id, view_count, likes, comments, region, fetched_at);";
        for videos in [
            "CREATE TABLE videos (video_id TEXT PRIMARY KEY, virality_score) WITHOUT ROWID; \
             INSERT INTO videos VALUES ('b', 1), ('a', 1);",
            "CREATE TABLE v (video_id TEXT PRIMARY KEY, virality_score); \
             INSERT INTO v VALUES ('b', 1), ('a', 1); CREATE VIEW videos AS SELECT * FROM v;",
            // Without an index each lookup would read the whole table.
            "CREATE TABLE videos (video_id TEXT, virality_score); \
             INSERT INTO videos VALUES ('b', 1), ('a', 1);",
            "CREATE TABLE videos (video_id TEXT PRIMARY KEY, virality_score, \
               rowid, oid, _rowid_); \
             INSERT INTO videos (video_id, rowid) VALUES ('b', 1), ('a', 2);",
        ] {
            let fixture = Fixture::with_tables("wal", &format!("{videos}{snapshots}"));
            let ordered = in_rowid_order(&fixture.reader(), &["a", "b"]).unwrap();
            assert_eq!(ordered, ["a", "b"], "{videos}");
        }
    }

    #[test]
    fn a_column_named_rowid_is_not_taken_for_the_place() {
        let fixture = Fixture::with_tables(
            "delete",
            "CREATE TABLE videos (video_id TEXT PRIMARY KEY, virality_score, rowid INTEGER); \
             INSERT INTO videos VALUES ('b', 1, 20), ('a', 1, 10); \
             CREATE TABLE video_snapshots \
               (video_id, view_count, likes, comments, region, fetched_at);",
        );
        let ordered = in_rowid_order(&fixture.reader(), &["a", "b"]).unwrap();
        assert_eq!(ordered, ["b", "a"]);
    }

    #[test]
    fn whole_numbers_as_ids_are_found_by_their_text() {
        let fixture = Fixture::with_tables(
            "delete",
            "CREATE TABLE videos (video_id INTEGER PRIMARY KEY, virality_score); \
             INSERT INTO videos VALUES (10, 1), (9, 1); \
             CREATE TABLE video_snapshots \
               (video_id, view_count, likes, comments, region, fetched_at);",
        );
        let ordered = in_rowid_order(&fixture.reader(), &["x", "10", "9"]).unwrap();
        assert_eq!(ordered, ["9", "10", "x"]);
    }

    #[test]
    fn a_lock_is_reported_and_a_later_call_succeeds() {
        let fixture = Fixture::new("delete");
        fixture.sql("INSERT INTO videos (video_id) VALUES ('a')");
        let reader = fixture.reader();
        let site = fixture.site();
        site.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let refused = in_rowid_order(&reader, &["a"]).unwrap_err();
        assert!(refused.is_locked(), "{refused}");
        site.execute_batch("COMMIT").unwrap();
        assert_eq!(in_rowid_order(&reader, &["a"]).unwrap(), ["a"]);
    }
}
