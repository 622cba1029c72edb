//! Thumbnail verdicts: the latest check of each address, and each video's last definitive word.

use super::error::StoreError;
use super::operation::{Operation, Scope};
use super::outcome::fence_progress;
use super::queue::Claim;
use crate::domain::thumbnail::Verdict;

/// Records the verdict on one thumbnail of a running job.
#[derive(Debug, Clone)]
pub struct RecordThumbnail {
    /// The claim the job is worked on under.
    pub claim: Claim,
    /// Names the run, so that a retry of the job skips this item.
    pub mark: String,
    /// The video.
    pub video_id: String,
    /// The address that was checked.
    pub url: String,
    /// The finding.
    pub verdict: Verdict,
    /// Unix seconds.
    pub checked_at: i64,
}

const RECORD: &str = "INSERT INTO main.vvv_thumbnail_checks \
     (video_id, url, status, reason, width, height, checked_at, mark) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
     ON CONFLICT (video_id, url) DO UPDATE SET status = excluded.status, \
     reason = excluded.reason, width = excluded.width, height = excluded.height, \
     checked_at = excluded.checked_at, mark = excluded.mark";

/// What nobody could tell takes the place of nothing definitive.
const PUBLISH: &str = "INSERT INTO main.vvv_video_status \
     (video_id, thumbnail, thumbnail_reason, thumbnail_checked_at) VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT (video_id) DO UPDATE SET thumbnail = excluded.thumbnail, \
     thumbnail_reason = excluded.thumbnail_reason, thumbnail_checked_at = excluded.thumbnail_checked_at \
     WHERE excluded.thumbnail <> 'unknown' OR coalesce(thumbnail, 'unknown') = 'unknown'";

impl Operation for RecordThumbnail {
    type Output = ();

    fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        fence_progress(scope, self.claim)?;
        let Verdict {
            status,
            reason,
            size,
        } = &self.verdict;
        scope.prepare(RECORD)?.execute((
            &self.video_id,
            &self.url,
            status.name(),
            reason,
            size.map(|size| size.width),
            size.map(|size| size.height),
            self.checked_at,
            &self.mark,
        ))?;
        scope.prepare(PUBLISH)?.execute((
            &self.video_id,
            status.name(),
            reason,
            self.checked_at,
        ))?;
        Ok(())
    }
}
