//! What is told of a video and of sizes.

use vvv_actors::engine::database::{Rows, show_video, size};

use super::{JOURNALS, Vault, patiently};

#[test]
fn a_video_is_shown_with_all_that_is_known_and_why() {
    for journal in JOURNALS {
        let vault = Vault::new(journal);
        vault.video("abcdefghijk", &[100, 1_000, 3_000, 3_500, 4_000, 5_000]);
        vault.own_tables();
        vault.sql(
            "INSERT INTO vvv_scores VALUES ('abcdefghijk', 'PL', 12.5, 'NORMAL', 1200, 0.4, \
               1769860800); \
             INSERT INTO vvv_video_status VALUES ('abcdefghijk', 'placeholder', \
               '120x90 is under 200x150', 1769860801, 'alive', 'http 200', 1769860802); \
             INSERT INTO vvv_thumbnail_checks VALUES \
               ('abcdefghijk', 'https://a/1.jpg', 'placeholder', '120x90 is under 200x150', \
                120, 90, 1769860801, 'm'), \
               ('abcdefghijk', 'https://a/2.jpg', 'unknown', 'no answer: timed out', \
                NULL, NULL, 1769860900, 'm'); \
             INSERT INTO vvv_liveness_checks VALUES \
               ('abcdefghijk', 'unknown', 'http 429', 429, 1769860999, 'm');",
        );
        let show = |id: &str| patiently(|patience| show_video(&vault.config, id, patience));
        let card = show("abcdefghijk").unwrap().unwrap();
        let json = serde_json::to_value(&card).unwrap();
        assert_eq!(json["in_site"], true);
        assert_eq!(json["virality_score"], 12.5);
        assert_eq!(json["snapshots"].as_array().unwrap().len(), 5);
        assert_eq!(json["snapshots"][0]["views"], 5_000);
        assert_eq!(json["snapshots"][0]["seconds"], 300);
        assert_eq!(json["snapshots"][0]["velocity"], 12_000.0);
        assert_eq!(json["snapshots"][4]["velocity"], serde_json::Value::Null);
        // min(100, 12000/10000·100)·0.55 + (20/5000·100)/6·100·0.45
        assert_eq!(json["score"]["now"]["score"], 58.0);
        assert_eq!(json["score"]["now"]["label"], "NORMAL");
        assert_eq!(json["score"]["baseline"]["region"], "PL");
        assert_eq!(json["score"]["baseline"]["is_own"], true);
        assert_eq!(json["score"]["stored"]["scored_at"], "2026-01-31T12:00:00Z");
        assert!(json["score"]["note"].as_str().unwrap().contains("next run"));
        assert_eq!(json["thumbnail"]["verdict"]["verdict"], "placeholder");
        assert_eq!(json["thumbnail"]["checks"][0]["url"], "https://a/2.jpg");
        assert_eq!(json["thumbnail"]["checks"][1]["size"], "120x90");
        assert_eq!(json["liveness"]["verdict"]["reason"], "http 200");
        assert_eq!(json["liveness"]["latest"]["http_status"], 429);
        assert!(show("nobody-knows").unwrap().is_none());

        // One that only our tables know, and one that only the site knows.
        vault.sql(
            "INSERT INTO vvv_liveness_checks VALUES ('gone', 'dead', 'http 404', 404, 1, 'm')",
        );
        let gone = show("gone").unwrap().unwrap();
        assert!(!gone.in_site);
        assert_eq!(gone.liveness.latest.unwrap().found.verdict, "dead");
        vault.video("new", &[]);
        let new = show("new").unwrap().unwrap();
        assert_eq!(
            new.score.note,
            "insufficient data, so the site keeps the score it has"
        );
    }
}

#[test]
fn a_video_is_shown_before_the_first_run() {
    let vault = Vault::new("delete");
    vault.video("abcdefghijk", &[100, 200]);
    let before = vault.files();
    let card = patiently(|patience| show_video(&vault.config, "abcdefghijk", patience));
    let card = card.unwrap().unwrap();
    assert_eq!(card.score.stored, None);
    assert_eq!(card.thumbnail.verdict, None);
    assert_eq!(vault.files(), before);
}

#[test]
fn sizes_are_told_without_changing_anything() {
    for journal in JOURNALS {
        let vault = Vault::new(journal);
        vault.video("abcdefghijk", &[1, 2, 3]);
        let measured = patiently(|patience| size(&vault.config, patience)).unwrap();
        assert_eq!(measured.ours, []);
        assert_eq!(measured.wal_bytes, None);
        vault.own_tables();
        let before = vault.files();
        let measured = patiently(|patience| size(&vault.config, patience)).unwrap();
        assert_eq!(vault.files(), before);
        assert_eq!(measured.file_bytes, before[vault.path()].len() as u64);
        assert_eq!(
            measured.pages.count * measured.pages.size,
            measured.file_bytes
        );
        let rows: Vec<_> = measured
            .site
            .iter()
            .map(|table| (table.table.as_str(), table.rows))
            .collect();
        assert_eq!(
            rows,
            [
                ("videos", Rows::Exact(1)),
                ("video_snapshots", Rows::Exact(3))
            ]
        );
        let meta = measured
            .ours
            .iter()
            .find(|table| table.table == "vvv_meta")
            .unwrap();
        assert_eq!(meta.rows, Rows::Exact(1));
        // The table and the index of its key.
        assert_eq!(meta.bytes, Some(2 * measured.pages.size));
    }
}
