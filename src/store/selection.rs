//! Picking videos to work on from the site's own table, those that waited longest first.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::LATEST;
use super::error::StoreError;
use super::reader::Reader;
use super::site::Names;
use crate::domain::job::Kind;

/// Which videos to pick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// What is to be done with them.
    pub kind: Kind,
    /// Only those without a definitive outcome since then, Unix seconds. Scores are known by
    /// `vvv_scores`; where that is not kept every video counts as never scored.
    pub stale_before: Option<i64>,
    /// Only those whose latest snapshot is of this region.
    pub region: Option<String>,
    /// How many at most.
    pub limit: Option<usize>,
}

/// A picked video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedVideo {
    /// The site's id.
    pub video_id: String,
    /// Where its thumbnail lies; picked for thumbnails only, and then always there.
    pub thumbnail_url: Option<String>,
}

/// The parts of the statement that differ by kind.
struct Parts {
    joins: &'static str,
    /// When its last definitive outcome was found.
    known_at: &'static str,
    /// When it was last tried: those that never answer must not stand before all others.
    tried_at: &'static str,
    /// What else a video needs.
    needs: &'static str,
}

const SCORES: Parts = Parts {
    joins: "LEFT JOIN main.vvv_scores AS c ON c.video_id = v.id AND c.scored_at <= v.latest \
            LEFT JOIN main.vvv_score_tries AS t ON t.video_id = v.id AND t.tried_at <= v.latest",
    known_at: "c.scored_at",
    tried_at: "max(coalesce(c.scored_at, t.tried_at), coalesce(t.tried_at, c.scored_at))",
    needs: "1",
};

const THUMBNAILS: Parts = Parts {
    joins: "LEFT JOIN main.vvv_thumbnail_checks AS c ON c.video_id = v.id AND c.url = v.url \
            AND c.checked_at <= v.latest",
    known_at: "CASE WHEN c.status <> 'unknown' THEN c.checked_at END",
    tried_at: "c.checked_at",
    needs: "v.url <> ''",
};

const LIVENESS: Parts = Parts {
    joins: "LEFT JOIN main.vvv_video_status AS s ON s.video_id = v.id \
              AND s.liveness_checked_at <= v.latest \
            LEFT JOIN main.vvv_liveness_checks AS c ON c.video_id = v.id \
              AND c.checked_at <= v.latest",
    known_at: "CASE WHEN s.liveness <> 'unknown' THEN s.liveness_checked_at END",
    tried_at: "c.checked_at",
    needs: "1",
};

/// Takes: the time before which an outcome is stale, a region, the limit.
fn statement(names: &Names, parts: &Parts, url: &str) -> String {
    let Names {
        videos,
        videos_order,
        video_id,
        snapshots,
        snapshot_video_id,
        region,
        newest_first,
        ..
    } = names;
    let Parts {
        joins,
        known_at,
        tried_at,
        needs,
    } = parts;
    // The ids of ours are text: cast, the site's find them by index whatever they are.
    format!(
        "SELECT v.id, v.url FROM (\
           SELECT CAST({video_id} AS TEXT) AS id, {video_id} AS own_id, \
             CAST({url} AS TEXT) AS url, {videos_order} AS place, {LATEST} AS latest \
           FROM {videos} WHERE typeof({video_id}) IN ('text', 'integer')) AS v {joins} \
         WHERE {needs} AND (?1 IS NULL OR coalesce({known_at} < ?1, 1)) \
           AND (?2 IS NULL OR ?2 = (SELECT {region} FROM {snapshots} \
             WHERE {snapshot_video_id} = v.own_id ORDER BY {newest_first} LIMIT 1)) \
         ORDER BY {tried_at}, v.place LIMIT ?3"
    )
}

impl Reader {
    /// Picks videos, those never tried or tried longest ago first. An id that is neither text
    /// nor an integer is passed over: no statement could find its video again.
    ///
    /// # Errors
    /// When thumbnails are asked for and the site has no column for their addresses; when the
    /// file is locked or cannot be read, or the call is interrupted.
    pub fn select(&self, selection: &Selection) -> Result<Vec<SelectedVideo>, StoreError> {
        let names = &self.site.names;
        let (parts, url) = match selection.kind {
            Kind::Score => (&SCORES, "NULL"),
            Kind::Thumbnails => (&THUMBNAILS, self.thumbnail_url()?),
            Kind::Liveness => (&LIVENESS, "NULL"),
        };
        let limit = selection
            .limit
            .map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let mut statement = self.connection.prepare(&statement(names, parts, url))?;
        let mut rows = statement.query((selection.stale_before, &selection.region, limit))?;
        let mut picked = Vec::new();
        while let Some(row) = rows.next()? {
            picked.extend(video(row)?);
        }
        Ok(picked)
    }

    /// The videos of these ids with where their thumbnails lie, in the same order; ids the site
    /// does not have are left out.
    ///
    /// # Errors
    /// As [`Reader::select`] for thumbnails.
    pub fn thumbnail_urls(&self, ids: &[String]) -> Result<Vec<SelectedVideo>, StoreError> {
        let Names {
            videos, video_id, ..
        } = &self.site.names;
        let url = self.thumbnail_url()?;
        let mut lookup = self.connection.prepare(&format!(
            "SELECT ?1, CAST({url} AS TEXT) FROM {videos} WHERE {video_id} = ?1 LIMIT 1"
        ))?;
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let mut rows = lookup.query([id])?;
            if let Some(row) = rows.next()? {
                found.extend(video(row)?);
            }
        }
        Ok(found)
    }

    fn thumbnail_url(&self) -> Result<&str, StoreError> {
        self.site
            .names
            .thumbnail_url
            .as_deref()
            .map_err(|missing| StoreError::Missing {
                path: self.path.clone(),
                missing: vec![missing.clone()],
            })
    }
}

/// None: an id that is no UTF-8, so none we could ask for.
fn video(row: &Row<'_>) -> Result<Option<SelectedVideo>, StoreError> {
    let text = |column| {
        row.get_ref(column).map(|cell| match cell {
            ValueRef::Text(text) => Some(text),
            _ => None,
        })
    };
    let id = text(0)?.and_then(|id| std::str::from_utf8(id).ok());
    let url = text(1)?.map(|url| String::from_utf8_lossy(url).into_owned());
    Ok(id.map(|id| SelectedVideo {
        video_id: id.to_owned(),
        thumbnail_url: url,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, JOURNALS};
    use super::*;

    const ALL: Selection = Selection {
        kind: Kind::Score,
        stale_before: None,
        region: None,
        limit: None,
    };

    fn picked(fixture: &Fixture, selection: &Selection) -> Vec<String> {
        let picked = fixture.reader().select(selection).unwrap();
        picked.into_iter().map(|video| video.video_id).collect()
    }

    /// Four videos; `a` and `c` were checked long ago, `b` lately.
    fn site(journal: &str) -> Fixture {
        let fixture = Fixture::new(journal);
        fixture.writer().close();
        fixture.sql(
            "INSERT INTO videos (video_id, thumbnail_url) VALUES \
               ('d', 'https://x/d'), ('c', 'https://x/c'), ('b', 'https://x/b'), \
               ('a', 'https://x/a'), ('bare', NULL), ('empty', ''); \
             INSERT INTO vvv_scores VALUES ('a', NULL, 1.0, 'NORMAL', 1, 1.0, 100), \
               ('b', NULL, 1.0, 'NORMAL', 1, 1.0, 900), ('c', NULL, 1.0, 'NORMAL', 1, 1.0, 200);",
        );
        fixture
    }

    #[test]
    fn those_that_waited_longest_come_first() {
        for journal in JOURNALS {
            let fixture = site(journal);
            assert_eq!(
                picked(&fixture, &ALL),
                ["d", "bare", "empty", "a", "c", "b"]
            );
            let stale = Selection {
                stale_before: Some(900),
                ..ALL
            };
            assert_eq!(picked(&fixture, &stale), ["d", "bare", "empty", "a", "c"]);
            let few = Selection {
                limit: Some(4),
                ..stale
            };
            assert_eq!(picked(&fixture, &few), ["d", "bare", "empty", "a"]);
        }
    }

    #[test]
    fn what_could_not_be_scored_stands_behind_what_was_tried_before_it() {
        let fixture = site("wal");
        // `a` had a score once and lost its snapshots; `b` got its score after a vain try.
        fixture.sql(
            "INSERT INTO vvv_score_tries VALUES ('bare', 500), ('empty', 150), ('a', 950), ('b', 50)",
        );
        assert_eq!(
            picked(&fixture, &ALL),
            ["d", "empty", "c", "bare", "b", "a"]
        );
        let stale = Selection {
            stale_before: Some(150),
            ..ALL
        };
        assert_eq!(picked(&fixture, &stale), ["d", "empty", "bare", "a"]);
    }

    #[test]
    fn a_region_is_that_of_the_latest_snapshot() {
        let fixture = site("wal");
        fixture.sql(
            "INSERT INTO video_snapshots (video_id, region, fetched_at) VALUES \
               ('a', 'PL', '2026-01-02'), ('a', 'SE', '2026-01-01'), ('b', 'SE', '2026-01-01'), \
               ('c', 'SE', '2026-01-01'), ('c', 'PL', '2026-01-01')",
        );
        let region = |region: &str| Selection {
            region: Some(region.to_owned()),
            ..ALL
        };
        assert_eq!(picked(&fixture, &region("PL")), ["a", "c"]);
        assert_eq!(picked(&fixture, &region("SE")), ["b"]);
        assert_eq!(picked(&fixture, &region("GB")), [""; 0]);
    }

    #[test]
    fn thumbnails_are_known_by_their_present_address() {
        let fixture = site("wal");
        fixture.sql(
            "INSERT INTO vvv_thumbnail_checks (video_id, url, status, checked_at, mark) VALUES \
               ('a', 'https://x/a', 'valid', 900, ''), ('b', 'https://x/old', 'valid', 900, ''), \
               ('c', 'https://x/c', 'unknown', 900, ''), ('d', 'https://x/d', 'broken', 100, '')",
        );
        let stale = Selection {
            kind: Kind::Thumbnails,
            stale_before: Some(500),
            ..ALL
        };
        let picked = fixture.reader().select(&stale).unwrap();
        let urls: Vec<_> = picked
            .iter()
            .map(|video| (video.video_id.as_str(), video.thumbnail_url.as_deref()))
            .collect();
        assert_eq!(
            urls,
            [
                ("b", Some("https://x/b")),
                ("d", Some("https://x/d")),
                ("c", Some("https://x/c")),
            ]
        );
    }

    #[test]
    fn lives_that_nobody_could_tell_are_picked_again_but_not_before_others() {
        let fixture = site("wal");
        fixture.sql(
            "INSERT INTO vvv_video_status (video_id, liveness, liveness_checked_at) VALUES \
               ('a', 'alive', 900), ('b', 'dead', 100), ('c', 'unknown', 950), ('d', 'dead', 200); \
             INSERT INTO vvv_liveness_checks VALUES ('a', 'alive', '', 200, 900, ''), \
               ('b', 'unknown', '', NULL, 960, ''), ('c', 'unknown', '', NULL, 950, ''), \
               ('d', 'dead', '', 404, 200, '');",
        );
        let stale = Selection {
            kind: Kind::Liveness,
            stale_before: Some(500),
            ..ALL
        };
        assert_eq!(picked(&fixture, &stale), ["bare", "empty", "d", "c", "b"]);
    }

    #[test]
    fn thumbnails_need_their_column() {
        let mut fixture = site("wal");
        fixture.options.schema.videos.thumbnail_url = "poster".to_owned();
        let thumbnails = Selection {
            kind: Kind::Thumbnails,
            ..ALL
        };
        let error = fixture.reader().select(&thumbnails).unwrap_err();
        let path = fixture.options.path.display().to_string();
        assert_eq!(
            error.to_string().replace(&path, "PATH"),
            "find the site's tables in PATH: \
             no column videos.poster (schema.videos.thumbnail_url)"
        );
        assert!(!picked(&fixture, &ALL).is_empty(), "the rest goes on");
    }

    #[test]
    fn ids_of_odd_types_are_passed_over_or_taken_as_text() {
        let fixture = Fixture::with_tables(
            "wal",
            "CREATE TABLE videos (video_id UNIQUE, virality_score, thumbnail_url); \
             INSERT INTO videos (video_id) VALUES (12), (NULL), (1.5), (x'ff'), \
               (CAST(x'ff' AS TEXT)), ('a'); \
             CREATE TABLE video_snapshots \
               (video_id, view_count, likes, comments, region, fetched_at); \
             INSERT INTO video_snapshots (video_id, region) VALUES (12, 'PL'), ('a', 'PL');",
        );
        fixture.writer().close();
        assert_eq!(picked(&fixture, &ALL), ["12", "a"]);
        let region = Selection {
            region: Some("PL".to_owned()),
            ..ALL
        };
        assert_eq!(picked(&fixture, &region), ["12", "a"]);
    }

    #[test]
    fn addresses_are_looked_up_in_the_order_asked() {
        let fixture = site("wal");
        let ids = ["c", "nobody", "bare", "a"].map(str::to_owned);
        let found = fixture.reader().thumbnail_urls(&ids).unwrap();
        let urls: Vec<_> = found
            .iter()
            .map(|video| (video.video_id.as_str(), video.thumbnail_url.as_deref()))
            .collect();
        assert_eq!(
            urls,
            [
                ("c", Some("https://x/c")),
                ("bare", None),
                ("a", Some("https://x/a")),
            ]
        );
    }
}
