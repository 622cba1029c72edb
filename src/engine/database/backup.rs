//! `db backup`: a copy by SQLite's backup API, complete and checked, or none at all.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::Serialize;

use super::{DatabaseError, options};
use crate::config::Config;
use crate::store::{Copied, Inspector, Integrity, Intent, Patience, with_suffix};

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// The copy.
    pub file: PathBuf,
    /// Its bytes.
    pub bytes: u64,
}

/// Copies the database to `target` while others use it. The copy is checked and on disk before
/// it gets its name, so a file of that name is a whole backup.
///
/// # Errors
/// When `target` exists or cannot be written, or the database cannot be read or is damaged.
pub fn backup(
    config: &Config,
    target: &Path,
    progress: &mut dyn FnMut(Copied),
    patience: &mut Patience<'_>,
) -> Result<Backup, DatabaseError> {
    let options = options(config)?;
    let inspector = Inspector::open(&options.path, Intent::Look, patience)?;
    let copy = Copy::begin(&options.path, target)?;
    inspector
        .copy_to(&copy.part, progress, patience)
        .map_err(|error| copy.unwritable(&error))?;
    check(&options.path, &copy, patience)?;
    copy.finish()
}

fn check(database: &Path, copy: &Copy, patience: &mut Patience<'_>) -> Result<(), DatabaseError> {
    let found = Inspector::open(&copy.part, Intent::Look, patience)
        .and_then(|inspector| inspector.check())
        .map_err(|error| copy.unwritable(&error))?;
    match found {
        Integrity::Sound | Integrity::Unfinished => Ok(()),
        Integrity::Damaged(lines) => Err(DatabaseError::CopyDamaged {
            path: database.to_owned(),
            reason: lines.into_iter().next().unwrap_or_default(),
        }),
    }
}

/// A copy under its working name; without a finish it is removed again.
struct Copy {
    target: PathBuf,
    part: PathBuf,
    /// The modes of the database: a copy is shown to no one who could not see that.
    mode: u32,
}

impl Copy {
    fn begin(database: &Path, target: &Path) -> Result<Self, DatabaseError> {
        let unwritable = |error: io::Error| DatabaseError::BackupUnwritable {
            path: target.to_owned(),
            reason: error.to_string(),
        };
        // A link that leads nowhere is in the way too.
        if target.symlink_metadata().is_ok() {
            return Err(DatabaseError::BackupExists(target.to_owned()));
        }
        let mode = database.metadata().map_err(unwritable)?.mode();
        let absolute = std::path::absolute(target).map_err(unwritable)?;
        let part = with_suffix(&absolute, &format!(".part-{}", std::process::id()));
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)
            .map_err(unwritable)?;
        Ok(Self {
            target: absolute,
            part,
            mode: mode & 0o666,
        })
    }

    fn unwritable(&self, reason: &dyn Display) -> DatabaseError {
        DatabaseError::BackupUnwritable {
            path: self.target.clone(),
            reason: reason.to_string(),
        }
    }

    fn finish(self) -> Result<Backup, DatabaseError> {
        let finished = self.name().and_then(|()| {
            // The name is on disk once its folder is.
            let folder = self.target.parent().unwrap_or(Path::new("/"));
            File::open(folder)?.sync_all()?;
            self.target.metadata()
        });
        match finished {
            Ok(found) => Ok(Backup {
                file: self.target.clone(),
                bytes: found.len(),
            }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(DatabaseError::BackupExists(self.target.clone()))
            }
            Err(error) => Err(self.unwritable(&error)),
        }
    }

    /// Gives the copy its name, unless something else has got it meanwhile.
    fn name(&self) -> io::Result<()> {
        fs::set_permissions(&self.part, Permissions::from_mode(self.mode))?;
        match renameat_with(CWD, &self.part, CWD, &self.target, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::EXIST) => Err(rustix::io::Errno::EXIST.into()),
            // Not every file system can; a second name does the same.
            Err(_) => fs::hard_link(&self.part, &self.target),
        }
    }
}

impl Drop for Copy {
    /// Removes the working name, if it is still there, and what SQLite left beside it.
    fn drop(&mut self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            match fs::remove_file(with_suffix(&self.part, suffix)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let part = self.part.display();
                    tracing::warn!(%error, %part, "failed to remove an unfinished backup");
                }
            }
        }
    }
}
