//! The doctor on the journal: what it is, who can read and write the file with it, and turning it
//! to a WAL once those who must still read could.

use std::path::Path;

use super::access::{Access, AsWal, Can, User, access, locked_out_by_wal};
use super::finding::Finding;
use crate::store::{Inspector, Intent, Patience, StoreError, with_suffix};

const NAME: &str = "journal";
const ACCESS: &str = "access";

/// A WAL larger than this is not folded back as it should be.
const LARGE_WAL: u64 = 64 << 20;

/// File systems whose locks or shared memory do not reach other machines.
const NETWORK: [(u64, &str); 5] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x0102_1997, "9p"),
];

/// Tells the journal mode.
pub(super) fn describe(mode: &str, path: &Path) -> Finding {
    if let Some(network) = network_file_system(path) {
        let text = format!("{mode}; the file lies on {network}, where SQLite's locks are not safe");
        return Finding::warn(NAME, text).todo("move the database to a disk of this machine");
    }
    let is_rollback = matches!(mode, "delete" | "truncate" | "persist");
    if is_rollback {
        let text = format!("{mode}: readers and writers wait for each other");
        return Finding::ok(NAME, text)
            .advice("`vvv-actors db doctor --set-wal` lets them work side by side");
    }
    if mode != "wal" {
        let text = format!("{mode}: a crash can damage the file");
        return Finding::bad(NAME, text).todo("see which program sets this journal_mode");
    }
    let size = real(path).and_then(|path| with_suffix(&path, "-wal").metadata().ok());
    match size.map(|found| found.len()) {
        Some(bytes) if bytes > LARGE_WAL => {
            let text = format!("wal, grown to {} MiB", bytes >> 20);
            Finding::warn(NAME, text)
                .advice("a reader that never ends keeps it from being folded back")
        }
        _ => Finding::ok(NAME, "wal: readers and writers work side by side"),
    }
}

/// Whether a WAL and its index lie beside the file, as they do while someone has it open.
pub(super) fn has_wal(path: &Path) -> bool {
    real(path).is_some_and(|path| {
        ["-wal", "-shm"]
            .iter()
            .all(|suffix| with_suffix(&path, suffix).exists())
    })
}

/// Tells what each user can do.
pub(super) fn accesses(path: &Path, users: &[String], as_wal: AsWal) -> Vec<Finding> {
    users
        .iter()
        .map(|user| match look(path, user, as_wal) {
            Ok(access) => judge(user, path, &access),
            Err(reason) => Finding::bad(ACCESS, reason),
        })
        .collect()
}

fn look(path: &Path, user: &str, as_wal: AsWal) -> Result<Access, String> {
    let failed = |error: std::io::Error| format!("failed to look up user {user}: {error}");
    let user = User::find(user)
        .map_err(failed)?
        .ok_or_else(|| format!("there is no user {user} in /etc/passwd"))?;
    access(path, &user, as_wal)
        .map_err(|error| format!("failed to look at {}: {error}", path.display()))
}

fn judge(user: &str, path: &Path, access: &Access) -> Finding {
    let path = path.display();
    let list = access.list.as_ref().map_or_else(String::new, |list| {
        format!("; an access list on {} may say otherwise", list.display())
    });
    let grant = "change owner, group or mode";
    match (&access.read, &access.write) {
        (Can::Yes, Can::Yes) => Finding::ok(
            ACCESS,
            format!("user {user} can read and write {path}{list}"),
        ),
        (Can::Yes, Can::WhileOpen(why) | Can::No(why)) => Finding::warn(
            ACCESS,
            format!("user {user} can read {path} but not write it: {why}{list}"),
        )
        .advice(format!("if user {user} must write: {grant}")),
        (Can::WhileOpen(why), _) => Finding::warn(
            ACCESS,
            format!(
                "user {user} can use {path} only while another program has it open: {why}, \
                 which a WAL needs{list}"
            ),
        )
        .todo(format!("let user {user} write in that folder")),
        (Can::No(why), _) => Finding::bad(
            ACCESS,
            format!("user {user} cannot read {path}: {why}{list}"),
        )
        .todo(grant),
    }
}

/// Turns the journal to a WAL unless somebody who must read would then be locked out.
pub(super) fn set_wal(
    path: &Path,
    users: &[String],
    patience: &mut Patience<'_>,
) -> Result<Finding, StoreError> {
    if let Some(refusal) = refusal(path, users) {
        return Ok(refusal);
    }
    let inspector = Inspector::open(path, Intent::Mend, patience)?;
    let mode = inspector.set_wal(patience)?;
    Ok(if mode == "wal" {
        Finding::ok(NAME, "wal: turned to it now")
    } else {
        Finding::bad(NAME, format!("{mode}: the file system allows no WAL"))
    })
}

fn refusal(path: &Path, users: &[String]) -> Option<Finding> {
    let refuse = |why: String| Finding::bad(NAME, format!("not turned to a WAL: {why}"));
    if let Some(network) = network_file_system(path) {
        let text = format!("the file lies on {network}, where a WAL is not safe");
        return Some(refuse(text).todo("move the database to a disk of this machine"));
    }
    if users.is_empty() {
        let name_them = "name each user who must still read with --as USER, or let them write \
                         in the folder";
        return match locked_out_by_wal(path) {
            Ok(None) => None,
            Ok(Some(who)) => Some(
                refuse(format!(
                    "{who} can read the file now and could not once the last program closed it, \
                     for a reader of a WAL must be able to write in its folder"
                ))
                .todo(name_them),
            ),
            Err(error) => Some(refuse(format!("failed to look at its folder: {error}"))),
        };
    }
    users
        .iter()
        .find_map(|user| match look(path, user, AsWal::Closed) {
            Ok(Access { read: Can::Yes, .. }) => None,
            Ok(Access {
                read: Can::No(why) | Can::WhileOpen(why),
                ..
            }) => {
                let text = format!("user {user} could not read it any more: {why}");
                Some(refuse(text).todo(format!(
                    "let user {user} write in the folder of the database"
                )))
            }
            Err(reason) => Some(refuse(reason)),
        })
}

fn network_file_system(path: &Path) -> Option<&'static str> {
    let kind = rustix::fs::statfs(path).ok()?.f_type;
    // The field is signed on some platforms and 32 bits wide on others.
    let kind = u64::try_from(kind).unwrap_or(0) & 0xffff_ffff;
    NETWORK
        .into_iter()
        .find_map(|(magic, name)| (magic == kind).then_some(name))
}

fn real(path: &Path) -> Option<std::path::PathBuf> {
    path.canonicalize().ok()
}
