//! What is ours goes, and nothing else.

use std::time::Duration;

use vvv_actors::engine::database::{DatabaseError, Patience, uninstall, what_is_ours};
use vvv_actors::store::StoreError;

use super::{JOURNALS, Neighbour, Vault, patiently};

#[test]
fn what_is_ours_is_shown_and_removed_and_nothing_else() {
    for journal in JOURNALS {
        let vault = Vault::new(journal);
        vault.video("abcdefghijk", &[1, 2]);
        vault.sql("CREATE TABLE vvvideos (mine); CREATE INDEX by_title ON videos (title);");
        let (before, rows) = (vault.schema(), 2);
        let none = patiently(|patience| what_is_ours(&vault.config, patience)).unwrap();
        assert_eq!(none, []);
        vault.own_tables();
        vault.sql("INSERT INTO vvv_scores VALUES ('a', 'PL', 1.0, 'NORMAL', 1, 1.0, 1)");
        let ours = patiently(|patience| what_is_ours(&vault.config, patience)).unwrap();
        let scores = ours
            .iter()
            .find(|object| object.name == "vvv_scores")
            .unwrap();
        assert_eq!(scores.rows, Some(1));
        assert!(
            ours.iter()
                .any(|object| object.name == "vvv_scores_by_region")
        );

        // A reader does not keep it from ending well.
        let neighbour = Neighbour::start(
            vault.path(),
            "rows = db.execute('SELECT * FROM video_snapshots')\nrows.fetchone()\ngo()\nrows.close()",
        );
        let mut neighbour = Some(neighbour);
        let mut told = |_| {
            if let Some(mut neighbour) = neighbour.take() {
                neighbour.release();
            }
        };
        let removed = uninstall(&vault.config, &mut Patience::endless(&mut told)).unwrap();
        assert_eq!(removed, ours);
        // SQLite keeps its own list of numbers given out, which nobody can drop.
        let mut after = vault.schema();
        after.retain(|name| name != "sqlite_sequence");
        assert_eq!(after, before);
        let left: i64 = vault
            .open()
            .query_row("SELECT count(*) FROM video_snapshots", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, rows);
        let score: f64 = vault
            .open()
            .query_row("SELECT virality_score FROM videos", [], |row| row.get(0))
            .unwrap();
        assert!((score - 12.5).abs() < f64::EPSILON);
    }
}

#[test]
fn an_uninstall_that_fails_removes_nothing() {
    let vault = Vault::new("delete");
    vault.own_tables();
    let before = vault.schema();
    let _neighbour = Neighbour::start(vault.path(), "db.execute('BEGIN IMMEDIATE')\ngo()");
    let mut ignored = |_| {};
    let mut hasty = Patience::limited(Duration::from_millis(300), &mut ignored);
    let refused = uninstall(&vault.config, &mut hasty);
    assert!(
        matches!(refused, Err(DatabaseError::Store(StoreError::Locked))),
        "{refused:?}"
    );
    assert_eq!(vault.schema(), before);
}
