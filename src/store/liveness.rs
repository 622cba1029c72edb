//! Liveness verdicts: the latest check of each video, and its last definitive word.

use super::error::StoreError;
use super::operation::{Operation, Scope};
use super::outcome::fence_progress;
use super::queue::Claim;
use crate::domain::liveness::Judgement;

/// Records the judgement on one video of a running job.
#[derive(Debug, Clone)]
pub struct RecordLiveness {
    /// The claim the job is worked on under.
    pub claim: Claim,
    /// Names the run, so that a retry of the job skips this item.
    pub mark: String,
    /// The video.
    pub video_id: String,
    /// The finding.
    pub judgement: Judgement,
    /// Unix seconds.
    pub checked_at: i64,
}

const RECORD: &str = "INSERT INTO main.vvv_liveness_checks \
     (video_id, verdict, reason, http_status, checked_at, mark) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
     ON CONFLICT (video_id) DO UPDATE SET verdict = excluded.verdict, reason = excluded.reason, \
     http_status = excluded.http_status, checked_at = excluded.checked_at, mark = excluded.mark";

/// What nobody could tell takes the place of nothing definitive.
const PUBLISH: &str = "INSERT INTO main.vvv_video_status \
     (video_id, liveness, liveness_reason, liveness_checked_at) VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT (video_id) DO UPDATE SET liveness = excluded.liveness, \
     liveness_reason = excluded.liveness_reason, liveness_checked_at = excluded.liveness_checked_at \
     WHERE excluded.liveness <> 'unknown' OR coalesce(liveness, 'unknown') = 'unknown'";

impl Operation for RecordLiveness {
    type Output = ();

    fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        fence_progress(scope, self.claim)?;
        let Judgement {
            verdict,
            reason,
            http_status,
        } = &self.judgement;
        scope.prepare(RECORD)?.execute((
            &self.video_id,
            verdict.name(),
            reason,
            http_status,
            self.checked_at,
            &self.mark,
        ))?;
        scope.prepare(PUBLISH)?.execute((
            &self.video_id,
            verdict.name(),
            reason,
            self.checked_at,
        ))?;
        Ok(())
    }
}
