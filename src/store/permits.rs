//! The rate window's permits and parks, shared by every process on the file. The rules are the
//! domain's; here they get a memory that outlives a crash.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row};

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
        let parked_until = Upstream::read(scope.connection, &self.upstream)?.parked_until(&now);
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
    for (id, permit) in read_permits(scope.connection, upstream)? {
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

pub(super) fn read_permits(
    connection: &Connection,
    upstream: &str,
) -> Result<Vec<(i64, Permit)>, StoreError> {
    let permit = |row: &Row<'_>| {
        let permit = Permit {
            taken_ms: row.get(1)?,
            expires_ms: row.get(2)?,
            released_ms: row.get(3)?,
            boot_id: row.get(4)?,
        };
        Ok((row.get(0)?, permit))
    };
    let permits = connection
        .prepare_cached(
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
        let known = Upstream::read(scope.connection, &self.upstream)?;
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
pub(super) struct Upstream {
    boot_id: String,
    parked_until_ms: i64,
    strikes: u32,
}

impl Upstream {
    pub(super) fn read(connection: &Connection, name: &str) -> Result<Self, StoreError> {
        let known = connection
            .prepare_cached(
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
    pub(super) fn parked_until(&self, now: &BootTime) -> Option<i64> {
        (now.may_be_of(&self.boot_id) && now.ms < self.parked_until_ms)
            .then_some(self.parked_until_ms)
    }
}

#[cfg(test)]
mod tests;
