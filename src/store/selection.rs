//! Picking videos to work on from the site's own table, those that waited longest first.

use rusqlite::Row;
use rusqlite::types::ValueRef;

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
    joins: "LEFT JOIN main.vvv_scores AS c ON c.video_id = v.id",
    known_at: "c.scored_at",
    tried_at: "c.scored_at",
    needs: "1",
};

const THUMBNAILS: Parts = Parts {
    joins: "LEFT JOIN main.vvv_thumbnail_checks AS c ON c.video_id = v.id AND c.url = v.url",
    known_at: "CASE WHEN c.status <> 'unknown' THEN c.checked_at END",
    tried_at: "c.checked_at",
    needs: "v.url <> ''",
};

const LIVENESS: Parts = Parts {
    joins: "LEFT JOIN main.vvv_video_status AS s ON s.video_id = v.id \
            LEFT JOIN main.vvv_liveness_checks AS c ON c.video_id = v.id",
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
             CAST({url} AS TEXT) AS url, {videos_order} AS place \
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
