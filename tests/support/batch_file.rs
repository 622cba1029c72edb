//! Batch files: what a site's cron writes and hands to `vvv-actors batch`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::hostile::Hostile;
use super::vault::Vault;

/// A batch file to be. Lists appear once something is in them.
#[derive(Debug, Clone, Default)]
pub struct BatchFile {
    object: Map<String, Value>,
}

impl BatchFile {
    /// An object without a key.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every video of a vault as new, with its thumbnail.
    #[must_use]
    pub fn of_vault(vault: &Vault) -> Self {
        let connection = vault.connect();
        let mut query = connection
            .prepare("SELECT video_id, thumbnail_url FROM videos ORDER BY rowid")
            .expect("ask for the videos");
        let videos = query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("ask for the videos")
            .map(|row| row.expect("read a video"));
        videos.fold(
            Self::new().db(&vault.path),
            |file, (id, url): (String, Option<String>)| file.video(&id, url.as_deref()),
        )
    }

    /// Sets `db_path`.
    #[must_use]
    pub fn db(self, path: &Path) -> Self {
        let path = path.to_str().expect("a path in UTF-8");
        self.key("db_path", json!(path))
    }

    /// Adds a new video.
    #[must_use]
    pub fn video(mut self, id: &str, thumbnail_url: Option<&str>) -> Self {
        let mut video = json!({ "video_id": id });
        if let Some(url) = thumbnail_url {
            video["thumbnail_url"] = json!(url);
        }
        self.list("new_videos").push(video);
        self
    }

    /// Adds every hostile thumbnail as a new video.
    #[must_use]
    pub fn hostile(self, cases: &[Hostile]) -> Self {
        cases
            .iter()
            .fold(self, |file, case| file.video(&case.id, Some(&case.url)))
    }

    /// Adds stale ids.
    #[must_use]
    pub fn stale<S: AsRef<str>>(mut self, ids: impl IntoIterator<Item = S>) -> Self {
        let list = self.list("stale_ids");
        list.extend(ids.into_iter().map(|id| json!(id.as_ref())));
        self
    }

    /// Sets any key to anything.
    #[must_use]
    pub fn key(mut self, key: &str, value: Value) -> Self {
        self.object.insert(key.to_owned(), value);
        self
    }

    /// The file's text.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(&self.object).expect("write JSON")
    }

    /// Writes the file and answers its path.
    pub fn write(&self, path: &Path) -> PathBuf {
        fs::write(path, self.text()).expect("write a batch file");
        path.to_owned()
    }

    fn list(&mut self, key: &str) -> &mut Vec<Value> {
        let list = self
            .object
            .entry(key)
            .or_insert_with(|| Value::Array(Vec::new()));
        list.as_array_mut().expect("a list of the builder's own")
    }
}
