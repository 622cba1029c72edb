//! Taking in the rows that the site inserted itself, in which anything may stand.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::ending::{Ending, end_job};
use super::enqueue::Chunks;
use super::error::StoreError;
use super::operation::{Operation, Scope};
use super::placing::{Placing, RESET};
use super::queue::{JobId, JobState, Moment};
use crate::domain::cut::cut;
use crate::domain::job::{Job, Kind};
use crate::domain::trace::TraceParent;

/// Rows taken in by one operation, so that none holds the writer long.
const ROWS_A_TURN: usize = 200;
/// Items after which it takes in no further row; one row may have more.
const ITEMS_A_TURN: usize = 5_000;

/// Takes in the rows that were inserted by plain SQL; how many, and whether there may be more.
#[derive(Debug, Clone, Copy)]
pub struct TakeIn {
    /// Where work is cut.
    pub chunks: Chunks,
    /// Now.
    pub now: Moment,
}

/// What [`TakeIn`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenIn {
    /// Rows looked at.
    pub rows: usize,
    /// Whether there may be more of them.
    pub more: bool,
    /// Those of them that could not be read: they have failed.
    pub refused: Vec<Refused>,
}

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its number.
    pub id: JobId,
    /// The kind it names, if it names one.
    pub kind: Option<Kind>,
    /// What is wrong with it.
    pub reason: String,
    /// The trace it belongs to.
    pub trace: Option<TraceParent>,
}

impl Operation for TakeIn {
    type Output = TakenIn;

    fn apply(&self, scope: &Scope<'_>) -> Result<TakenIn, StoreError> {
        let (rows, more) = read_turn(scope)?;
        let (count, mut refused) = (rows.len(), Vec::new());
        for (id, kind, trace, row) in rows {
            match row {
                Ok(row) => {
                    let placing = Placing {
                        row: Some(id),
                        priority: row.priority,
                        run_at_ms: row.run_at_ms,
                        unique_key: None,
                        unique_for: None,
                        trace,
                        group: None,
                        now: self.now,
                    };
                    placing.place(scope, &row.job, self.chunks)?;
                }
                Err(reason) => {
                    refuse(scope, id, &reason, self.now)?;
                    refused.push(Refused {
                        id,
                        kind,
                        reason,
                        trace,
                    });
                }
            }
        }
        Ok(TakenIn {
            more,
            rows: count,
            refused,
        })
    }
}

/// The next rows, no more of them than a turn holds, and whether there may be more.
fn read_turn(scope: &Scope<'_>) -> Result<(Turn, bool), StoreError> {
    let mut statement = scope.prepare(
        "SELECT id, kind, payload, priority, run_at_ms, unique_for, state, \
         traceparent FROM main.vvv_jobs WHERE queued_ms IS NULL ORDER BY id",
    )?;
    let mut found = statement.query([])?;
    let (mut turn, mut items) = (Turn::new(), 0);
    while turn.len() < ROWS_A_TURN && items < ITEMS_A_TURN {
        let Some(row) = found.next()? else {
            return Ok((turn, false));
        };
        let read = read(row).map_err(|reason| cut(&reason, LONGEST_REASON));
        items += read.as_ref().map_or(0, |row| row.job.len());
        let kind = text(row, 1).as_deref().and_then(Kind::from_name);
        // Of a job that follows a group; what is none is let go.
        let trace = text(row, 7).and_then(|text| text.parse().ok());
        turn.push((JobId(row.get(0)?), kind, trace, read));
    }
    Ok((turn, true))
}

type Turn = Vec<(
    JobId,
    Option<Kind>,
    Option<TraceParent>,
    Result<SiteRow, String>,
)>;

/// Why a row cannot be read, in so many characters: it quotes what was written there.
const LONGEST_REASON: usize = 500;

/// A row of the site's, read.
struct SiteRow {
    job: Job,
    priority: u8,
    run_at_ms: i64,
}

/// Reads a row that anything may have been written to.
fn read(row: &Row<'_>) -> Result<SiteRow, String> {
    let kind = text(row, 1).ok_or("kind: must be text")?;
    let kind = Kind::from_name(&kind).ok_or_else(|| {
        let names = Kind::ALL.map(Kind::name).join(", ");
        format!("kind = {kind:?}: must be one of {names}")
    })?;
    let payload = text(row, 2).ok_or("payload: must be JSON text")?;
    let job = Job::from_payload(kind, &payload).map_err(|error| error.to_string())?;
    let whole = |column, name: &str| match row.get_ref(column) {
        Ok(ValueRef::Integer(whole)) => Ok(Some(whole)),
        Ok(ValueRef::Null) => Ok(None),
        _ => Err(format!("{name}: must be a whole number")),
    };
    let priority = whole(3, "priority")?.unwrap_or(i64::from(Job::DEFAULT_PRIORITY));
    let priority = u8::try_from(priority)
        .ok()
        .filter(|priority| *priority <= 9)
        .ok_or_else(|| format!("priority = {priority}: must be 0 to 9"))?;
    let run_at_ms = whole(4, "run_at_ms")?.unwrap_or_default();
    if let Some(seconds) = whole(5, "unique_for")?
        && seconds < 0
    {
        return Err(format!("unique_for = {seconds}: must not be negative"));
    }
    match text(row, 6).as_deref() {
        Some("available" | "scheduled") => {}
        Some(state) => return Err(format!("state = {state:?}: leave it out, it is ours")),
        None => return Err("state: leave it out, it is ours".to_owned()),
    }
    Ok(SiteRow {
        job,
        priority,
        run_at_ms,
    })
}

fn text(row: &Row<'_>, column: usize) -> Option<String> {
    match row.get_ref(column) {
        Ok(ValueRef::Text(text)) => String::from_utf8(text.to_vec()).ok(),
        _ => None,
    }
}

/// An unreadable row ends at once, in the queue its kind names if it names one.
fn refuse(scope: &Scope<'_>, id: JobId, reason: &str, now: Moment) -> Result<(), StoreError> {
    scope
        .prepare(&format!(
            "UPDATE main.vvv_jobs SET {RESET}, group_id = NULL, items = 0, delay_ms = 0, \
             queue = '', queued_ms = ?2 WHERE id = ?1"
        ))?
        .execute((id.0, now.0))?;
    let ending = Ending {
        state: JobState::Failed,
        error: Some(reason),
        result: None,
    };
    end_job(scope, id, &ending, now)
}
