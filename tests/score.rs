//! Scores of the real program against `article.py`, an evaluation of the article's formula that
//! shares no line with ours, and what is written of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use rusqlite::types::Value as Cell;
use serde_json::{Value, json};

use support::article;
use support::scene::{Scene, report};
use support::vault::{EDGE_CASES, EdgeCase, Journal, Vault, VaultSpec, edge_cases};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");

fn scene_of(cases: &[EdgeCase], journal: Journal) -> Scene {
    Scene::with(PROGRAM, journal, |_, path| {
        Vault::of_edge_cases(path, journal, cases)
    })
}

/// Scores every id of the vault, in the order of its rows.
fn score_all(scene: &Scene) -> (Value, String) {
    let ids = scene.vault.ids.iter();
    let file = ids.fold(scene.batch(), |file, id| file.video(id, None));
    let output = scene.run_batch(&file, &["--only", "score"]).output();
    (report(&output), output.stdout)
}

#[test]
fn every_edge_case_is_scored_and_stored_as_the_article_does() {
    for journal in Journal::ALL {
        let scene = scene_of(&edge_cases(), journal);
        let before = scene.vault.copy_to(&scene.path("before.db"));
        let (report, text) = score_all(&scene);
        let compared = article::compare(&before.path, &scene.vault.path, &text);
        let compared = compared.unwrap_or_else(|difference| panic!("{journal:?}: {difference}"));
        assert_eq!((compared, EDGE_CASES), (2_000, 2_000));
        assert_eq!(report["summary"]["failures"], json!([]));
        assert_eq!(report["scoring"].as_object().unwrap().len(), EDGE_CASES);
        in_the_order_of_the_input(&scene, &text);
        assert_eq!(scene.vault.integrity(), "ok");
        assert_eq!(scene.vault.ask("PRAGMA journal_mode"), journal.name());
        the_details_match(&scene, &report);
    }
}

/// Looks at the text itself: what is parsed of it is sorted.
fn in_the_order_of_the_input(scene: &Scene, text: &str) {
    let mut rest = text;
    for id in &scene.vault.ids {
        let key = format!("{}:{{", json!(id));
        let Some((_, after)) = rest.split_once(&key) else {
            panic!("{id} is not where the input has it");
        };
        rest = after;
    }
}

/// `vvv_scores` holds exactly the videos with a score, with what the report says of them.
fn the_details_match(scene: &Scene, report: &Value) {
    let connection = scene.vault.connect();
    let mut query = connection
        .prepare(
            "SELECT s.video_id, s.region, s.score, s.label, s.velocity, s.engagement, s.scored_at \
             FROM vvv_scores s",
        )
        .unwrap();
    let mut rows = query.query([]).unwrap();
    let mut found = 0;
    while let Some(row) = rows.next().unwrap() {
        let id: String = row.get(0).unwrap();
        let told = &report["scoring"][&id];
        let number = |column| match row.get(column).unwrap() {
            Cell::Integer(integer) => integer as f64,
            Cell::Real(real) => real,
            other => panic!("{id}: {other:?}"),
        };
        for (key, column) in [("score", 2), ("velocity", 4), ("engagement", 5)] {
            // serde_json reads the last digit of a long number as it likes.
            let (told, kept) = (told[key].as_f64().unwrap(), number(column));
            let difference = (told - kept).abs();
            assert!(
                difference <= 1e-15 * kept.abs(),
                "{id}: {key}: {told} {kept}"
            );
        }
        let label: String = row.get(3).unwrap();
        assert_eq!(told["label"].as_str(), Some(label.as_str()), "{id}");
        let region: Option<String> = row.get(1).unwrap();
        assert_eq!(told["region"].as_str(), region.as_deref(), "{id}");
        assert!(row.get::<_, i64>(6).unwrap() > 1_700_000_000, "{id}");
        found += 1;
    }
    let other = scene.vault.ask(
        "SELECT count(*) FROM vvv_scores s JOIN videos v USING (video_id) \
         WHERE s.score IS NOT v.virality_score",
    );
    assert_eq!(other, "0");
    let scored = report["scoring"].as_object().unwrap().values();
    let scored = scored.filter(|entry| entry.get("reason").is_none()).count();
    assert_eq!(found, scored);
}

#[test]
fn a_video_the_article_would_raise_on_costs_none_of_the_other_49() {
    let scene = Scene::new(PROGRAM, 50);
    let spoilt = scene.vault.ids[17].clone();
    for spoil in [
        "view_count = NULL",
        "likes = 'many'",
        "comments = x'00'",
        "fetched_at = 'yesterday'",
        "fetched_at = NULL",
        "region = CAST(x'50ff' AS TEXT)",
    ] {
        let connection = scene.vault.connect();
        connection
            .execute(
                "UPDATE videos SET virality_score = 33.3 WHERE video_id = ?1",
                [&spoilt],
            )
            .unwrap();
        connection
            .execute_batch("CREATE TABLE kept AS SELECT * FROM video_snapshots;")
            .unwrap();
        let change = format!("UPDATE video_snapshots SET {spoil} WHERE video_id = ?1");
        assert!(connection.execute(&change, [&spoilt]).unwrap() >= 2);
        let (report, _) = score_all(&scene);
        let scores = report["scoring"].as_object().unwrap();
        assert_eq!(scores.len(), 50, "{spoil}");
        for (id, entry) in scores {
            let has_score = entry.get("label").is_some();
            // The vault's 50th video is too new to have two snapshots.
            let expected = *id != spoilt && *id != scene.vault.ids[49];
            assert_eq!(has_score, expected, "{spoil}: {id}: {entry}");
        }
        assert_eq!(scores[&spoilt]["score"], json!(0), "{spoil}");
        let reason = scores[&spoilt]["reason"].as_str().unwrap();
        assert!(
            !["", "insufficient data", "no time delta"].contains(&reason),
            "{spoil}: {reason}"
        );
        assert_eq!(scene.vault.score(&spoilt), Some(33.3), "{spoil}");
        connection
            .execute_batch(
                "DELETE FROM video_snapshots; INSERT INTO video_snapshots SELECT * FROM kept;
                 DROP TABLE kept;",
            )
            .unwrap();
    }
}

#[test]
fn a_video_with_a_reason_keeps_its_old_score_and_its_old_details() {
    let mut scene = Scene::new(PROGRAM, 0);
    let day = |n| format!("2026-08-{n:02} 12:00:00");
    let id = "keeps00000A";
    scene
        .vault
        .add(id, "PL", &[(0, 0, 0, &day(1)), (24_000, 600, 60, &day(2))]);
    let (first, _) = score_all(&scene);
    let score = first["scoring"][id]["score"].as_f64().unwrap();
    assert!(score > 0.0);
    assert_eq!(scene.vault.score(id), Some(score));
    let connection = scene.vault.connect();
    connection
        .execute("UPDATE video_snapshots SET fetched_at = ?1", [day(2)])
        .unwrap();
    let (second, _) = score_all(&scene);
    assert_eq!(
        second["scoring"][id],
        json!({"score": 0, "reason": "no time delta"})
    );
    assert_eq!(scene.vault.score(id), Some(score));
    let kept = scene.vault.ask("SELECT score FROM vvv_scores");
    assert_eq!(kept, score.to_string());
}

#[test]
fn details_are_not_kept_where_they_are_not_wanted() {
    let mut scene = Scene::new(PROGRAM, 60);
    scene.set("VVV_SCORING__KEEP_DETAILS", "false");
    let (report, _) = score_all(&scene);
    assert_eq!(report["scoring"].as_object().unwrap().len(), 60);
    assert_eq!(scene.vault.ask("SELECT count(*) FROM vvv_scores"), "0");
    let first = &scene.vault.ids[0];
    let told = report["scoring"][first]["score"].as_f64();
    assert_eq!(scene.vault.score(first), told);
}

#[test]
fn only_what_changes_is_written() {
    let scene = Scene::new(PROGRAM, 60);
    let _ = score_all(&scene);
    let connection = scene.vault.connect();
    connection
        .execute_batch(
            "CREATE TABLE touched(video_id);
             CREATE TRIGGER watch AFTER UPDATE ON videos
             BEGIN INSERT INTO touched VALUES (new.video_id); END;
             UPDATE videos SET virality_score = 1.5 WHERE rowid IN (4, 5);
             DELETE FROM touched;",
        )
        .unwrap();
    let (report, _) = score_all(&scene);
    assert_eq!(scene.vault.ask("SELECT count(*) FROM touched"), "2");
    let fourth = &scene.vault.ids[3];
    assert_eq!(
        scene.vault.score(fourth),
        report["scoring"][fourth]["score"].as_f64()
    );
}

#[test]
fn two_rows_of_one_id_are_one_video_and_both_get_its_score() {
    let mut scene = Scene::new(PROGRAM, 0);
    let id = "twice00000A";
    let connection = scene.vault.connect();
    connection
        .execute_batch(
            "DROP TABLE videos; DROP TABLE video_snapshots;
             CREATE TABLE videos(video_id TEXT, title TEXT, virality_score REAL, \
                thumbnail_url TEXT);
             CREATE TABLE video_snapshots(video_id TEXT, view_count INTEGER, likes INTEGER, \
                comments INTEGER, region TEXT, fetched_at TEXT);
             CREATE INDEX of_video ON video_snapshots(video_id, fetched_at);",
        )
        .unwrap();
    let snapshots = [
        (0, 0, 0, "2026-08-01 12:00:00"),
        (24_000, 600, 60, "2026-08-02 12:00:00"),
    ];
    scene.vault.add(id, "SE", &snapshots);
    connection
        .execute(
            "INSERT INTO videos(video_id, title) VALUES (?1, 'again')",
            [id],
        )
        .unwrap();
    let file = scene.batch().video(id, None).video(id, None);
    let report = scene.report(&file, &[]);
    let score = report["scoring"][id]["score"].as_f64().unwrap();
    assert_eq!(report["scoring"].as_object().unwrap().len(), 1);
    let stored = scene.vault.ask(&format!(
        "SELECT count(*) FROM videos WHERE virality_score = {score}"
    ));
    assert_eq!(stored, "2");
}

/// The same videos in a schema of other names and times score the same.
#[test]
fn names_and_times_can_be_mapped() {
    let scene = Scene::new(PROGRAM, 40);
    let (plain, _) = score_all(&scene);
    for (form, factor) in [("unix", 1), ("unix-ms", 1_000)] {
        let mut mapped = Scene::with(PROGRAM, Journal::Delete, |_, path| {
            let vault = VaultSpec::new(40).create(path);
            rename(&vault, factor);
            vault
        });
        for (key, name) in [
            ("FETCHED_AT", form),
            ("VIDEOS__TABLE", "the films"),
            ("VIDEOS__VIDEO_ID", "yt\"id"),
            ("VIDEOS__VIRALITY_SCORE", "order"),
            ("VIDEOS__THUMBNAIL_URL", "select"),
            ("SNAPSHOTS__TABLE", "history"),
            ("SNAPSHOTS__VIDEO_ID", "film"),
            ("SNAPSHOTS__VIEW_COUNT", "seen by"),
            ("SNAPSHOTS__LIKES", "thumbs"),
            ("SNAPSHOTS__COMMENTS", "words"),
            ("SNAPSHOTS__REGION", "where"),
            ("SNAPSHOTS__FETCHED_AT", "when"),
        ] {
            mapped.set(&format!("VVV_SCHEMA__{key}"), name);
        }
        let (report, _) = score_all(&mapped);
        assert_eq!(report["scoring"], plain["scoring"], "{form}");
        let stored = mapped.vault.ask("SELECT sum(\"order\") FROM \"the films\"");
        assert_eq!(
            stored,
            scene.vault.ask("SELECT sum(virality_score) FROM videos")
        );
    }
}

fn rename(vault: &Vault, factor: i64) {
    vault
        .connect()
        .execute_batch(&format!(
            "CREATE TABLE \"the films\"(\"yt\"\"id\" TEXT, \"order\" REAL, \"select\" TEXT);
             INSERT INTO \"the films\" SELECT video_id, virality_score, thumbnail_url FROM videos;
             CREATE TABLE history(film TEXT, \"seen by\" INTEGER, thumbs INTEGER, words INTEGER, \
                \"where\" TEXT, \"when\" INTEGER);
             INSERT INTO history SELECT video_id, view_count, likes, comments, region, \
                CAST(strftime('%s', fetched_at) AS INTEGER) * {factor} \
                FROM video_snapshots ORDER BY id;
             CREATE INDEX history_of_film ON history(film, \"when\");
             DROP TABLE video_snapshots; DROP TABLE videos;"
        ))
        .unwrap();
}
