//! All that the file holds about one video, for people who ask why.

use rusqlite::{Connection, OptionalExtension, Row, ToSql};

use super::cell::Cell;
use super::doctor::KnownSite;
use super::error::StoreError;
use super::facts::{
    Known, KnownSnapshot, LivenessCheck, SiteTable, SiteVideo, StoredScore, StoredStatus,
    ThumbnailCheck, VideoFacts,
};
use super::inspect::{Inspector, has_table};
use super::reader::Reader;
use super::site::{Names, Site};
use super::snapshots;

/// How many snapshots are shown.
const SNAPSHOTS: usize = 5;

impl Inspector {
    /// Reads all that is known of a video, from one state of the file.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn video(&self, known: &KnownSite, id: &str) -> Result<VideoFacts, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        let look = Look {
            connection: &self.connection,
            site: &known.site,
            reads_all: true,
        };
        let facts = look.facts(id);
        drop(transaction);
        facts
    }
}

impl Reader {
    /// Reads all that is known of a video, from one state of the file; of the site's tables only
    /// those that an index leads into.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted.
    pub fn video(&self, id: &str) -> Result<VideoFacts, StoreError> {
        self.in_snapshot(|| self.look().facts(id))
    }

    /// The last snapshots of a video, newest first; none where [`Self::reads_snapshots`] says no.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted.
    pub fn history(&self, id: &str, limit: usize) -> Result<Vec<KnownSnapshot>, StoreError> {
        self.look().snapshots(id, limit)
    }

    /// Whether the snapshots of one video are found without reading those of all.
    #[must_use]
    pub const fn reads_snapshots(&self) -> bool {
        self.site.has_snapshots_of_video
    }

    const fn look(&self) -> Look<'_> {
        Look {
            connection: &self.connection,
            site: &self.site,
            reads_all: false,
        }
    }
}

/// A connection that reads of one video.
struct Look<'a> {
    connection: &'a Connection,
    site: &'a Site,
    /// Whether a table is read from end to end where there is no other way.
    reads_all: bool,
}

impl Look<'_> {
    fn facts(&self, id: &str) -> Result<VideoFacts, StoreError> {
        Ok(VideoFacts {
            not_read: self.not_read(),
            site: self.site_video(id)?,
            snapshots: self.snapshots(id, SNAPSHOTS)?,
            score: self.own(
                "vvv_scores",
                "SELECT score, region, label, velocity, engagement, scored_at \
                 FROM main.vvv_scores WHERE video_id = ?1",
                id,
                stored_score,
            )?,
            status: self.own(
                "vvv_video_status",
                "SELECT thumbnail, thumbnail_reason, thumbnail_checked_at, \
                 liveness, liveness_reason, liveness_checked_at \
                 FROM main.vvv_video_status WHERE video_id = ?1",
                id,
                |row| {
                    Ok(StoredStatus {
                        thumbnail: found(row, 0)?,
                        liveness: found(row, 3)?,
                    })
                },
            )?,
            thumbnails: self.thumbnail_checks(id)?,
            liveness: self
                .own(
                    "vvv_liveness_checks",
                    "SELECT verdict, reason, checked_at, http_status \
                     FROM main.vvv_liveness_checks WHERE video_id = ?1",
                    id,
                    |row| {
                        let http_status = row.get(3)?;
                        let check = |found| LivenessCheck { found, http_status };
                        Ok(found(row, 0)?.map(check))
                    },
                )?
                .flatten(),
        })
    }

    fn not_read(&self) -> Vec<SiteTable> {
        let reads = |has_index| self.reads_all || has_index;
        let tables = [
            (SiteTable::Videos, reads(self.site.has_video_index)),
            (
                SiteTable::Snapshots,
                reads(self.site.has_snapshots_of_video),
            ),
        ];
        let left_out = tables.into_iter().filter(|(_, is_read)| !is_read);
        left_out.map(|(table, _)| table).collect()
    }

    fn site_video(&self, id: &str) -> Result<Option<SiteVideo>, StoreError> {
        if !self.reads_all && !self.site.has_video_index {
            return Ok(None);
        }
        let names = &self.site.names;
        let url = names.thumbnail_url.as_deref().ok();
        let title = names.title.as_deref();
        let sql = format!(
            "SELECT {}, {}, {} FROM {} WHERE {} = ?1",
            names.virality_score,
            url.unwrap_or("NULL"),
            title.unwrap_or("NULL"),
            names.videos,
            names.video_id
        );
        let video = |row: &Row<'_>| {
            let cell = |column| row.get_ref(column).map(Cell::from);
            Ok(SiteVideo {
                virality_score: cell(0)?,
                thumbnail_url: url.map(|_| cell(1)).transpose()?,
                title: title.map(|_| cell(2)).transpose()?,
            })
        };
        let mut lookup = self.connection.prepare_cached(&sql)?;
        Ok(lookup.query_row([id], video).optional()?)
    }

    /// Takes: the id, how many.
    fn last_snapshots(&self) -> String {
        let Names {
            snapshots: table,
            snapshot_video_id,
            snapshot_cells,
            newest_first,
            fetched_at,
            ..
        } = &self.site.names;
        format!(
            "SELECT {snapshot_cells}, {fetched_at} FROM {table} \
             WHERE {snapshot_video_id} = ?1 ORDER BY {newest_first} LIMIT ?2"
        )
    }

    fn snapshots(&self, id: &str, limit: usize) -> Result<Vec<KnownSnapshot>, StoreError> {
        if !self.reads_all && !self.site.has_snapshots_of_video {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(&self.last_snapshots())?;
        let mut rows = statement.query((id, limit))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let mut snapshot = snapshots::EMPTY;
            snapshots::read(&mut snapshot, row, self.site.fetched_at)?;
            found.push(KnownSnapshot {
                fetched_at: row.get_ref(5)?.into(),
                snapshot,
            });
        }
        Ok(found)
    }

    fn thumbnail_checks(&self, id: &str) -> Result<Vec<ThumbnailCheck>, StoreError> {
        if !has_table(self.connection, "vvv_thumbnail_checks")? {
            return Ok(Vec::new());
        }
        let mut statement = self.connection.prepare(
            "SELECT status, reason, checked_at, url, width, height \
             FROM main.vvv_thumbnail_checks WHERE video_id = ?1 ORDER BY checked_at DESC, url",
        )?;
        let mut rows = statement.query([id])?;
        let mut checks = Vec::new();
        while let Some(row) = rows.next()? {
            let (width, height): (Option<i64>, Option<i64>) = (row.get(4)?, row.get(5)?);
            let url: String = row.get(3)?;
            checks.extend(found(row, 0)?.map(|found| ThumbnailCheck {
                url,
                found,
                size: width.zip(height),
            }));
        }
        Ok(checks)
    }

    /// A row of a table of ours, if there is one.
    fn own<T>(
        &self,
        table: &str,
        sql: &str,
        key: impl ToSql,
        read: impl FnOnce(&Row<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Option<T>, StoreError> {
        if !has_table(self.connection, table)? {
            return Ok(None);
        }
        Ok(self.connection.query_row(sql, [key], read).optional()?)
    }
}

fn stored_score(row: &Row<'_>) -> Result<StoredScore, rusqlite::Error> {
    Ok(StoredScore {
        score: row.get(0)?,
        region: row.get(1)?,
        label: row.get(2)?,
        velocity: row.get_ref(3)?.into(),
        engagement: row.get(4)?,
        scored_at: row.get(5)?,
    })
}

/// A verdict from three columns; none: it was never sought.
fn found(row: &Row<'_>, first: usize) -> Result<Option<Known>, rusqlite::Error> {
    let verdict: Option<String> = row.get(first)?;
    let (reason, checked_at) = (row.get(first + 1)?, row.get(first + 2)?);
    Ok(verdict.map(|verdict| Known {
        verdict,
        reason,
        checked_at,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FetchedAt;
    use crate::domain::score::Snapshot;
    use crate::store::fixture::{Fixture, JOURNALS, searches};
    use crate::store::inspect::Intent;
    use crate::store::patience::Patience;

    /// Cells as they turn up in files of years: SQLite keeps any type in any column.
    const ODD: [&str; 15] = [
        "NULL",
        "17",
        "17.9",
        "-3.5",
        "'17'",
        "' 1700000000 '",
        "'17.5'",
        "'soon'",
        "x'00ff'",
        "9223372036854775807",
        "9.3e18",
        "1769860800123",
        "'2026-01-31 12:00:00.9'",
        "'2026-01-31T12:00:00+02:00'",
        "CAST(x'50ff' AS TEXT)",
    ];

    #[test]
    fn a_reader_tells_the_same_as_an_inspector_and_searches_for_it() {
        let fixture = Fixture::new("wal");
        fixture.sql(
            "INSERT INTO videos VALUES ('a', 'A title', 12.5, 'https://x/a.jpg'); \
             INSERT INTO video_snapshots (video_id, view_count, fetched_at) VALUES \
               ('a', 1, '2026-01-01'), ('a', 2, '2026-01-02'), ('a', 3, '2026-01-03')",
        );
        // Without tables of ours, and with.
        for _ in 0..2 {
            let mut ignored = |_| {};
            let mut patience = Patience::endless(&mut ignored);
            let path = &fixture.options.path;
            let inspector = Inspector::open(path, Intent::Look, &mut patience).unwrap();
            let known = inspector.site(&fixture.options).unwrap();
            let reader = fixture.reader();
            for id in ["a", "none"] {
                let told = reader.video(id).unwrap();
                assert_eq!(told, inspector.video(&known, id).unwrap());
            }
            let site = reader.video("a").unwrap().site.unwrap();
            assert_eq!(site.title, Some(Cell::Text("A title".to_owned())));
            assert_eq!(reader.history("a", 2).unwrap().len(), 2);
            drop((inspector, reader));
            fixture.writer().close();
        }
        let reader = fixture.reader();
        searches(&reader, &reader.look().last_snapshots());
        searches(&reader, &reader.site.shown_of_video);
    }

    #[test]
    fn a_page_reads_no_table_from_end_to_end() {
        let fixture = Fixture::with_tables(
            "wal",
            "CREATE TABLE videos (video_id TEXT, virality_score); \
             CREATE TABLE video_snapshots (video_id, view_count, likes, comments, region, \
               fetched_at); \
             INSERT INTO videos VALUES ('a', 1.0); \
             INSERT INTO video_snapshots VALUES ('a', 1, 2, 3, 'PL', '2026-01-01');",
        );
        let both = vec![SiteTable::Videos, SiteTable::Snapshots];
        let bare = VideoFacts {
            not_read: both,
            ..VideoFacts::default()
        };
        let reader = fixture.reader();
        assert_eq!(reader.video("a").unwrap(), bare);
        assert_eq!(reader.history("a", 2).unwrap(), []);
        drop(reader);
        // Whoever asks on the command line is told all the same.
        let mut ignored = |_| {};
        let mut patience = Patience::endless(&mut ignored);
        let path = &fixture.options.path;
        let inspector = Inspector::open(path, Intent::Look, &mut patience).unwrap();
        let known = inspector.site(&fixture.options).unwrap();
        let facts = inspector.video(&known, "a").unwrap();
        assert_eq!((facts.not_read, facts.snapshots.len()), (Vec::new(), 1));
        assert!(facts.site.is_some());
        // The snapshots of one video are few.
        fixture.sql("CREATE INDEX i ON video_snapshots (video_id)");
        let reader = fixture.reader();
        let facts = reader.video("a").unwrap();
        assert_eq!(facts.not_read, [SiteTable::Videos]);
        assert_eq!((facts.snapshots.len(), facts.site), (1, None));
    }

    #[test]
    fn odd_cells_are_read_as_scoring_reads_them() {
        for journal in JOURNALS {
            for form in [FetchedAt::Text, FetchedAt::Unix, FetchedAt::UnixMs] {
                let mut fixture = Fixture::with_tables(
                    journal,
                    "CREATE TABLE videos (video_id TEXT PRIMARY KEY, virality_score, \
                       thumbnail_url); \
                     CREATE TABLE video_snapshots (video_id, view_count, likes, comments, \
                       region, fetched_at);",
                );
                fixture.options.schema.fetched_at = form;
                for (n, odd) in ODD.iter().enumerate() {
                    fixture.sql(&format!(
                        "INSERT INTO video_snapshots VALUES ('v{n}', {odd}, {odd}, {odd}, {odd}, \
                           {odd}), ('v{n}', 1, 2, 3, 'PL', {odd})"
                    ));
                }
                let mut ignored = |_| {};
                let mut patience = Patience::endless(&mut ignored);
                let path = &fixture.options.path;
                let inspector = Inspector::open(path, Intent::Look, &mut patience).unwrap();
                let known = inspector.site(&fixture.options).unwrap();
                let ids: Vec<String> = (0..ODD.len()).map(|n| format!("v{n}")).collect();
                let mut scored = Vec::new();
                let gather = |_: &String, last: &[Snapshot]| {
                    scored.push(last.to_vec());
                    true
                };
                fixture.reader().snapshots(&ids, gather).unwrap();
                for (id, scored) in ids.iter().zip(scored) {
                    let shown = inspector.video(&known, id).unwrap().snapshots;
                    let shown: Vec<Snapshot> = shown.into_iter().map(|s| s.snapshot).collect();
                    assert_eq!(shown, scored, "{form:?} {id}");
                }
            }
        }
    }
}
