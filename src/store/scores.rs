//! Scores into the site's column and our table of details.

use std::sync::Arc;

use super::error::StoreError;
use super::operation::{Operation, Scope};
use super::outcome::{RetryJob, succeed};
use super::queue::{Claim, Moment};
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
    /// What was found, JSON, if it is to be kept.
    pub result: Option<String>,
    /// Now, on the queue's clock.
    pub now: Moment,
    /// What of the job is left for later; it ends if nothing is.
    pub rest: Option<RetryJob>,
    /// False: nothing is written but what becomes of the job (a dry run).
    pub effects: bool,
    /// Whether the scores of other jobs are about to follow.
    pub more_follow: bool,
}

/// Of a score that stayed the rest is renewed: its index, the dearest to write, is not touched.
const RENEW_DETAILS: &str = "UPDATE main.vvv_scores \
     SET label = ?4, velocity = ?5, engagement = ?6, scored_at = ?7 \
     WHERE video_id = ?1 AND region IS ?2 AND score = ?3";

const KEEP_DETAILS: &str = "INSERT INTO main.vvv_scores \
     (video_id, region, score, label, velocity, engagement, scored_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
     ON CONFLICT (video_id) DO UPDATE SET region = excluded.region, score = excluded.score, \
     label = excluded.label, velocity = excluded.velocity, engagement = excluded.engagement, \
     scored_at = excluded.scored_at";

/// Without it a video that has no score would be picked before all others, run after run.
const RECORD_TRY: &str = "INSERT INTO main.vvv_score_tries (video_id, tried_at) VALUES (?1, ?2) \
     ON CONFLICT (video_id) DO UPDATE SET tried_at = excluded.tried_at";

impl Operation for FinishScores {
    type Output = ();

    fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        match &self.rest {
            None => succeed(scope, self.claim, self.result.as_deref(), self.now)?,
            Some(rest) => rest.apply(scope)?,
        }
        if !self.effects {
            return Ok(());
        }
        let mut update = scope.prepare(&scope.site.update_score)?;
        for (id, score) in self.scores.iter() {
            match score {
                Score::Scored(Scored { score, .. }) => {
                    update.execute((score, id))?;
                }
                Score::Unscored(_) => {}
            }
        }
        if scope.keep_details {
            self.keep_details(scope)?;
        }
        Ok(())
    }

    fn touches_file(&self) -> bool {
        self.effects
    }

    fn may_wait(&self) -> bool {
        self.more_follow
    }
}

impl FinishScores {
    fn keep_details(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        let mut renew = scope.prepare(RENEW_DETAILS)?;
        let mut keep = scope.prepare(KEEP_DETAILS)?;
        let mut record_try = scope.prepare(RECORD_TRY)?;
        for (id, score) in self.scores.iter() {
            let scored = match score {
                Score::Scored(scored) => scored,
                Score::Unscored(_) => {
                    record_try.execute((id, self.scored_at))?;
                    continue;
                }
            };
            let details = (
                id,
                scored.region.as_deref(),
                scored.score,
                scored.label.name(),
                Velocity(scored.velocity),
                scored.engagement,
                self.scored_at,
            );
            if renew.execute(details)? == 0 {
                keep.execute(details)?;
            }
        }
        Ok(())
    }
}

/// Views an hour, as SQLite can hold them: past 64 bits as the nearest double.
#[derive(Clone, Copy)]
struct Velocity(i128);

impl rusqlite::ToSql for Velocity {
    fn to_sql(&self) -> Result<rusqlite::types::ToSqlOutput<'_>, rusqlite::Error> {
        Ok(match i64::try_from(self.0) {
            Ok(whole) => whole.into(),
            Err(_) => (self.0 as f64).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::backlog::ReadQueue;
    use super::super::fixture::{Fixture, JOURNALS, claim, run};
    use super::super::queue::{JobState, ReleaseJobs};
    use super::super::writer::Writer;
    use super::*;
    use crate::domain::job::Kind;
    use crate::domain::score::{Label, Reason};

    fn scored(score: f64, velocity: i128) -> Score {
        Score::Scored(Scored {
            score,
            velocity,
            engagement: 6.21,
            region: Some("PL".into()),
            label: Label::Viral,
        })
    }

    fn finish(writer: &mut Writer, scores: &[(&str, Score)]) -> FinishScores {
        let scores = scores
            .iter()
            .map(|(id, score)| ((*id).to_owned(), score.clone()));
        FinishScores {
            claim: claim(writer, Kind::Score),
            scores: Arc::new(scores.collect()),
            scored_at: 1_700_000_000,
            result: None,
            now: Moment(0),
            rest: None,
            effects: true,
            more_follow: false,
        }
    }

    fn site(journal: &str) -> Fixture {
        let fixture = Fixture::new(journal);
        fixture.sql(
            "CREATE TABLE changes (video_id TEXT); \
             CREATE TRIGGER change AFTER UPDATE ON videos \
               BEGIN INSERT INTO changes VALUES (NEW.video_id); END; \
             INSERT INTO videos (video_id, virality_score) VALUES ('a', 87.3), ('b', 1), ('c', 2.5)",
        );
        fixture
    }

    const STORED: &str = "SELECT video_id, virality_score FROM videos ORDER BY video_id";

    #[test]
    fn scores_are_written_where_they_differ_and_reasons_change_nothing() {
        for journal in JOURNALS {
            let fixture = site(journal);
            let mut writer = fixture.writer();
            let none = Score::Unscored(Reason::InsufficientData);
            let scores = [
                ("a", scored(87.3, 12_345)),
                ("b", scored(-3.0, 7)),
                ("c", none),
                ("nobody", scored(1.0, 1)),
            ];
            let finish = finish(&mut writer, &scores);
            run(&mut writer, finish).unwrap();
            assert_eq!(fixture.rows(STORED), ["a|87.3", "b|-3.0", "c|2.5"]);
            assert_eq!(fixture.rows("SELECT * FROM changes"), ["b"]);
            assert_eq!(
                fixture.rows("SELECT * FROM vvv_scores WHERE video_id <> 'nobody' ORDER BY 1"),
                [
                    "a|PL|87.3|VIRAL|12345|6.21|1700000000",
                    "b|PL|-3.0|VIRAL|7|6.21|1700000000"
                ]
            );
            assert_eq!(
                fixture.rows("SELECT * FROM vvv_score_tries"),
                ["c|1700000000"]
            );
            assert_eq!(run(&mut writer, ReadQueue).unwrap(), []);
        }
    }

    #[test]
    fn the_last_vain_try_is_the_one_that_is_known() {
        let fixture = site("wal");
        let mut writer = fixture.writer();
        for tried_at in [10, 20] {
            let none = Score::Unscored(Reason::NoTimeDelta);
            let mut finish = finish(&mut writer, &[("c", none)]);
            finish.scored_at = tried_at;
            run(&mut writer, finish).unwrap();
        }
        assert_eq!(fixture.rows("SELECT * FROM vvv_score_tries"), ["c|20"]);
    }

    #[test]
    fn details_are_replaced_by_the_next_score() {
        let fixture = site("wal");
        let mut writer = fixture.writer();
        for velocity in [1, i128::from(i64::MAX), i128::MAX] {
            let mut finish = finish(&mut writer, &[("a", scored(10.0, velocity))]);
            finish.scored_at += 60;
            run(&mut writer, finish).unwrap();
        }
        assert_eq!(
            fixture.rows("SELECT score, velocity, scored_at FROM vvv_scores"),
            ["10.0|1.7014118346046923e38|1700000060"]
        );
    }

    #[test]
    fn details_of_a_score_that_stayed_are_renewed() {
        let fixture = site("wal");
        let mut writer = fixture.writer();
        for (region, velocity, scored_at) in [(None, 1, 10), (None, 2, 20), (Some("PL"), 3, 30)] {
            let mut score = scored(10.0, velocity);
            if let Score::Scored(scored) = &mut score {
                scored.region = region.map(Into::into);
            }
            let mut finish = finish(&mut writer, &[("a", score)]);
            finish.scored_at = scored_at;
            run(&mut writer, finish).unwrap();
            assert_eq!(
                fixture.rows("SELECT region, score, velocity, scored_at FROM vvv_scores"),
                [format!(
                    "{}|10.0|{velocity}|{scored_at}",
                    region.unwrap_or("-")
                )]
            );
        }
    }

    #[test]
    fn without_details_only_the_sites_column_is_written() {
        let mut fixture = site("wal");
        fixture.options.keep_details = false;
        let mut writer = fixture.writer();
        let none = Score::Unscored(Reason::InsufficientData);
        let finish = finish(&mut writer, &[("a", scored(10.0, 1)), ("c", none)]);
        run(&mut writer, finish).unwrap();
        assert_eq!(fixture.rows("SELECT * FROM vvv_scores"), [""; 0]);
        assert_eq!(fixture.rows("SELECT * FROM vvv_score_tries"), [""; 0]);
        assert_eq!(fixture.rows("SELECT * FROM changes"), ["a"]);
    }

    #[test]
    fn a_dry_run_only_ends_the_job() {
        let fixture = site("delete");
        let mut writer = fixture.writer();
        let mut finish = finish(&mut writer, &[("a", scored(10.0, 1))]);
        finish.effects = false;
        run(&mut writer, finish).unwrap();
        assert_eq!(fixture.rows("SELECT * FROM vvv_scores"), [""; 0]);
        assert_eq!(fixture.rows("SELECT * FROM changes"), [""; 0]);
        assert_eq!(run(&mut writer, ReadQueue).unwrap(), []);
    }

    #[test]
    fn scores_are_kept_though_the_job_goes_back_for_the_rest() {
        for journal in JOURNALS {
            let fixture = site(journal);
            let mut writer = fixture.writer();
            let mut finish = finish(&mut writer, &[("b", scored(-3.0, 7))]);
            finish.rest = Some(RetryJob {
                claim: finish.claim,
                payload: "the rest".to_owned(),
                result: None,
                delay_ms: 0,
                now: Moment(0),
                error: "asked to stop".to_owned(),
                give_back_attempt: true,
            });
            run(&mut writer, finish).unwrap();
            assert_eq!(fixture.rows("SELECT * FROM changes"), ["b"]);
            let [left] = run(&mut writer, ReadQueue).unwrap()[..] else {
                panic!("one job")
            };
            assert_eq!((left.state, left.jobs), (JobState::Available, 1));
        }
    }

    #[test]
    fn a_lost_claim_writes_nothing() {
        let fixture = site("wal");
        let mut writer = fixture.writer();
        let finish = finish(&mut writer, &[("a", scored(10.0, 1))]);
        let claims = vec![finish.claim];
        run(&mut writer, ReleaseJobs { claims }).unwrap();
        let lost = run(&mut writer, finish).unwrap_err();
        assert!(matches!(lost, StoreError::LeaseLost), "{lost}");
        assert_eq!(fixture.rows("SELECT * FROM changes"), [""; 0]);
        assert_eq!(fixture.rows("SELECT * FROM vvv_scores"), [""; 0]);
    }
}
