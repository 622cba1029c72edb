//! The way to the writer for everybody else, and what they know of its troubles.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{DbActor, Write};
use crate::actors::slot::Slot;
use crate::store::{Operation, StoreError};

/// Before a write that must not be left undone is tried again.
const WRITE_AGAIN: Duration = Duration::from_secs(2);

/// What keeps writes from being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The disk is full.
    StorageFull,
    /// The disk answers with errors.
    Failing,
    /// The file is damaged.
    Damaged,
}

/// What keeps a daemon's writes from being done, until it is known to be over.
#[derive(Debug, Clone, Default)]
pub struct Troubles(Arc<Mutex<Option<Trouble>>>);

impl Troubles {
    fn seen(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, error: &StoreError) {
        let mut seen = self.seen();
        match error {
            StoreError::Corrupt(_) => *seen = Some(Trouble::Damaged),
            StoreError::StorageFull if seen.is_none() => *seen = Some(Trouble::StorageFull),
            StoreError::Failing(_) | StoreError::Unknown(_) if seen.is_none() => {
                *seen = Some(Trouble::Failing);
            }
            _ => {}
        }
    }

    /// Something was written, which a full or a failing disk lets nobody; what only found nothing to
    /// write says nothing of the disk.
    pub(super) fn has_written(&self) {
        let mut seen = self.seen();
        match *seen {
            Some(Trouble::StorageFull | Trouble::Failing) => *seen = None,
            Some(Trouble::Damaged) | None => {}
        }
    }
}

/// The way to the writer for everybody else.
#[derive(Clone)]
pub struct Db {
    slot: Slot<DbActor>,
    troubles: Troubles,
}

impl Db {
    /// The way to the writer in this slot.
    #[must_use]
    pub const fn new(slot: Slot<DbActor>, troubles: Troubles) -> Self {
        Self { slot, troubles }
    }

    /// What keeps writes from being done.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        *self.troubles.seen()
    }

    /// Where that is kept.
    #[must_use]
    pub const fn troubles(&self) -> &Troubles {
        &self.troubles
    }

    /// Hands an operation over; resolves after its commit.
    ///
    /// # Errors
    /// The operation's own failure, or [`StoreError::Unknown`] if the writer ended meanwhile.
    pub async fn write<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        let answered = self.slot.get().send(Write(operation)).await;
        answered.unwrap_or_else(|_| Err(writer_ended()))
    }

    /// Writes, and tries again for as long as `again` says so of the failure.
    ///
    /// # Errors
    /// As [`Self::write`], of the last try.
    pub async fn write_while<O: Operation + Sync>(
        &self,
        operation: O,
        again: impl Fn(&StoreError) -> bool,
    ) -> Result<O::Output, StoreError> {
        let operation = Arc::new(operation);
        let mut told = false;
        loop {
            match self.write(Arc::clone(&operation)).await {
                Err(error) if again(&error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%error, "failed to write; it is tried again");
                    }
                    actix_rt::time::sleep(WRITE_AGAIN).await;
                }
                written => return written,
            }
        }
    }

    /// Where the writer's address is kept.
    #[must_use]
    pub const fn slot(&self) -> &Slot<DbActor> {
        &self.slot
    }
}

pub(super) fn writer_ended() -> StoreError {
    StoreError::Unknown("the database actor ended before it answered".to_owned())
}
