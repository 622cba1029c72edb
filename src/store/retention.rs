//! What is kept no longer: found by a reader, deleted by the writer in small pieces.

use super::error::StoreError;
use super::operation::{Operation, Scope};
use super::queue::Moment;
use super::reader::Reader;
use crate::config::Retention;

/// Rows deleted by one operation, so that none holds the writer long.
pub const ROWS_A_SLICE: usize = 500;
/// Rows found by one look; what is left is found by the next.
const ROWS_A_LOOK: i64 = 20_000;

/// A table whose rows expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiring {
    /// Jobs that have ended.
    Jobs,
    /// Groups that have ended.
    Groups,
    /// Verdicts on thumbnails.
    ThumbnailChecks,
    /// Verdicts on videos.
    LivenessChecks,
    /// Tries that gave no score.
    ScoreTries,
    /// What the site's pages are told of both verdicts.
    VideoStatus,
    /// Scores.
    Scores,
}

/// A row that has expired, as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    rowid: i64,
    time: i64,
}

impl Expiring {
    /// Every such table. Groups come after their jobs, whose time is theirs.
    pub const ALL: [Self; 7] = [
        Self::Jobs,
        Self::Groups,
        Self::ThumbnailChecks,
        Self::LivenessChecks,
        Self::ScoreTries,
        Self::VideoStatus,
        Self::Scores,
    ];

    const fn table(self) -> &'static str {
        match self {
            Self::Jobs => "main.vvv_jobs",
            Self::Groups => "main.vvv_groups",
            Self::ThumbnailChecks => "main.vvv_thumbnail_checks",
            Self::LivenessChecks => "main.vvv_liveness_checks",
            Self::ScoreTries => "main.vvv_score_tries",
            Self::VideoStatus => "main.vvv_video_status",
            Self::Scores => "main.vvv_scores",
        }
    }

    /// When a row was last of use; NULL for one that stays.
    const fn time(self) -> &'static str {
        match self {
            Self::Jobs | Self::Groups => "ended_ms",
            Self::ThumbnailChecks | Self::LivenessChecks => "checked_at",
            Self::ScoreTries => "tried_at",
            Self::VideoStatus => {
                "max(coalesce(thumbnail_checked_at, 0), coalesce(liveness_checked_at, 0))"
            }
            Self::Scores => "scored_at",
        }
    }

    /// What a row needs to go. Takes the time before which its group has to have ended, and now.
    const fn may_go(self) -> &'static str {
        match self {
            // Those of an open group are its result; a key may have to outlast the result.
            Self::Jobs => {
                "(group_id IS NULL OR NOT EXISTS (SELECT 1 FROM main.vvv_groups AS g \
                    WHERE g.id = group_id AND (g.ended_ms IS NULL OR g.ended_ms >= ?1))) \
                 AND (unique_key IS NULL OR coalesce(queued_ms + unique_for * 1000 <= ?2, 1))"
            }
            Self::Groups
            | Self::ThumbnailChecks
            | Self::LivenessChecks
            | Self::ScoreTries
            | Self::VideoStatus
            | Self::Scores => "?2 = ?2",
        }
    }

    /// The time before which rows go, in the table's unit, and the most that stay.
    fn limits(self, keep: &Retention, now: Moment) -> (i64, u64) {
        let age = match self {
            Self::Jobs | Self::Groups => keep.results,
            Self::ThumbnailChecks | Self::LivenessChecks | Self::ScoreTries | Self::VideoStatus => {
                keep.checks
            }
            Self::Scores => keep.scores,
        };
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let before_ms = now.0.saturating_sub(age_ms);
        match self {
            Self::Jobs | Self::Groups => (before_ms, keep.jobs_max_rows),
            Self::ThumbnailChecks
            | Self::LivenessChecks
            | Self::ScoreTries
            | Self::VideoStatus
            | Self::Scores => (before_ms.div_euclid(1000), keep.checks_max_rows),
        }
    }
}

impl Reader {
    /// Rows that have expired by age, or are more than may stay: 20,000 at most.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn expired(
        &self,
        table: Expiring,
        keep: &Retention,
        now: Moment,
    ) -> Result<Vec<Expired>, StoreError> {
        let (before, most) = table.limits(keep, now);
        let (name, time, may_go) = (table.table(), table.time(), table.may_go());
        let old = format!(
            "SELECT rowid, {time} FROM {name} WHERE {time} < ?1 AND {may_go} \
             ORDER BY rowid LIMIT {ROWS_A_LOOK}"
        );
        let expired = self.rows_found(&old, [before, now.0])?;
        if !expired.is_empty() {
            return Ok(expired);
        }
        let count = format!("SELECT count(*) FROM {name} WHERE {time} IS NOT NULL");
        let count: i64 = self.connection.query_row(&count, [], |row| row.get(0))?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let surplus = count.saturating_sub(most).min(ROWS_A_LOOK);
        if surplus <= 0 {
            return Ok(Vec::new());
        }
        // However full, what an unfinished group or a key needs stays.
        let oldest = format!(
            "SELECT rowid, {time} FROM {name} WHERE {time} IS NOT NULL AND {may_go} \
             ORDER BY {time} LIMIT ?3"
        );
        self.rows_found(&oldest, [i64::MAX, now.0, surplus])
    }

    fn rows_found(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<Expired>, StoreError> {
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map(values, |row| {
            Ok(Expired {
                rowid: row.get(0)?,
                time: row.get(1)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Deletes rows as they were found; one that was renewed meanwhile stays.
#[derive(Debug, Clone)]
pub struct Prune {
    /// Where they are.
    pub table: Expiring,
    /// The rows.
    pub rows: Vec<Expired>,
}

impl Operation for Prune {
    /// How many were deleted.
    type Output = usize;

    fn apply(&self, scope: &Scope<'_>) -> Result<usize, StoreError> {
        let (name, time) = (self.table.table(), self.table.time());
        let sql = format!("DELETE FROM {name} WHERE rowid = ?1 AND {time} = ?2");
        let mut delete = scope.prepare(&sql)?;
        let mut deleted = 0;
        for row in &self.rows {
            deleted += delete.execute((row.rowid, row.time))?;
        }
        Ok(deleted)
    }
}

/// Has jobs that have ended, with their groups, give their unique keys up once their time is over,
/// so that a plain INSERT may use them again: 500 at most.
#[derive(Debug, Clone, Copy)]
pub struct GiveKeysUp {
    /// Now.
    pub now: Moment,
}

impl Operation for GiveKeysUp {
    /// How many did.
    type Output = usize;

    fn apply(&self, scope: &Scope<'_>) -> Result<usize, StoreError> {
        let given_up = scope
            .prepare(
                "UPDATE main.vvv_jobs SET unique_key = NULL WHERE id IN (\
                   SELECT id FROM main.vvv_jobs WHERE unique_key IS NOT NULL \
                     AND ended_ms IS NOT NULL AND queued_ms + unique_for * 1000 <= ?1 \
                     AND NOT EXISTS (SELECT 1 FROM main.vvv_groups AS g \
                       WHERE g.id = group_id AND g.ended_ms IS NULL) LIMIT 500)",
            )?
            .execute([self.now.0])?;
        Ok(given_up)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::QueueHome;
    use super::super::Writer;
    use super::super::fixture::{Fixture, JOURNALS};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn keep() -> Retention {
        Retention {
            results: 100 * SECOND,
            jobs_max_rows: 1_000,
            checks: 200 * SECOND,
            checks_max_rows: 3,
            scores: 300 * SECOND,
        }
    }

    fn site(journal: &str) -> (Fixture, Writer) {
        let mut fixture = Fixture::new(journal);
        fixture.options.queue = QueueHome::File;
        let writer = fixture.writer();
        (fixture, writer)
    }

    /// Prunes as the scheduler does; how many rows went.
    fn prune(fixture: &Fixture, writer: &mut Writer, table: Expiring, keep: &Retention) -> usize {
        let mut pruned = 0;
        loop {
            let now = Moment(1_000_000);
            let rows = fixture.reader().expired(table, keep, now).unwrap();
            if rows.is_empty() {
                return pruned;
            }
            for rows in rows.chunks(ROWS_A_SLICE) {
                let rows = rows.to_vec();
                pruned += writer.run(Prune { table, rows }).unwrap();
            }
        }
    }

    #[test]
    fn ended_jobs_go_by_age_but_not_before_their_group_and_their_key() {
        for journal in JOURNALS {
            let (fixture, mut writer) = site(journal);
            fixture.sql(
                "INSERT INTO vvv_groups (id, jobs, queued_ms, ended_ms) VALUES (1, 1, 0, NULL), \
                   (2, 1, 0, 950000), (3, 1, 0, 800000); \
                 INSERT INTO vvv_jobs (id, state, queued_ms, ended_ms, group_id, unique_key, \
                   unique_for) VALUES \
                   (1, 'available', 0, NULL, NULL, NULL, NULL), \
                   (2, 'succeeded', 0, 899999, NULL, NULL, NULL), \
                   (3, 'failed', 0, 900000, NULL, NULL, NULL), \
                   (4, 'succeeded', 0, 1, 1, NULL, NULL), (5, 'succeeded', 0, 1, 2, NULL, NULL), \
                   (6, 'succeeded', 0, 1, 3, NULL, NULL), \
                   (7, 'succeeded', 0, 1, NULL, 'held', 1001), \
                   (8, 'succeeded', 0, 1, NULL, 'over', 1000), \
                   (9, 'succeeded', 0, 1, NULL, 'for the row', NULL);",
            );
            assert_eq!(prune(&fixture, &mut writer, Expiring::Jobs, &keep()), 4);
            assert_eq!(
                fixture.rows("SELECT id FROM vvv_jobs"),
                ["1", "3", "4", "5", "7"]
            );
            assert_eq!(prune(&fixture, &mut writer, Expiring::Groups, &keep()), 1);
            assert_eq!(fixture.rows("SELECT id FROM vvv_groups"), ["1", "2"]);
        }
    }

    #[test]
    fn beyond_the_most_rows_the_oldest_go() {
        let (fixture, mut writer) = site("wal");
        fixture.sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
             INSERT INTO vvv_jobs (id, state, ended_ms, queued_ms) \
               SELECT i, 'succeeded', 1000000 - i, 0 FROM n; \
             INSERT INTO vvv_jobs (state) VALUES ('available');",
        );
        assert_eq!(prune(&fixture, &mut writer, Expiring::Jobs, &keep()), 2_000);
        assert_eq!(
            fixture.rows("SELECT max(ended_ms), min(ended_ms), count(*) FROM vvv_jobs"),
            ["999999|999000|1001"]
        );
    }

    #[test]
    fn beyond_the_most_rows_what_a_group_or_a_key_needs_stays() {
        let (fixture, mut writer) = site("wal");
        fixture.sql(
            "INSERT INTO vvv_groups (id, jobs, queued_ms, ended_ms) VALUES (1, 2, 0, NULL), \
               (2, 1, 0, 999000); \
             INSERT INTO vvv_jobs (id, state, queued_ms, ended_ms, group_id, unique_key, \
               unique_for) VALUES \
               (1, 'succeeded', 0, 999001, 1, NULL, NULL), \
               (2, 'succeeded', 0, 999002, 2, NULL, NULL), \
               (3, 'succeeded', 0, 999003, NULL, 'held', 1001), \
               (4, 'succeeded', 0, 999004, NULL, 'over', 1000), \
               (5, 'succeeded', 0, 999005, NULL, NULL, NULL);",
        );
        let full = Retention {
            jobs_max_rows: 1,
            ..keep()
        };
        assert_eq!(prune(&fixture, &mut writer, Expiring::Jobs, &full), 3);
        assert_eq!(fixture.rows("SELECT id FROM vvv_jobs"), ["1", "3"]);
    }

    #[test]
    fn every_table_of_ours_has_its_age_and_its_cap() {
        let (fixture, mut writer) = site("wal");
        let checks = "(1, 'u', 'valid', 'r', 1, 1, {}, '')";
        let rows = |row: &str| {
            let times = [100, 799, 900, 910, 920, 930];
            let rows = times.map(|time| row.replace("{}", &time.to_string()));
            rows.iter()
                .zip("abcdef".chars())
                .map(|(row, id)| row.replacen('1', &format!("'{id}'"), 1))
                .collect::<Vec<_>>()
                .join(", ")
        };
        fixture.sql(&format!(
            "INSERT INTO vvv_thumbnail_checks VALUES {}; \
             INSERT INTO vvv_liveness_checks VALUES {}; \
             INSERT INTO vvv_score_tries VALUES {}; \
             INSERT INTO vvv_video_status (video_id, liveness_checked_at) VALUES {}; \
             INSERT INTO vvv_scores VALUES {};",
            rows(checks),
            rows("(1, 'alive', '', 200, {}, '')"),
            rows("(1, {})"),
            rows("(1, {})"),
            rows("(1, NULL, 1.0, 'NORMAL', 1, 1.0, {})"),
        ));
        for table in Expiring::ALL {
            let roomy = Retention {
                checks_max_rows: 100,
                ..keep()
            };
            let gone = match table {
                Expiring::Jobs | Expiring::Groups => [0, 0],
                Expiring::Scores => [1, 2],
                Expiring::ThumbnailChecks
                | Expiring::LivenessChecks
                | Expiring::ScoreTries
                | Expiring::VideoStatus => [2, 1],
            };
            assert_eq!(
                prune(&fixture, &mut writer, table, &roomy),
                gone[0],
                "{table:?}"
            );
            assert_eq!(
                prune(&fixture, &mut writer, table, &keep()),
                gone[1],
                "{table:?}"
            );
        }
        let left = fixture.rows("SELECT group_concat(video_id, '') FROM vvv_scores");
        assert_eq!(left, ["def"]);
    }

    #[test]
    fn what_was_renewed_meanwhile_stays() {
        let (fixture, mut writer) = site("wal");
        fixture.sql("INSERT INTO vvv_score_tries VALUES ('a', 1), ('b', 1)");
        let (table, now) = (Expiring::ScoreTries, Moment(1_000_000));
        let rows = fixture.reader().expired(table, &keep(), now).unwrap();
        fixture.sql("UPDATE vvv_score_tries SET tried_at = 999 WHERE video_id = 'a'");
        assert_eq!(writer.run(Prune { table, rows }).unwrap(), 1);
        assert_eq!(fixture.rows("SELECT video_id FROM vvv_score_tries"), ["a"]);
    }

    #[test]
    fn a_key_whose_time_is_over_may_be_inserted_again() {
        let (fixture, mut writer) = site("wal");
        fixture.sql(
            "INSERT INTO vvv_jobs (state, queued_ms, ended_ms, unique_key, unique_for) VALUES \
               ('succeeded', 0, 1, 'over', 9), ('succeeded', 0, 1, 'held', 11), \
               ('running', 0, NULL, 'at work', 1), ('failed', 0, 1, 'kept', NULL); \
             INSERT INTO vvv_groups (id, jobs, queued_ms) VALUES (1, 2, 0); \
             INSERT INTO vvv_jobs (state, queued_ms, ended_ms, unique_key, unique_for, group_id) \
               VALUES ('succeeded', 0, 1, 'cut', 9, 1);",
        );
        assert_eq!(
            writer
                .run(GiveKeysUp {
                    now: Moment(10_000)
                })
                .unwrap(),
            1
        );
        assert_eq!(
            fixture
                .rows("SELECT unique_key FROM vvv_jobs WHERE unique_key IS NOT NULL ORDER BY id"),
            ["held", "at work", "kept", "cut"]
        );
    }
}
