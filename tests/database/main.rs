//! The verbs that look after the database, on real files in both journal modes, beside other
//! processes that hold locks or write.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod backup;
mod doctor;
mod locks;
mod schema;
mod shown;
mod uninstall;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rusqlite::Connection;
use tempfile::TempDir;
use vvv_actors::config::Config;
use vvv_actors::engine::database::{Diagnosis, DoctorRequest, Finding, Now, Patience, doctor};
use vvv_actors::store::{Options, Writer};

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

fn mode(path: &Path, bits: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(bits)).unwrap();
}
