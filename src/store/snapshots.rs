//! Reading snapshots: the hot path of scoring. Nothing is allocated a video.

use std::time::{Duration, Instant};

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::cell::seconds_of;
use super::error::StoreError;
use super::reader::Reader;
use crate::config::FetchedAt;
use crate::domain::score::{Count, Snapshot};

/// After this the next video is read from a new state of the file.
pub(super) const LONGEST_READ: Duration = Duration::from_millis(20);

/// A snapshot before it is read.
pub(super) const EMPTY: Snapshot = Snapshot {
    views: Count::Missing,
    likes: Count::Missing,
    comments: Count::Missing,
    region: None,
    seconds: None,
    region_is_unreadable: false,
};

impl Reader {
    /// Reads the last two snapshots of each video, newest first, and hands them to `each`, video by
    /// video in order, until that answers false. A video's are of one state of the file; for all
    /// together that state would be held, and with a rollback journal every writer kept out, for
    /// as long as it takes.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted; then the videos
    /// after the last one handed over are missing.
    pub fn snapshots(
        &self,
        video_ids: &[String],
        mut each: impl FnMut(&String, &[Snapshot]) -> bool,
    ) -> Result<(), StoreError> {
        let mut last = [EMPTY; 2];
        let mut ids = video_ids.iter().peekable();
        let mut go_on = true;
        while go_on && ids.peek().is_some() {
            let begun = Instant::now();
            self.in_snapshot(|| {
                let mut lookup = self.connection.prepare_cached(&self.site.last_snapshots)?;
                while let Some(id) = ids.next_if(|_| go_on && begun.elapsed() < LONGEST_READ) {
                    let mut rows = lookup.query([id])?;
                    let mut found = 0;
                    for snapshot in &mut last {
                        let Some(row) = rows.next()? else { break };
                        read(snapshot, row, self.site.fetched_at)?;
                        found += 1;
                    }
                    go_on = each(id, last.get(..found).unwrap_or_default());
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Fills a snapshot from a row that begins as those of `Site::last_snapshots` do, keeping the
/// region's buffer.
pub(super) fn read(
    snapshot: &mut Snapshot,
    row: &Row<'_>,
    form: FetchedAt,
) -> Result<(), StoreError> {
    snapshot.views = count(row.get_ref(0)?);
    snapshot.likes = count(row.get_ref(1)?);
    snapshot.comments = count(row.get_ref(2)?);
    snapshot.region_is_unreadable = !read_region(&mut snapshot.region, row.get_ref(3)?);
    snapshot.seconds = seconds_of(row.get_ref(4)?, form);
    Ok(())
}

/// False if the cell is text that is no UTF-8: to guess at its letters would score the video by
/// a region nobody wrote.
fn read_region(region: &mut Option<String>, cell: ValueRef<'_>) -> bool {
    match cell {
        ValueRef::Text(text) => {
            let Ok(text) = std::str::from_utf8(text) else {
                *region = None;
                return false;
            };
            let buffer = region.get_or_insert_default();
            buffer.clear();
            buffer.push_str(text);
        }
        ValueRef::Integer(integer) => *region = Some(integer.to_string()),
        ValueRef::Real(real) => *region = Some(real.to_string()),
        ValueRef::Null | ValueRef::Blob(_) => *region = None,
    }
    true
}

const fn count(cell: ValueRef<'_>) -> Count {
    match cell {
        ValueRef::Null => Count::Missing,
        ValueRef::Integer(integer) => Count::Integer(integer),
        ValueRef::Real(real) => Count::Real(real),
        ValueRef::Text(_) | ValueRef::Blob(_) => Count::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, JOURNALS};
    use super::*;

    fn read_all(reader: &Reader, ids: &[&str]) -> Vec<Vec<Snapshot>> {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let mut all = Vec::new();
        reader
            .snapshots(&ids, |id, last| {
                assert_eq!(id, &ids[all.len()]);
                all.push(last.to_vec());
                true
            })
            .unwrap();
        all
    }

    fn with_snapshots(journal: &str, rows: &str) -> Fixture {
        let fixture = Fixture::new(journal);
        fixture.sql(&format!(
            "INSERT INTO video_snapshots \
             (video_id, view_count, likes, comments, region, fetched_at) VALUES {rows}"
        ));
        fixture
    }

    fn views(of: &[Snapshot]) -> Vec<Count> {
        of.iter().map(|snapshot| snapshot.views).collect()
    }

    #[test]
    fn the_last_two_come_newest_first_and_equal_times_by_row() {
        for journal in JOURNALS {
            let fixture = with_snapshots(
                journal,
                "('a', 2, 20, 200, 'PL', '2026-01-02 00:00:00'), \
                 ('a', 1, 10, 100, 'NL', '2026-01-01 00:00:00'), \
                 ('a', 3, 30, 300, NULL, '2026-01-02 00:00:00'), \
                 ('b', 9, 0, 0, 'SE', '2026-01-01 10:00:00')",
            );
            let all = read_all(&fixture.reader(), &["b", "none", "a"]);
            assert_eq!(views(&all[0]), [Count::Integer(9)]);
            assert_eq!(all[1], []);
            assert_eq!(views(&all[2]), [Count::Integer(3), Count::Integer(2)]);
            assert_eq!(
                all[2][1],
                Snapshot {
                    views: Count::Integer(2),
                    likes: Count::Integer(20),
                    comments: Count::Integer(200),
                    region: Some("PL".to_owned()),
                    seconds: Some(1_767_312_000),
                    region_is_unreadable: false,
                }
            );
            assert_eq!(
                all[2][0].region, None,
                "nothing is left of the video before"
            );
        }
    }

    #[test]
    fn times_are_ordered_as_text_and_read_by_sqlite() {
        let fixture = with_snapshots(
            "wal",
            "('a', 1, 0, 0, NULL, '2026-01-01T10:00:00+02:00'), \
             ('a', 2, 0, 0, NULL, '2026-01-01 09:59:59.999'), \
             ('b', 3, 0, 0, NULL, 'yesterday'), ('b', 4, 0, 0, NULL, NULL), \
             ('c', 5, 0, 0, NULL, x'00ff')",
        );
        let all = read_all(&fixture.reader(), &["a", "b", "c"]);
        let seconds = |of: &[Snapshot]| -> Vec<_> { of.iter().map(|s| s.seconds).collect() };
        // 'T' sorts after a space, whatever the zones say.
        assert_eq!(views(&all[0]), [Count::Integer(1), Count::Integer(2)]);
        assert_eq!(seconds(&all[0]), [Some(1_767_254_400), Some(1_767_261_599)]);
        assert_eq!(seconds(&all[1]), [None, None]);
        assert_eq!(seconds(&all[2]), [None]);
    }

    #[test]
    fn cells_of_odd_types_are_told_apart() {
        let fixture = with_snapshots(
            "wal",
            "('a', NULL, 1.5, 'many', 7, '2026-01-02'), \
             ('a', x'01', '12', 9223372036854775807, x'50', '2026-01-01')",
        );
        let all = read_all(&fixture.reader(), &["a"]);
        let [latest, previous] = all[0].as_slice() else {
            panic!("{all:?}")
        };
        assert_eq!(latest.views, Count::Missing);
        assert_eq!(latest.likes, Count::Real(1.5));
        assert_eq!(latest.comments, Count::Unreadable);
        assert_eq!(latest.region.as_deref(), Some("7"));
        assert_eq!(previous.views, Count::Unreadable);
        // The column's own type made a number of it.
        assert_eq!(previous.likes, Count::Integer(12));
        assert_eq!(previous.comments, Count::Integer(i64::MAX));
        assert_eq!(previous.region, None);
    }

    #[test]
    fn a_region_that_is_no_utf8_is_not_guessed_at() {
        let fixture = with_snapshots(
            "wal",
            "('a', 1, 0, 0, CAST(x'50ff' AS TEXT), '2026-01-02'), \
             ('a', 1, 0, 0, 'PL', '2026-01-01'), ('b', 1, 0, 0, 'NL', '2026-01-01')",
        );
        let all = read_all(&fixture.reader(), &["a", "b"]);
        let regions = |of: &[Snapshot]| -> Vec<_> {
            let region = |s: &Snapshot| (s.region.clone(), s.region_is_unreadable);
            of.iter().map(region).collect()
        };
        let readable = |name: &str| (Some(name.to_owned()), false);
        assert_eq!(regions(&all[0]), [(None, true), readable("PL")]);
        assert_eq!(regions(&all[1]), [readable("NL")]);
    }

    #[test]
    fn numbers_as_times_are_taken_as_configured() {
        let mut fixture = Fixture::with_tables(
            "delete",
            "CREATE TABLE videos (video_id, virality_score); \
             CREATE TABLE video_snapshots \
               (video_id, view_count, likes, comments, region, fetched_at); \
             INSERT INTO video_snapshots (video_id, fetched_at) VALUES \
               ('whole', 1700000000123), ('cut', 1700000000123.9), ('before', -1), \
               ('before', -1.9), ('text', '1700000000123'), ('date', '2026-01-01'), \
               ('none', NULL), ('huge', 1e300);",
        );
        let ids = ["whole", "cut", "before", "text", "date", "none", "huge"];
        let read = |fixture: &Fixture| -> Vec<Vec<Option<i64>>> {
            let all = read_all(&fixture.reader(), &ids);
            let seconds = |of: &Vec<Snapshot>| of.iter().map(|s| s.seconds).collect();
            all.iter().map(seconds).collect()
        };
        fixture.options.schema.fetched_at = FetchedAt::Unix;
        let whole = Some(1_700_000_000_123);
        let unreadable = vec![None];
        assert_eq!(
            read(&fixture),
            [
                vec![whole],
                vec![whole],
                vec![Some(-1), Some(-1)],
                vec![whole],
                unreadable.clone(),
                unreadable.clone(),
                unreadable.clone()
            ]
        );
        fixture.options.schema.fetched_at = FetchedAt::UnixMs;
        let whole = Some(1_700_000_000);
        assert_eq!(
            read(&fixture),
            [
                vec![whole],
                vec![whole],
                vec![Some(-1), Some(-1)],
                vec![whole],
                unreadable.clone(),
                unreadable.clone(),
                unreadable
            ]
        );
    }

    #[test]
    fn a_call_that_takes_long_goes_on_from_a_new_state_of_the_file() {
        let fixture = with_snapshots(
            "wal",
            "('a', 1, 0, 0, NULL, '2026-01-01'), ('b', 1, 0, 0, NULL, '2026-01-01')",
        );
        let ids = ["a".to_owned(), "b".to_owned()];
        let mut seen = Vec::new();
        let look = |_: &String, last: &[Snapshot]| {
            fixture.sql("UPDATE video_snapshots SET view_count = view_count + 1");
            seen.extend(views(last));
            let begun = Instant::now();
            while begun.elapsed() < LONGEST_READ {
                std::thread::yield_now();
            }
            true
        };
        fixture.reader().snapshots(&ids, look).unwrap();
        assert_eq!(seen, [Count::Integer(1), Count::Integer(2)]);
    }

    #[test]
    fn a_short_call_sees_one_state_of_the_file() {
        let fixture = with_snapshots(
            "wal",
            "('a', 1, 0, 0, NULL, '2026-01-01'), ('b', 1, 0, 0, NULL, '2026-01-01')",
        );
        let reader = fixture.reader();
        let ids = ["a".to_owned(), "b".to_owned()];
        let mut seen = Vec::new();
        reader
            .snapshots(&ids, |_, last| {
                fixture.sql("UPDATE video_snapshots SET view_count = view_count + 1");
                seen.extend(views(last));
                true
            })
            .unwrap();
        assert_eq!(seen, [Count::Integer(1), Count::Integer(1)]);
        assert_eq!(views(&read_all(&reader, &["a"])[0]), [Count::Integer(3)]);
    }

    #[test]
    fn an_interrupt_between_two_videos_ends_the_call() {
        let fixture = with_snapshots("wal", "('a', 1, 0, 0, NULL, '2026-01-01')");
        let reader = fixture.reader();
        let handle = reader.interrupt_handle();
        let ids = vec!["a".to_owned(); 3];
        let mut seen = 0;
        let outcome = reader.snapshots(&ids, |_, _| {
            seen += 1;
            handle.interrupt();
            true
        });
        assert!(
            matches!(outcome, Err(StoreError::Interrupted)),
            "{outcome:?}"
        );
        assert_eq!(seen, 1);
        assert_eq!(read_all(&reader, &["a"]).len(), 1, "the next call runs");
    }

    #[test]
    fn a_lookup_is_prepared_once() {
        let fixture = with_snapshots("wal", "('a', 1, 0, 0, 'PL', '2026-01-01')");
        let reader = fixture.reader();
        for _ in 0..3 {
            read_all(&reader, &["a", "a"]);
        }
        let lookup = reader
            .connection
            .prepare_cached(&reader.site.last_snapshots);
        let again = lookup
            .unwrap()
            .get_status(rusqlite::StatementStatus::RePrepare);
        assert_eq!(again, 0);
    }
}
