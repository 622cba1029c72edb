//! Copies of a file that others go on writing.

use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;
use vvv_actors::engine::database::{Backup, DatabaseError, backup};

use super::{JOURNALS, Neighbour, Vault, mode, patiently};

fn copy(vault: &Vault, name: &str) -> Result<Backup, DatabaseError> {
    let target = vault.folder.path().join(name);
    patiently(|patience| backup(&vault.config, &target, &mut |_| {}, patience))
}

#[test]
fn a_backup_is_whole_checked_and_alone() {
    for journal in JOURNALS {
        let vault = Vault::new(journal);
        vault.video("abcdefghijk", &[1, 2, 3]);
        vault.own_tables();
        mode(vault.path(), 0o640);
        // Rows that lie in the WAL only.
        let site = vault.open();
        site.execute_batch("UPDATE videos SET title = 'later'")
            .unwrap();
        let made = copy(&vault, "copy.db").unwrap();
        assert_eq!(made.file, vault.folder.path().join("copy.db"));
        assert_eq!(
            made.file.metadata().unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(made.bytes, made.file.metadata().unwrap().len());
        let copied = Connection::open(&made.file).unwrap();
        let title: String = copied
            .query_row("SELECT title FROM videos", [], |row| row.get(0))
            .unwrap();
        assert_eq!(title, "later");
        let mode_kept: String = copied
            .query_row("PRAGMA journal_mode", [], |row| row.get(0))
            .unwrap();
        assert_eq!(mode_kept, journal);
        drop((copied, site));
        let names: Vec<_> = vault
            .files()
            .into_keys()
            .map(|path| path.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["copy.db", "vault.db"]);
    }
}

#[test]
fn a_backup_overwrites_nothing() {
    let vault = Vault::new("wal");
    for name in ["vault.db", "there.txt"] {
        std::fs::File::options()
            .create(true)
            .append(true)
            .open(vault.folder.path().join(name))
            .unwrap();
        let refused = copy(&vault, name);
        assert!(
            matches!(refused, Err(DatabaseError::BackupExists(_))),
            "{refused:?}"
        );
    }
    std::os::unix::fs::symlink("nowhere", vault.folder.path().join("link")).unwrap();
    assert!(matches!(
        copy(&vault, "link"),
        Err(DatabaseError::BackupExists(_))
    ));
    let refused = copy(&vault, "no/such/folder.db");
    assert!(
        matches!(refused, Err(DatabaseError::BackupUnwritable { .. })),
        "{refused:?}"
    );
    assert!(!vault.look().needs_doing());
    let left = std::fs::read_dir(vault.folder.path()).unwrap().count();
    assert_eq!(left, 3, "the database, the text and the link");
}

#[test]
fn a_backup_is_of_one_state_though_another_program_writes_on() {
    for journal in JOURNALS {
        let vault = Vault::new(journal);
        vault.sql(
            "CREATE TABLE ballast (n INTEGER PRIMARY KEY, text); CREATE TABLE counts (a, b); \
             INSERT INTO counts VALUES (0, 0); \
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 29999) \
             INSERT INTO ballast SELECT i, hex(randomblob(250)) FROM n;",
        );
        let neighbour = Neighbour::start(
            vault.path(),
            "import threading\n\
             db.execute('PRAGMA synchronous = OFF')\n\
             print('ready', flush=True)\n\
             while True:\n \
               db.execute('BEGIN IMMEDIATE')\n \
               db.execute('UPDATE counts SET a = a + 1')\n \
               db.execute('UPDATE ballast SET text = hex(randomblob(250)) \
                           WHERE n = abs(random() % 30000)')\n \
               db.execute('UPDATE counts SET b = b + 1')\n \
               db.execute('COMMIT')",
        );
        let mut steps = 0;
        let mut last = None;
        let target = vault.folder.path().join("copy.db");
        patiently(|patience| {
            backup(
                &vault.config,
                &target,
                &mut |copied| {
                    steps += 1;
                    last = Some(copied);
                },
                patience,
            )
        })
        .unwrap();
        drop(neighbour);
        assert!(steps > 3, "{steps}");
        let last = last.unwrap();
        assert_eq!(last.pages, last.of);
        let copied = Connection::open(&target).unwrap();
        let (a, b): (i64, i64) = copied
            .query_row("SELECT a, b FROM counts", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(a, b, "{journal}");
    }
}
