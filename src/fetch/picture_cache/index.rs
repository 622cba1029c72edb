//! Which pictures there are and in which order they were looked at, in memory: the folder is read
//! once.

use std::collections::{BTreeMap, HashMap};

/// What a file system gives to a file at least.
const BLOCK: u64 = 4096;

/// A picture's file: 64 digits of a hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name(String);

impl Name {
    pub(super) const fn new(digest: String) -> Self {
        Self(digest)
    }

    /// A file in the folder, if it has such a name.
    pub(super) fn of_file(name: &[u8]) -> Option<Self> {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let name = std::str::from_utf8(name).ok()?;
        (name.len() == 64 && name.bytes().all(|byte| is_digit(&byte)))
            .then(|| Self(name.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The room a picture of this length takes on the disk.
pub(super) fn room_of(length: usize) -> u64 {
    u64::try_from(length)
        .unwrap_or(u64::MAX)
        .div_ceil(BLOCK)
        .saturating_mul(BLOCK)
}

/// The pictures by name and by turn.
#[derive(Default)]
pub(super) struct Index {
    entries: HashMap<Name, Entry>,
    by_turn: BTreeMap<u64, Name>,
    next_turn: u64,
    room: u64,
}

struct Entry {
    room: u64,
    turn: u64,
}

impl Index {
    /// Puts a picture last in line, whether it was known or not.
    pub(super) fn use_now(&mut self, name: &Name, room: u64) {
        self.remove(name);
        let turn = self.next_turn;
        self.next_turn += 1;
        self.room += room;
        self.by_turn.insert(turn, name.clone());
        self.entries.insert(name.clone(), Entry { room, turn });
    }

    /// Takes a picture out.
    pub(super) fn remove(&mut self, name: &Name) {
        if let Some(entry) = self.entries.remove(name) {
            self.by_turn.remove(&entry.turn);
            self.room -= entry.room;
        }
    }

    /// Takes those out that were used longest ago until no more than `limit` is taken.
    pub(super) fn shrink_to(&mut self, limit: u64) -> Vec<Name> {
        let mut out = Vec::new();
        while self.room > limit {
            let Some((_, name)) = self.by_turn.first_key_value() else {
                break;
            };
            let name = name.clone();
            self.remove(&name);
            out.push(name);
        }
        out
    }

    /// Takes in what was found in the folder, used longest ago first: before all that was used
    /// since.
    pub(super) fn take_in(&mut self, found: impl Iterator<Item = (Name, u64)>) {
        let since = std::mem::take(self);
        for (name, room) in found {
            self.use_now(&name, room);
        }
        for name in since.by_turn.values() {
            if let Some(entry) = since.entries.get(name) {
                self.use_now(name, entry.room);
            }
        }
    }
}
