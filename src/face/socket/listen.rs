//! Where the socket lies, and how it gets there: nothing is ever removed but a socket that nobody
//! listens on, and nobody can connect before the mode is what it is to be.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, Gid, Mode, chownat, fchmod, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{bind as bind_to, connect, listen, socket_with};

use crate::config::Daemon;

/// What fits a `sockaddr_un`, with the zero that ends it.
const LONGEST_PATH: usize = 107;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
const NAME: &str = "vvv-actors.sock";
const SYSTEM_FOLDER: &str = "/run/vvv-actors";
const OTHERS_WRITE: u32 = 0o0002;
const STICKY: u32 = 0o1000;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// No address holds it.
    #[error("listen on {}: a socket's path has 107 bytes at most", path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
    },
    /// Somebody listens there.
    #[error("listen on {}: another daemon answers there", path.display())]
    Taken {
        /// The path.
        path: PathBuf,
    },
    /// Something else is there; it is left alone.
    #[error("listen on {}: there is {what}, which is no socket and stays", path.display())]
    Occupied {
        /// The path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// Anybody could put another socket in its place.
    #[error("listen on {}: everybody may write to its folder", path.display())]
    OpenFolder {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("listen on {}: {doing}: {error}", path.display())]
    Refused {
        /// The path.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        error: io::Error,
    },
}

/// Where the daemon of these settings listens: as set, else in the user's or the machine's folder
/// of sockets.
#[must_use]
pub fn path_of(daemon: &Daemon) -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    choose(daemon, runtime, rustix::process::geteuid().is_root())
}

fn choose(daemon: &Daemon, runtime: Option<PathBuf>, is_root: bool) -> PathBuf {
    if !daemon.socket.as_os_str().is_empty() {
        return daemon.socket.clone();
    }
    let runtime = runtime.filter(|folder| folder.is_absolute() && !is_root);
    runtime
        .unwrap_or_else(|| PathBuf::from(SYSTEM_FOLDER))
        .join(NAME)
}

/// Device, inode and the moment of its last change: numbers of inodes are used again.
type Identity = (u64, u64, i64, i64);

/// A socket of ours; its file goes with it.
#[derive(Debug)]
pub struct Bound {
    path: PathBuf,
    /// Which file it is, so that another's socket in its place is left alone.
    identity: Option<Identity>,
    /// Let go when the file is gone.
    _lock: File,
}

impl Drop for Bound {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A path that is ours, and not yet listened on.
#[derive(Debug)]
pub struct Reserved {
    socket: OwnedFd,
    bound: Bound,
}

impl Reserved {
    /// Lets clients in.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen(self) -> Result<(UnixListener, Bound), SocketError> {
        let Self { socket, bound } = self;
        listen(&socket, BACKLOG).map_err(|error| SocketError::Refused {
            path: bound.path.clone(),
            doing: "listen",
            error: error.into(),
        })?;
        Ok((UnixListener::from(socket), bound))
    }
}

/// Listens at a path, for its owner and root, and for a group if one is given.
///
/// # Errors
/// When somebody listens there, something else is there, or the system refuses.
pub fn bind(path: &Path, group: Option<u32>) -> Result<(UnixListener, Bound), SocketError> {
    reserve(path, group)?.listen()
}

/// The same without listening yet.
///
/// # Errors
/// As [`bind`].
pub fn reserve(path: &Path, group: Option<u32>) -> Result<Reserved, SocketError> {
    if path.as_os_str().len() > LONGEST_PATH {
        let path = path.to_owned();
        return Err(SocketError::TooLong { path });
    }
    let refused = |doing: &'static str| {
        move |error: io::Error| SocketError::Refused {
            path: path.to_owned(),
            doing,
            error,
        }
    };
    prepare_folder(path).map_err(refused("make its folder"))?;
    if is_open_to_all(path) {
        let path = path.to_owned();
        return Err(SocketError::OpenFolder { path });
    }
    let lock = lock(path)?;
    clear(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let address = SocketAddrUnix::new(path).map_err(|error| refused("name it")(error.into()))?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|error| refused("make it")(error.into()))?;
    // On Linux the file is born with the mode of the socket, whatever the umask would allow.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)
        .map_err(|error| refused("set its mode")(error.into()))?;
    bind_to(&socket, &address).map_err(|error| refused("bind")(error.into()))?;
    let mut bound = Bound {
        path: path.to_owned(),
        identity: identity(path),
        _lock: lock,
    };
    // Until it listens nobody can connect.
    if let Some(group) = group {
        let gid = Some(Gid::from_raw(group));
        chownat(CWD, path, None, gid, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| refused("give it to daemon.socket_group")(error.into()))?;
    }
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(refused("set its mode"))?;
    bound.identity = identity(path);
    Ok(Reserved { socket, bound })
}

/// The machine's folder of ours may be missing where no service manager made it.
fn prepare_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if folder == Path::new(SYSTEM_FOLDER) && !folder.exists() => {
            std::fs::DirBuilder::new().mode(0o755).create(folder)
        }
        _ => Ok(()),
    }
}

fn is_open_to_all(path: &Path) -> bool {
    let folder = path.parent().and_then(|folder| folder.metadata().ok());
    folder.is_some_and(|folder| folder.mode() & (OTHERS_WRITE | STICKY) == OTHERS_WRITE)
}

fn identity(path: &Path) -> Option<Identity> {
    let found = path.symlink_metadata().ok()?;
    Some((found.dev(), found.ino(), found.ctime(), found.ctime_nsec()))
}

/// Holds the path against others that start: a socket that is bound and not yet listened on looks
/// like one that nobody listens on. The lock's file stays, as who unlinks one can leave two holders.
fn lock(path: &Path) -> Result<File, SocketError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let refused = |error| SocketError::Refused {
        path: path.to_owned(),
        doing: "lock it by the file .lock beside it",
        error,
    };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(name)
        .map_err(refused)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => {
            let path = path.to_owned();
            Err(SocketError::Taken { path })
        }
        Err(error) => Err(refused(error.into())),
    }
}

/// Removes a socket that nobody listens on, and nothing else.
fn clear(path: &Path) -> Result<(), SocketError> {
    let refused = |doing, error| SocketError::Refused {
        path: path.to_owned(),
        doing,
        error,
    };
    let found = match path.symlink_metadata() {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused("look at it", error)),
    };
    if !found.is_socket() {
        let what = if found.is_symlink() {
            "a symbolic link"
        } else if found.is_dir() {
            "a folder"
        } else if found.is_file() {
            "a file"
        } else {
            "a device"
        };
        let path = path.to_owned();
        return Err(SocketError::Occupied { path, what });
    }
    match probe(path) {
        Err(Errno::CONNREFUSED) => match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(refused("remove the socket nobody listens on", error))
            }
            Ok(()) | Err(_) => Ok(()),
        },
        Err(Errno::NOENT) => Ok(()),
        // Its queue is full: somebody listens, if slowly.
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS) => {
            let path = path.to_owned();
            Err(SocketError::Taken { path })
        }
        Err(error) => Err(refused("see whether somebody listens", error.into())),
    }
}

/// Connects without waiting.
fn probe(path: &Path) -> Result<(), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::os::unix::net::UnixStream;

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().mode() & 0o7777
    }

    #[test]
    fn the_path_is_as_set_or_where_sockets_are_kept() {
        let mut daemon = Config::defaults().unwrap().daemon;
        let user = || Some(PathBuf::from("/run/user/7"));
        let of = |daemon: &Daemon, runtime, root| choose(daemon, runtime, root);
        assert_eq!(
            of(&daemon, user(), false),
            Path::new("/run/user/7/vvv-actors.sock")
        );
        let system = Path::new("/run/vvv-actors/vvv-actors.sock");
        assert_eq!(of(&daemon, user(), true), system);
        assert_eq!(of(&daemon, None, false), system);
        assert_eq!(of(&daemon, Some("relative".into()), false), system);
        daemon.socket = "/x/y".into();
        assert_eq!(of(&daemon, user(), true), Path::new("/x/y"));
    }

    #[test]
    fn only_the_owner_may_connect_unless_a_group_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (listener, bound) = bind(&path, None).unwrap();
        assert_eq!(mode(&path), 0o600);
        UnixStream::connect(&path).unwrap();
        drop((listener, bound));
        assert!(!path.exists());
        let own = rustix::process::getegid().as_raw();
        let (_listener, _bound) = bind(&path, Some(own)).unwrap();
        assert_eq!(mode(&path), 0o660);
        assert_eq!(path.symlink_metadata().unwrap().gid(), own);
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        let (listener, first) = bind(&path, None).unwrap();
        let error = bind(&path, None).unwrap_err();
        assert!(matches!(error, SocketError::Taken { .. }), "{error}");
        drop(listener);
        // Our end does not take along what another put in its place.
        std::fs::remove_file(&path).unwrap();
        let others = UnixListener::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
        let error = bind(&path, None).unwrap_err();
        assert!(matches!(error, SocketError::Taken { .. }), "{error}");
        drop(others);
        bind(&path, None).unwrap();
    }

    #[test]
    fn a_socket_that_is_not_yet_listened_on_is_not_taken_for_a_stale_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let starting = lock(&path).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        let error = bind(&path, None).unwrap_err();
        assert!(matches!(error, SocketError::Taken { .. }), "{error}");
        assert!(path.exists());
        drop(starting);
        let (_listener, bound) = bind(&path, None).unwrap();
        drop(bound);
        assert!(folder.path().join("s.lock").exists());
    }

    #[test]
    fn what_is_no_socket_of_nobodys_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        std::fs::write(&path, "precious").unwrap();
        let error = bind(&path, None).unwrap_err().to_string();
        assert!(error.contains("a file"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");

        let stale = folder.path().join("stale");
        drop(UnixListener::bind(&stale).unwrap());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&stale, &link).unwrap();
        let error = bind(&link, None).unwrap_err().to_string();
        assert!(error.contains("symbolic link"), "{error}");
        assert!(stale.exists() && link.is_symlink());

        let long = folder.path().join("x".repeat(120));
        let error = bind(&long, None).unwrap_err();
        assert!(matches!(error, SocketError::TooLong { .. }), "{error}");
    }

    #[test]
    fn a_folder_everybody_writes_to_is_no_place_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let set = |mode| {
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(0o777);
        let path = folder.path().join("s");
        let error = bind(&path, None).unwrap_err();
        assert!(matches!(error, SocketError::OpenFolder { .. }), "{error}");
        set(0o1777);
        bind(&path, None).unwrap();
    }
}
