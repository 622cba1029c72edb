//! Rows in the order of an index (group, key), highest first: one group's, or all groups' merged,
//! so that no second index is needed for the list of all.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fmt;
use std::str::FromStr;

use rusqlite::{CachedStatement, ToSql};
use serde::{Deserialize, Serialize, Serializer};

use super::error::StoreError;
use super::inspect::has_table;
use super::reader::Reader;

/// The most rows of a page.
pub const ROWS_A_PAGE: usize = 1_000;
/// The most groups that are listed; a site has some dozens of regions.
const GROUPS_LISTED: usize = 1_000;
/// So many rows are counted for one list of counts, which takes a few milliseconds.
const ROWS_COUNTED: usize = 250_000;

/// Where a page ended: the next one begins after it. As text it may stand in an address.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct PageCursor {
    key: f64,
    rowid: i64,
}

/// A text is no place where a page could have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read where a page begins: no such place")]
pub struct NoSuchPlace;

/// Some rows in their order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; none: there is none.
    pub next: Option<PageCursor>,
}

/// How many there are, as far as they were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CappedCount {
    /// So many.
    pub count: u64,
    /// Whether there are more.
    pub capped: bool,
}

/// The rows of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// The group; none: rows without one.
    pub name: Option<String>,
    /// Its rows.
    #[serde(flatten)]
    pub rows: CappedCount,
}

/// A table of ours with an index on (group, key).
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranking {
    pub(super) table: &'static str,
    pub(super) group: &'static str,
    pub(super) key: &'static str,
}

/// Which rows of a ranking.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    /// Only of this group.
    pub(super) group: Option<&'a str>,
    /// Only those after it.
    pub(super) after: Option<PageCursor>,
    /// The lowest and the highest key.
    pub(super) range: (f64, f64),
    /// Only those with this in this column, which the index does not have.
    pub(super) with: Option<(&'static str, &'static str)>,
    /// How many at most.
    pub(super) limit: usize,
}

impl PageCursor {
    /// Before all rows with this key or a lower one.
    const fn before(key: f64) -> Self {
        Self {
            key,
            rowid: i64::MAX,
        }
    }
}

impl Eq for PageCursor {}

impl Ord for PageCursor {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = self.key.total_cmp(&other.key);
        by_key.then(self.rowid.cmp(&other.rowid))
    }
}

impl PartialOrd for PageCursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for PageCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.key, self.rowid)
    }
}

impl FromStr for PageCursor {
    type Err = NoSuchPlace;

    fn from_str(text: &str) -> Result<Self, NoSuchPlace> {
        let (key, rowid) = text.split_once('_').ok_or(NoSuchPlace)?;
        let key: f64 = key.parse().map_err(|_| NoSuchPlace)?;
        let rowid = rowid.parse().map_err(|_| NoSuchPlace)?;
        key.is_finite()
            .then_some(Self { key, rowid })
            .ok_or(NoSuchPlace)
    }
}

impl TryFrom<String> for PageCursor {
    type Error = NoSuchPlace;

    fn try_from(text: String) -> Result<Self, NoSuchPlace> {
        text.parse()
    }
}

impl Serialize for PageCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Reader {
    /// A page of a ranking, each row read by `read` from its rowid; empty where there is no such
    /// table. A row that is gone when it is read is left out.
    pub(super) fn page<T>(
        &self,
        ranking: Ranking,
        part: Part<'_>,
        mut read: impl FnMut(i64) -> Result<Option<T>, StoreError>,
    ) -> Result<Page<T>, StoreError> {
        let limit = part.limit.clamp(1, ROWS_A_PAGE);
        let (mut rows, mut next) = (Vec::new(), None);
        if !has_table(&self.connection, ranking.table)? {
            return Ok(Page { rows, next });
        }
        self.in_snapshot(|| {
            // One more tells whether there is another page.
            let places = self.places(ranking, part, limit + 1)?;
            if places.len() > limit {
                next = places.get(limit - 1).copied();
            }
            for place in places.iter().take(limit) {
                rows.extend(read(place.rowid)?);
            }
            Ok(())
        })?;
        Ok(Page { rows, next })
    }

    /// Where the first rows of a part lie, in their order.
    fn places(
        &self,
        ranking: Ranking,
        part: Part<'_>,
        wanted: usize,
    ) -> Result<Vec<PageCursor>, StoreError> {
        let mut walk = self.connection.prepare_cached(&ranking.walk(part.with))?;
        let mut best = BinaryHeap::with_capacity(wanted + 1);
        if let Some(group) = part.group {
            gather(&mut walk, Some(group), part, wanted, &mut best)?;
        } else {
            self.each_group(ranking, |group| {
                gather(&mut walk, group, part, wanted, &mut best)?;
                Ok(true)
            })?;
        }
        let places = best.into_sorted_vec().into_iter();
        Ok(places.map(|Reverse(place)| place).collect())
    }

    /// Hands every group over until `each` answers false: a step into the index for each.
    fn each_group(
        &self,
        ranking: Ranking,
        mut each: impl FnMut(Option<&str>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let Ranking { table, group, .. } = ranking;
        let ungrouped = format!("SELECT 1 FROM main.{table} WHERE {group} IS NULL");
        if self.connection.prepare_cached(&ungrouped)?.exists([])? && !each(None)? {
            return Ok(());
        }
        let following = format!("SELECT min({group}) FROM main.{table} WHERE {group} > ?1");
        let mut following = self.connection.prepare_cached(&following)?;
        let has_empty = format!("SELECT 1 FROM main.{table} WHERE {group} = ''");
        let mut name = String::new();
        let mut go_on = !self.connection.prepare_cached(&has_empty)?.exists([])? || each(Some(""))?;
        while go_on {
            let found: Option<String> = following.query_row([&name], |row| row.get(0))?;
            let Some(found) = found else { break };
            name = found;
            go_on = each(Some(&name))?;
        }
        Ok(())
    }

    /// The groups with how many rows each has; the more groups, the earlier counting ends. Empty
    /// where there is no such table.
    pub(super) fn tallies(&self, ranking: Ranking) -> Result<Vec<Tally>, StoreError> {
        if !has_table(&self.connection, ranking.table)? {
            return Ok(Vec::new());
        }
        self.in_snapshot(|| {
            let mut names = Vec::new();
            self.each_group(ranking, |group| {
                names.push(group.map(str::to_owned));
                Ok(names.len() < GROUPS_LISTED)
            })?;
            let most = ROWS_COUNTED / names.len().max(1);
            let mut count = self.connection.prepare_cached(&ranking.count())?;
            let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
            let tally = |name: Option<String>| {
                let counted: i64 = count.query_row((&name, limit), |row| row.get(0))?;
                let capped = counted == limit;
                let count = counted.unsigned_abs() - u64::from(capped);
                let rows = CappedCount { count, capped };
                Ok(Tally { name, rows })
            };
            names.into_iter().map(tally).collect()
        })
    }
}

impl Ranking {
    /// Takes: the group, key and rowid after which it begins, the lowest key, what the column
    /// that the index lacks has to hold.
    fn walk(self, with: Option<(&str, &str)>) -> String {
        let Self { table, group, key } = self;
        let with = with.map(|(column, _)| format!(" AND {column} = ?5"));
        format!(
            "SELECT {key}, rowid FROM main.{table} WHERE {group} IS ?1 \
             AND ({key}, rowid) < (?2, ?3) AND {key} >= ?4{} ORDER BY {key} DESC, rowid DESC",
            with.unwrap_or_default()
        )
    }

    /// Takes: the group, how many rows are counted at most.
    fn count(self) -> String {
        let Self { table, group, .. } = self;
        format!("SELECT count(*) FROM (SELECT 1 FROM main.{table} WHERE {group} IS ?1 LIMIT ?2)")
    }
}

/// Adds a group's rows to the best of all, as long as they are among them.
fn gather(
    walk: &mut CachedStatement<'_>,
    group: Option<&str>,
    part: Part<'_>,
    wanted: usize,
    best: &mut BinaryHeap<Reverse<PageCursor>>,
) -> Result<(), StoreError> {
    let (lowest, highest) = part.range;
    let from = PageCursor::before(highest);
    let from = part.after.map_or(from, |after| after.min(from));
    let mut bound: Vec<&dyn ToSql> = vec![&group, &from.key, &from.rowid, &lowest];
    if let Some((_, value)) = &part.with {
        bound.push(value);
    }
    let mut rows = walk.query(&*bound)?;
    while let Some(row) = rows.next()? {
        let place = PageCursor {
            key: row.get(0)?,
            rowid: row.get(1)?,
        };
        if best.len() == wanted {
            if best.peek().is_some_and(|Reverse(worst)| place < *worst) {
                break;
            }
            best.pop();
        }
        best.push(Reverse(place));
    }
    Ok(())
}
