//! Which file a path names, told without opening it: closing a plain file handle would drop every
//! lock SQLite holds on it.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file, whatever its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// The file at this path; none if it cannot be told.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
        })
    }

    /// Whether the path names another file now, or none. What cannot be told is no.
    #[must_use]
    pub fn has_left(&self, path: &Path) -> bool {
        match std::fs::metadata(path) {
            Ok(found) => (found.dev(), found.ino()) != (self.device, self.inode),
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }
}

/// The files a connection writes to, as they were when it was opened.
#[derive(Debug, Default)]
pub(super) struct OpenFiles(Vec<(PathBuf, FileIdentity)>);

impl OpenFiles {
    /// Takes note of the file at this path. What cannot be told is not watched.
    pub(super) fn note(&mut self, path: &Path) {
        self.0
            .extend(FileIdentity::of(path).map(|file| (path.to_owned(), file)));
    }

    /// The first that was noted.
    pub(super) fn first(&self) -> Option<FileIdentity> {
        self.0.first().map(|(_, file)| *file)
    }

    /// Whether one of them is no longer at its path.
    pub(super) fn have_left(&self) -> bool {
        self.0.iter().any(|(path, file)| file.has_left(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_itself_through_writes_and_links_and_no_longer_when_replaced_or_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a"), folder.path().join("link"));
        std::fs::write(&path, "one").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let file = FileIdentity::of(&link).unwrap();
        std::fs::write(&path, "two").unwrap();
        assert!(!file.has_left(&path) && !file.has_left(&link));
        let other = folder.path().join("b");
        std::fs::write(&other, "one").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(file.has_left(&path) && file.has_left(&link));
        let file = FileIdentity::of(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(file.has_left(&path));
        assert_eq!(FileIdentity::of(&path), None);
    }
}
