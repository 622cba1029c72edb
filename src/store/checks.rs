//! The checks of thumbnails and videos, newest first, and how many came out how.

use rusqlite::{OptionalExtension, Row};
use serde::Serialize;

use super::error::StoreError;
use super::page::{Page, PageCursor};
use super::ranking::{Part, Ranking, Tally};
use super::reader::Reader;
use crate::domain::liveness::Verdict;
use crate::domain::thumbnail::Status;

const THUMBNAILS: Ranking = Ranking {
    table: "vvv_thumbnail_checks",
    group: "status",
    key: "checked_at",
};

const VIDEOS: Ranking = Ranking {
    table: "vvv_liveness_checks",
    group: "verdict",
    key: "checked_at",
};

const THUMBNAIL: &str = "SELECT video_id, url, status, reason, width, height, checked_at \
     FROM main.vvv_thumbnail_checks WHERE rowid = ?1";

const VIDEO: &str = "SELECT video_id, verdict, reason, http_status, checked_at \
     FROM main.vvv_liveness_checks WHERE rowid = ?1";

/// Which checks to list, newest first: of thumbnails by [`Status`], of videos by [`Verdict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckFilter<T> {
    /// Only those that came out so.
    pub found: Option<T>,
    /// Only those before it: where the last page ended.
    pub before: Option<PageCursor>,
    /// How many, 1 to 1,000.
    pub limit: usize,
}

/// The latest check of one address of a thumbnail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedThumbnail {
    /// The video.
    pub video_id: String,
    /// The address.
    pub url: String,
    /// What was found.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// Pixels, where a picture was decoded.
    pub width: Option<i64>,
    /// Likewise.
    pub height: Option<i64>,
    /// When, Unix seconds.
    pub checked_at: i64,
}

/// The latest check of a video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedVideo {
    /// The video.
    pub video_id: String,
    /// What was found.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// The HTTP status it rests on.
    pub http_status: Option<i64>,
    /// When, Unix seconds.
    pub checked_at: i64,
}

impl<T> CheckFilter<T> {
    fn part(&self, name: impl FnOnce(&T) -> &'static str) -> Part<'static> {
        Part {
            group: self.found.as_ref().map(name),
            after: self.before,
            range: (f64::NEG_INFINITY, f64::INFINITY),
            with: None,
            limit: self.limit,
        }
    }
}

impl Reader {
    /// A page of the checks of thumbnails, newest first; empty where none were made.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted.
    pub fn thumbnail_checks(
        &self,
        filter: &CheckFilter<Status>,
    ) -> Result<Page<CheckedThumbnail>, StoreError> {
        let part = filter.part(|status| status.name());
        self.page(THUMBNAILS, part, |rowid| {
            self.check(THUMBNAIL, rowid, thumbnail)
        })
    }

    /// A page of the checks of videos, newest first; empty where none were made.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted.
    pub fn liveness_checks(
        &self,
        filter: &CheckFilter<Verdict>,
    ) -> Result<Page<CheckedVideo>, StoreError> {
        let part = filter.part(|verdict| verdict.name());
        self.page(VIDEOS, part, |rowid| self.check(VIDEO, rowid, video))
    }

    /// How many checks of thumbnails came out how.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted.
    pub fn thumbnail_counts(&self) -> Result<Vec<Tally>, StoreError> {
        self.tallies(THUMBNAILS)
    }

    /// How many checks of videos came out how.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted.
    pub fn liveness_counts(&self) -> Result<Vec<Tally>, StoreError> {
        self.tallies(VIDEOS)
    }

    fn check<T>(
        &self,
        sql: &str,
        rowid: i64,
        read: impl FnOnce(&Row<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Option<T>, StoreError> {
        let mut lookup = self.connection.prepare_cached(sql)?;
        Ok(lookup.query_row([rowid], read).optional()?)
    }
}

fn thumbnail(row: &Row<'_>) -> Result<CheckedThumbnail, rusqlite::Error> {
    Ok(CheckedThumbnail {
        video_id: row.get(0)?,
        url: row.get(1)?,
        status: row.get(2)?,
        reason: row.get(3)?,
        width: row.get(4)?,
        height: row.get(5)?,
        checked_at: row.get(6)?,
    })
}

fn video(row: &Row<'_>) -> Result<CheckedVideo, rusqlite::Error> {
    Ok(CheckedVideo {
        video_id: row.get(0)?,
        verdict: row.get(1)?,
        reason: row.get(2)?,
        http_status: row.get(3)?,
        checked_at: row.get(4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, searches};
    use super::*;

    const fn all<T>(limit: usize) -> CheckFilter<T> {
        CheckFilter {
            found: None,
            before: None,
            limit,
        }
    }

    #[test]
    fn checks_come_newest_first_all_or_those_of_one_kind() {
        let fixture = Fixture::new("wal");
        fixture.writer().close();
        fixture.sql(
            "INSERT INTO vvv_thumbnail_checks VALUES \
               ('a', 'u', 'valid', NULL, 480, 360, 100, 'm'), \
               ('b', 'u', 'broken', 'HTTP 404', NULL, NULL, 300, 'm'), \
               ('a', 'w', 'later', NULL, NULL, NULL, 200, 'm'); \
             INSERT INTO vvv_liveness_checks VALUES ('a', 'alive', 'said so', 200, 100, 'm'), \
               ('b', 'dead', 'not there', 404, 200, 'm'), ('c', 'unknown', 'captcha', NULL, 50, 'm')",
        );
        let reader = fixture.reader();
        let page = reader.thumbnail_checks(&all(2)).unwrap();
        let broken = CheckedThumbnail {
            video_id: "b".to_owned(),
            url: "u".to_owned(),
            status: "broken".to_owned(),
            reason: Some("HTTP 404".to_owned()),
            width: None,
            height: None,
            checked_at: 300,
        };
        assert_eq!(page.rows[0], broken);
        assert_eq!(page.rows[1].status, "later");
        let next = CheckFilter {
            before: page.next,
            ..all(2)
        };
        let page = reader.thumbnail_checks(&next).unwrap();
        assert_eq!((page.rows.len(), page.rows[0].width), (1, Some(480)));
        let of = |status| CheckFilter {
            found: Some(status),
            ..all(9)
        };
        let found = reader.thumbnail_checks(&of(Status::Broken)).unwrap();
        assert_eq!(found.rows, [broken]);
        assert_eq!(found.next, None);
        assert_eq!(reader.thumbnail_counts().unwrap().len(), 3);

        let dead = CheckFilter {
            found: Some(Verdict::Dead),
            ..all(9)
        };
        let dead = reader.liveness_checks(&dead).unwrap().rows;
        assert_eq!((dead.len(), dead[0].http_status), (1, Some(404)));
        let all: Vec<i64> = reader
            .liveness_checks(&all(9))
            .unwrap()
            .rows
            .iter()
            .map(|check| check.checked_at)
            .collect();
        assert_eq!(all, [200, 100, 50]);
        assert_eq!(reader.liveness_counts().unwrap().len(), 3);
        searches(&reader, THUMBNAIL);
        searches(&reader, VIDEO);
    }

    #[test]
    fn where_nothing_was_checked_there_is_nothing() {
        let fixture = Fixture::new("delete");
        let reader = fixture.reader();
        assert_eq!(reader.thumbnail_checks(&all(9)).unwrap().rows, []);
        assert_eq!(reader.liveness_checks(&all(9)).unwrap().rows, []);
        assert_eq!(reader.thumbnail_counts().unwrap(), []);
        assert_eq!(reader.liveness_counts().unwrap(), []);
    }
}
