//! The cache of fetched thumbnails, and how they are made small for a page.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::geteuid;

use super::EngineHandle;
use crate::config::Config;
use crate::domain::picture::{PictureError, shrink};
use crate::fetch::{self, PictureCache};

/// The largest picture that is made small, pixels: Full HD. Of 64 KiB none is meant to be larger.
const LARGEST: u64 = 1 << 21;
/// The machine's place for caches.
const MACHINE: &str = "/var/cache/vvv-actors";
/// Digits of the hash a database's folder is named by.
const DIGITS: usize = 16;

/// Opens the cache the configuration asks for, to be handed to
/// [`EngineBuilder::pictures`](super::EngineBuilder::pictures). None: it asks for none, or its
/// folder cannot be used, which is warned of once.
#[must_use]
pub fn open_pictures(config: &Config) -> Option<Arc<PictureCache>> {
    let http = &config.http;
    if http.thumbnail_cache == 0 {
        return None;
    }
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let parent = if http.thumbnail_cache_folder.as_os_str().is_empty() {
        usual_folder(variable, geteuid().is_root())
    } else {
        http.thumbnail_cache_folder.clone()
    };
    let folder = parent.join(folder_of(&config.database.path));
    match PictureCache::open(&folder, http.thumbnail_cache) {
        Ok(cache) => Some(Arc::new(cache)),
        Err(error) => {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "no pictures are cached: the folder cannot be used");
            None
        }
    }
}

impl EngineHandle {
    /// Whether fetched thumbnails are kept at all.
    #[must_use]
    pub const fn keeps_pictures(&self) -> bool {
        self.pictures.is_some()
    }

    /// A thumbnail as it was fetched, if the cache has it: the bytes are a stranger's, see
    /// [`resized`]. May block for a moment.
    #[must_use]
    pub fn picture(&self, video_id: &str, url: &str) -> Option<Vec<u8>> {
        self.pictures.as_ref()?.get(video_id, url)
    }

    /// The same made small, a PNG with no side over `max_side`. One that cannot be decoded is
    /// dropped from the cache. Blocks while it decodes, a few milliseconds.
    #[must_use]
    pub fn thumbnail(&self, video_id: &str, url: &str, max_side: u32) -> Option<Vec<u8>> {
        let pictures = self.pictures.as_ref()?;
        match resized(&pictures.get(video_id, url)?, max_side) {
            Ok(small) => Some(small),
            Err(error) => {
                tracing::debug!(video_id, %error, "a cached picture cannot be shown");
                pictures.forget(video_id, url);
                None
            }
        }
    }
}

/// Makes a picture small: a PNG with no side over `max_side`, 1,024 at most, and none longer than
/// it was. The bytes may be anything.
///
/// # Errors
/// When they are no picture, one of more than two megapixels, or cut or damaged.
pub fn resized(bytes: &[u8], max_side: u32) -> Result<Vec<u8>, PictureError> {
    // A decoder's panic is this picture's error.
    catch_unwind(AssertUnwindSafe(|| shrink(bytes, LARGEST, max_side)))
        .unwrap_or_else(|_| Err(PictureError::Corrupt("its decoder panicked".to_owned())))
}

/// Each database has its own, whichever link leads to it.
fn folder_of(database: &Path) -> String {
    let real = database.canonicalize();
    let path = real.as_deref().unwrap_or(database);
    let digest = fetch::digest(&[path.as_os_str().as_encoded_bytes()]);
    format!("pictures-{}", digest.get(..DIGITS).unwrap_or_default())
}

/// Where caches lie: where the service manager says, else where the machine or the user has them.
/// A relative folder is ignored, as the XDG specification wants it.
fn usual_folder(variable: impl Fn(&str) -> Option<PathBuf>, is_root: bool) -> PathBuf {
    let folder = |name: &str| variable(name).filter(|folder| folder.is_absolute());
    if let Some(folder) = folder("CACHE_DIRECTORY") {
        return folder;
    }
    if is_root {
        return MACHINE.into();
    }
    folder("XDG_CACHE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".cache")))
        .map_or_else(|| MACHINE.into(), |caches| caches.join("vvv-actors"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_lie_where_the_manager_the_machine_or_the_user_keeps_them() {
        let folder = |pairs: &[(&str, &str)], is_root| {
            let found = |name: &str| {
                let pair = pairs.iter().find(|(key, _)| *key == name);
                pair.map(|(_, value)| PathBuf::from(value))
            };
            usual_folder(found, is_root).display().to_string()
        };
        let home = ("HOME", "/home/ann");
        let xdg = ("XDG_CACHE_HOME", "/caches");
        let systemd = ("CACHE_DIRECTORY", "/var/cache/vvv-actors");
        assert_eq!(
            folder(&[home, xdg, systemd], false),
            "/var/cache/vvv-actors"
        );
        assert_eq!(folder(&[home, xdg], true), MACHINE);
        assert_eq!(folder(&[home, xdg], false), "/caches/vvv-actors");
        assert_eq!(folder(&[home], false), "/home/ann/.cache/vvv-actors");
        let relative = ("XDG_CACHE_HOME", "caches");
        assert_eq!(folder(&[relative], false), MACHINE);
    }

    #[test]
    fn a_database_has_one_folder_and_its_neighbour_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a.db"), b"").unwrap();
        std::os::unix::fs::symlink(path("a.db"), path("link.db")).unwrap();
        assert_eq!(folder_of(&path("a.db")), folder_of(&path("link.db")));
        assert_ne!(folder_of(&path("a.db")), folder_of(&path("b.db")));
        assert_eq!(folder_of(&path("a.db")).len(), "pictures-".len() + DIGITS);
    }

    #[test]
    fn a_cache_of_nothing_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::defaults().unwrap();
        config.http.thumbnail_cache_folder = folder.path().to_owned();
        config.database.path = folder.path().join("vault.db");
        assert!(open_pictures(&config).is_some());
        config.http.thumbnail_cache = 0;
        assert!(open_pictures(&config).is_none());
    }
}
