//! Vaults hold what was asked for.

use std::collections::HashSet;

use rusqlite::types::Value;
use tempfile::TempDir;

use crate::support::site::oembed::is_possible_id;
use crate::support::vault::{EDGE_CASES, Journal, REGIONS, Vault, VaultSpec, edge_cases};

fn made(spec: &VaultSpec) -> (TempDir, Vault) {
    let folder = TempDir::new().unwrap();
    let vault = spec.create(&folder.path().join("vault.db"));
    (folder, vault)
}

#[test]
fn a_vault_has_its_journal_mode_and_its_index_or_not() {
    for journal in Journal::ALL {
        for index in [true, false] {
            let (_folder, vault) = made(&VaultSpec {
                journal,
                index,
                ..VaultSpec::new(70)
            });
            assert_eq!(vault.ask("PRAGMA journal_mode"), journal.name());
            let indices = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'idx%'";
            assert_eq!(vault.ask(indices), u8::from(index).to_string());
            assert_eq!(vault.integrity(), "ok");
            assert_eq!(vault.ask("SELECT count(*) FROM videos"), "70");
        }
    }
}

#[test]
fn ids_are_possible_and_some_begin_with_a_dash() {
    let (_folder, vault) = made(&VaultSpec::new(500));
    assert!(vault.ids.iter().all(|id| is_possible_id(id)));
    assert_eq!(vault.ids.iter().collect::<HashSet<_>>().len(), 500);
    assert!(vault.ids.iter().filter(|id| id.starts_with('-')).count() > 10);
    let in_order = "SELECT group_concat(video_id) FROM \
                    (SELECT video_id FROM videos ORDER BY rowid)";
    assert_eq!(vault.ask(in_order), vault.ids.join(","));
}

#[test]
fn videos_come_from_all_regions_and_some_have_one_snapshot_only() {
    let (_folder, vault) = made(&VaultSpec::new(350));
    for region in REGIONS {
        let count = format!(
            "SELECT count(DISTINCT video_id) FROM video_snapshots WHERE region = '{region}'"
        );
        assert_eq!(vault.ask(&count), "50", "{region}");
    }
    let counts = "SELECT group_concat(n || ':' || videos) FROM (SELECT n, count(*) AS videos FROM \
                  (SELECT count(*) AS n FROM video_snapshots GROUP BY video_id) GROUP BY n ORDER BY n)";
    assert_eq!(vault.ask(counts), "1:7,5:343");
}

#[test]
fn equal_seeds_make_equal_vaults() {
    let content = |seed| {
        let (_folder, vault) = made(&VaultSpec {
            seed,
            ..VaultSpec::new(60)
        });
        let rows = "SELECT group_concat(video_id || view_count || likes || fetched_at) \
                    FROM video_snapshots";
        vault.ask(rows)
    };
    assert_eq!(content(1), content(1));
    assert_ne!(content(1), content(2));
}

#[test]
fn thumbnails_take_the_files_in_turn() {
    let (_folder, vault) = made(&VaultSpec {
        thumbnails: "http://127.0.0.1:1".to_owned(),
        files: ["a.jpg", "b.png"].map(str::to_owned).into(),
        ..VaultSpec::new(3)
    });
    let urls = vault.ids.iter().map(|id| vault.thumbnail_url(id).unwrap());
    let expected = ["a.jpg", "b.png", "a.jpg"].iter().zip(&vault.ids);
    let expected = expected.map(|(file, id)| format!("http://127.0.0.1:1/vi/{id}/{file}"));
    assert_eq!(urls.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    let (_folder, vault) = made(&VaultSpec {
        files: Vec::new(),
        ..VaultSpec::new(1)
    });
    assert_eq!(vault.thumbnail_url(&vault.ids[0]), None);
}

#[test]
fn a_copy_holds_what_the_log_still_held() {
    for journal in Journal::ALL {
        let (folder, mut vault) = made(&VaultSpec::new(5).journal(journal));
        let writer = vault.connect();
        vault.add("dQw4w9WgXcQ", "PL", &[(1, 2, 3, "2026-08-20 12:00:00")]);
        let copy = vault.copy_to(&folder.path().join("copy.db"));
        drop(writer);
        assert_eq!(copy.ask("SELECT count(*) FROM videos"), "6");
        assert_eq!(copy.ask("PRAGMA journal_mode"), journal.name());
        assert_eq!(copy.ids, vault.ids);
    }
}

#[test]
fn edge_cases_are_two_thousand_and_keep_the_types_of_their_cells() {
    let cases = edge_cases();
    assert_eq!(cases.len(), EDGE_CASES);
    assert_eq!(EDGE_CASES, 2_000);
    let ids: HashSet<_> = cases.iter().map(|case| &case.id).collect();
    assert_eq!(ids.len(), EDGE_CASES);
    for journal in Journal::ALL {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("vault.db");
        let vault = Vault::of_edge_cases(&path, journal, &cases);
        assert_eq!(vault.integrity(), "ok");
        let connection = vault.connect();
        let mut query = connection
            .prepare("SELECT view_count, likes, fetched_at FROM video_snapshots WHERE video_id = ?1 ORDER BY id")
            .unwrap();
        for case in &cases {
            let cells: Vec<[Value; 3]> = query
                .query_map([&case.id], |row| {
                    Ok([row.get(0)?, row.get(1)?, row.get(2)?])
                })
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let expected: Vec<[Value; 3]> = case
                .snapshots
                .iter()
                .map(|row| [row.views.clone(), row.likes.clone(), row.fetched_at.clone()])
                .collect();
            assert_eq!(cells, expected, "{}", case.name);
        }
    }
}
