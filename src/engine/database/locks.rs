//! Who holds a lock on the database, read from `/proc/locks`: the file itself is not opened,
//! which would cost this process its own locks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::store::with_suffix;

/// SQLite's lock bytes in the database file.
const PENDING: u64 = 0x4000_0000;
const RESERVED: u64 = PENDING + 1;
const SHARED_FIRST: u64 = PENDING + 2;
const SHARED_LAST: u64 = PENDING + 511;

/// SQLite's lock bytes in the `-shm` file.
const WAL_WRITE: u64 = 120;
const WAL_CHECKPOINT: u64 = 121;
const WAL_RECOVER: u64 = 122;
const WAL_READ_FIRST: u64 = 123;
const WAL_READ_LAST: u64 = 127;
const WAL_OPEN: u64 = 128;

/// The most of a command line that is shown, in characters.
const COMMAND: usize = 200;

/// A lock of SQLite's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lock {
    /// Has the file open in WAL mode; in no one's way.
    Open,
    /// Reads; in a rollback journal's way of committing.
    Reading,
    /// Reads a WAL; keeps it from being folded back, no one from writing.
    WalReading,
    /// Folds the WAL back.
    WalCheckpoint,
    /// Recovers the WAL after a crash.
    WalRecovery,
    /// Writes to the WAL.
    WalWriting,
    /// In a write transaction on a rollback journal.
    Reserved,
    /// Waits for readers to end, to commit.
    Pending,
    /// Commits; no one else may even read.
    Exclusive,
}

impl Lock {
    /// Whether writers must wait for it.
    #[must_use]
    pub const fn blocks_writers(self) -> bool {
        match self {
            Self::Open | Self::WalReading | Self::WalCheckpoint => false,
            Self::Reading
            | Self::WalRecovery
            | Self::WalWriting
            | Self::Reserved
            | Self::Pending
            | Self::Exclusive => true,
        }
    }

    /// SQLite's own name for it, for people who look it up.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Reading => "SHARED",
            Self::WalReading => "WAL read",
            Self::WalCheckpoint => "WAL checkpoint",
            Self::WalRecovery => "WAL recovery",
            Self::WalWriting => "WAL write",
            Self::Reserved => "RESERVED",
            Self::Pending => "PENDING",
            Self::Exclusive => "EXCLUSIVE",
        }
    }
}

/// A process that holds locks on the database.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Holder {
    /// Its id; none where it lives in another container.
    pub pid: Option<u32>,
    /// How it was started, as far as this user may know.
    pub command: Option<String>,
    /// Its locks, the strongest last.
    pub locks: Vec<Lock>,
}

impl Holder {
    /// Its strongest lock.
    #[must_use]
    pub fn strongest(&self) -> Lock {
        self.locks.last().copied().unwrap_or(Lock::Open)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "pid {pid}")?,
            None => f.write_str("a process out of sight")?,
        }
        if let Some(command) = &self.command {
            write!(f, " ({command})")?;
        }
        write!(f, ", {} lock", self.strongest().name())
    }
}

/// The other processes that hold locks on the database, strongest first.
///
/// # Errors
/// When the kernel does not tell, or the file cannot be found.
pub fn lock_holders(database: &Path) -> io::Result<Vec<Holder>> {
    let database = database.canonicalize()?;
    let file = Inode::of(&database.metadata()?);
    // No -shm: no one has it open in WAL mode.
    let shm = with_suffix(&database, "-shm").metadata().ok();
    let table = lock_table()?;
    let mut held = gather(&table, file, shm.as_ref().map(Inode::of));
    held.remove(&Some(std::process::id()));
    let mut holders: Vec<Holder> = held
        .into_iter()
        .map(|(pid, locks)| Holder {
            pid,
            command: pid.and_then(command),
            locks,
        })
        .collect();
    holders.sort_by_key(|holder| std::cmp::Reverse(holder.strongest()));
    Ok(holders)
}

/// The kernel's table of locks. It is handed out in pieces, and an entry slips through when others
/// before it go meanwhile: so it is read twice, and what either saw counts.
fn lock_table() -> io::Result<String> {
    let entry = |line: &str| line.split_once(':').map(|(_, entry)| entry.to_owned());
    let mut table = std::fs::read_to_string("/proc/locks")?;
    let seen: BTreeSet<String> = table.lines().filter_map(entry).collect();
    for line in std::fs::read_to_string("/proc/locks")?.lines() {
        if entry(line).is_some_and(|entry| !seen.contains(&entry)) {
            table.push_str(line);
            table.push('\n');
        }
    }
    Ok(table)
}

/// A file as `/proc/locks` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Inode {
    major: u32,
    minor: u32,
    number: u64,
}

impl Inode {
    fn of(metadata: &Metadata) -> Self {
        Self {
            major: rustix::fs::major(metadata.dev()),
            minor: rustix::fs::minor(metadata.dev()),
            number: metadata.ino(),
        }
    }
}

/// One line of `/proc/locks`.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    writes: bool,
    pid: Option<u32>,
    inode: Inode,
    first: u64,
    last: u64,
}

/// The locks of each process, weakest first.
fn gather(table: &str, file: Inode, shm: Option<Inode>) -> BTreeMap<Option<u32>, Vec<Lock>> {
    let mut held: BTreeMap<Option<u32>, Vec<Lock>> = BTreeMap::new();
    for line in table.lines().filter_map(parse) {
        if line.inode == file {
            held.entry(line.pid).or_default().extend(of_file(&line));
        } else if Some(line.inode) == shm {
            held.entry(line.pid).or_default().extend(of_shm(&line));
        }
    }
    for locks in held.values_mut() {
        // In WAL mode whoever has the file open shares it throughout.
        if locks.contains(&Lock::Open) {
            locks.retain(|lock| *lock != Lock::Reading);
        }
        locks.sort_unstable();
        locks.dedup();
    }
    held.retain(|_, locks| !locks.is_empty());
    held
}

/// Reads `1: POSIX  ADVISORY  WRITE 8717 fe:00:10043442 120 120`; none: no lock that is held, or
/// of another sort.
fn parse(line: &str) -> Option<Line> {
    let mut words = line.split_ascii_whitespace().skip(1);
    // A lock that is waited for has an arrow here.
    if !matches!(words.next()?, "POSIX" | "OFDLCK") {
        return None;
    }
    words.next()?;
    let writes = words.next()? == "WRITE";
    let pid = words.next()?.parse().ok().filter(|pid| *pid != 0);
    let mut inode = words.next()?.split(':');
    let (major, minor) = (inode.next()?, inode.next()?);
    let first = words.next()?.parse().ok()?;
    let last = match words.next()? {
        "EOF" => u64::MAX,
        last => last.parse().ok()?,
    };
    Some(Line {
        writes,
        pid,
        inode: Inode {
            major: u32::from_str_radix(major, 16).ok()?,
            minor: u32::from_str_radix(minor, 16).ok()?,
            number: inode.next()?.parse().ok()?,
        },
        first,
        last,
    })
}

impl Line {
    /// The kernel joins neighbouring locks, so one line can be several of SQLite's.
    const fn covers(&self, first: u64, last: u64) -> bool {
        self.first <= last && first <= self.last
    }
}

fn of_file(line: &Line) -> Vec<Lock> {
    let mut locks = Vec::new();
    if line.covers(SHARED_FIRST, SHARED_LAST) {
        locks.push(if line.writes {
            Lock::Exclusive
        } else {
            Lock::Reading
        });
    }
    if line.writes && line.covers(RESERVED, RESERVED) {
        locks.push(Lock::Reserved);
    }
    if line.writes && line.covers(PENDING, PENDING) {
        locks.push(Lock::Pending);
    }
    locks
}

fn of_shm(line: &Line) -> Vec<Lock> {
    let exclusive = [
        (WAL_WRITE, Lock::WalWriting),
        (WAL_CHECKPOINT, Lock::WalCheckpoint),
        (WAL_RECOVER, Lock::WalRecovery),
    ];
    let mut locks: Vec<Lock> = exclusive
        .into_iter()
        .filter(|(byte, _)| line.writes && line.covers(*byte, *byte))
        .map(|(_, lock)| lock)
        .collect();
    if line.covers(WAL_READ_FIRST, WAL_READ_LAST) {
        locks.push(Lock::WalReading);
    }
    if line.covers(WAL_OPEN, WAL_OPEN) {
        locks.push(Lock::Open);
    }
    locks
}

/// The command line of a process, if this user may see it.
fn command(pid: u32) -> Option<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> = line
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    let joined = words.join(" ");
    (!words.is_empty()).then(|| joined.chars().take(COMMAND).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Inode = Inode {
        major: 0xfe,
        minor: 0,
        number: 11,
    };
    const SHM: Inode = Inode {
        major: 0xfe,
        minor: 0,
        number: 12,
    };

    fn locks(table: &str) -> Vec<(Option<u32>, Vec<Lock>)> {
        gather(table, FILE, Some(SHM)).into_iter().collect()
    }

    #[test]
    fn a_writer_to_a_wal_is_told_from_those_who_only_have_it_open() {
        let table = "\
            1: POSIX  ADVISORY  WRITE 70 fe:00:12 120 120\n\
            2: POSIX  ADVISORY  READ 70 fe:00:12 124 124\n\
            3: POSIX  ADVISORY  READ 70 fe:00:12 128 128\n\
            4: POSIX  ADVISORY  READ 70 fe:00:11 1073741826 1073742335\n\
            5: POSIX  ADVISORY  READ 71 fe:00:12 128 128\n\
            6: POSIX  ADVISORY  READ 71 fe:00:11 1073741826 1073742335\n";
        assert_eq!(
            locks(table),
            [
                (
                    Some(70),
                    vec![Lock::Open, Lock::WalReading, Lock::WalWriting]
                ),
                (Some(71), vec![Lock::Open]),
            ]
        );
    }

    #[test]
    fn the_stages_of_a_rollback_journal_are_told_apart() {
        let line = |range: &str, mode: &str| format!("1: POSIX ADVISORY {mode} 5 fe:00:11 {range}");
        let strongest = |text: String| locks(&text).first().unwrap().1.last().copied().unwrap();
        assert_eq!(
            strongest(line("1073741826 1073742335", "READ")),
            Lock::Reading
        );
        assert_eq!(
            strongest(line("1073741825 1073741825", "WRITE")),
            Lock::Reserved
        );
        // Joined by the kernel.
        assert_eq!(
            strongest(line("1073741824 1073741825", "WRITE")),
            Lock::Pending
        );
        assert_eq!(
            strongest(line("1073741824 1073742335", "WRITE")),
            Lock::Exclusive
        );
        assert_eq!(strongest(line("0 EOF", "WRITE")), Lock::Exclusive);
    }

    #[test]
    fn other_files_waiting_locks_and_strange_lines_are_passed_over() {
        let table = "\
            1: FLOCK  ADVISORY  WRITE 70 fe:00:11 0 EOF\n\
            2: POSIX  ADVISORY  WRITE 70 fe:01:11 120 120\n\
            3: -> POSIX ADVISORY  WRITE 70 fe:00:11 1073741825 1073741825\n\
            4: POSIX  ADVISORY  WRITE 70 fe:00 1 1\n\
            \n5:\nnonsense";
        assert_eq!(locks(table), []);
    }

    #[test]
    fn a_holder_in_another_container_has_no_pid() {
        let table = "1: POSIX ADVISORY WRITE 0 fe:00:12 120 120\n\
                     2: OFDLCK ADVISORY WRITE -1 fe:00:12 121 121";
        assert_eq!(
            locks(table),
            [(None, vec![Lock::WalCheckpoint, Lock::WalWriting])]
        );
    }
}
