//! Reading snapshots: the hot path of scoring. Nothing is allocated a video.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::error::StoreError;
use super::reader::Reader;
use crate::config::FetchedAt;
use crate::domain::score::{Count, Snapshot};

const EMPTY: Snapshot = Snapshot {
    views: Count::Missing,
    likes: Count::Missing,
    comments: Count::Missing,
    region: None,
    seconds: None,
};

impl Reader {
    /// Reads the last two snapshots of each video, newest first, all from one state of the file,
    /// and hands each video's to `each` with its place in `video_ids`.
    ///
    /// # Errors
    /// When the file is locked or cannot be read, or the call is interrupted; then the videos
    /// after the last one handed over are missing.
    pub fn snapshots(
        &self,
        video_ids: &[String],
        mut each: impl FnMut(usize, &[Snapshot]),
    ) -> Result<(), StoreError> {
        self.in_snapshot(|| {
            let mut lookup = self.connection.prepare_cached(&self.site.last_snapshots)?;
            let mut last = [EMPTY; 2];
            for (place, id) in video_ids.iter().enumerate() {
                let mut rows = lookup.query([id])?;
                let mut found = 0;
                for snapshot in &mut last {
                    let Some(row) = rows.next()? else { break };
                    read(snapshot, row, self.site.fetched_at)?;
                    found += 1;
                }
                each(place, last.get(..found).unwrap_or_default());
            }
            Ok(())
        })
    }
}

/// Fills a snapshot from a row of `Site::last_snapshots`, keeping the region's buffer.
fn read(snapshot: &mut Snapshot, row: &Row<'_>, form: FetchedAt) -> Result<(), StoreError> {
    snapshot.views = count(row.get_ref(0)?);
    snapshot.likes = count(row.get_ref(1)?);
    snapshot.comments = count(row.get_ref(2)?);
    read_region(&mut snapshot.region, row.get_ref(3)?);
    snapshot.seconds = seconds(row.get_ref(4)?, form);
    Ok(())
}

const fn count(cell: ValueRef<'_>) -> Count {
    match cell {
        ValueRef::Null => Count::Missing,
        ValueRef::Integer(integer) => Count::Integer(integer),
        ValueRef::Real(real) => Count::Real(real),
        ValueRef::Text(_) | ValueRef::Blob(_) => Count::Unreadable,
    }
}

fn read_region(region: &mut Option<String>, cell: ValueRef<'_>) {
    match cell {
        ValueRef::Text(text) => {
            let buffer = region.get_or_insert_default();
            buffer.clear();
            buffer.push_str(&String::from_utf8_lossy(text));
        }
        ValueRef::Integer(integer) => *region = Some(integer.to_string()),
        ValueRef::Real(real) => *region = Some(real.to_string()),
        ValueRef::Null | ValueRef::Blob(_) => *region = None,
    }
}

/// Unix seconds; none where the cell holds no time.
fn seconds(cell: ValueRef<'_>, form: FetchedAt) -> Option<i64> {
    let whole = match cell {
        ValueRef::Integer(integer) => integer,
        ValueRef::Real(real) => whole(real)?,
        // A column declared as text turns numbers into it.
        ValueRef::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok()?,
        ValueRef::Null | ValueRef::Blob(_) => return None,
    };
    Some(match form {
        FetchedAt::Text | FetchedAt::Unix => whole,
        FetchedAt::UnixMs => whole.div_euclid(1000),
    })
}

/// The integer part; none where no `i64` holds it.
fn whole(real: f64) -> Option<i64> {
    // 2^63, the first double past the integers.
    const END: f64 = 9_223_372_036_854_775_808.0;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    (-END..END).contains(&real).then_some(real as i64)
}
