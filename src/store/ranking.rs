//! Rows in the order of an index (group, key), highest first: one group's, or all groups' merged,
//! so that no second index is needed for the list of all.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use rusqlite::{CachedStatement, Rows, ToSql};
use serde::Serialize;

use super::error::StoreError;
use super::inspect::has_table;
use super::page::{Page, PageCursor, ROWS_A_PAGE};
use super::reader::Reader;
use super::snapshots::LONGEST_READ;

/// The most groups that are listed; a site has some dozens of regions.
const GROUPS_LISTED: usize = 1_000;
/// So many rows are counted for one list of counts, which takes some 15 ms.
const ROWS_COUNTED: usize = 500_000;
/// Where counting a group ends, so that all together are no more than that: the highest that fits.
const CAPS: [usize; 6] = [100_000, 50_000, 10_000, 5_000, 1_000, 500];

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
        // One more tells whether there is another page.
        let places = self.in_snapshot(|| self.places(ranking, part, limit + 1))?;
        if places.len() > limit {
            next = places.get(limit - 1).copied();
        }
        // Of a disk that sleeps they take their time, and a rollback journal keeps writers out.
        let mut places = places.into_iter().take(limit).peekable();
        while places.peek().is_some() {
            let begun = Instant::now();
            self.in_snapshot(|| {
                while let Some(place) = places.next_if(|_| begun.elapsed() < LONGEST_READ) {
                    rows.extend(read(place.rowid)?);
                }
                Ok(())
            })?;
        }
        Ok(Page { rows, next })
    }

    /// Where the first rows of a part lie, in their order.
    fn places(
        &self,
        ranking: Ranking,
        part: Part<'_>,
        wanted: usize,
    ) -> Result<Vec<PageCursor>, StoreError> {
        let mut walk = Walk {
            equals: self.connection.prepare_cached(&ranking.equals(part.with))?,
            below: self.connection.prepare_cached(&ranking.below(part.with))?,
            part,
            wanted,
            best: BinaryHeap::with_capacity(wanted + 1),
        };
        if let Some(group) = part.group {
            walk.gather(Some(group))?;
        } else {
            self.each_group(ranking, |group| {
                walk.gather(group)?;
                Ok(true)
            })?;
        }
        let places = walk.best.into_sorted_vec().into_iter();
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
        let mut names = Vec::new();
        self.each_group(ranking, |group| {
            names.push(group.map(str::to_owned));
            Ok(names.len() < GROUPS_LISTED)
        })?;
        let share = ROWS_COUNTED / names.len().max(1);
        let most = CAPS.into_iter().find(|cap| *cap <= share).unwrap_or(1);
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
    }
}

impl Ranking {
    /// Takes: the group, the key, the rowid below which it begins, what the column that the index
    /// lacks has to hold.
    fn equals(self, with: Option<(&str, &str)>) -> String {
        let Self { table, group, key } = self;
        format!(
            "SELECT {key}, rowid FROM main.{table} WHERE {group} IS ?1 AND {key} = ?2 \
             AND rowid < ?3{} ORDER BY rowid DESC",
            holds(with)
        )
    }

    /// Takes: the group, the key below which it begins, the lowest key, what the column that the
    /// index lacks has to hold.
    fn below(self, with: Option<(&str, &str)>) -> String {
        let Self { table, group, key } = self;
        format!(
            "SELECT {key}, rowid FROM main.{table} WHERE {group} IS ?1 AND {key} < ?2 \
             AND {key} >= ?3{} ORDER BY {key} DESC, rowid DESC",
            holds(with)
        )
    }

    /// Takes: the group, how many rows are counted at most.
    fn count(self) -> String {
        let Self { table, group, .. } = self;
        format!("SELECT count(*) FROM (SELECT 1 FROM main.{table} WHERE {group} IS ?1 LIMIT ?2)")
    }
}

fn holds(with: Option<(&str, &str)>) -> String {
    with.map_or_else(String::new, |(column, _)| format!(" AND {column} = ?4"))
}

/// The statements that walk a group down.
struct Walk<'a> {
    /// SQLite searches no index by (key, rowid) as one, and rows of one key may be many.
    equals: CachedStatement<'a>,
    below: CachedStatement<'a>,
    part: Part<'a>,
    wanted: usize,
    best: BinaryHeap<Reverse<PageCursor>>,
}

impl Walk<'_> {
    /// Adds a group's rows to the best of all, as long as they are among them.
    fn gather(&mut self, group: Option<&str>) -> Result<(), StoreError> {
        let (lowest, highest) = self.part.range;
        let from = PageCursor::before(highest);
        let from = self.part.after.map_or(from, |after| after.min(from));
        let with = self.part.with.map(|(_, value)| value);
        let mut equals: Vec<&dyn ToSql> = vec![&group, &from.key, &from.rowid];
        let mut below: Vec<&dyn ToSql> = vec![&group, &from.key, &lowest];
        if let Some(with) = &with {
            equals.push(with);
            below.push(with);
        }
        let mut rows = self.equals.query(&*equals)?;
        keep_best(&mut rows, self.wanted, &mut self.best)?;
        let mut rows = self.below.query(&*below)?;
        keep_best(&mut rows, self.wanted, &mut self.best)
    }
}

/// Takes rows in, highest first, until the best of all are better.
fn keep_best(
    rows: &mut Rows<'_>,
    wanted: usize,
    best: &mut BinaryHeap<Reverse<PageCursor>>,
) -> Result<(), StoreError> {
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

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, searches};
    use super::*;

    const SCORES: Ranking = Ranking {
        table: "vvv_scores",
        group: "region",
        key: "score",
    };

    const ALL: Part<'_> = Part {
        group: None,
        after: None,
        range: (f64::NEG_INFINITY, f64::INFINITY),
        with: None,
        limit: 2,
    };

    /// Scores in order of rowid: region, score.
    fn with_scores(scores: &[(Option<&str>, f64)]) -> (Fixture, Reader) {
        let fixture = Fixture::new("wal");
        fixture.writer().close();
        let site = fixture.site();
        for (n, (region, score)) in scores.iter().enumerate() {
            let row = (format!("v{n}"), region, score);
            let sql = "INSERT INTO vvv_scores VALUES (?1, ?2, ?3, 'NORMAL', 1, 1.0, 100)";
            site.execute(sql, row).unwrap();
        }
        let reader = fixture.reader();
        (fixture, reader)
    }

    /// The rowids of every page of a part.
    fn pages(reader: &Reader, mut part: Part<'_>) -> Vec<Vec<i64>> {
        let mut pages = Vec::new();
        loop {
            let page = reader.page(SCORES, part, |rowid| Ok(Some(rowid))).unwrap();
            pages.push(page.rows);
            match page.next {
                None => return pages,
                // As it comes back from an address.
                next => part.after = next.map(|place| place.to_string().parse().unwrap()),
            }
        }
    }

    #[test]
    fn all_groups_are_merged_page_by_page_and_equal_keys_lose_no_row() {
        let (_fixture, reader) = with_scores(&[
            (Some("PL"), 50.0),
            (Some(""), 70.5),
            (None, 50.0),
            (Some("GB"), 50.0),
            (Some("PL"), 99.9),
            (Some("PL"), -3.25),
            (None, 60.0),
        ]);
        assert_eq!(
            pages(&reader, ALL),
            [vec![5, 2], vec![7, 4], vec![3, 1], vec![6]]
        );
        let poland = Part {
            group: Some("PL"),
            ..ALL
        };
        assert_eq!(pages(&reader, poland), [vec![5, 1], vec![6]]);
        let nowhere = Part {
            group: Some("XX"),
            ..ALL
        };
        assert_eq!(pages(&reader, nowhere), [[0_i64; 0]]);
        let middle = Part {
            range: (50.0, 60.0),
            limit: 9,
            ..ALL
        };
        assert_eq!(pages(&reader, middle), [[7, 4, 3, 1]]);
    }

    #[test]
    fn groups_are_counted_up_to_a_cap() {
        let (fixture, reader) = with_scores(&[(None, 1.0), (Some(""), 1.0), (Some("PL"), 1.0)]);
        fixture.sql(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100001) \
             INSERT INTO vvv_scores SELECT 'x' || x, 'GB', 1.0, 'NORMAL', 1, 1.0, 1 FROM n",
        );
        let tallies = reader.tallies(SCORES).unwrap();
        let told: Vec<_> = tallies
            .iter()
            .map(|tally| (tally.name.as_deref(), tally.rows.count, tally.rows.capped))
            .collect();
        assert_eq!(
            told,
            [
                (None, 1, false),
                (Some(""), 1, false),
                (Some("GB"), 100_000, true),
                (Some("PL"), 1, false)
            ]
        );
        let json = serde_json::to_string(&tallies[2]).unwrap();
        assert_eq!(json, r#"{"name":"GB","count":100000,"capped":true}"#);
    }

    #[test]
    fn every_statement_searches_an_index_that_covers_it() {
        let (_fixture, reader) = with_scores(&[]);
        let rankings = [
            SCORES,
            Ranking {
                table: "vvv_thumbnail_checks",
                group: "status",
                key: "checked_at",
            },
            Ranking {
                table: "vvv_liveness_checks",
                group: "verdict",
                key: "checked_at",
            },
        ];
        for ranking in rankings {
            let Ranking { table, group, .. } = ranking;
            for sql in [
                ranking.equals(None),
                ranking.below(None),
                ranking.count(),
                format!("SELECT min({group}) FROM main.{table} WHERE {group} > ?1"),
            ] {
                let plan = searches(&reader, &sql);
                assert!(plan.contains("USING COVERING INDEX"), "{sql}: {plan}");
            }
            // Equal keys are skipped, not walked through.
            let plan = searches(&reader, &ranking.equals(None));
            assert!(plan.contains("=? AND rowid<?)"), "{plan}");
        }
        searches(&reader, &SCORES.below(Some(("label", "VIRAL"))));
    }
}
