//! Small pictures that were fetched, kept in a folder so that pages show them from here: a file
//! each, named by a hash, those looked at longest ago going first.
//!
//! Every file is reached through the folder's descriptor and never through a symlink, and appears
//! under its name when it is whole. Writing happens on a thread of its own. Nothing is flushed to
//! the disk: what a power cut leaves is judged by whoever decodes it, like all bytes of strangers.

mod index;
mod shelf;

use std::io;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use ring::digest::{Context, SHA256};

use self::index::Name;
use self::shelf::Shelf;

/// The largest picture that is kept, bytes.
pub const LARGEST_CACHED: usize = 64 * 1024;
/// Pictures that wait to be written, 4 MiB at most; when the disk is slower, the next are not kept.
const WAITING: usize = 64;

/// Pictures in a folder. The thread that writes ends with the value.
pub struct PictureCache {
    shelf: Arc<Shelf>,
    errands: mpsc::SyncSender<Errand>,
}

/// Something for the thread that writes.
enum Errand {
    /// Keep a picture.
    Put(Name, Vec<u8>),
    /// Tell when all before is done.
    #[cfg(test)]
    Settle(mpsc::Sender<()>),
}

impl PictureCache {
    /// A cache of at most `limit` bytes in this folder, which is made if it is not there and must
    /// be our own user's. What it holds from before is found by the thread that writes.
    ///
    /// # Errors
    /// When the folder cannot be made or used, or no thread is to be had.
    pub fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        let shelf = Arc::new(Shelf::open(folder, limit)?);
        let (errands, received) = mpsc::sync_channel(WAITING);
        let kept = Arc::clone(&shelf);
        thread::Builder::new()
            .name("vvv-pictures".to_owned())
            .spawn(move || run(&kept, &received))?;
        Ok(Self { shelf, errands })
    }

    /// Keeps a picture, soon; does not wait for the disk. One that is too large is not kept.
    pub fn put(&self, video_id: &str, url: &str, bytes: Vec<u8>) {
        if bytes.is_empty() || bytes.len() > LARGEST_CACHED || self.shelf.is_off() {
            return;
        }
        // With the queue full the picture is fetched again one day, and kept then.
        let _ = self
            .errands
            .try_send(Errand::Put(name(video_id, url), bytes));
    }

    /// A picture as it was fetched, if it is here. The bytes are a stranger's. Reads a file.
    #[must_use]
    pub fn get(&self, video_id: &str, url: &str) -> Option<Vec<u8>> {
        self.shelf.get(&name(video_id, url))
    }

    /// Drops a picture, since it turned out to be none.
    pub fn forget(&self, video_id: &str, url: &str) {
        self.shelf.remove(&name(video_id, url));
    }

    #[cfg(test)]
    fn settle(&self) {
        let (done, settled) = mpsc::channel();
        self.errands.send(Errand::Settle(done)).unwrap();
        settled.recv().unwrap();
    }
}

/// The life of the thread that writes.
fn run(shelf: &Shelf, errands: &mpsc::Receiver<Errand>) {
    shelf.find();
    while let Ok(errand) = errands.recv() {
        match errand {
            Errand::Put(name, bytes) => shelf.put(&name, &bytes),
            #[cfg(test)]
            Errand::Settle(done) => done.send(()).unwrap(),
        }
    }
}

fn name(video_id: &str, url: &str) -> Name {
    Name::new(digest(&[video_id.as_bytes(), url.as_bytes()]))
}

/// The SHA-256 of some texts, each with its length, as lower-case hex.
#[must_use]
pub fn digest(texts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_le_bytes());
        context.update(text);
    }
    let digest = context.finish();
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    use super::*;

    const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n and the rest of it";

    fn opened(folder: &Path, limit: u64) -> PictureCache {
        let cache = PictureCache::open(folder, limit).unwrap();
        cache.settle();
        cache
    }

    fn put(cache: &PictureCache, id: &str) {
        cache.put(id, "u", PICTURE.to_vec());
        cache.settle();
    }

    fn path(folder: &Path, id: &str) -> PathBuf {
        folder.join(digest(&[id.as_bytes(), b"u"]))
    }

    fn held(cache: &PictureCache, ids: &[&'static str]) -> Vec<&'static str> {
        let is_held = |id: &&&'static str| cache.get(id, "u").is_some();
        ids.iter().filter(is_held).copied().collect()
    }

    /// Sets when a file was last used.
    fn age(path: &Path, seconds: u64) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds))
            .unwrap();
    }

    #[test]
    fn a_picture_comes_back_as_it_was_under_its_video_and_address() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("deep/pictures");
        let cache = opened(&folder, 1 << 20);
        assert_eq!(cache.get("a", "u"), None);
        put(&cache, "a");
        assert_eq!(cache.get("a", "u").as_deref(), Some(PICTURE));
        assert_eq!(cache.get("a", "v"), None);
        assert_eq!(cache.get("au", ""), None);
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        let mode = fs::metadata(path(&folder, "a")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        cache.put("large", "u", vec![0; LARGEST_CACHED + 1]);
        cache.put("empty", "u", Vec::new());
        cache.settle();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        cache.forget("a", "u");
        assert_eq!(cache.get("a", "u"), None);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn those_looked_at_longest_ago_go_first_now_and_after_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        // Room for three: each takes a block of 4 KiB.
        let cache = opened(folder, 3 * 4096);
        for id in ["a", "b", "c"] {
            put(&cache, id);
        }
        assert!(cache.get("a", "u").is_some());
        put(&cache, "d");
        assert_eq!(held(&cache, &["b"]), [""; 0]);
        assert_eq!(fs::read_dir(folder).unwrap().count(), 3);
        drop(cache);
        age(&path(folder, "a"), 300);
        age(&path(folder, "c"), 100);
        age(&path(folder, "d"), 200);
        let cache = opened(folder, 3 * 4096);
        // Looking at it is remembered by the file itself.
        assert!(cache.get("a", "u").is_some());
        let used = fs::metadata(path(folder, "a")).unwrap().modified().unwrap();
        assert!(used.elapsed().unwrap() < Duration::from_secs(60));
        put(&cache, "e");
        assert_eq!(held(&cache, &["a", "c", "d", "e"]), ["a", "c", "e"]);
        drop(cache);
        let smaller = opened(folder, 4096);
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
        drop(smaller);
    }

    #[test]
    fn a_symlink_is_neither_read_nor_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        fs::write(&outside, PICTURE).unwrap();
        let folder = folder.path().join("pictures");
        fs::create_dir(&folder).unwrap();
        symlink(&outside, path(&folder, "a")).unwrap();
        let cache = opened(&folder, 1 << 20);
        assert_eq!(cache.get("a", "u"), None);
        cache.put("a", "u", [PICTURE, b"new"].concat());
        cache.settle();
        assert_eq!(fs::read(&outside).unwrap(), PICTURE);
        assert_eq!(cache.get("a", "u").unwrap(), [PICTURE, b"new"].concat());
        let link = folder.with_file_name("link");
        symlink(&folder, &link).unwrap();
        assert!(PictureCache::open(&link, 1).is_err());
    }

    #[test]
    fn what_is_no_picture_of_ours_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(path(folder, "empty"), b"").unwrap();
        fs::write(path(folder, "html"), b"<html>").unwrap();
        fs::write(path(folder, "huge"), vec![0xff; LARGEST_CACHED + 1]).unwrap();
        fs::create_dir(path(folder, "folder")).unwrap();
        fs::write(folder.join("README"), b"not ours").unwrap();
        fs::write(folder.join(".tmp-0123456789abcdef"), b"cut").unwrap();
        age(&folder.join(".tmp-0123456789abcdef"), 7200);
        let cache = opened(folder, 1 << 20);
        assert_eq!(held(&cache, &["empty", "html", "huge", "folder"]), [""; 0]);
        let mut left: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort_by_key(String::len);
        assert_eq!(left.len(), 2, "{left:?}");
        assert_eq!(left[0], "README");
    }

    #[test]
    fn a_folder_that_cannot_be_written_disables_the_cache_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("pictures");
        let cache = opened(&folder, 1 << 20);
        put(&cache, "a");
        // Root may write anywhere, but not into a folder that is gone.
        fs::remove_dir_all(&folder).unwrap();
        put(&cache, "b");
        assert!(cache.shelf.is_off());
        put(&cache, "c");
        assert_eq!(held(&cache, &["a", "b", "c"]), [""; 0]);
        fs::write(&folder, b"a file").unwrap();
        assert!(PictureCache::open(&folder, 1 << 20).is_err());
        fs::remove_file(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        drop(opened(&folder, 1 << 20));
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    }
}
