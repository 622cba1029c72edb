//! A daemon on a vault of its own: started, talked to over its socket, looked at through its file.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::run::{Run, Running};
use super::site::Site;
use super::talk::Client;
use super::vault::{Journal, Vault, VaultSpec};

/// Where a daemon works: a vault, the site it asks, a folder for its socket.
pub struct DaemonScene {
    folder: TempDir,
    /// The site's database.
    pub vault: Vault,
    /// What it takes for YouTube.
    pub site: Site,
}

impl DaemonScene {
    /// A vault of so many videos; nothing runs yet.
    #[must_use]
    pub fn new(journal: Journal, videos: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.db");
        Self::at(&path, folder, journal, videos)
    }

    /// The same with the vault in a place of its own; what else there is goes into the folder.
    #[must_use]
    pub fn at(path: &Path, folder: TempDir, journal: Journal, videos: usize) -> Self {
        let site = Site::start();
        let spec = VaultSpec::new(videos).journal(journal);
        let vault = spec.on(&site).create(path);
        Self {
            folder,
            vault,
            site,
        }
    }

    /// Where the daemon listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// A file beside the database.
    #[must_use]
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The daemon, to be started with these variables.
    #[must_use]
    pub fn daemon(&self, program: &str, settings: &[(&str, &str)]) -> Run {
        let mut run = Run::new(program)
            .args([Path::new("daemon"), Path::new("--db"), &self.vault.path])
            .args([Path::new("--socket"), &self.socket()])
            .env("VVV_LOG__LEVEL", "warn")
            .env("VVV_FETCH__ALLOW", self.site.authority())
            .env("VVV_LIVENESS__ENDPOINT", self.site.oembed_endpoint())
            .timeout(Duration::from_secs(3600));
        for (name, value) in settings {
            run = run.env(name, value);
        }
        run
    }

    /// Starts it and waits until it lets us in.
    #[must_use]
    pub fn start(&self, program: &str, settings: &[(&str, &str)]) -> Running {
        let daemon = self.daemon(program, settings).start();
        assert!(
            self.connect(Duration::from_secs(20)).is_some(),
            "it lets nobody in"
        );
        daemon
    }

    /// Connects as soon as the daemon lets one in; none if it never does.
    #[must_use]
    pub fn connect(&self, within: Duration) -> Option<UnixStream> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Ok(stream) = UnixStream::connect(self.socket()) {
                return Some(stream);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        None
    }

    /// A connection that calls and waits for its answers.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::over(self.connect(Duration::from_secs(20)).expect("connect"))
    }

    /// The rows of a query as text.
    #[must_use]
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let connection = self.vault.connect();
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let mut seen = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let cell = |column| match row.get(column).unwrap() {
                rusqlite::types::Value::Null => "-".to_owned(),
                rusqlite::types::Value::Integer(integer) => integer.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => format!("{other:?}"),
            };
            seen.push((0..columns).map(cell).collect());
        }
        seen
    }

    /// The one number a query answers.
    #[must_use]
    pub fn count(&self, sql: &str) -> usize {
        self.rows(sql)[0][0].parse().unwrap()
    }

    /// Waits until a query answers this number.
    pub fn wait_for(&self, sql: &str, count: usize, within: Duration) {
        let deadline = Instant::now() + within;
        while self.count(sql) != count {
            let left = self.rows("SELECT state, count(*) FROM vvv_jobs GROUP BY state");
            assert!(Instant::now() < deadline, "{sql}: {left:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
