//! What the doctor finds, says and mends.

use std::path::PathBuf;

use vvv_actors::config::FetchedAt;
use vvv_actors::engine::database::{
    DatabaseError, DoctorRequest, Level, Now, OnlineCheck, backup, doctor,
};
use vvv_actors::engine::{Judgement, Verdict};

use super::{JOURNALS, Vault, of, one, patiently};

#[test]
fn a_sound_file_needs_nothing_and_is_left_as_it_was() {
    for journal in JOURNALS {
        let vault = Vault::new(journal);
        vault.video("abcdefghijk", &[100, 200, 300]);
        let before = vault.files();
        let diagnosis = vault.look();
        assert!(!diagnosis.needs_doing(), "{:#?}", diagnosis.findings);
        assert!(one(&diagnosis, "journal").text.starts_with(journal));
        for name in [
            "file",
            "integrity",
            "tables",
            "fetched_at",
            "triggers",
            "locks",
        ] {
            assert_eq!(one(&diagnosis, name).level, Level::Ok, "{name}");
        }
        assert!(one(&diagnosis, "rate_window").text.starts_with("0 of 20/m"));
        assert_eq!(of(&diagnosis, "endpoint").len(), 0);
        assert_eq!(vault.files(), before, "{journal}");
    }
}

#[test]
fn a_wal_that_lies_there_is_not_folded_back() {
    let vault = Vault::new("wal");
    vault.video("abcdefghijk", &[100, 200]);
    // What a crash leaves: the files as they are while someone has them open.
    let site = vault.open();
    site.execute_batch("UPDATE videos SET title = 'later'")
        .unwrap();
    let left = tempfile::tempdir().unwrap();
    for suffix in ["", "-wal"] {
        let name = format!("vault.db{suffix}");
        std::fs::copy(vault.folder.path().join(&name), left.path().join(&name)).unwrap();
    }
    let wal = left.path().join("vault.db-wal");
    let (file, log) = (
        std::fs::read(left.path().join("vault.db")).unwrap(),
        std::fs::read(&wal).unwrap(),
    );
    assert!(!log.is_empty());
    let mut config = vault.config.clone();
    config.database.path = left.path().join("vault.db");
    let diagnosis = doctor(
        &config,
        &DoctorRequest::default(),
        &Now::read(),
        &mut |_| {},
    )
    .unwrap();
    assert!(!diagnosis.needs_doing(), "{:#?}", diagnosis.findings);
    assert_eq!(std::fs::read(&config.database.path).unwrap(), file);
    assert_eq!(std::fs::read(&wal).unwrap(), log);
}

#[test]
fn what_is_no_database_is_a_finding() {
    let vault = Vault::new("delete");
    let mut config = vault.config.clone();
    let mut look = |path: PathBuf| {
        config.database.path = path;
        let request = DoctorRequest::default();
        doctor(&config, &request, &Now::read(), &mut |_| {}).unwrap()
    };
    let missing = look(vault.folder.path().join("nowhere.db"));
    assert_eq!(one(&missing, "file").level, Level::Bad);
    assert!(one(&missing, "file").text.contains("no such file"));
    assert!(!vault.folder.path().join("nowhere.db").exists());
    let text = vault.folder.path().join("notes.txt");
    std::fs::write(
        &text,
        "not a database, but longer than a header of one hundred bytes ".repeat(9),
    )
    .unwrap();
    assert!(one(&look(text), "file").text.contains("no SQLite file"));
    assert!(
        one(&look(vault.folder.path().to_owned()), "file")
            .text
            .contains("not a file")
    );
    config.database.path = PathBuf::new();
    let unnamed = doctor(
        &config,
        &DoctorRequest::default(),
        &Now::read(),
        &mut |_| {},
    );
    assert!(matches!(unnamed, Err(DatabaseError::NotNamed)));
}

#[test]
fn a_damaged_file_is_found_out() {
    let vault = Vault::new("delete");
    let ids: Vec<String> = (0..500).map(|n| format!("video{n:06}")).collect();
    for id in &ids[..20] {
        vault.video(id, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }
    let mut bytes = std::fs::read(vault.path()).unwrap();
    let pages = bytes.len() / 4096;
    for page in 3..pages {
        bytes[page * 4096 + 8..page * 4096 + 200].fill(0xff);
    }
    std::fs::write(vault.path(), bytes).unwrap();
    let diagnosis = vault.look();
    assert_eq!(
        one(&diagnosis, "integrity").level,
        Level::Bad,
        "{:#?}",
        diagnosis.findings
    );
    let target = vault.folder.path().join("copy.db");
    let refused = patiently(|patience| backup(&vault.config, &target, &mut |_| {}, patience));
    assert!(
        matches!(refused, Err(DatabaseError::CopyDamaged { .. })),
        "{refused:?}"
    );
    assert!(!target.exists());
    assert_eq!(vault.files().len(), 1);
}

#[test]
fn times_are_sampled_and_the_right_setting_suggested() {
    let vault = Vault::with_tables(
        "wal",
        "CREATE TABLE videos (video_id TEXT PRIMARY KEY, virality_score REAL); \
         CREATE TABLE video_snapshots (video_id TEXT, view_count INTEGER, likes INTEGER, \
           comments INTEGER, region TEXT, fetched_at INTEGER, \
           PRIMARY KEY (video_id, fetched_at)) WITHOUT ROWID; \
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99) \
         INSERT INTO video_snapshots SELECT 'a', i, 0, 0, 'PL', \
           strftime('%s', 'now') - i * 300 FROM n;",
    );
    let diagnosis = vault.look();
    let times = one(&diagnosis, "fetched_at");
    assert_eq!(times.level, Level::Bad);
    assert!(
        times
            .to_string()
            .contains("set schema.fetched_at = \"unix\""),
        "{times}"
    );
    let mut config = vault.config.clone();
    config.schema.fetched_at = FetchedAt::Unix;
    let mended = doctor(
        &config,
        &DoctorRequest::default(),
        &Now::read(),
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(one(&mended, "fetched_at").level, Level::Ok);
    assert!(!mended.needs_doing(), "{:#?}", mended.findings);
    // Its primary key is the index needed.
    assert!(
        of(&mended, "index")
            .iter()
            .all(|index| index.level == Level::Ok)
    );
}

#[test]
fn the_sample_reaches_old_rows_of_a_long_table() {
    let vault = Vault::new("delete");
    vault.sql(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19999) \
         INSERT INTO video_snapshots (video_id, view_count, likes, comments, region, fetched_at) \
         SELECT 'v' || i, i, 0, 0, 'PL', \
           CASE WHEN i < 10000 THEN 'once upon a time' ELSE datetime('now', '-1 hours') END FROM n",
    );
    let diagnosis = vault.look();
    let times = one(&diagnosis, "fetched_at");
    assert!(times.text.contains("250 of 1000"), "{times}");
    assert!(times.text.contains("once upon a time"), "{times}");
}

#[test]
fn the_rate_window_tells_what_is_used_and_how_long_it_is_parked() {
    for journal in JOURNALS {
        let vault = Vault::new(journal);
        vault.own_tables();
        let now = Now::read();
        let site = vault.open();
        for age in [1_000, 30_000, 3_600_000] {
            let taken = now.boot.ms - age;
            site.execute(
                "INSERT INTO vvv_permits (upstream, boot_id, taken_ms, expires_ms) \
                 VALUES ('oembed', ?1, ?2, ?3)",
                (&now.boot.boot_id, taken, taken + 10_000),
            )
            .unwrap();
        }
        let window = |vault: &Vault| one(&vault.look(), "rate_window").clone();
        assert!(
            window(&vault).text.starts_with("2 of 20/m"),
            "{}",
            window(&vault)
        );
        site.execute(
            "INSERT INTO vvv_upstreams VALUES ('oembed', ?1, ?2, 1)",
            (&now.boot.boot_id, now.boot.ms + 600_000),
        )
        .unwrap();
        let parked = window(&vault);
        assert_eq!((parked.level, parked.needs_doing), (Level::Warn, false));
        assert!(parked.text.contains("until 20"), "{parked}");
        assert!(parked.text.contains("9 min more"), "{parked}");
        assert_eq!(one(&vault.look(), "own_tables").text, "vvv_* at version 6");
    }
}

#[test]
fn what_the_endpoint_said_is_judged() {
    let vault = Vault::new("wal");
    let said = |outcome: Result<Verdict, &str>| {
        let diagnosis = vault.doctor(&DoctorRequest {
            online: Some(OnlineCheck {
                endpoint: "https://example.com/oembed".to_owned(),
                outcome: outcome
                    .map(|verdict| Judgement {
                        verdict,
                        reason: "http 200".to_owned(),
                        http_status: Some(200),
                    })
                    .map_err(str::to_owned),
            }),
            ..DoctorRequest::default()
        });
        let finding = one(&diagnosis, "endpoint").clone();
        (finding.level, finding.needs_doing)
    };
    assert_eq!(said(Ok(Verdict::Alive)), (Level::Ok, false));
    assert_eq!(said(Ok(Verdict::Dead)), (Level::Bad, true));
    assert_eq!(said(Ok(Verdict::Unknown)), (Level::Warn, true));
    assert_eq!(said(Err("parked")), (Level::Warn, false));
}
