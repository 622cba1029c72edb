//! `db` and `video` as typed: what they print, where, and how they exit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::ffi::OsString;
use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::Value;
use support::site::{Reply, Site};
use tempfile::TempDir;
use vvv_actors::face::cli::{Console, run};

struct Scene {
    folder: TempDir,
    environment: Vec<(OsString, OsString)>,
}

struct Said {
    code: u8,
    stdout: String,
    stderr: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            code,
            stdout,
            stderr,
        } = self;
        write!(f, "exit {code}\n--- stdout\n{stdout}--- stderr\n{stderr}")
    }
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            folder: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
        };
        scene.sql(
            "CREATE TABLE videos (video_id TEXT PRIMARY KEY, virality_score REAL, thumbnail_url); \
             CREATE TABLE video_snapshots (video_id TEXT, view_count INTEGER, likes INTEGER, \
               comments INTEGER, region TEXT, fetched_at TEXT); \
             CREATE INDEX by_time ON video_snapshots (video_id, fetched_at); \
             INSERT INTO videos VALUES ('-Bg3w_kVyPQ', 12.5, 'https://a/' || char(27) || '[2J'); \
             INSERT INTO video_snapshots VALUES \
               ('-Bg3w_kVyPQ', 900, 10, 5, 'PL', datetime('now', '-1 hour')), \
               ('-Bg3w_kVyPQ', 1000, 10, 5, 'XX', datetime('now'));",
        );
        scene
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("vault.db")
    }

    fn sql(&self, sql: &str) {
        let site = Connection::open(self.database()).unwrap();
        site.execute_batch(sql).unwrap();
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Runs a line with this database.
    fn say(&self, line: &str) -> Said {
        let database = self.database();
        self.say_about(database.to_str().unwrap(), line)
    }

    fn say_about(&self, database: &str, line: &str) -> Said {
        self.say_plainly(&format!("--db {database} {line}"))
    }

    /// Runs a line that names a database itself, or none.
    fn say_plainly(&self, line: &str) -> Said {
        let words = std::iter::once("vvv-actors").chain(line.split_whitespace());
        let arguments = words.map(OsString::from).collect();
        // A home without a configuration of its own.
        let mut environment = self.environment.clone();
        environment.push(("XDG_CONFIG_HOME".into(), self.folder.path().into()));
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let code = run(
            arguments,
            environment,
            &mut Console {
                stdout: &mut stdout,
                stderr: &mut stderr,
                stdout_is_terminal: false,
                stderr_is_terminal: false,
            },
        );
        Said {
            code: code.number(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }
}

#[test]
fn the_doctor_prints_a_line_a_finding_and_exits_with_1_if_something_needs_doing() {
    let scene = Scene::new();
    let well = scene.say("db doctor --as root");
    assert_eq!(well.code, 0, "{well:?}");
    for line in well.stdout.lines() {
        let level = line.split_once("  ").unwrap().0.trim();
        assert!(["ok", "warn", "bad"].contains(&level), "{line}");
        assert!(line.contains(": "), "{line}");
    }
    assert!(
        well.stdout.contains("user root can read and write"),
        "{well:?}"
    );

    scene.sql("DROP INDEX by_time");
    let ill = scene.say("db doctor");
    assert_eq!(ill.code, 1, "{ill:?}");
    let line = "warn  index: video_snapshots has no index on (video_id, fetched_at)";
    assert!(ill.stdout.contains(line), "{ill:?}");
    let json = scene.say("db doctor --format json");
    assert_eq!(
        (json.code, json.json()["needs_doing"].as_bool()),
        (1, Some(true))
    );
    let findings = json.json()["findings"].as_array().unwrap().clone();
    let index = findings
        .iter()
        .find(|finding| finding["name"] == "index")
        .unwrap();
    assert_eq!(
        (&index["level"], &index["needs_doing"]),
        (&"warn".into(), &true.into())
    );

    let mended = scene.say("db doctor --create-index");
    assert_eq!(mended.code, 0, "{mended:?}");
    assert!(
        mended
            .stdout
            .contains("ok    index: made now: CREATE INDEX"),
        "{mended:?}"
    );
    assert_eq!(scene.say("db doctor").code, 0);
    let turned = scene.say("db doctor --set-wal --as root");
    assert_eq!(turned.code, 0, "{turned:?}");
    assert!(
        turned
            .stdout
            .contains("ok    journal: wal: turned to it now"),
        "{turned:?}"
    );
}

#[test]
fn a_database_that_is_not_there_is_never_made() {
    let scene = Scene::new();
    let path = scene.folder.path().join("other.db");
    let path = path.to_str().unwrap();
    let doctor = scene.say_about(path, "db doctor");
    assert_eq!(doctor.code, 1);
    assert!(
        doctor
            .stdout
            .starts_with("bad   file: failed to find the database"),
        "{doctor:?}"
    );
    for line in [
        "db size",
        "db backup copy.db",
        "db uninstall --yes",
        "video show x",
    ] {
        let said = scene.say_about(path, line);
        assert_eq!(said.code, 3, "{line}: {said:?}");
        assert!(said.stderr.contains("other.db: no such file"), "{said:?}");
        assert_eq!(said.stdout, "");
    }
    assert!(!scene.folder.path().join("other.db").exists());
    // Nor is one guessed.
    for line in [
        "db doctor",
        "db size",
        "db backup copy.db",
        "db uninstall --yes",
        "video show x",
        "score x",
    ] {
        let said = scene.say_plainly(line);
        assert_eq!(
            (said.code, said.stdout.as_str()),
            (2, ""),
            "{line}: {said:?}"
        );
        assert!(
            said.stderr.contains("named") && said.stderr.contains("--db"),
            "{line}: {said:?}"
        );
    }
}

#[test]
fn video_show_tells_what_is_known_and_that_nothing_is() {
    let scene = Scene::new();
    let json = scene.say("video show -Bg3w_kVyPQ");
    assert_eq!(json.code, 0, "{json:?}");
    let card = json.json();
    assert_eq!(card["video_id"], "-Bg3w_kVyPQ");
    assert_eq!(card["score"]["baseline"]["is_own"], false);
    assert_eq!(card["score"]["baseline"]["velocity"], 20_000.0);
    assert_eq!(card["snapshots"][0]["velocity"], 100.0);
    assert!(
        card["snapshots"][0]["time"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    assert_eq!(card["liveness"]["verdict"], Value::Null);

    let human = scene.say("video show -Bg3w_kVyPQ --format human");
    assert!(human.stdout.contains("GB, for XX has none"), "{human:?}");
    assert!(human.stdout.contains("100 views/h"), "{human:?}");
    assert!(human.stdout.contains("never checked"), "{human:?}");
    assert!(!human.stdout.contains('\u{1b}'), "{human:?}");

    let unknown = scene.say("video show nobody-knows-it");
    assert_eq!((unknown.code, unknown.stdout.as_str()), (1, ""));
    assert!(unknown.stderr.contains("nobody-knows-it"), "{unknown:?}");
}

#[test]
fn sizes_backups_and_uninstalling_are_told_in_both_formats() {
    let scene = Scene::new();
    let copy = scene.folder.path().join("copy.db");
    let line = format!("db backup {}", copy.display());
    let made = scene.say(&line);
    assert_eq!(made.code, 0, "{made:?}");
    assert_eq!(made.json()["bytes"], copy.metadata().unwrap().len());
    let again = scene.say(&line);
    assert_eq!((again.code, again.stdout.as_str()), (2, ""));
    assert!(
        again.stderr.contains("exists and is not overwritten"),
        "{again:?}"
    );

    let size = scene.say("db size --format human");
    assert!(size.stdout.contains("ours  nothing yet"), "{size:?}");
    assert!(
        size.stdout.contains("site  video_snapshots: 2 rows"),
        "{size:?}"
    );
    assert_eq!(scene.say("score --all").code, 0);
    let size = scene.say("db size");
    let ours = size.json()["ours"].as_array().unwrap().clone();
    let scores = ours
        .iter()
        .find(|table| table["table"] == "vvv_scores")
        .unwrap();
    assert_eq!(scores["rows"]["exact"], 1);

    let shown = scene.say("db uninstall --format human");
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(
        shown.stdout.contains("table vvv_scores, 1 rows"),
        "{shown:?}"
    );
    assert!(
        shown
            .stdout
            .ends_with("nothing was removed; --yes does it\n"),
        "{shown:?}"
    );
    let json = scene.say("db uninstall");
    assert_eq!(json.json()["removed"], false);
    let gone = scene.say("db uninstall --yes --format human");
    assert!(gone.stdout.contains("removed "), "{gone:?}");
    let nothing = scene.say("db uninstall --yes --format human");
    assert_eq!(nothing.stdout, "nothing in this file is ours\n");
    assert_eq!(nothing.code, 0);
}

#[test]
fn the_endpoint_is_asked_once_under_a_permit() {
    let site = Site::start();
    let scene = Scene::new()
        .with("VVV_LIVENESS__ENDPOINT", &site.oembed_endpoint())
        .with("VVV_FETCH__ALLOW", &site.authority())
        .with("VVV_DATABASE__JOURNAL_MODE", "wal");
    let video = "jNQXAC9IVRw";
    site.oembed(video, support::site::oembed::alive(video));
    let well = scene.say("db doctor --online");
    assert_eq!(well.code, 0, "{well:?}");
    assert!(
        well.stdout.contains("ok    endpoint: http://127.0.0.1"),
        "{well:?}"
    );
    assert_eq!(site.calls().len(), 1);
    assert!(well.stdout.contains("rate_window: 1 of 20/m"), "{well:?}");
    // A look leaves the journal as it is; that the file may be turned is for runs that write.
    let mode: String = Connection::open(scene.database())
        .unwrap()
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "delete");
    // No verdict was recorded.
    assert_eq!(scene.say(&format!("video show {video}")).code, 1);

    site.oembed(video, Reply::status(404));
    let dead = scene.say("db doctor --online");
    assert_eq!(dead.code, 1, "{dead:?}");
    assert!(dead.stdout.contains("bad   endpoint: "), "{dead:?}");

    site.oembed(video, Reply::status(429));
    let parked = scene.say("db doctor --online");
    assert!(parked.stdout.contains("endpoint: "), "{parked:?}");
    assert!(
        parked.stdout.contains("it asked to be left alone until"),
        "{parked:?}"
    );
    let calls = site.calls().len();
    let spared = scene.say("db doctor --online");
    assert!(spared.stdout.contains("endpoint: "), "{spared:?}");
    assert_eq!(site.calls().len(), calls, "{spared:?}");
}
