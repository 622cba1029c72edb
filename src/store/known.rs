//! Verdicts that need not be sought again: fresh enough, or found by this very run.

use rusqlite::{CachedStatement, OptionalExtension, Row, ToSql};

use super::error::StoreError;
use super::reader::Reader;
use crate::domain::job::ThumbnailItem;
use crate::domain::liveness::{Judgement, Verdict as Life};
use crate::domain::picture::Size;
use crate::domain::thumbnail::{Status, Verdict};

/// Which recorded verdicts count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since<'a> {
    /// The definitive ones found at this time or later, Unix seconds.
    CheckedAt(i64),
    /// All that the run of this mark recorded, `unknown` ones too.
    Mark(&'a str),
}

impl Since<'_> {
    fn bound(&self) -> &dyn ToSql {
        match self {
            Self::CheckedAt(seconds) => seconds,
            Self::Mark(mark) => mark,
        }
    }
}

impl Reader {
    /// The verdicts known of these thumbnails, in their order. One on another address of the
    /// video says nothing.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted.
    pub fn known_thumbnails(
        &self,
        items: &[ThumbnailItem],
        since: Since<'_>,
    ) -> Result<Vec<Option<Verdict>>, StoreError> {
        let sql = match since {
            Since::CheckedAt(_) => {
                "SELECT status, reason, width, height FROM main.vvv_thumbnail_checks \
                 WHERE video_id = ?1 AND url = ?2 AND checked_at >= ?3 AND status <> 'unknown'"
            }
            Since::Mark(_) => {
                "SELECT status, reason, width, height FROM main.vvv_thumbnail_checks \
                 WHERE video_id = ?1 AND url = ?2 AND mark = ?3"
            }
        };
        self.in_snapshot(|| {
            let mut lookup = self.connection.prepare_cached(sql)?;
            items
                .iter()
                .map(|item| {
                    let key = (&item.video_id, &item.thumbnail_url, since.bound());
                    known(&mut lookup, key, verdict)
                })
                .collect()
        })
    }

    /// The judgements known of these videos, in their order.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted.
    pub fn known_liveness(
        &self,
        video_ids: &[String],
        since: Since<'_>,
    ) -> Result<Vec<Option<Judgement>>, StoreError> {
        let sql = match since {
            // A later check without an answer does not take a verdict back.
            Since::CheckedAt(_) => {
                "SELECT s.liveness, s.liveness_reason, c.http_status \
                 FROM main.vvv_video_status AS s LEFT JOIN main.vvv_liveness_checks AS c \
                 ON c.video_id = s.video_id AND c.verdict = s.liveness \
                 AND c.checked_at = s.liveness_checked_at \
                 WHERE s.video_id = ?1 AND s.liveness_checked_at >= ?2 \
                 AND s.liveness <> 'unknown'"
            }
            Since::Mark(_) => {
                "SELECT verdict, reason, http_status FROM main.vvv_liveness_checks \
                 WHERE video_id = ?1 AND mark = ?2"
            }
        };
        self.in_snapshot(|| {
            let mut lookup = self.connection.prepare_cached(sql)?;
            video_ids
                .iter()
                .map(|id| known(&mut lookup, (id, since.bound()), judgement))
                .collect()
        })
    }
}

fn known<T>(
    lookup: &mut CachedStatement<'_>,
    key: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> Result<Option<T>, rusqlite::Error>,
) -> Result<Option<T>, StoreError> {
    Ok(lookup.query_row(key, read).optional()?.flatten())
}

/// None: a status of a later version, as good as no verdict.
fn verdict(row: &Row<'_>) -> Result<Option<Verdict>, rusqlite::Error> {
    let name: String = row.get(0)?;
    let Some(status) = Status::from_name(&name) else {
        return Ok(None);
    };
    let (width, height): (Option<u32>, Option<u32>) = (row.get(2)?, row.get(3)?);
    Ok(Some(Verdict {
        status,
        reason: row.get(1)?,
        size: width
            .zip(height)
            .map(|(width, height)| Size { width, height }),
    }))
}

/// None: a verdict of a later version, as good as none.
fn judgement(row: &Row<'_>) -> Result<Option<Judgement>, rusqlite::Error> {
    let name: String = row.get(0)?;
    let Some(verdict) = Life::from_name(&name) else {
        return Ok(None);
    };
    Ok(Some(Judgement {
        verdict,
        reason: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
        http_status: row.get(2)?,
    }))
}
