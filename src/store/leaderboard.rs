//! The videos by score, best first, with what a page shows of each.

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, OptionalExtension, Row};
use serde::Serialize;

use super::cell::Cell;
use super::error::StoreError;
use super::page::{Page, PageCursor};
use super::ranking::{Part, Ranking, Tally};
use super::reader::Reader;
use crate::domain::score::{Label, Snapshot};
use crate::domain::trend::{Trend, trend};

const SCORES: Ranking = Ranking {
    table: "vvv_scores",
    group: "region",
    key: "score",
};

/// What a trend is made of.
const SNAPSHOTS_OF_A_TREND: usize = 3;

const ROW: &str = "SELECT s.video_id, s.score, s.label, s.region, s.velocity, s.engagement, \
     s.scored_at, t.thumbnail, t.liveness \
     FROM main.vvv_scores AS s LEFT JOIN main.vvv_video_status AS t ON t.video_id = s.video_id \
     WHERE s.rowid = ?1";

/// Which scores to list, highest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LeaderboardFilter {
    /// Only of this region.
    pub region: Option<String>,
    /// Only of this class.
    pub label: Option<Label>,
    /// Only those after it: where the last page ended.
    pub after: Option<PageCursor>,
    /// How many, 1 to 1,000.
    pub limit: usize,
}

/// A scored video in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeaderboardRow {
    /// The video.
    pub video_id: String,
    /// Its score.
    pub score: f64,
    /// Its class.
    pub label: String,
    /// The region whose baseline it was held against.
    pub region: Option<String>,
    /// Views an hour.
    pub velocity: Cell,
    /// Percent.
    pub engagement: f64,
    /// When, Unix seconds.
    pub scored_at: i64,
    /// Where its thumbnail lies, as far as the site says.
    pub thumbnail_url: Option<String>,
    /// Its title, where the site has a column of that name.
    pub title: Option<String>,
    /// The last definitive word on its thumbnail.
    pub thumbnail: Option<String>,
    /// The last definitive word on the video itself.
    pub liveness: Option<String>,
    /// Where its velocity goes; none without three snapshots, or without their index.
    pub trend: Option<Trend>,
}

impl Reader {
    /// A page of the scores, highest first; empty where none were kept.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted.
    pub fn leaderboard(
        &self,
        filter: &LeaderboardFilter,
    ) -> Result<Page<LeaderboardRow>, StoreError> {
        let label = filter.label;
        let part = Part {
            group: filter.region.as_deref(),
            after: filter.after,
            range: label.map_or((f64::NEG_INFINITY, f64::INFINITY), Label::range),
            with: label.map(|label| ("label", label.name())),
            limit: filter.limit,
        };
        self.page(SCORES, part, |rowid| self.leaderboard_row(rowid))
    }

    /// The regions that scores were held against, each with how many.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted.
    pub fn regions(&self) -> Result<Vec<Tally>, StoreError> {
        self.tallies(SCORES)
    }

    fn leaderboard_row(&self, rowid: i64) -> Result<Option<LeaderboardRow>, StoreError> {
        let mut lookup = self.connection.prepare_cached(ROW)?;
        let Some(mut row) = lookup.query_row([rowid], scored).optional()? else {
            return Ok(None);
        };
        if self.site.has_video_index {
            let mut lookup = self.connection.prepare_cached(&self.site.shown_of_video)?;
            (row.thumbnail_url, row.title) = shown(&mut lookup, &row.video_id)?;
        }
        if self.site.has_snapshot_index {
            let last = self.history(&row.video_id, SNAPSHOTS_OF_A_TREND)?;
            let last: Vec<Snapshot> = last.into_iter().map(|known| known.snapshot).collect();
            row.trend = trend(&last);
        }
        Ok(Some(row))
    }
}

fn scored(row: &Row<'_>) -> Result<LeaderboardRow, rusqlite::Error> {
    Ok(LeaderboardRow {
        video_id: row.get(0)?,
        score: row.get(1)?,
        label: row.get(2)?,
        region: row.get(3)?,
        velocity: row.get_ref(4)?.into(),
        engagement: row.get(5)?,
        scored_at: row.get(6)?,
        thumbnail_url: None,
        title: None,
        thumbnail: row.get(7)?,
        liveness: row.get(8)?,
        trend: None,
    })
}

/// What the site shows of a video: the address of its thumbnail, and its title.
fn shown(
    lookup: &mut CachedStatement<'_>,
    id: &str,
) -> Result<(Option<String>, Option<String>), StoreError> {
    let text = |cell: ValueRef<'_>| match cell {
        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    };
    let found = lookup.query_row([id], |row| {
        Ok((text(row.get_ref(0)?), text(row.get_ref(1)?)))
    });
    Ok(found.optional()?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, JOURNALS, searches};
    use super::*;
    use crate::domain::trend::Direction;

    fn ids(reader: &Reader, filter: &LeaderboardFilter) -> Vec<String> {
        let page = reader.leaderboard(filter).unwrap();
        page.rows.into_iter().map(|row| row.video_id).collect()
    }

    fn filter(label: Option<Label>) -> LeaderboardFilter {
        LeaderboardFilter {
            label,
            limit: 10,
            ..LeaderboardFilter::default()
        }
    }

    #[test]
    fn a_row_tells_what_the_site_and_our_tables_know() {
        for journal in JOURNALS {
            let fixture = Fixture::new(journal);
            fixture.writer().close();
            fixture.sql(
                "INSERT INTO vvv_scores VALUES ('a', 'PL', 91.5, 'VIRAL', 12345, 6.21, 100), \
                   ('gone', NULL, 10.0, 'NORMAL', 1e300, 0.5, 90); \
                 INSERT INTO videos VALUES ('a', 'A title', 91.5, 'https://x/a.jpg'); \
                 INSERT INTO vvv_video_status (video_id, thumbnail, liveness) \
                   VALUES ('a', 'valid', 'alive'); \
                 INSERT INTO video_snapshots (video_id, view_count, fetched_at) VALUES \
                   ('a', 100, '2026-01-01 10:00:00'), ('a', 200, '2026-01-01 11:00:00'), \
                   ('a', 600, '2026-01-01 12:00:00');",
            );
            let rows = fixture.reader().leaderboard(&filter(None)).unwrap().rows;
            let trend = Trend {
                direction: Direction::Rising,
                latest: 400.0,
                before: 100.0,
            };
            let text = |text: &str| Some(text.to_owned());
            let known = LeaderboardRow {
                video_id: "a".to_owned(),
                score: 91.5,
                label: "VIRAL".to_owned(),
                region: text("PL"),
                velocity: Cell::Integer(12345),
                engagement: 6.21,
                scored_at: 100,
                thumbnail_url: text("https://x/a.jpg"),
                title: text("A title"),
                thumbnail: text("valid"),
                liveness: text("alive"),
                trend: Some(trend),
            };
            assert_eq!(rows[0], known);
            assert_eq!(rows[1].thumbnail_url, None);
            assert_eq!(rows[1].velocity, Cell::Real(1e300));
        }
    }

    #[test]
    fn a_class_is_told_by_its_label_where_rounding_made_scores_equal() {
        let fixture = Fixture::new("wal");
        fixture.writer().close();
        fixture.sql(
            "INSERT INTO vvv_scores VALUES ('v', 'PL', 100.0, 'VIRAL', 1, 1.0, 1), \
               ('w', 'GB', 85.0, 'VIRAL', 1, 1.0, 1), ('t', 'PL', 85.0, 'TRENDING', 1, 1.0, 1), \
               ('u', NULL, 60.0, 'TRENDING', 1, 1.0, 1), ('n', 'PL', 60.0, 'NORMAL', 1, 1.0, 1), \
               ('o', 'PL', -5.0, 'NORMAL', 1, 1.0, 1);",
        );
        let reader = fixture.reader();
        assert_eq!(ids(&reader, &filter(Some(Label::Viral))), ["v", "w"]);
        assert_eq!(ids(&reader, &filter(Some(Label::Trending))), ["t", "u"]);
        assert_eq!(ids(&reader, &filter(Some(Label::Normal))), ["n", "o"]);
        let first = LeaderboardFilter {
            region: Some("PL".to_owned()),
            label: Some(Label::Normal),
            limit: 1,
            ..LeaderboardFilter::default()
        };
        let page = reader.leaderboard(&first).unwrap();
        assert_eq!(page.rows[0].video_id, "n");
        let second = LeaderboardFilter {
            after: page.next,
            ..first
        };
        assert_eq!(ids(&reader, &second), ["o"]);
    }

    #[test]
    fn without_our_tables_and_without_the_sites_columns_there_is_less_to_tell() {
        let fixture = Fixture::with_tables(
            "wal",
            "CREATE TABLE videos (video_id TEXT, virality_score REAL); \
             CREATE TABLE video_snapshots (video_id, view_count, likes, comments, region, \
               fetched_at); INSERT INTO videos VALUES ('a', 1.0);",
        );
        let empty = fixture.reader();
        assert_eq!(empty.leaderboard(&filter(None)).unwrap().rows, []);
        assert_eq!(empty.regions().unwrap(), []);
        drop(empty);
        fixture.writer().close();
        fixture.sql("INSERT INTO vvv_scores VALUES ('a', 'PL', 1.0, 'NORMAL', 1, 1.0, 1)");
        let reader = fixture.reader();
        // No index finds the video or its snapshots, so nothing is looked for.
        let row = &reader.leaderboard(&filter(None)).unwrap().rows[0];
        assert_eq!(
            (&row.thumbnail_url, &row.title, &row.trend),
            (&None, &None, &None)
        );
        searches(&reader, ROW);
    }
}
