//! Vaults: the site's SQLite file as its pipeline leaves it, in either journal mode.
//!
//! Files are made and read through SQLite only: a plain open and close of a database file would
//! drop the locks this process holds on it.

mod edge_cases;
mod rows;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

use super::site::Site;

pub use edge_cases::{EDGE_CASES, EdgeCase, Row, edge_cases};

/// How long what must come about may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The seven regions, in the order videos take them.
pub const REGIONS: [&str; 7] = ["PL", "NL", "SE", "NO", "AT", "GB", "US"];

/// The last characters an id of 64 bits can have.
const LAST: &[u8] = b"AEIMQUYcgkosw048";
const BASE64URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How the file keeps its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journal {
    /// A write-ahead log.
    Wal,
    /// A rollback journal.
    Delete,
}

impl Journal {
    /// Both modes.
    pub const ALL: [Self; 2] = [Self::Wal, Self::Delete];

    /// The pragma's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wal => "wal",
            Self::Delete => "delete",
        }
    }
}

/// What a vault holds; begin with [`VaultSpec::new`] and change what matters.
#[derive(Debug, Clone)]
pub struct VaultSpec {
    /// How many videos.
    pub videos: usize,
    /// Snapshots of each video, the oldest first in the file.
    pub snapshots: usize,
    /// The journal mode.
    pub journal: Journal,
    /// Whether snapshots have their index on `(video_id, fetched_at)`.
    pub index: bool,
    /// Equal seeds make equal vaults.
    pub seed: u64,
    /// What comes before `/vi/<ID>/…` in `thumbnail_url`.
    pub thumbnails: String,
    /// Names of thumbnail files, taken in turn; empty leaves `thumbnail_url` NULL.
    pub files: Vec<String>,
}

impl VaultSpec {
    /// Five snapshots a video, WAL, the index, thumbnails at YouTube's.
    #[must_use]
    pub fn new(videos: usize) -> Self {
        Self {
            videos,
            snapshots: 5,
            journal: Journal::Wal,
            index: true,
            seed: 1,
            thumbnails: "https://i.ytimg.com".to_owned(),
            files: vec!["hqdefault.jpg".to_owned()],
        }
    }

    /// In this journal mode.
    #[must_use]
    pub fn journal(self, journal: Journal) -> Self {
        Self { journal, ..self }
    }

    /// Has the thumbnails on a site of ours.
    #[must_use]
    pub fn on(self, site: &Site) -> Self {
        let thumbnails = site.url("");
        Self { thumbnails, ..self }
    }

    /// Makes the file, which must not exist.
    #[must_use]
    pub fn create(&self, path: &Path) -> Vault {
        let mut dice = fastrand::Rng::with_seed(self.seed);
        let ids = possible_ids(self.videos, &mut dice);
        let vault = Vault::empty(path, self.journal, self.index);
        let mut connection = vault.connect();
        connection
            .pragma_update(None, "synchronous", "off")
            .expect("set synchronous");
        let transaction = connection.transaction().expect("begin");
        rows::insert(&transaction, self, &ids, &mut dice);
        transaction.commit().expect("commit a vault");
        Vault { ids, ..vault }
    }
}

/// A vault on disk.
#[derive(Debug, Clone)]
pub struct Vault {
    /// Its file.
    pub path: PathBuf,
    /// Its videos in order of rowid.
    pub ids: Vec<String>,
}

impl Vault {
    /// Makes the tables without a row.
    #[must_use]
    pub fn empty(path: &Path, journal: Journal, index: bool) -> Self {
        assert!(!path.exists(), "{} is already there", path.display());
        let vault = Self {
            path: path.to_owned(),
            ids: Vec::new(),
        };
        let connection = vault.connect();
        connection
            .pragma_update(None, "journal_mode", journal.name())
            .expect("set the journal mode");
        connection.execute_batch(SCHEMA).expect("make the tables");
        if index {
            connection.execute_batch(INDEX).expect("make the index");
        }
        vault
    }

    /// A connection of the site's own kind: defaults, and five seconds of patience.
    #[must_use]
    pub fn connect(&self) -> Connection {
        let connection = Connection::open(&self.path).expect("open the vault");
        connection
            .busy_timeout(Duration::from_secs(5))
            .expect("set the busy timeout");
        connection
    }

    /// Copies the vault, its log and its journal mode included, to a new file.
    #[must_use]
    pub fn copy_to(&self, path: &Path) -> Self {
        assert!(!path.exists(), "{} is already there", path.display());
        self.connect()
            .backup("main", path, None::<fn(rusqlite::backup::Progress)>)
            .expect("copy the vault");
        Self {
            path: path.to_owned(),
            ids: self.ids.clone(),
        }
    }

    /// The stored score of a video; `None` if it is NULL or the video is not there.
    #[must_use]
    pub fn score(&self, id: &str) -> Option<f64> {
        self.connect()
            .query_row(
                "SELECT virality_score FROM videos WHERE video_id = ?1",
                [id],
                |row| row.get::<_, Option<f64>>(0),
            )
            .optional()
            .expect("read a score")
            .flatten()
    }

    /// The address of a video's thumbnail.
    #[must_use]
    pub fn thumbnail_url(&self, id: &str) -> Option<String> {
        self.connect()
            .query_row(
                "SELECT thumbnail_url FROM videos WHERE video_id = ?1",
                [id],
                |row| row.get(0),
            )
            .expect("read an address")
    }

    /// The first column of a query's only row, as text.
    #[must_use]
    pub fn ask(&self, query: &str) -> String {
        use rusqlite::types::Value;
        let answer = self.connect().query_row(query, [], |row| row.get(0));
        match answer.expect("ask the vault") {
            Value::Null => "NULL".to_owned(),
            Value::Integer(value) => value.to_string(),
            Value::Real(value) => value.to_string(),
            Value::Text(value) => value,
            Value::Blob(value) => format!("{value:x?}"),
        }
    }

    /// The one number a query answers, however long others hold the file.
    #[must_use]
    pub fn number(&self, query: &str) -> i64 {
        let connection = self.connect();
        connection.busy_timeout(PATIENCE).expect("be patient");
        let number = connection.query_row(query, [], |row| row.get(0));
        number.expect("ask for a number")
    }

    /// Waits until the number a query answers is as wanted.
    #[track_caller]
    pub fn until(&self, what: &str, query: &str, wanted: impl Fn(i64) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let number = self.number(query);
            if wanted(number) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {number}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until every job of the queue in the file has succeeded.
    #[track_caller]
    pub fn until_all_succeeded(&self) {
        let left = "SELECT count(*) FROM vvv_jobs WHERE state <> 'succeeded'";
        self.until("all jobs succeed", left, |left| left == 0);
    }

    /// What SQLite says of the file's health; `ok` if it is well.
    #[must_use]
    pub fn integrity(&self) -> String {
        self.ask("PRAGMA integrity_check")
    }

    /// Adds a video with one snapshot a `(view_count, likes, comments, fetched_at)`.
    pub fn add(&mut self, id: &str, region: &str, snapshots: &[(i64, i64, i64, &str)]) {
        let connection = self.connect();
        connection
            .execute("INSERT INTO videos(video_id, title) VALUES (?1, ?1)", [id])
            .expect("add a video");
        for (views, likes, comments, fetched_at) in snapshots {
            connection
                .execute(
                    "INSERT INTO video_snapshots(video_id, view_count, likes, comments, region, \
                     fetched_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![id, views, likes, comments, region, fetched_at],
                )
                .expect("add a snapshot");
        }
        self.ids.push(id.to_owned());
    }
}

const SCHEMA: &str = "
    CREATE TABLE videos(
        video_id TEXT PRIMARY KEY,
        title TEXT,
        channel TEXT,
        virality_score REAL,
        thumbnail_url TEXT,
        created_at TEXT DEFAULT CURRENT_TIMESTAMP
    );
    CREATE TABLE video_snapshots(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        video_id TEXT NOT NULL REFERENCES videos(video_id),
        view_count INTEGER,
        likes INTEGER,
        comments INTEGER,
        region TEXT,
        fetched_at TEXT
    );
";

const INDEX: &str = "CREATE INDEX idx_snapshots_video ON video_snapshots(video_id, fetched_at);";

/// Different ids as YouTube gives them: eleven base64url characters of 64 bits.
#[must_use]
pub fn possible_ids(count: usize, dice: &mut fastrand::Rng) -> Vec<String> {
    let mut seen = std::collections::HashSet::with_capacity(count);
    let mut ids = Vec::with_capacity(count);
    while ids.len() < count {
        let mut id: Vec<u8> = (0..10)
            .map(|_| BASE64URL[dice.usize(..BASE64URL.len())])
            .collect();
        id.push(LAST[dice.usize(..LAST.len())]);
        // A dash in front is one in 64 by nature; here it is sure to occur.
        if ids.len() % 40 == 7 {
            id[0] = b'-';
        }
        let id = String::from_utf8(id).expect("base64url is ASCII");
        if seen.insert(id.clone()) {
            ids.push(id);
        }
    }
    ids
}
