//! Who is let in: root and our own user always, a group's members where one is set. The kernel has
//! judged the file's mode before; this holds where a service manager made the socket.

use std::io;

use crate::config::Daemon;
use crate::engine::database::User;

/// Judges who connects.
#[derive(Debug, Clone)]
pub struct Doorman {
    own: u32,
    group: Option<u32>,
}

impl Doorman {
    /// A doorman who knows this group.
    ///
    /// # Errors
    /// When there is no such group.
    pub fn new(daemon: &Daemon) -> io::Result<Self> {
        let group = match daemon.socket_group.as_str() {
            "" => None,
            name => Some(group_id(name, &std::fs::read_to_string("/etc/group")?)?),
        };
        Ok(Self {
            own: rustix::process::geteuid().as_raw(),
            group,
        })
    }

    /// The group whose members may connect.
    #[must_use]
    pub const fn group(&self) -> Option<u32> {
        self.group
    }

    /// Whether this is the user we run as.
    #[must_use]
    pub const fn is_own(&self, uid: u32) -> bool {
        uid == self.own
    }

    /// Whether a process with this user and group is let in.
    #[must_use]
    pub fn admits(&self, uid: u32, gid: u32) -> bool {
        if uid == 0 || uid == self.own {
            return true;
        }
        self.group.is_some_and(|group| {
            let listed = || User::find(&uid.to_string()).ok().flatten();
            gid == group || listed().is_some_and(|user| user.belongs_to(group))
        })
    }
}

fn group_id(name: &str, groups: &str) -> io::Result<u32> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let found = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(name);
        is_it.then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    found.ok_or_else(|| {
        let message = format!("daemon.socket_group = {name:?}: /etc/group names no such group");
        io::Error::new(io::ErrorKind::NotFound, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_ourselves_are_let_in_and_a_groups_members_if_it_is_set() {
        let alone = Doorman {
            own: 1000,
            group: None,
        };
        assert!(alone.admits(0, 0) && alone.admits(1000, 5));
        assert!(!alone.admits(33, 33));
        let open = Doorman {
            own: 1000,
            group: Some(4_000_033),
        };
        assert!(open.admits(4_000_033, 4_000_033));
        assert!(!open.admits(4_000_034, 4_000_034));
    }

    #[test]
    fn a_group_has_a_name_or_a_number() {
        let groups = "root:x:0:\nwww-data:x:33:alice,bob\n";
        assert_eq!(group_id("www-data", groups).unwrap(), 33);
        assert_eq!(group_id("77", groups).unwrap(), 77);
        let error = group_id("www", groups).unwrap_err().to_string();
        assert!(error.contains("www"), "{error}");
    }
}
