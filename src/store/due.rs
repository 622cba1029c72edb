//! What a scheduled task is to work on.

use super::LATEST;
use super::error::StoreError;
use super::reader::Reader;
use super::selection::Selection;
use super::site::Names;
use crate::config::FetchedAt;
use crate::domain::job::{Job, Kind, LivenessJob, Queue, ScoreJob, ThumbnailItem, ThumbnailsJob};

impl Reader {
    /// Every video with a snapshot newer than its score, or than the last vain try.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted.
    pub fn due_for_score(&self) -> Result<Job, StoreError> {
        let video_ids = self.ids(&due_for_score(&self.site.names, self.site.fetched_at), ())?;
        Ok(Job::Score(ScoreJob { video_ids }))
    }

    /// Every thumbnail without a definitive verdict since `before`, Unix seconds.
    ///
    /// # Errors
    /// As [`Self::due_for_score`], and when the site has no column for their addresses.
    pub fn due_for_thumbnail(&self, before: i64) -> Result<Job, StoreError> {
        let picked = self.select(&Selection {
            kind: Kind::Thumbnails,
            stale_before: Some(before),
            region: None,
            limit: None,
        })?;
        let videos = picked.into_iter().filter_map(|video| {
            Some(ThumbnailItem {
                video_id: video.video_id,
                thumbnail_url: video.thumbnail_url?,
            })
        });
        Ok(Job::Thumbnails(ThumbnailsJob {
            videos: videos.collect(),
        }))
    }

    /// Videos without a definitive verdict since `before`, Unix seconds: those never asked about
    /// first, then by how long ago they were, in which a video of score 100 counts five times one
    /// of score 0. As many as `calls` leave room for beside those that wait in the queue.
    ///
    /// # Errors
    /// As [`Self::due_for_score`].
    pub fn due_for_liveness(&self, before: i64, now: i64, calls: u64) -> Result<Job, StoreError> {
        let waiting: i64 = self.connection.query_row(
            "SELECT coalesce(sum(items), 0) FROM main.vvv_jobs WHERE queue = ?1 \
             AND state IN ('available', 'scheduled', 'retryable', 'running')",
            [Queue::Cleanup.name()],
            |row| row.get(0),
        )?;
        let room = i64::try_from(calls)
            .unwrap_or(i64::MAX)
            .saturating_sub(waiting)
            .max(0);
        let sql = due_for_liveness(&self.site.names);
        let video_ids = self.ids(&sql, (before, now, room))?;
        Ok(Job::Liveness(LivenessJob {
            video_ids,
            fresh: false,
        }))
    }

    /// The ids a statement answers. One that is no UTF-8 is none we could ask for.
    fn ids(&self, sql: &str, values: impl rusqlite::Params) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query(values)?;
        let mut ids = Vec::new();
        while let Some(row) = rows.next()? {
            ids.extend(row.get_ref(0)?.as_str().ok().map(str::to_owned));
        }
        Ok(ids)
    }
}

/// The videos of the site, their ids as text.
fn videos(names: &Names) -> String {
    let Names {
        videos,
        videos_order,
        video_id,
        virality_score,
        ..
    } = names;
    format!(
        "(SELECT CAST({video_id} AS TEXT) AS id, {video_id} AS own_id, \
           {virality_score} AS score, {videos_order} AS place, {LATEST} AS latest \
         FROM {videos} WHERE typeof({video_id}) IN ('text', 'integer')) AS v"
    )
}

fn due_for_score(names: &Names, form: FetchedAt) -> String {
    let Names {
        snapshots,
        snapshot_video_id,
        fetched_at,
        newest_first,
        ..
    } = names;
    let seconds = match form {
        FetchedAt::Text => format!("CAST(strftime('%s', {fetched_at}) AS INTEGER)"),
        FetchedAt::Unix => fetched_at.clone(),
        FetchedAt::UnixMs => format!("{fetched_at} / 1000"),
    };
    // One of the second in which the score was made may have come after it.
    format!(
        "SELECT v.id FROM {videos} \
         LEFT JOIN main.vvv_scores AS c ON c.video_id = v.id AND c.scored_at <= v.latest \
         LEFT JOIN main.vvv_score_tries AS t ON t.video_id = v.id AND t.tried_at <= v.latest \
         WHERE (SELECT {seconds} FROM {snapshots} WHERE {snapshot_video_id} = v.own_id \
             ORDER BY {newest_first} LIMIT 1) \
           >= max(coalesce(c.scored_at, t.tried_at, 0), coalesce(t.tried_at, c.scored_at, 0)) \
         ORDER BY v.place",
        videos = videos(names)
    )
}

/// Takes: the time before which a verdict is stale, now, the limit.
fn due_for_liveness(names: &Names) -> String {
    format!(
        "SELECT v.id FROM {videos} \
         LEFT JOIN main.vvv_video_status AS s ON s.video_id = v.id \
           AND s.liveness_checked_at <= v.latest \
         LEFT JOIN main.vvv_liveness_checks AS c ON c.video_id = v.id AND c.checked_at <= v.latest \
         WHERE coalesce(CASE WHEN s.liveness <> 'unknown' THEN s.liveness_checked_at END < ?1, 1) \
         ORDER BY c.checked_at IS NOT NULL, \
           (?2 - coalesce(c.checked_at, 0)) \
             * (1.0 + max(min(CAST(coalesce(v.score, 0) AS REAL), 100.0), 0.0) / 25.0) DESC, \
           v.place LIMIT ?3",
        videos = videos(names)
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, JOURNALS};
    use super::*;

    fn ids(job: Job) -> Vec<String> {
        match job {
            Job::Score(job) => job.video_ids,
            Job::Liveness(job) => job.video_ids,
            Job::Thumbnails(job) => job.videos.into_iter().map(|item| item.video_id).collect(),
        }
    }

    fn site(journal: &str) -> Fixture {
        let fixture = Fixture::new(journal);
        fixture.writer().close();
        fixture
    }

    #[test]
    fn a_video_is_scored_again_when_a_snapshot_came_after_its_score() {
        for journal in JOURNALS {
            let fixture = site(journal);
            fixture.sql(
                "INSERT INTO videos (video_id) VALUES ('new'), ('fresh'), ('old'), ('bare'), \
                   ('vain'), ('again'); \
                 INSERT INTO video_snapshots (video_id, fetched_at) VALUES \
                   ('new', '1970-01-01 00:01:40'), ('fresh', '1970-01-01 00:05:00'), \
                   ('fresh', '1970-01-01 00:00:10'), ('old', '1970-01-01 00:01:40'), \
                   ('vain', '1970-01-01 00:01:40'), ('again', '1970-01-01 00:05:00'); \
                 INSERT INTO vvv_scores VALUES ('fresh', NULL, 1.0, 'NORMAL', 1, 1.0, 200), \
                   ('old', NULL, 1.0, 'NORMAL', 1, 1.0, 200); \
                 INSERT INTO vvv_score_tries VALUES ('vain', 200), ('again', 200);",
            );
            let due = fixture.reader().due_for_score().unwrap();
            assert_eq!(ids(due), ["new", "fresh", "again"]);
        }
    }

    #[test]
    fn every_form_of_time_is_understood() {
        for (form, times) in [
            (FetchedAt::Unix, [100, 300]),
            (FetchedAt::UnixMs, [100_000, 300_000]),
        ] {
            let mut fixture = site("wal");
            fixture.options.schema.fetched_at = form;
            fixture.sql(&format!(
                "INSERT INTO videos (video_id) VALUES ('old'), ('new'); \
                 INSERT INTO video_snapshots (video_id, fetched_at) VALUES \
                   ('old', {}), ('new', {}); \
                 INSERT INTO vvv_score_tries VALUES ('old', 200), ('new', 200);",
                times[0], times[1]
            ));
            assert_eq!(ids(fixture.reader().due_for_score().unwrap()), ["new"]);
        }
    }

    #[test]
    fn the_stalest_and_hottest_are_asked_about_within_the_budget() {
        let fixture = site("wal");
        fixture.sql(
            "INSERT INTO videos (video_id, virality_score) VALUES ('cold', 0), ('hot', 100), \
               ('odd', 'much'), ('never', NULL), ('never-hot', 90), ('lately', 100); \
             INSERT INTO vvv_liveness_checks VALUES ('cold', 'alive', '', 200, 6000, ''), \
               ('hot', 'alive', '', 200, 9000, ''), ('odd', 'alive', '', 200, 7000, ''), \
               ('lately', 'alive', '', 200, 9900, ''); \
             INSERT INTO vvv_video_status (video_id, liveness, liveness_checked_at) VALUES \
               ('cold', 'alive', 6000), ('hot', 'alive', 9000), ('odd', 'alive', 7000), \
               ('lately', 'alive', 9900);",
        );
        let due = |calls| {
            let reader = fixture.reader();
            ids(reader.due_for_liveness(9_500, 10_000, calls).unwrap())
        };
        assert_eq!(due(10), ["never-hot", "never", "hot", "cold", "odd"]);
        assert_eq!(due(3), ["never-hot", "never", "hot"]);
        fixture.sql(
            "INSERT INTO vvv_jobs (queue, state, items) VALUES ('cleanup', 'available', 2), \
               ('cleanup', 'succeeded', 9), ('scoring', 'available', 9)",
        );
        assert_eq!(due(3), ["never-hot"]);
        assert_eq!(due(1), [""; 0]);
    }

    #[test]
    fn thumbnails_come_with_their_addresses() {
        let fixture = site("wal");
        fixture.sql(
            "INSERT INTO videos (video_id, thumbnail_url) VALUES ('a', 'https://x/a'), ('b', NULL)",
        );
        let due = fixture.reader().due_for_thumbnail(100).unwrap();
        assert_eq!(ids(due), ["a"]);
    }

    #[test]
    fn what_a_clock_that_ran_ahead_wrote_hides_no_video() {
        let fixture = site("wal");
        let (now, ahead) = ("strftime('%s', 'now')", "strftime('%s', 'now') + 86400");
        fixture.sql(&format!(
            "INSERT INTO videos (video_id, thumbnail_url) VALUES ('right', 'https://x/r'), \
               ('ahead', 'https://x/a'), ('tried', 'https://x/t'); \
             INSERT INTO video_snapshots (video_id, fetched_at) VALUES \
               ('right', '2020-01-01'), ('ahead', '2020-01-01'), ('tried', '2020-01-01'); \
             INSERT INTO vvv_scores VALUES ('right', NULL, 1.0, 'NORMAL', 1, 1.0, {now}), \
               ('ahead', NULL, 1.0, 'NORMAL', 1, 1.0, {ahead}); \
             INSERT INTO vvv_score_tries VALUES ('tried', {ahead}); \
             INSERT INTO vvv_thumbnail_checks (video_id, url, status, checked_at, mark) VALUES \
               ('right', 'https://x/r', 'valid', {now}, ''), \
               ('ahead', 'https://x/a', 'valid', {ahead}, ''), \
               ('tried', 'https://x/t', 'valid', {now}, ''); \
             INSERT INTO vvv_liveness_checks VALUES ('right', 'alive', '', 200, {now}, ''), \
               ('ahead', 'alive', '', 200, {ahead}, ''), ('tried', 'alive', '', 200, {now}, ''); \
             INSERT INTO vvv_video_status (video_id, liveness, liveness_checked_at) \
               SELECT video_id, verdict, checked_at FROM vvv_liveness_checks;"
        ));
        let reader = fixture.reader();
        assert_eq!(ids(reader.due_for_score().unwrap()), ["ahead", "tried"]);
        assert_eq!(ids(reader.due_for_thumbnail(1).unwrap()), ["ahead"]);
        let now: i64 = fixture.rows(&format!("SELECT {now}"))[0].parse().unwrap();
        let due = reader.due_for_liveness(1, now, 9).unwrap();
        assert_eq!(ids(due), ["ahead"]);
        for kind in [Kind::Score, Kind::Liveness] {
            let stale = Selection {
                kind,
                stale_before: Some(1),
                region: None,
                limit: None,
            };
            let picked = reader.select(&stale).unwrap();
            assert_eq!(picked[0].video_id, "ahead", "{kind}");
            assert!(
                picked.iter().all(|video| video.video_id != "right"),
                "{kind}"
            );
        }
    }
}
