//! A sample of the times of snapshots, cheap on a table of any length.

use rusqlite::Connection;

use super::cell::Cell;
use super::doctor::KnownSite;
use super::error::StoreError;
use super::inspect::{Inspector, quote};

/// How many times of snapshots are sampled: the newest, and as many spread over all.
const SAMPLE: u16 = 500;

/// The time of one snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledTime {
    /// As the site wrote it.
    pub value: Cell,
    /// What SQLite's date functions make of it, Unix seconds.
    pub as_date: Option<i64>,
    /// Whether it is one of those spread evenly over all rows.
    pub is_spread: bool,
}

impl Inspector {
    /// Samples the times of snapshots, newest rows first.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn sample_times(&self, known: &KnownSite) -> Result<Vec<SampledTime>, StoreError> {
        let snapshots = &known.site.names.snapshots;
        let fetched_at = quote(&known.options.schema.snapshots.fetched_at);
        let columns = format!("SELECT {fetched_at}, CAST(strftime('%s', {fetched_at}) AS INTEGER)");
        let ends = format!("SELECT min(_rowid_), max(_rowid_) FROM {snapshots}");
        let ends = match self.connection.prepare(&ends) {
            Ok(mut ends) => ends.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?,
            Err(error) => match StoreError::from(error) {
                // A view or a table WITHOUT ROWID.
                StoreError::Sqlite(_) => (None, None),
                other => return Err(other),
            },
        };
        let (Some(first), Some(last)) = ends else {
            let sql = format!("{columns} FROM {snapshots} LIMIT {}", 2 * SAMPLE);
            return times(&self.connection, &sql, None, false);
        };
        let newest = format!("{columns} FROM {snapshots} ORDER BY _rowid_ DESC LIMIT {SAMPLE}");
        let mut sample = times(&self.connection, &newest, None, false)?;
        let next =
            format!("{columns} FROM {snapshots} WHERE _rowid_ >= ?1 ORDER BY _rowid_ LIMIT 1");
        for rowid in spread(first, last) {
            sample.extend(times(&self.connection, &next, Some(rowid), true)?);
        }
        Ok(sample)
    }
}

fn times(
    connection: &Connection,
    sql: &str,
    from: Option<i64>,
    is_spread: bool,
) -> Result<Vec<SampledTime>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = match from {
        Some(rowid) => statement.query([rowid])?,
        None => statement.query([])?,
    };
    let mut sample = Vec::new();
    while let Some(row) = rows.next()? {
        sample.push(SampledTime {
            value: row.get_ref(0)?.into(),
            as_date: row.get(1)?,
            is_spread,
        });
    }
    Ok(sample)
}

/// Places spread evenly from the first to the last.
fn spread(first: i64, last: i64) -> impl Iterator<Item = i64> {
    let length = i128::from(last) - i128::from(first) + 1;
    let count = length.min(SAMPLE.into());
    (0..count).filter_map(move |step| {
        let place = i128::from(first) + step * length / count.max(1);
        i64::try_from(place).ok()
    })
}
