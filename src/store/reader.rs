//! A connection that only looks. It never blocks the writer of a WAL for longer than one call.

use std::path::PathBuf;

use rusqlite::{Connection, InterruptHandle, OptionalExtension};

use super::Options;
use super::connection::{connect, patiently};
use super::error::StoreError;
use super::site::Site;

/// A read-only connection to the site's file. Open the [`Writer`](super::Writer) first: it makes
/// the tables some reads look at.
///
/// Every read waits up to 250 ms for a lock and then answers [`StoreError::Locked`].
pub struct Reader {
    pub(super) connection: Connection,
    pub(super) site: Site,
    /// The file, to name it in errors.
    pub(super) path: PathBuf,
}

impl Reader {
    /// Opens the file. Waits up to 30 s for others' locks.
    ///
    /// # Errors
    /// When there is no usable database or tables of the site's are missing.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        patiently(|| {
            let (connection, site) = connect(options)?;
            // Not opened read-only: then it could not clean up after a writer that crashed.
            connection.pragma_update(None, "query_only", true)?;
            Ok(Self {
                connection,
                site,
                path: options.path.clone(),
            })
        })
    }

    /// Stops, from another thread, the call that runs now; it answers
    /// [`StoreError::Interrupted`]. Between calls it does nothing.
    #[must_use]
    pub fn interrupt_handle(&self) -> InterruptHandle {
        self.connection.get_interrupt_handle()
    }

    /// Whether a video's last snapshots are found without reading all; without an index on its
    /// id and the time a lookup takes thousands of times longer.
    #[must_use]
    pub const fn has_snapshot_index(&self) -> bool {
        self.site.has_snapshot_index
    }

    /// Sorts ids by where their rows lie, so that writes to neighbours come together. Ids the
    /// site does not have come last, in their order; where there are no places, nothing moves.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted.
    pub fn in_rowid_order(&self, ids: &mut [String]) -> Result<(), StoreError> {
        let Some(rowid_of) = &self.site.rowid_of else {
            return Ok(());
        };
        let mut places = Vec::with_capacity(ids.len());
        self.in_snapshot(|| {
            let mut lookup = self.connection.prepare_cached(rowid_of)?;
            for id in ids.iter() {
                let rowid: Option<i64> = lookup.query_row([id], |row| row.get(0)).optional()?;
                places.push((rowid.is_none(), rowid));
            }
            Ok(())
        })?;
        let mut placed: Vec<_> = places
            .into_iter()
            .zip(ids.iter_mut().map(std::mem::take))
            .collect();
        placed.sort_by_key(|(place, _)| *place);
        for (id, (_, sorted)) in ids.iter_mut().zip(placed) {
            *id = sorted;
        }
        Ok(())
    }

    /// Runs reads on one state of the file.
    pub(super) fn in_snapshot<T>(
        &self,
        reads: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        // An interrupt is forgotten when the last running statement ends, so one that comes
        // between two lookups would be lost: this one runs throughout.
        let mut running = self
            .connection
            .prepare_cached("SELECT 1 UNION ALL SELECT 2")?;
        let mut rows = running.query([])?;
        rows.next()?;
        let outcome = reads();
        drop(rows);
        drop(transaction);
        outcome
    }
}
