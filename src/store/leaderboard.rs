//! The videos by score, best first, with what a page shows of each.

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, OptionalExtension, Row};
use serde::Serialize;

use super::cell::Cell;
use super::error::StoreError;
use super::ranking::{Page, PageCursor, Part, Ranking, Tally};
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
