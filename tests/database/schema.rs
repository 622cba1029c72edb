//! What the doctor says of tables, columns, indexes and triggers, of whatever name.

use std::time::Duration;

use vvv_actors::engine::database::{DoctorRequest, Level, Now, doctor};

use super::{JOURNALS, Neighbour, Vault, of, one};

#[test]
fn missing_tables_and_columns_are_named_with_their_keys() {
    for journal in JOURNALS {
        let vault = Vault::with_tables(journal, "CREATE TABLE videos (video_id TEXT)");
        let diagnosis = vault.look();
        let tables = one(&diagnosis, "tables").to_string();
        assert!(diagnosis.needs_doing());
        assert!(
            tables.contains("virality_score (schema.videos.virality_score)"),
            "{tables}"
        );
        assert!(
            tables.contains("video_snapshots (schema.snapshots.table)"),
            "{tables}"
        );
        // The rest was looked into all the same.
        assert_eq!(one(&diagnosis, "integrity").level, Level::Ok);
        assert_eq!(one(&diagnosis, "own_tables").level, Level::Ok);
    }
}

#[test]
fn missing_indexes_are_named_with_their_statement_and_made_on_request() {
    for journal in JOURNALS {
        let vault = Vault::with_tables(
            journal,
            "CREATE TABLE videos (video_id TEXT, virality_score REAL); \
             CREATE TABLE video_snapshots (video_id TEXT, view_count INTEGER, likes INTEGER, \
               comments INTEGER, region TEXT, fetched_at TEXT); \
             CREATE INDEX partial ON video_snapshots (video_id, fetched_at) WHERE likes > 1; \
             CREATE TABLE video_snapshots_by_video_id_and_fetched_at (taken);",
        );
        let diagnosis = vault.look();
        let found = of(&diagnosis, "index");
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|index| index.needs_doing), "{found:?}");
        let statement = "CREATE INDEX video_snapshots_by_video_id_and_fetched_at_2 \
                         ON video_snapshots (video_id, fetched_at);";
        assert!(found[0].to_string().contains(statement), "{}", found[0]);

        let request = DoctorRequest {
            create_index: true,
            ..DoctorRequest::default()
        };
        // Another program is in the way at first.
        let mut neighbour = Some(Neighbour::start(
            vault.path(),
            "db.execute('BEGIN IMMEDIATE')\ngo()\ndb.execute('COMMIT')",
        ));
        let mut waits = 0;
        let mended = doctor(&vault.config, &request, &Now::read(), &mut |waited| {
            waits += 1;
            assert!(waited >= Duration::from_millis(200), "{waited:?}");
            if let Some(mut neighbour) = neighbour.take() {
                neighbour.release();
            }
        })
        .unwrap();
        assert!(waits > 0);
        let made = of(&mended, "index");
        assert!(
            made.iter().all(|index| index.text.starts_with("made now")),
            "{made:?}"
        );
        let again = vault.look();
        assert!(
            of(&again, "index")
                .iter()
                .all(|index| index.level == Level::Ok)
        );
        assert_eq!(
            vault
                .schema()
                .iter()
                .filter(|name| name.contains("_by_"))
                .count(),
            3
        );
    }
}

#[test]
fn names_that_need_quotes_get_them() {
    let vault = Vault::with_tables(
        "delete",
        "CREATE TABLE videos (video_id TEXT PRIMARY KEY, virality_score REAL); \
         CREATE TABLE \"order\" (\"group\" TEXT, view_count INTEGER, likes INTEGER, \
           comments INTEGER, region TEXT, \"fetched `at`\" TEXT);",
    );
    let mut config = vault.config.clone();
    config.schema.snapshots.table = "order".to_owned();
    config.schema.snapshots.video_id = "group".to_owned();
    config.schema.snapshots.fetched_at = "fetched `at`".to_owned();
    let request = DoctorRequest {
        create_index: true,
        ..DoctorRequest::default()
    };
    let diagnosis = doctor(&config, &request, &Now::read(), &mut |_| {}).unwrap();
    assert!(!diagnosis.needs_doing(), "{:#?}", diagnosis.findings);
    let again = doctor(
        &config,
        &DoctorRequest::default(),
        &Now::read(),
        &mut |_| {},
    )
    .unwrap();
    assert!(
        of(&again, "index")
            .iter()
            .all(|index| index.level == Level::Ok)
    );
}

#[test]
fn triggers_that_a_score_fires_are_named() {
    let vault = Vault::new("wal");
    vault.sql(
        "CREATE TABLE audit (what); \
         CREATE TRIGGER on_score AFTER UPDATE OF virality_score ON videos \
           BEGIN UPDATE videos SET title = 'x' WHERE video_id = new.video_id; END; \
         CREATE TRIGGER on_title AFTER UPDATE OF title ON videos \
           BEGIN INSERT INTO audit VALUES (new.title); END; \
         CREATE TRIGGER on_any BEFORE UPDATE ON videos WHEN new.title IS NULL \
           BEGIN SELECT RAISE(IGNORE); END; \
         CREATE TRIGGER on_url AFTER UPDATE OF thumbnail_url ON videos BEGIN SELECT 1; END; \
         CREATE TRIGGER on_insert AFTER INSERT ON videos BEGIN SELECT 1; END;",
    );
    let diagnosis = vault.look();
    let triggers = one(&diagnosis, "triggers");
    assert_eq!(triggers.level, Level::Warn);
    assert!(
        triggers.text.ends_with("fires on_any, on_score, on_title"),
        "{triggers}"
    );
    assert!(!diagnosis.needs_doing());

    vault.sql(
        "CREATE TRIGGER on_slug AFTER UPDATE ON videos \
           BEGIN UPDATE videos SET title = site_slug(new.title); END;",
    );
    let diagnosis = vault.look();
    let triggers = one(&diagnosis, "triggers");
    assert_eq!(triggers.level, Level::Bad);
    assert!(
        triggers.text.contains("no such function: site_slug"),
        "{triggers}"
    );
}
