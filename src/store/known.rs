//! Verdicts that need not be sought again: fresh enough, or found by this very run.

use rusqlite::{CachedStatement, OptionalExtension, Row, ToSql};

use super::LATEST;
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
        let counts = match since {
            Since::CheckedAt(_) => {
                &format!("checked_at BETWEEN ?3 AND {LATEST} AND status <> 'unknown'")
            }
            Since::Mark(_) => "mark = ?3",
        };
        let sql = format!(
            "SELECT status, reason, width, height FROM main.vvv_thumbnail_checks \
             WHERE video_id = ?1 AND url = ?2 AND {counts}"
        );
        self.in_snapshot(|| {
            let mut lookup = self.connection.prepare_cached(&sql)?;
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
            Since::CheckedAt(_) => format!(
                "SELECT s.liveness, s.liveness_reason, c.http_status \
                 FROM main.vvv_video_status AS s LEFT JOIN main.vvv_liveness_checks AS c \
                 ON c.video_id = s.video_id AND c.verdict = s.liveness \
                 WHERE s.video_id = ?1 AND s.liveness_checked_at BETWEEN ?2 AND {LATEST} \
                 AND s.liveness <> 'unknown'"
            ),
            Since::Mark(_) => "SELECT verdict, reason, http_status FROM main.vvv_liveness_checks \
                 WHERE video_id = ?1 AND mark = ?2"
                .to_owned(),
        };
        self.in_snapshot(|| {
            let mut lookup = self.connection.prepare_cached(&sql)?;
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

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, JOURNALS, claim, run};
    use super::super::queue::{Claim, ReleaseJobs};
    use super::super::{RecordLiveness, RecordThumbnail};
    use super::*;
    use crate::domain::job::Kind;

    fn thumbnail(claim: Claim, mark: &str, status: Status, checked_at: i64) -> RecordThumbnail {
        RecordThumbnail {
            claim,
            mark: mark.to_owned(),
            video_id: "a".to_owned(),
            url: "https://x/1.jpg".to_owned(),
            verdict: Verdict {
                status,
                reason: Some(format!("{status} at {checked_at}")),
                size: (status == Status::Valid).then_some(Size {
                    width: 480,
                    height: 360,
                }),
            },
            checked_at,
        }
    }

    fn item(video_id: &str, url: &str) -> ThumbnailItem {
        ThumbnailItem {
            video_id: video_id.to_owned(),
            thumbnail_url: url.to_owned(),
        }
    }

    fn status(reader: &Reader, since: Since<'_>) -> Option<Status> {
        let items = [item("a", "https://x/1.jpg")];
        let known = reader.known_thumbnails(&items, since).unwrap();
        known[0].as_ref().map(|verdict| verdict.status)
    }

    fn life(claim: Claim, mark: &str, verdict: Life, checked_at: i64) -> RecordLiveness {
        RecordLiveness {
            claim,
            mark: mark.to_owned(),
            video_id: "a".to_owned(),
            judgement: Judgement {
                verdict,
                reason: format!("{verdict} at {checked_at}"),
                http_status: (verdict != Life::Unknown).then_some(404),
            },
            checked_at,
        }
    }

    fn judgement(reader: &Reader, since: Since<'_>) -> Option<Judgement> {
        reader
            .known_liveness(&["a".to_owned()], since)
            .unwrap()
            .remove(0)
    }

    fn verdict_of(reader: &Reader, since: Since<'_>) -> Option<Life> {
        judgement(reader, since).map(|judgement| judgement.verdict)
    }

    fn status_row(fixture: &Fixture) -> Vec<String> {
        fixture.rows("SELECT * FROM vvv_video_status")
    }

    #[test]
    fn a_thumbnail_verdict_is_known_by_video_and_address() {
        for journal in JOURNALS {
            let fixture = Fixture::new(journal);
            let mut writer = fixture.writer();
            let reader = fixture.reader();
            let claim = claim(&mut writer, Kind::Thumbnails);
            let record = thumbnail(claim, "run 1", Status::Valid, 100);
            run(&mut writer, record.clone()).unwrap();
            let items = [
                item("a", "https://x/1.jpg"),
                item("a", "https://x/2.jpg"),
                item("b", "https://x/1.jpg"),
                item("a", "https://x/1.jpg"),
            ];
            for since in [Since::CheckedAt(100), Since::Mark("run 1")] {
                let known = reader.known_thumbnails(&items, since).unwrap();
                let verdict = Some(record.verdict.clone());
                assert_eq!(known, [verdict.clone(), None, None, verdict]);
            }
            for since in [Since::CheckedAt(101), Since::Mark("run 2")] {
                assert_eq!(status(&reader, since), None);
            }
        }
    }

    #[test]
    fn an_unknown_thumbnail_is_marked_but_never_fresh_and_hides_no_verdict() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        let reader = fixture.reader();
        let claim = claim(&mut writer, Kind::Thumbnails);
        let mut record = |mark, status, checked_at| {
            run(&mut writer, thumbnail(claim, mark, status, checked_at)).unwrap();
        };
        record("1", Status::Unknown, 100);
        assert_eq!(status(&reader, Since::Mark("1")), Some(Status::Unknown));
        assert_eq!(status(&reader, Since::CheckedAt(0)), None);
        assert_eq!(status_row(&fixture), ["a|unknown|unknown at 100|100|-|-|-"]);
        record("2", Status::Unknown, 200);
        assert_eq!(status(&reader, Since::Mark("1")), None);
        assert_eq!(status_row(&fixture), ["a|unknown|unknown at 200|200|-|-|-"]);
        record("3", Status::Broken, 300);
        assert_eq!(status(&reader, Since::CheckedAt(300)), Some(Status::Broken));
        record("4", Status::Unknown, 400);
        assert_eq!(status(&reader, Since::Mark("4")), Some(Status::Unknown));
        assert_eq!(status_row(&fixture), ["a|broken|broken at 300|300|-|-|-"]);
        record("5", Status::Placeholder, 500);
        assert_eq!(
            status_row(&fixture),
            ["a|placeholder|placeholder at 500|500|-|-|-"]
        );
        assert_eq!(
            fixture.rows("SELECT * FROM vvv_thumbnail_checks"),
            ["a|https://x/1.jpg|placeholder|placeholder at 500|-|-|500|5"]
        );
    }

    #[test]
    fn an_unknown_life_is_marked_but_takes_no_verdict_back() {
        for journal in JOURNALS {
            let fixture = Fixture::new(journal);
            let mut writer = fixture.writer();
            let reader = fixture.reader();
            let claim = claim(&mut writer, Kind::Liveness);
            let mut record = |mark, verdict, checked_at| {
                let record = life(claim, mark, verdict, checked_at);
                run(&mut writer, record.clone()).unwrap();
                Some(record.judgement)
            };
            let unknown = record("1", Life::Unknown, 100);
            assert_eq!(judgement(&reader, Since::Mark("1")), unknown);
            assert_eq!(judgement(&reader, Since::CheckedAt(0)), None);
            let dead = record("2", Life::Dead, 200);
            assert_eq!(judgement(&reader, Since::CheckedAt(200)), dead);
            assert_eq!(judgement(&reader, Since::Mark("1")), None);
            let unknown = record("3", Life::Unknown, 300);
            assert_eq!(judgement(&reader, Since::Mark("3")), unknown);
            assert_eq!(verdict_of(&reader, Since::CheckedAt(200)), Some(Life::Dead));
            assert_eq!(verdict_of(&reader, Since::CheckedAt(201)), None);
            assert_eq!(status_row(&fixture), ["a|-|-|-|dead|dead at 200|200"]);
            let alive = record("4", Life::Alive, 400);
            assert_eq!(judgement(&reader, Since::CheckedAt(400)), alive);
            assert_eq!(status_row(&fixture), ["a|-|-|-|alive|alive at 400|400"]);
        }
    }

    #[test]
    fn both_verdicts_of_a_video_share_its_row() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        let picture = claim(&mut writer, Kind::Thumbnails);
        let video = claim(&mut writer, Kind::Liveness);
        run(&mut writer, thumbnail(picture, "1", Status::Valid, 10)).unwrap();
        run(&mut writer, life(video, "1", Life::Invalid, 20)).unwrap();
        let both = ["a|valid|valid at 10|10|invalid|invalid at 20|20"];
        assert_eq!(status_row(&fixture), both);
    }

    #[test]
    fn a_lost_claim_records_nothing() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        let picture = claim(&mut writer, Kind::Thumbnails);
        let video = claim(&mut writer, Kind::Liveness);
        let claims = vec![picture, video];
        run(&mut writer, ReleaseJobs { claims }).unwrap();
        let outcomes = [
            run(&mut writer, thumbnail(picture, "1", Status::Valid, 10)),
            run(&mut writer, life(video, "1", Life::Dead, 20)),
        ];
        for outcome in outcomes {
            assert!(matches!(outcome, Err(StoreError::LeaseLost)), "{outcome:?}");
        }
        assert_eq!(status_row(&fixture), [""; 0]);
    }

    #[test]
    fn a_status_of_a_later_version_is_as_good_as_none() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        let claim = claim(&mut writer, Kind::Thumbnails);
        run(&mut writer, thumbnail(claim, "1", Status::Valid, 10)).unwrap();
        fixture.sql("UPDATE vvv_thumbnail_checks SET status = 'blurred'");
        assert_eq!(status(&fixture.reader(), Since::CheckedAt(0)), None);
    }

    #[test]
    fn a_verdict_of_a_clock_that_ran_ahead_is_not_fresh() {
        let fixture = Fixture::new("wal");
        fixture.writer().close();
        let ahead = "strftime('%s', 'now') + 86400";
        fixture.sql(&format!(
            "INSERT INTO vvv_thumbnail_checks (video_id, url, status, checked_at, mark) VALUES \
               ('a', 'https://x/1.jpg', 'valid', {ahead}, '1'); \
             INSERT INTO vvv_video_status (video_id, liveness, liveness_checked_at) VALUES \
               ('a', 'alive', {ahead}); \
             INSERT INTO vvv_liveness_checks VALUES ('a', 'alive', '', 200, {ahead}, '1');"
        ));
        let reader = fixture.reader();
        assert_eq!(status(&reader, Since::CheckedAt(0)), None);
        assert_eq!(status(&reader, Since::Mark("1")), Some(Status::Valid));
        assert_eq!(verdict_of(&reader, Since::CheckedAt(0)), None);
        assert_eq!(verdict_of(&reader, Since::Mark("1")), Some(Life::Alive));
    }
}
