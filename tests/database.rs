//! The verbs that look after the database, on real files in both journal modes, beside other
//! processes that hold locks or write.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use vvv_actors::config::{Config, FetchedAt};
use vvv_actors::engine::database::{
    Backup, DatabaseError, Diagnosis, DoctorRequest, Finding, Level, Lock, Now, OnlineCheck,
    Patience, Rows, backup, doctor, lock_holders, show_video, size, uninstall, what_is_ours,
};
use vvv_actors::engine::{Judgement, Verdict};
use vvv_actors::store::{Options, StoreError, Writer};

const JOURNALS: [&str; 2] = ["delete", "wal"];

const TABLES: &str = "\
    CREATE TABLE videos (video_id TEXT PRIMARY KEY, title TEXT, virality_score REAL, \
      thumbnail_url TEXT); \
    CREATE TABLE video_snapshots (id INTEGER PRIMARY KEY, video_id TEXT, view_count INTEGER, \
      likes INTEGER, comments INTEGER, region TEXT, fetched_at TEXT); \
    CREATE INDEX by_time ON video_snapshots (video_id, fetched_at);";

/// A site's file in a folder of its own.
struct Vault {
    folder: TempDir,
    config: Config,
}

impl Vault {
    fn new(journal: &str) -> Self {
        Self::with_tables(journal, TABLES)
    }

    fn with_tables(journal: &str, tables: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::defaults().unwrap();
        config.database.path = folder.path().join("vault.db");
        let vault = Self { folder, config };
        vault.sql(&format!("PRAGMA journal_mode = {journal}; {tables}"));
        vault
    }

    fn path(&self) -> &Path {
        &self.config.database.path
    }

    fn open(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn sql(&self, sql: &str) {
        self.open().execute_batch(sql).unwrap();
    }

    /// Adds a video with a snapshot every five minutes up to now.
    fn video(&self, id: &str, views: &[i64]) {
        let site = self.open();
        site.execute(
            "INSERT INTO videos VALUES (?1, 't', 12.5, 'https://i.ytimg.com/vi/x/hq.jpg')",
            [id],
        )
        .unwrap();
        for (age, views) in views.iter().rev().enumerate() {
            let minutes = format!("-{} minutes", age * 5);
            site.execute(
                "INSERT INTO video_snapshots \
                 (video_id, view_count, likes, comments, region, fetched_at) \
                 VALUES (?1, ?2, 10, 5, 'PL', datetime('now', ?3))",
                (id, views, minutes),
            )
            .unwrap();
        }
    }

    /// Our tables, as the first run makes them.
    fn own_tables(&self) {
        let options = Options {
            path: self.path().to_owned(),
            database: self.config.database.clone(),
            schema: self.config.schema.clone(),
            keep_details: true,
            queue: vvv_actors::store::QueueHome::Memory,
        };
        Writer::open(&options).unwrap().close();
    }

    fn doctor(&self, request: &DoctorRequest) -> Diagnosis {
        doctor(&self.config, request, &Now::read(), &mut |_| {}).unwrap()
    }

    fn look(&self) -> Diagnosis {
        self.doctor(&DoctorRequest::default())
    }

    /// Every file of the folder with its bytes. Only while no connection is open here.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect()
    }

    fn schema(&self) -> Vec<String> {
        let site = self.open();
        let mut listed = site
            .prepare("SELECT name FROM sqlite_master ORDER BY name")
            .unwrap();
        let names = listed.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    }
}

fn of<'a>(diagnosis: &'a Diagnosis, name: &str) -> Vec<&'a Finding> {
    let named = |finding: &&Finding| finding.name == name;
    diagnosis.findings.iter().filter(named).collect()
}

fn one<'a>(diagnosis: &'a Diagnosis, name: &str) -> &'a Finding {
    match of(diagnosis, name).as_slice() {
        [only] => only,
        other => panic!("{name}: {other:?}"),
    }
}

/// Waits for ever and hears nothing.
fn patiently<T>(work: impl FnOnce(&mut Patience<'_>) -> T) -> T {
    work(&mut Patience::endless(&mut |_| {}))
}

/// Python with the file open, as the site's own programs have it; ended with the value.
struct Neighbour {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Neighbour {
    /// Runs `program` with `db` connected and `go()` that says it is ready and waits for a word.
    fn start(path: &Path, program: &str) -> Self {
        let program = format!(
            "import sqlite3, sys\n\
             db = sqlite3.connect({path:?}, isolation_level=None, timeout=60)\n\
             def go():\n print('ready', flush=True)\n sys.stdin.readline()\n\
             {program}\nprint('done', flush=True)\nsys.stdin.readline()\n"
        );
        let mut child = Command::new("python3")
            .args(["-c", &program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut neighbour = Self { child, lines };
        neighbour.wait_for("ready");
        neighbour
    }

    fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), word);
    }

    fn tell(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    fn release(&mut self) {
        self.tell();
        self.wait_for("done");
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

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

#[test]
fn who_holds_a_lock_is_named_with_pid_command_and_lock() {
    let hold = |begin: &str| format!("{begin}\ngo()\ndb.execute('COMMIT')");
    let write = "db.execute('BEGIN IMMEDIATE')";
    let read = "db.execute('BEGIN'); db.execute('SELECT * FROM videos').fetchone()";
    let exclusive = "db.execute('BEGIN EXCLUSIVE')";
    for (journal, begin, lock) in [
        ("delete", write, Lock::Reserved),
        ("delete", read, Lock::Reading),
        ("delete", exclusive, Lock::Exclusive),
        ("wal", write, Lock::WalWriting),
        ("wal", read, Lock::WalReading),
    ] {
        let vault = Vault::new(journal);
        vault.video("abcdefghijk", &[1, 2]);
        let mut neighbour = Neighbour::start(vault.path(), &hold(begin));
        let holders = lock_holders(vault.path()).unwrap();
        let [holder] = holders.as_slice() else {
            panic!("{journal} {begin}: {holders:?}")
        };
        assert_eq!(holder.pid, Some(neighbour.pid()));
        assert_eq!(holder.strongest(), lock, "{holder:?}");
        assert!(holder.command.as_ref().unwrap().contains("python3 -c"));

        let diagnosis = vault.look();
        let locks = one(&diagnosis, "locks");
        let pid = format!("pid {} (", neighbour.pid());
        assert!(locks.text.contains(&pid), "{locks}");
        assert_eq!(locks.needs_doing, lock.blocks_writers(), "{locks}");
        // Only who lets nobody read keeps the rest from being looked into.
        let file = one(&diagnosis, "file");
        assert_eq!(file.level == Level::Bad, lock == Lock::Exclusive, "{file}");

        neighbour.release();
        assert_eq!(one(&vault.look(), "locks").level, Level::Ok);
    }
}

#[test]
fn a_waiting_verb_is_told_how_long_and_goes_on_when_the_lock_is_free() {
    let vault = Vault::new("delete");
    vault.video("abcdefghijk", &[100, 200]);
    let program = "db.execute('BEGIN EXCLUSIVE')\ngo()\ndb.execute('COMMIT')";
    let mut neighbour = Some(Neighbour::start(vault.path(), program));
    let mut longest = Duration::ZERO;
    let mut told = |waited: Duration| {
        assert!(
            waited < longest + Duration::from_millis(750),
            "a step took too long"
        );
        longest = waited;
        if waited > Duration::from_secs(1)
            && let Some(mut neighbour) = neighbour.take()
        {
            neighbour.release();
        }
    };
    let card = show_video(
        &vault.config,
        "abcdefghijk",
        &mut Patience::endless(&mut told),
    )
    .unwrap()
    .unwrap();
    assert_eq!(card.snapshots.len(), 2);
    assert!(longest > Duration::from_secs(1));

    let _neighbour = Neighbour::start(vault.path(), program);
    let mut ignored = |_| {};
    let mut hasty = Patience::limited(Duration::from_millis(300), &mut ignored);
    let refused = size(&vault.config, &mut hasty);
    assert!(
        matches!(refused, Err(DatabaseError::Store(StoreError::Locked))),
        "{refused:?}"
    );
}

fn mode(path: &Path, bits: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(bits)).unwrap();
}

#[test]
fn a_wal_is_refused_where_it_would_lock_a_reader_out() {
    let vault = Vault::new("delete");
    mode(vault.path(), 0o644);
    mode(vault.folder.path(), 0o755);
    let ask = |users: &[&str]| {
        vault.doctor(&DoctorRequest {
            users: users.iter().map(ToString::to_string).collect(),
            set_wal: true,
            ..DoctorRequest::default()
        })
    };
    for (users, why) in [
        (vec![], "can read the file now and could not once"),
        (vec!["4000000"], "user 4000000 could not read it any more"),
        (
            vec!["root", "4000000"],
            "user 4000000 could not read it any more",
        ),
        (vec!["no-such-user"], "there is no user no-such-user"),
    ] {
        let diagnosis = ask(&users);
        let journal = one(&diagnosis, "journal");
        assert!(diagnosis.needs_doing());
        assert!(journal.text.contains(why), "{journal}");
        assert!(one(&vault.look(), "journal").text.starts_with("delete"));
    }
    let made = ask(&["root"]);
    assert_eq!(one(&made, "journal").text, "wal: turned to it now");
    assert!(one(&vault.look(), "journal").text.starts_with("wal"));
    // And the user who was given up on is told.
    let told = vault.doctor(&DoctorRequest {
        users: vec!["4000000".to_owned()],
        ..DoctorRequest::default()
    });
    let access = one(&told, "access");
    assert!(
        access.text.starts_with("user 4000000 cannot read"),
        "{access}"
    );
}

#[test]
fn a_wal_is_turned_to_once_readers_have_ended() {
    let vault = Vault::new("delete");
    vault.video("abcdefghijk", &[1, 2]);
    // A cursor in the middle of its rows keeps its lock.
    let program = "rows = db.execute('SELECT * FROM video_snapshots')\nrows.fetchone()\ngo()\n\
                   rows.close()";
    let mut neighbour = Some(Neighbour::start(vault.path(), program));
    let request = DoctorRequest {
        users: vec!["root".to_owned()],
        set_wal: true,
        ..DoctorRequest::default()
    };
    let made = doctor(&vault.config, &request, &Now::read(), &mut |_| {
        if let Some(mut neighbour) = neighbour.take() {
            neighbour.release();
        }
    })
    .unwrap();
    assert_eq!(one(&made, "journal").text, "wal: turned to it now");
    assert!(neighbour.is_none());
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
