//! Scores into the site's column and our table of details.

use std::sync::Arc;

use super::error::StoreError;
use super::operation::{Operation, Scope};
use super::outcome::succeed;
use super::queue::Claim;
use crate::domain::score::{Score, Scored};

/// Writes a job's scores and ends the job, together. A video without a score keeps its old one.
#[derive(Debug, Clone)]
pub struct FinishScores {
    /// The claim the job was worked on under.
    pub claim: Claim,
    /// Each video's id with what became of it; faster in order of rowid.
    pub scores: Arc<Vec<(String, Score)>>,
    /// Unix seconds.
    pub scored_at: i64,
    /// False: only the job ends (a dry run).
    pub effects: bool,
}

const KEEP_DETAILS: &str = "INSERT INTO main.vvv_scores \
     (video_id, region, score, label, velocity, engagement, scored_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
     ON CONFLICT (video_id) DO UPDATE SET region = excluded.region, score = excluded.score, \
     label = excluded.label, velocity = excluded.velocity, engagement = excluded.engagement, \
     scored_at = excluded.scored_at";

impl Operation for FinishScores {
    type Output = ();

    fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        succeed(scope, self.claim)?;
        if !self.effects {
            return Ok(());
        }
        let scored = || {
            self.scores.iter().filter_map(|(id, score)| match score {
                Score::Scored(scored) => Some((id, scored)),
                Score::Unscored(_) => None,
            })
        };
        let mut update = scope.prepare(&scope.site.update_score)?;
        for (id, Scored { score, .. }) in scored() {
            update.execute((score, id))?;
        }
        if !scope.keep_details {
            return Ok(());
        }
        let mut keep = scope.prepare(KEEP_DETAILS)?;
        for (id, scored) in scored() {
            keep.execute((
                id,
                &scored.region,
                scored.score,
                scored.label.name(),
                Velocity(scored.velocity),
                scored.engagement,
                self.scored_at,
            ))?;
        }
        Ok(())
    }

    fn touches_file(&self) -> bool {
        self.effects
    }
}

/// Views an hour, as SQLite can hold them: past 64 bits as the nearest double.
struct Velocity(i128);

impl rusqlite::ToSql for Velocity {
    fn to_sql(&self) -> Result<rusqlite::types::ToSqlOutput<'_>, rusqlite::Error> {
        Ok(match i64::try_from(self.0) {
            Ok(whole) => whole.into(),
            Err(_) => (self.0 as f64).into(),
        })
    }
}
