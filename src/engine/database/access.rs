//! Whether a system user can read and write the database, told from modes and owners alone: no
//! file is opened and nobody is impersonated.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::store::with_suffix;

const READ: u32 = 4;
const WRITE: u32 = 2;
const ENTER: u32 = 1;

/// A system user with all groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name, or its number where it has none.
    pub name: String,
    uid: u32,
    groups: Vec<u32>,
}

impl User {
    /// Finds a user by name or number in `/etc/passwd` and `/etc/group`; none: there is no such
    /// name. A number needs no name.
    ///
    /// # Errors
    /// When those files cannot be read.
    pub fn find(name: &str) -> io::Result<Option<Self>> {
        let passwd = std::fs::read_to_string("/etc/passwd")?;
        let groups = std::fs::read_to_string("/etc/group")?;
        Ok(Self::parse(name, &passwd, &groups))
    }

    /// Whether it is a member of this group.
    #[must_use]
    pub fn belongs_to(&self, gid: u32) -> bool {
        self.groups.contains(&gid)
    }

    fn parse(wanted: &str, passwd: &str, groups: &str) -> Option<Self> {
        let number: Option<u32> = wanted.parse().ok();
        let known = passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let uid: u32 = fields.nth(1)?.parse().ok()?;
            let gid: u32 = fields.next()?.parse().ok()?;
            (name == wanted || number == Some(uid)).then(|| (name.to_owned(), uid, gid))
        });
        let Some((name, uid, gid)) = known else {
            return number.map(|uid| Self {
                name: wanted.to_owned(),
                uid,
                groups: Vec::new(),
            });
        };
        let further = groups.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let gid = fields.nth(2)?.parse().ok()?;
            let mut members = fields.next()?.split(',');
            members.any(|member| member.trim() == name).then_some(gid)
        });
        let mut all: Vec<u32> = further.collect();
        all.push(gid);
        Some(Self {
            name,
            uid,
            groups: all,
        })
    }
}

/// Somebody as far as modes tell people apart.
#[derive(Debug, Clone, Copy)]
enum Who<'a> {
    User(&'a User),
    /// Any member of the group who is not the owner.
    Group(u32),
    /// Everybody else.
    Others,
}

impl Who<'_> {
    fn may(self, rights: u32, found: &Metadata) -> bool {
        let class = match self {
            Self::User(user) if user.uid == 0 => return true,
            Self::User(user) if user.uid == found.uid() => 6,
            Self::User(user) if user.groups.contains(&found.gid()) => 3,
            Self::Group(gid) if gid == found.gid() => 3,
            Self::User(_) | Self::Group(_) | Self::Others => 0,
        };
        (found.mode() >> class) & rights == rights
    }
}

/// Whether a user can use the database in some way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Can {
    /// Yes.
    Yes,
    /// As long as another program has the database open and its WAL lies there.
    WhileOpen(String),
    /// No, and what is in the way.
    No(String),
}

/// What a user can do with a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Read it.
    pub read: Can,
    /// Write it.
    pub write: Can,
    /// A path whose access list may say otherwise: only modes were looked at.
    pub list: Option<PathBuf>,
}

/// What a user can do with the database as it is, or, with `as_wal`, once it was turned to WAL
/// and the last program has closed it.
///
/// # Errors
/// When the paths cannot be looked at.
pub fn access(database: &Path, user: &User, as_wal: AsWal) -> io::Result<Access> {
    let place = Place::of(database)?;
    let who = Who::User(user);
    Ok(Access {
        read: place.read(who, as_wal),
        write: place.write(who, as_wal),
        list: place.access_list(),
    })
}

/// Which journal the question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsWal {
    /// A rollback journal.
    No,
    /// A WAL, with whatever lies beside the file now.
    Now,
    /// A WAL that was folded back when the last program closed the file.
    Closed,
}

/// Who can read the file now and could no longer once it was a WAL that nobody has open, as far
/// as modes alone can tell; none: nobody.
///
/// # Errors
/// When the paths cannot be looked at.
pub fn locked_out_by_wal(database: &Path) -> io::Result<Option<String>> {
    let place = Place::of(database)?;
    let gid = place.file.gid();
    let owner = User::find(&place.file.uid().to_string())?;
    let owner = owner
        .as_ref()
        .map(|owner| (Who::User(owner), format!("user {}", owner.name)));
    let classes = [
        (Who::Group(gid), format!("group {}", group_name(gid))),
        (Who::Others, "everybody else".to_owned()),
    ];
    Ok(owner.into_iter().chain(classes).find_map(|(who, name)| {
        let reads = place.read(who, AsWal::No) == Can::Yes;
        let would = place.read(who, AsWal::Closed) == Can::Yes;
        (reads && !would).then_some(name)
    }))
}

/// The file with all that decides who gets at it.
struct Place {
    path: PathBuf,
    file: Metadata,
    folder: PathBuf,
    folder_found: Metadata,
    /// Every folder on the way, nearest first.
    way: Vec<(PathBuf, Metadata)>,
    /// `-wal` and `-shm`, where they are.
    beside: Vec<(PathBuf, Metadata)>,
}

impl Place {
    fn of(database: &Path) -> io::Result<Self> {
        let path = database.canonicalize()?;
        let file = path.metadata()?;
        let way: Vec<_> = path
            .ancestors()
            .skip(1)
            .map(|folder| Ok((folder.to_owned(), folder.metadata()?)))
            .collect::<io::Result<_>>()?;
        let (folder, folder_found) = way
            .first()
            .cloned()
            .ok_or_else(|| io::Error::other("the database lies in no folder"))?;
        let beside = ["-wal", "-shm"]
            .into_iter()
            .map(|suffix| with_suffix(&path, suffix))
            .filter_map(|path| path.metadata().ok().map(|found| (path, found)))
            .collect();
        Ok(Self {
            path,
            file,
            folder,
            folder_found,
            way,
            beside,
        })
    }

    /// What keeps somebody from the file itself.
    fn barred(&self, who: Who<'_>, rights: u32) -> Option<String> {
        let closed = self
            .way
            .iter()
            .find(|(_, found)| !who.may(ENTER, found))
            .map(|(folder, found)| format!("may not enter {}", describe(folder, found)));
        closed.or_else(|| {
            (!who.may(rights, &self.file)).then(|| {
                let verb = if rights & WRITE == 0 { "read" } else { "write" };
                format!("may not {verb} {}", describe(&self.path, &self.file))
            })
        })
    }

    /// What keeps somebody from making files beside the database.
    fn cannot_create(&self, who: Who<'_>) -> Option<String> {
        (!who.may(WRITE | ENTER, &self.folder_found)).then(|| {
            let folder = describe(&self.folder, &self.folder_found);
            format!("may not write in the folder {folder}")
        })
    }

    /// What of the WAL somebody may not use.
    fn barred_from_wal(&self, who: Who<'_>, rights: u32) -> Option<String> {
        self.beside
            .iter()
            .find(|(_, found)| !who.may(rights, found))
            .map(|(path, found)| {
                let verb = if rights & WRITE == 0 { "read" } else { "write" };
                format!("may not {verb} {}", describe(path, found))
            })
    }

    fn read(&self, who: Who<'_>, as_wal: AsWal) -> Can {
        self.can(who, READ, as_wal, as_wal != AsWal::No)
    }

    fn write(&self, who: Who<'_>, as_wal: AsWal) -> Can {
        self.can(who, READ | WRITE, as_wal, true)
    }

    fn can(&self, who: Who<'_>, rights: u32, as_wal: AsWal, creates: bool) -> Can {
        if let Some(why) = self.barred(who, rights) {
            return Can::No(why);
        }
        if as_wal == AsWal::Now
            && let Some(why) = self.barred_from_wal(who, rights)
        {
            return Can::No(why);
        }
        let wal_is_there = self.beside.len() == 2;
        match self.cannot_create(who).filter(|_| creates) {
            None => Can::Yes,
            Some(why) if as_wal == AsWal::Now && wal_is_there => Can::WhileOpen(why),
            Some(why) => Can::No(why),
        }
    }

    fn access_list(&self) -> Option<PathBuf> {
        let beside = self.beside.iter().map(|(path, _)| path);
        let way = self.way.iter().map(|(path, _)| path);
        std::iter::once(&self.path)
            .chain(beside)
            .chain(way)
            .find(|path| {
                let asked =
                    rustix::fs::getxattr(path.as_path(), "system.posix_acl_access", &mut [0_u8; 0]);
                asked.is_ok_and(|bytes| bytes > 0)
            })
            .cloned()
    }
}

/// A path with what decides about it.
fn describe(path: &Path, found: &Metadata) -> String {
    format!(
        "{} (mode {:04o}, owner {}, group {})",
        path.display(),
        found.mode() & 0o7777,
        user_name(found.uid()),
        group_name(found.gid())
    )
}

fn user_name(uid: u32) -> String {
    name_in("/etc/passwd", uid)
}

fn group_name(gid: u32) -> String {
    name_in("/etc/group", gid)
}

/// The name of a number in one of the system's lists, or the number.
fn name_in(list: &str, number: u32) -> String {
    let wanted = number.to_string();
    let text = std::fs::read_to_string(list).unwrap_or_default();
    let named = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == wanted).then(|| name.to_owned())
    });
    named.unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nbroken\n\
        www-data:x:33:33::/var/www:/bin/false\nsite:x:1000:1000::/srv:/bin/sh\n";
    const GROUPS: &str = "root:x:0:\nwww-data:x:33:\nvideo:x:44:site,www-data\nshort\n";

    fn user(name: &str) -> Option<User> {
        User::parse(name, PASSWD, GROUPS)
    }

    #[test]
    fn users_are_found_by_name_or_number_with_their_groups() {
        let www = user("www-data").unwrap();
        assert_eq!((www.uid, www.groups.as_slice()), (33, [44, 33].as_slice()));
        assert_eq!(user("33"), Some(www));
        assert_eq!(user("nobody-here"), None);
        let unnamed = user("4242").unwrap();
        assert_eq!((unnamed.uid, unnamed.groups.len()), (4242, 0));
    }

    /// A database with these modes, a stranger's eyes, and one who shares its group.
    struct Scene {
        folder: tempfile::TempDir,
        database: PathBuf,
    }

    impl Scene {
        fn new(file: u32, folder: u32) -> Self {
            let scene = tempfile::tempdir().unwrap();
            let inner = scene.path().join("data");
            std::fs::create_dir(&inner).unwrap();
            let database = inner.join("vault.db");
            std::fs::write(&database, "").unwrap();
            mode(&database, file);
            mode(&inner, folder);
            mode(scene.path(), 0o755);
            Self {
                folder: scene,
                database,
            }
        }

        fn wal(self, bits: u32) -> Self {
            for suffix in ["-wal", "-shm"] {
                let path = with_suffix(&self.database, suffix);
                std::fs::write(&path, "").unwrap();
                mode(&path, bits);
            }
            self
        }

        fn stranger(&self, as_wal: AsWal) -> (Can, Can) {
            let stranger = User {
                name: "stranger".to_owned(),
                uid: 4_000_000,
                groups: Vec::new(),
            };
            let access = access(&self.database, &stranger, as_wal).unwrap();
            (access.read, access.write)
        }
    }

    fn mode(path: &Path, bits: u32) {
        std::fs::set_permissions(path, PermissionsExt::from_mode(bits)).unwrap();
    }

    fn no(can: &Can) -> &str {
        match can {
            Can::No(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rollback_journal_is_read_by_whoever_may_read_the_file() {
        let (read, write) = Scene::new(0o644, 0o755).stranger(AsWal::No);
        assert_eq!(read, Can::Yes);
        assert!(no(&write).contains("vault.db (mode 0644"), "{write:?}");
        let (read, write) = Scene::new(0o666, 0o755).stranger(AsWal::No);
        assert_eq!(read, Can::Yes);
        assert!(no(&write).starts_with("may not write in the folder"));
        let all = Scene::new(0o666, 0o777).stranger(AsWal::No);
        assert_eq!(all, (Can::Yes, Can::Yes));
    }

    #[test]
    fn a_folder_that_may_not_be_entered_bars_everything() {
        let (read, write) = Scene::new(0o666, 0o766).stranger(AsWal::No);
        assert!(no(&read).starts_with("may not enter"), "{read:?}");
        assert!(no(&write).starts_with("may not enter"), "{write:?}");
    }

    #[test]
    fn a_wal_needs_its_folder_unless_someone_has_it_open() {
        let closed = Scene::new(0o666, 0o755);
        assert!(no(&closed.stranger(AsWal::Now).0).contains("folder"));
        let open = closed.wal(0o666);
        let (read, write) = open.stranger(AsWal::Now);
        assert!(matches!(read, Can::WhileOpen(_)), "{read:?}");
        assert!(matches!(write, Can::WhileOpen(_)), "{write:?}");
        assert!(no(&open.stranger(AsWal::Closed).0).contains("folder"));
        assert_eq!(
            Scene::new(0o666, 0o777).wal(0o666).stranger(AsWal::Now),
            (Can::Yes, Can::Yes)
        );
    }

    #[test]
    fn a_wal_left_by_another_user_is_in_the_way() {
        let (read, write) = Scene::new(0o666, 0o777).wal(0o644).stranger(AsWal::Now);
        assert_eq!(read, Can::Yes);
        assert!(no(&write).contains("vault.db-wal (mode 0644"), "{write:?}");
        let (read, _) = Scene::new(0o666, 0o777).wal(0o600).stranger(AsWal::Now);
        assert!(no(&read).contains("vault.db-wal (mode 0600"), "{read:?}");
    }

    #[test]
    fn root_may_do_everything_and_groups_count() {
        let scene = Scene::new(0o640, 0o750);
        let gid = scene.database.metadata().unwrap().gid();
        let of = |uid, groups| {
            let user = User {
                name: String::new(),
                uid,
                groups,
            };
            let access = access(&scene.database, &user, AsWal::No).unwrap();
            (access.read == Can::Yes, access.write == Can::Yes)
        };
        assert_eq!(of(0, vec![]), (true, true));
        assert_eq!(of(4_000_000, vec![gid]), (true, false));
        assert_eq!(of(4_000_000, vec![]), (false, false));
        drop(scene.folder);
    }

    #[test]
    fn whoever_a_wal_would_lock_out_is_named() {
        let out = |file, folder| locked_out_by_wal(&Scene::new(file, folder).database).unwrap();
        assert!(out(0o640, 0o750).unwrap().starts_with("group "));
        assert_eq!(out(0o604, 0o755).as_deref(), Some("everybody else"));
        assert_eq!(out(0o600, 0o755), None);
        assert_eq!(out(0o640, 0o770), None);
        // Who cannot get at it now loses nothing.
        assert_eq!(out(0o644, 0o700), None);
    }
}
