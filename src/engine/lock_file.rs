//! One process works off a database's durable queue: it holds a lock on a file beside it.
//!
//! The file is another one than the database, whose locks a plain open and close would drop. It
//! stays when the process ends: whoever unlinks a lock file can leave two holders of two files.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::EngineError;
use crate::store::{StoreError, with_suffix};

/// The lock; let go when it falls, or with the process.
#[derive(Debug)]
pub struct LockFile {
    file: File,
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Closing is not enough: a child that is just being started has the file open too, until it is
        // another program.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl LockFile {
    /// Takes the lock beside this database.
    ///
    /// # Errors
    /// When there is no database, another process holds it, which is named, or the file cannot be
    /// made.
    pub fn take(database: &Path) -> Result<Self, EngineError> {
        if !database.exists() {
            // A mistyped path is to leave nothing behind.
            return Err(StoreError::NoDatabase {
                path: database.to_owned(),
            }
            .into());
        }
        let path = Self::path(database);
        let unusable = |error: std::io::Error| EngineError::LockFile {
            path: path.clone(),
            error,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unusable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                return Err(EngineError::QueueTaken {
                    path,
                    holder: holder.trim().to_owned(),
                });
            }
            Err(error) => return Err(unusable(error.into())),
        }
        let note = format!("pid {}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(note.as_bytes()))
            .map_err(unusable)?;
        Ok(Self { file })
    }

    /// Where the lock of this database's queue is: beside the file itself, whichever link led to it.
    #[must_use]
    pub fn path(database: &Path) -> PathBuf {
        let real = database.canonicalize();
        with_suffix(real.as_deref().unwrap_or(database), "-vvv-lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_it_and_the_next_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("vault.db");
        let nothing = LockFile::take(&database).unwrap_err().to_string();
        assert!(nothing.contains("no such file"), "{nothing}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        std::fs::write(&database, "").unwrap();
        let first = LockFile::take(&database).unwrap();
        let error = LockFile::take(&database).unwrap_err().to_string();
        let pid = format!("pid {}", std::process::id());
        assert!(
            error.contains(&pid) && error.contains("vault.db-vvv-lock"),
            "{error}"
        );
        // As a child has it that is just being started.
        let inherited = first.file.try_clone().unwrap();
        drop(first);
        LockFile::take(&database).unwrap();
        drop(inherited);
    }

    #[test]
    fn a_link_leads_to_the_same_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (database, elsewhere) = (folder.path().join("vault.db"), folder.path().join("links"));
        let link = elsewhere.join("current.db");
        std::fs::write(&database, "").unwrap();
        std::fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&database, &link).unwrap();
        let _first = LockFile::take(&link).unwrap();
        let error = LockFile::take(&database).unwrap_err();
        assert!(matches!(error, EngineError::QueueTaken { .. }), "{error}");
    }
}
