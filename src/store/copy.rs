//! Copies of the file by SQLite's backup API.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use super::doctor::{Integrity, quick_check};
use super::error::StoreError;
use super::inspect::Inspector;
use super::patience::Patience;

/// Pages copied between two looks at other writers: about 4 MiB, a few milliseconds.
const STEP: i32 = 1000;

/// Left to others between two steps.
const BREATH: Duration = Duration::from_millis(2);

/// How often others' writes may make a copy start over before it holds them off.
const RESTARTS: u32 = 3;

/// How far a copy is, in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Copied.
    pub pages: u64,
    /// Of so many.
    pub of: u64,
}

impl Inspector {
    /// Copies the file page by page into an empty file. Others may write meanwhile; where that
    /// makes the copy start over too often, writers to a rollback journal are held off.
    ///
    /// # Errors
    /// When the file is locked for longer than the patience lasts, or one of both fails.
    pub fn copy_to(
        &self,
        target: &Path,
        progress: &mut dyn FnMut(Copied),
        patience: &mut Patience<'_>,
    ) -> Result<(), StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut copy = Connection::open_with_flags(target, flags)?;
        let is_wal = self.journal_mode()? == "wal";
        // In a WAL one state can be held on to and disturbs no one.
        let mut held = is_wal.then(|| self.hold(patience)).transpose()?;
        let backup = Backup::new(&self.connection, &mut copy)?;
        let mut left = i32::MAX;
        let mut restarts = 0;
        loop {
            let step = patience.wait(|| match backup.step(STEP)? {
                StepResult::Busy | StepResult::Locked => Err(StoreError::Locked),
                step => Ok(step),
            })?;
            let now = backup.progress();
            progress(copied(now.pagecount, now.remaining));
            if step == StepResult::Done {
                break;
            }
            // A step that began anew has as many left as the first, which may be the one before.
            if now.remaining >= left {
                restarts += 1;
            }
            left = now.remaining;
            if restarts >= RESTARTS && held.is_none() {
                held = Some(self.hold(patience)?);
            }
            thread::sleep(BREATH);
        }
        drop(backup);
        drop(held);
        Ok(())
    }

    /// Holds on to the file's present state until dropped.
    fn hold(&self, patience: &mut Patience<'_>) -> Result<rusqlite::Transaction<'_>, StoreError> {
        patience.wait(|| {
            let transaction = self.connection.unchecked_transaction()?;
            let first = "SELECT count(*) FROM main.sqlite_master";
            transaction.query_row(first, [], |_| Ok(()))?;
            Ok(transaction)
        })
    }

    /// Checks a whole file, however long it takes.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn check(&self) -> Result<Integrity, StoreError> {
        quick_check(&self.connection)
    }
}

fn copied(of: i32, left: i32) -> Copied {
    let of = u64::try_from(of).unwrap_or(0);
    let left = u64::try_from(left).unwrap_or(0);
    Copied {
        pages: of.saturating_sub(left),
        of,
    }
}
