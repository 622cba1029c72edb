//! The folder of the cache: its files, and the order they go in.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT,
    fchmod, fstat, futimens, open, openat, renameat, statat, unlinkat,
};
use rustix::process::geteuid;

use super::LARGEST_CACHED;
use super::index::{Index, Name, room_of};
use crate::domain::picture::{Sniff, sniff};

const UNFINISHED: &str = ".tmp-";
/// No write takes as long: such a file is of a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);
/// A file says to the minute when it was last looked at.
const MINUTE: Duration = Duration::from_secs(60);

/// The folder.
pub(super) struct Shelf {
    folder: OwnedFd,
    path: PathBuf,
    limit: u64,
    index: Mutex<Index>,
    is_off: AtomicBool,
}

impl Shelf {
    pub(super) fn open(path: &Path, limit: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = open(path, flags, Mode::empty())?;
        let found = fstat(&folder)?;
        if found.st_uid != geteuid().as_raw() {
            let reason = "the folder is another user's";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        if Mode::from_raw_mode(found.st_mode) != Mode::RWXU {
            fchmod(&folder, Mode::RWXU)?;
        }
        Ok(Self {
            folder,
            path: path.to_owned(),
            limit,
            index: Mutex::default(),
            is_off: AtomicBool::new(false),
        })
    }

    /// Whether nothing is kept any more.
    pub(super) fn is_off(&self) -> bool {
        self.is_off.load(Ordering::Relaxed)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what is there from before, and clears away what was not finished.
    pub(super) fn find(&self) {
        let mut found = match self.list() {
            Ok(found) => found,
            Err(error) => return self.switch_off(&error),
        };
        found.sort_by_key(|(used, _, _)| *used);
        let found = found.into_iter().map(|(_, name, room)| (name, room));
        self.index().take_in(found);
        self.make_room(0);
    }

    fn list(&self) -> io::Result<Vec<(SystemTime, Name, u64)>> {
        let mut found = Vec::new();
        for entry in Dir::read_from(&self.folder)? {
            let entry = entry?;
            let file = entry.file_name();
            let Ok(stat) = statat(&self.folder, file, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                continue;
            }
            let used = last_used(&stat);
            if let Some(name) = Name::of_file(file.to_bytes()) {
                found.push((used, name, room_of(length(&stat))));
            } else if file.to_bytes().starts_with(UNFINISHED.as_bytes())
                && used.elapsed().is_ok_and(|age| age > ABANDONED)
            {
                let _ = unlinkat(&self.folder, file, AtFlags::empty());
            }
        }
        Ok(found)
    }

    /// Reads a picture; what lies under its name and is none goes.
    pub(super) fn get(&self, name: &Name) -> Option<Vec<u8>> {
        match self.read(name) {
            Ok(Some(bytes)) => {
                self.index().use_now(name, room_of(bytes.len()));
                Some(bytes)
            }
            Ok(None) => {
                self.remove(name);
                None
            }
            Err(_) => {
                self.index().remove(name);
                None
            }
        }
    }

    fn read(&self, name: &Name) -> io::Result<Option<Vec<u8>>> {
        // Not blocking, should a pipe lie there.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.folder, name.as_str(), flags, Mode::empty())?;
        let stat = fstat(&file)?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !is_file || !(1..=LARGEST_CACHED).contains(&length(&stat)) {
            return Ok(None);
        }
        if last_used(&stat).elapsed().is_ok_and(|age| age > MINUTE) {
            let omitted = timespec(UTIME_OMIT);
            let now = timespec(UTIME_NOW);
            let _ = futimens(
                &file,
                &Timestamps {
                    last_access: omitted,
                    last_modification: now,
                },
            );
        }
        let mut bytes = Vec::with_capacity(length(&stat));
        let most = u64::try_from(LARGEST_CACHED).unwrap_or(u64::MAX);
        File::from(file).take(most).read_to_end(&mut bytes)?;
        Ok(matches!(sniff(&bytes), Sniff::Picture(_)).then_some(bytes))
    }

    /// Takes a picture out of the folder.
    pub(super) fn remove(&self, name: &Name) {
        self.index().remove(name);
        // A folder of that name stays.
        let _ = unlinkat(&self.folder, name.as_str(), AtFlags::empty());
    }

    /// Keeps a picture, and lets go of those looked at longest ago.
    pub(super) fn put(&self, name: &Name, bytes: &[u8]) {
        let room = room_of(bytes.len());
        if self.is_off() || room > self.limit {
            return;
        }
        self.make_room(room);
        match self.write(name, bytes) {
            Ok(()) => self.index().use_now(name, room),
            Err(error) => self.switch_off(&error),
        }
    }

    fn make_room(&self, room: u64) {
        let out = self.index().shrink_to(self.limit.saturating_sub(room));
        for name in out {
            let _ = unlinkat(&self.folder, name.as_str(), AtFlags::empty());
        }
    }

    /// Writes a file under another name first, so that under its own it is whole.
    fn write(&self, name: &Name, bytes: &[u8]) -> io::Result<()> {
        let unfinished = format!("{UNFINISHED}{:016x}", fastrand::u64(..));
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.folder, &*unfinished, flags, Mode::RUSR | Mode::WUSR)?;
        let finish = || {
            File::from(file).write_all(bytes)?;
            renameat(&self.folder, &*unfinished, &self.folder, name.as_str())?;
            Ok(())
        };
        finish().inspect_err(|_| {
            let _ = unlinkat(&self.folder, &*unfinished, AtFlags::empty());
        })
    }

    fn switch_off(&self, error: &io::Error) {
        if !self.is_off.swap(true, Ordering::Relaxed) {
            let folder = self.path.display();
            tracing::warn!(%folder, %error, "no more pictures are cached: the folder cannot be used");
        }
    }
}

fn length(stat: &Stat) -> usize {
    usize::try_from(stat.st_size).unwrap_or(usize::MAX)
}

fn last_used(stat: &Stat) -> SystemTime {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    UNIX_EPOCH + Duration::from_secs(seconds)
}

const fn timespec(special: i64) -> Timespec {
    Timespec {
        tv_sec: 0,
        tv_nsec: special,
    }
}
