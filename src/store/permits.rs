//! The rate window's permits and parks, shared by every process on the file. The rules are the
//! domain's; here they get a memory that outlives a crash.

use std::time::Duration;

use rusqlite::{OptionalExtension, Row};

use super::error::StoreError;
use super::operation::{Operation, Scope};
use crate::domain::rate_window::{BootTime, Decision, Limit, Permit, decide, park_for};

/// Names a permit. Chosen at random by whoever takes it: a row's number is used again once the row
/// is gone, and a late release would then end another's permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PermitId(pub i64);

/// Asks for the right to send one call. Once granted and committed, it counts, sent or not.
#[derive(Debug, Clone)]
pub struct TakePermit<C> {
    /// The permit's name, if it is granted.
    pub id: PermitId,
    /// Whom the call is for.
    pub upstream: String,
    /// Tells the time. It is asked under the write lock: a time from before the wait for it would
    /// make the permits others took meanwhile look ahead of their time.
    pub clock: C,
    /// The upstream's limit.
    pub limit: Limit,
    /// The longest the call can last from now on, milliseconds.
    pub hold_ms: i64,
}

/// The answer to [`TakePermit`]. Times are milliseconds since this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermitAnswer {
    /// The call may be sent.
    Granted {
        /// Names the permit at its release.
        permit: PermitId,
        /// From then on the call must not be sent any more.
        expires_ms: i64,
    },
    /// The window is full; ask again then.
    Wait {
        /// When a place is free at the latest.
        until_ms: i64,
    },
    /// The upstream asked to be left alone.
    Parked {
        /// Until when.
        until_ms: i64,
    },
}

impl<C: Fn() -> BootTime + Send + 'static> Operation for TakePermit<C> {
    type Output = PermitAnswer;

    fn apply(&self, scope: &Scope<'_>) -> Result<PermitAnswer, StoreError> {
        let now = (self.clock)();
        let parked_until = Upstream::read(scope, &self.upstream)?.parked_until(&now);
        if let Some(until_ms) = parked_until {
            return Ok(PermitAnswer::Parked { until_ms });
        }
        let counted = prune(scope, &self.upstream, &now, self.limit)?;
        if let Decision::Wait { until_ms } = decide(&counted, &now, self.limit) {
            return Ok(PermitAnswer::Wait { until_ms });
        }
        let expires_ms = now.ms.saturating_add(self.hold_ms);
        scope
            .prepare(
                "INSERT INTO main.vvv_permits (id, upstream, boot_id, taken_ms, expires_ms) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute((self.id.0, &self.upstream, &now.boot_id, now.ms, expires_ms))?;
        Ok(PermitAnswer::Granted {
            permit: self.id,
            expires_ms,
        })
    }
}

/// Deletes the permits that no longer count and brings those from the future to now; the rest.
fn prune(
    scope: &Scope<'_>,
    upstream: &str,
    now: &BootTime,
    limit: Limit,
) -> Result<Vec<Permit>, StoreError> {
    let mut counted = Vec::new();
    for (id, permit) in read_permits(scope, upstream)? {
        if permit.counts_until(now, limit.window_ms) <= now.ms {
            scope
                .prepare("DELETE FROM main.vvv_permits WHERE id = ?1")?
                .execute([id])?;
            continue;
        }
        let seen = permit.not_ahead_of(now);
        if seen != permit {
            // Left as it is it would count from ever later.
            scope
                .prepare(
                    "UPDATE main.vvv_permits SET taken_ms = ?2, expires_ms = ?3, \
                     released_ms = ?4 WHERE id = ?1",
                )?
                .execute((id, seen.taken_ms, seen.expires_ms, seen.released_ms))?;
        }
        counted.push(seen);
    }
    Ok(counted)
}

fn read_permits(scope: &Scope<'_>, upstream: &str) -> Result<Vec<(i64, Permit)>, StoreError> {
    let permit = |row: &Row<'_>| {
        let permit = Permit {
            taken_ms: row.get(1)?,
            expires_ms: row.get(2)?,
            released_ms: row.get(3)?,
            boot_id: row.get(4)?,
        };
        Ok((row.get(0)?, permit))
    };
    let permits = scope
        .prepare(
            "SELECT id, taken_ms, expires_ms, released_ms, boot_id FROM main.vvv_permits \
             WHERE upstream = ?1",
        )?
        .query_map([upstream], permit)?
        .collect::<Result<_, _>>()?;
    Ok(permits)
}

/// Ends a call: its permit counts for one more window from now. A pruned one stays gone.
#[derive(Debug, Clone)]
pub struct ReleasePermit {
    /// The permit.
    pub permit: PermitId,
    /// Now.
    pub now: BootTime,
}

impl Operation for ReleasePermit {
    type Output = ();

    fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        // The clock cuts to milliseconds; the call may have ended in the rest of this one.
        let ended_ms = self.now.ms.saturating_add(1);
        scope
            .prepare(
                "UPDATE main.vvv_permits SET released_ms = ?2 \
                 WHERE id = ?1 AND boot_id = ?3 AND released_ms IS NULL",
            )?
            .execute((self.permit.0, ended_ms, &self.now.boot_id))?;
        Ok(())
    }
}

/// Counts the permits that fill an upstream's window now.
#[derive(Debug, Clone)]
pub struct CountPermits {
    /// The upstream.
    pub upstream: String,
    /// Now.
    pub now: BootTime,
    /// Its limit.
    pub limit: Limit,
}

impl Operation for CountPermits {
    type Output = u32;

    fn apply(&self, scope: &Scope<'_>) -> Result<u32, StoreError> {
        let counted = read_permits(scope, &self.upstream)?
            .iter()
            .filter(|(_, permit)| {
                permit.counts_until(&self.now, self.limit.window_ms) > self.now.ms
            })
            .count();
        Ok(u32::try_from(counted).unwrap_or(u32::MAX))
    }
}

/// Leaves an upstream alone that answered 429; until when, milliseconds since this boot.
///
/// Answers to calls that were on their way when the park began are no further strikes, and
/// nothing shortens a park.
#[derive(Debug, Clone)]
pub struct ParkUpstream {
    /// The upstream.
    pub upstream: String,
    /// Now.
    pub now: BootTime,
    /// What it asked for itself.
    pub retry_after: Option<Duration>,
}

impl Operation for ParkUpstream {
    type Output = i64;

    fn apply(&self, scope: &Scope<'_>) -> Result<i64, StoreError> {
        let known = Upstream::read(scope, &self.upstream)?;
        let parked_until = known.parked_until(&self.now);
        let (strikes, wanted) = match parked_until {
            None => (
                known.strikes.saturating_add(1),
                Some(park_for(self.retry_after, known.strikes)),
            ),
            Some(_) => (known.strikes, self.retry_after),
        };
        let wanted_until = wanted.map(|park| {
            let park_ms = i64::try_from(park.as_millis()).unwrap_or(i64::MAX);
            self.now.ms.saturating_add(park_ms)
        });
        let until_ms = parked_until.max(wanted_until).unwrap_or(self.now.ms);
        scope
            .prepare(
                "INSERT INTO main.vvv_upstreams (upstream, boot_id, parked_until_ms, strikes) \
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT (upstream) DO UPDATE SET \
                 boot_id = excluded.boot_id, parked_until_ms = excluded.parked_until_ms, \
                 strikes = excluded.strikes",
            )?
            .execute((&self.upstream, &self.now.boot_id, until_ms, strikes))?;
        Ok(until_ms)
    }
}

/// Forgets an upstream's strikes after a good answer. A park that has begun lasts all the same.
#[derive(Debug, Clone)]
pub struct UnparkUpstream {
    /// The upstream.
    pub upstream: String,
}

impl Operation for UnparkUpstream {
    type Output = ();

    fn apply(&self, scope: &Scope<'_>) -> Result<(), StoreError> {
        scope
            .prepare(
                "UPDATE main.vvv_upstreams SET strikes = 0 WHERE upstream = ?1 AND strikes > 0",
            )?
            .execute([&self.upstream])?;
        Ok(())
    }
}

/// What is remembered of an upstream.
#[derive(Default)]
struct Upstream {
    boot_id: String,
    parked_until_ms: i64,
    strikes: u32,
}

impl Upstream {
    fn read(scope: &Scope<'_>, name: &str) -> Result<Self, StoreError> {
        let known = scope
            .prepare(
                "SELECT boot_id, parked_until_ms, strikes FROM main.vvv_upstreams \
                 WHERE upstream = ?1",
            )?
            .query_row([name], |row| {
                Ok(Self {
                    boot_id: row.get(0)?,
                    parked_until_ms: row.get(1)?,
                    strikes: row.get(2)?,
                })
            })
            .optional()?;
        Ok(known.unwrap_or_default())
    }

    /// The end of its park, if it is parked. What it asked of another boot is forgotten: how
    /// long ago that was nobody can tell.
    fn parked_until(&self, now: &BootTime) -> Option<i64> {
        (self.boot_id == now.boot_id && now.ms < self.parked_until_ms)
            .then_some(self.parked_until_ms)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::fixture::{Fixture, JOURNALS, run};
    use super::super::writer::Writer;
    use super::*;

    static TAKEN: AtomicU32 = AtomicU32::new(1);

    const LIMIT: Limit = Limit {
        calls: 2,
        window_ms: 60_000,
    };

    fn at(ms: i64) -> BootTime {
        BootTime {
            boot_id: "this boot".to_owned(),
            ms,
        }
    }

    fn next_id() -> PermitId {
        PermitId(i64::from(TAKEN.fetch_add(1, Ordering::Relaxed)))
    }

    fn take(writer: &mut Writer, now: BootTime) -> PermitAnswer {
        let take = TakePermit {
            id: next_id(),
            upstream: "oembed".to_owned(),
            clock: move || now.clone(),
            limit: LIMIT,
            hold_ms: 10_000,
        };
        run(writer, take).unwrap()
    }

    fn granted(answer: PermitAnswer) -> PermitId {
        match answer {
            PermitAnswer::Granted { permit, .. } => permit,
            PermitAnswer::Wait { .. } | PermitAnswer::Parked { .. } => panic!("{answer:?}"),
        }
    }

    fn release(writer: &mut Writer, permit: PermitId, now: BootTime) {
        run(writer, ReleasePermit { permit, now }).unwrap();
    }

    fn park(writer: &mut Writer, now: BootTime, retry_after: Option<u64>) -> i64 {
        let park = ParkUpstream {
            upstream: "oembed".to_owned(),
            now,
            retry_after: retry_after.map(Duration::from_secs),
        };
        run(writer, park).unwrap()
    }

    fn count(writer: &mut Writer, now: BootTime) -> u32 {
        let count = CountPermits {
            upstream: "oembed".to_owned(),
            now,
            limit: LIMIT,
        };
        run(writer, count).unwrap()
    }

    fn kept(fixture: &Fixture) -> Vec<String> {
        fixture.rows("SELECT taken_ms, expires_ms, released_ms FROM vvv_permits ORDER BY id")
    }

    #[test]
    fn a_permit_counts_for_a_window_after_its_call_is_over() {
        for journal in JOURNALS {
            let fixture = Fixture::new(journal);
            let mut writer = fixture.writer();
            let first = take(&mut writer, at(1_000));
            assert!(matches!(
                first,
                PermitAnswer::Granted {
                    expires_ms: 11_000,
                    ..
                }
            ));
            let first = granted(first);
            granted(take(&mut writer, at(2_000)));
            // Both may be under way until they expire.
            let full = PermitAnswer::Wait { until_ms: 71_000 };
            assert_eq!(take(&mut writer, at(3_000)), full);
            release(&mut writer, first, at(4_000));
            let sooner = PermitAnswer::Wait { until_ms: 64_001 };
            assert_eq!(take(&mut writer, at(64_000)), sooner);
            assert_eq!(count(&mut writer, at(64_000)), 2);
            granted(take(&mut writer, at(64_001)));
            assert_eq!(kept(&fixture), ["2000|12000|-", "64001|74001|-"], "pruned");
            assert_eq!(
                count(&mut writer, at(72_000)),
                1,
                "the second one lapsed by itself"
            );
        }
    }

    #[test]
    fn permits_hold_for_every_process_on_the_file() {
        let fixture = Fixture::new("wal");
        let (mut one, mut other) = (fixture.writer(), fixture.writer());
        granted(take(&mut one, at(1_000)));
        granted(take(&mut other, at(1_000)));
        one.close();
        assert!(matches!(
            take(&mut other, at(1_001)),
            PermitAnswer::Wait { .. }
        ));
        let elsewhere = TakePermit {
            id: next_id(),
            upstream: "another".to_owned(),
            clock: || at(1_001),
            limit: LIMIT,
            hold_ms: 10_000,
        };
        granted(run(&mut other, elsewhere).unwrap());
    }

    #[test]
    fn a_late_or_repeated_release_changes_nothing() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        let permit = granted(take(&mut writer, at(1_000)));
        release(&mut writer, permit, at(2_000));
        release(&mut writer, permit, at(9_000));
        assert_eq!(kept(&fixture), ["1000|11000|2001"]);
        let other_boot = BootTime {
            boot_id: "the next boot".to_owned(),
            ms: 5,
        };
        let permit = granted(take(&mut writer, at(2_000)));
        release(&mut writer, permit, other_boot);
        assert_eq!(kept(&fixture)[1], "2000|12000|-");
    }

    #[test]
    fn permits_of_another_boot_count_until_a_window_has_passed_in_this_one() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        for _ in 0..2 {
            let last_boot = BootTime {
                boot_id: "the last boot".to_owned(),
                ms: 5_000_000,
            };
            granted(take(&mut writer, last_boot));
        }
        let wait = PermitAnswer::Wait { until_ms: 60_000 };
        assert_eq!(take(&mut writer, at(59_999)), wait);
        granted(take(&mut writer, at(60_000)));
        assert_eq!(kept(&fixture).len(), 1);
    }

    #[test]
    fn a_permit_from_the_future_counts_as_of_now_once() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        for _ in 0..2 {
            granted(take(&mut writer, at(900_000)));
        }
        let wait = PermitAnswer::Wait { until_ms: 71_000 };
        assert_eq!(take(&mut writer, at(1_000)), wait);
        assert_eq!(take(&mut writer, at(70_999)), wait, "not pushed on");
        granted(take(&mut writer, at(71_000)));
    }

    #[test]
    fn a_park_doubles_and_is_never_shortened() {
        for journal in JOURNALS {
            let fixture = Fixture::new(journal);
            let mut writer = fixture.writer();
            assert_eq!(park(&mut writer, at(0), None), 60_000);
            let parked = PermitAnswer::Parked { until_ms: 60_000 };
            assert_eq!(take(&mut writer, at(59_999)), parked);
            // Answers to calls that were on their way.
            assert_eq!(park(&mut writer, at(1_000), None), 60_000);
            assert_eq!(park(&mut writer, at(1_000), Some(5)), 60_000);
            assert_eq!(park(&mut writer, at(1_000), Some(100)), 101_000);
            granted(take(&mut writer, at(101_000)));
            assert_eq!(
                park(&mut writer, at(101_000), None),
                221_000,
                "the second strike"
            );
            // What is asked for doubles too, or an upstream that asks for little would be asked for ever.
            assert_eq!(park(&mut writer, at(221_000), Some(7)), 249_000);
            let upstream = "oembed".to_owned();
            run(&mut writer, UnparkUpstream { upstream }).unwrap();
            let parked = PermitAnswer::Parked { until_ms: 249_000 };
            assert_eq!(
                take(&mut writer, at(222_000)),
                parked,
                "a good answer lifts no park"
            );
            assert_eq!(
                park(&mut writer, at(300_000), None),
                360_000,
                "the first strike again"
            );
        }
    }

    #[test]
    fn a_park_of_another_boot_is_over_but_its_strikes_stay() {
        let fixture = Fixture::new("wal");
        let mut writer = fixture.writer();
        let last_boot = BootTime {
            boot_id: "the last boot".to_owned(),
            ms: 5_000_000,
        };
        park(&mut writer, last_boot, None);
        granted(take(&mut writer, at(100)));
        assert_eq!(park(&mut writer, at(200), None), 120_200);
    }
}
