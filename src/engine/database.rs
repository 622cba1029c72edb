//! Looking after the site's database, for people: what is wrong with it, what is known of a
//! video, how large it is, copies of it, and taking our tables out. No engine runs for it.
//!
//! Nothing here opens the file but through SQLite: this process may hold locks on it.

mod access;
mod backup;
mod card;
mod doctor;
mod fetched_at;
mod finding;
mod foreign;
mod journal;
mod lock_watch;
mod locks;
mod online;
mod size;
mod tables;
mod uninstall;
mod video;

use std::path::PathBuf;

pub use self::access::User;
pub use self::backup::{Backup, backup};
pub use self::card::{
    BaselineUsed, Check, Evidence, LivenessCard, Number, ScoreCard, ShownSnapshot, StoredScoreCard,
    ThumbnailCard, VideoCard,
};
pub use self::doctor::{Diagnosis, DoctorRequest, doctor};
pub use self::finding::{Finding, Level};
pub use self::locks::{Holder, Lock, lock_holders};
pub use self::online::{KNOWN_GOOD_VIDEO, OnlineCheck, ask_endpoint};
pub use self::size::{Sizes, TableSize, size};
pub use self::uninstall::{uninstall, what_is_ours};
pub use self::video::show_video;
pub(super) use self::video::{card, number};
use crate::actors::clock::Clock;
use crate::config::Config;
use crate::domain::rate_window::BootTime;
pub use crate::store::{Cell, Copied, OwnObject, Pages, Patience, Rows, SiteTable};
use crate::store::{Options, StoreError};

/// Why a verb that looks after the database could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// No database was named.
    #[error("open the database: none is named (database.path or --db)")]
    NotNamed,
    /// The database cannot be used, or not now.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file a backup was to be written to exists.
    #[error("write the backup {}: it exists and is not overwritten", .0.display())]
    BackupExists(PathBuf),
    /// The backup cannot be written.
    #[error("write the backup {}: {reason}", path.display())]
    BackupUnwritable {
        /// Where to.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// What was copied is damaged, so the database is.
    #[error(
        "back up {}: the copy is damaged, and so most likely is the database: {reason}",
        path.display()
    )]
    CopyDamaged {
        /// The database.
        path: PathBuf,
        /// What SQLite's check said first.
        reason: String,
    },
}

/// The clocks at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Now {
    /// Unix seconds.
    pub unix: i64,
    /// Time since boot, which the rate window goes by.
    pub boot: BootTime,
}

impl Now {
    /// Reads the machine's clocks.
    #[must_use]
    pub fn read() -> Self {
        let clock = Clock::system();
        Self {
            unix: clock.unix(),
            boot: clock.boot(),
        }
    }
}

fn options(config: &Config) -> Result<Options, DatabaseError> {
    if config.database.path.as_os_str().is_empty() {
        return Err(DatabaseError::NotNamed);
    }
    Ok(super::store_options(config))
}
