//! A job: what it was handed, what it found, and what became of each attempt as far as is known.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde_json::Value;

use super::format::{Moment, count, cut, span};
use super::frame::{Frame, Tab};
use super::jobs::took;
use super::page;
use super::tiles::{Progress, progress};
use crate::engine::{JobState, LINES_KEPT};
use crate::face::protocol::{Get, Job as Summary, JobDetail, JobLine, PoolState, Time};
use crate::face::web::Shared;
use crate::face::web::asked::Query;
use crate::face::web::problem::Problem;

/// The most of a payload that is shown, in characters.
const LONGEST_PAYLOAD: usize = 20_000;
/// The most rows of what was found.
const FINDINGS: usize = 200;
/// The most of one cell, in characters.
const LONGEST_CELL: usize = 300;
/// What stands first in a table of findings, in this order.
const COLUMNS: [&str; 14] = [
    "id",
    "verdict",
    "status",
    "label",
    "score",
    "velocity",
    "engagement",
    "region",
    "reason",
    "http_status",
    "width",
    "height",
    "url",
    "cached",
];

#[derive(Template)]
#[template(path = "job.html")]
struct Shown {
    frame: Frame,
    job: Summary,
    state: &'static str,
    kind: String,
    items: String,
    queue: Option<&'static str>,
    may_retry: bool,
    may_cancel: bool,
    progress: Option<Progress>,
    waited: Option<String>,
    took: Option<String>,
    log: Vec<Line>,
    /// Lines that are kept of a queue.
    kept: String,
    payload: String,
    remaining: Option<String>,
    found: Option<Table>,
}

/// What is known to have happened.
struct Line {
    at: Option<Moment>,
    state: &'static str,
    text: String,
}

/// What was found.
struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Row>,
    /// Rows that are not shown.
    more: usize,
}

struct Row {
    /// The video.
    id: Option<String>,
    cells: Vec<String>,
}

/// Shows a job.
pub(super) async fn job(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let text = request.match_info().query("id");
    let id: Option<i64> = text.parse().ok();
    let id = id.ok_or_else(|| Problem::not_found("job", text))?;
    let frame = Frame::live(&request, Tab::Jobs, format!("Job {id}"), &mut query);
    query.end()?;
    let detail = shared.site.get(Get { id }).await?.job;
    // Actors too stuck to say how far it is keep nobody from its page.
    let status = shared.site.engine_status().await.ok();
    let pools = status.into_iter().flat_map(|status| status.pools);
    let mut pools = pools.map(PoolState::from);
    let progress = pools.find_map(|pool| progress(&pool).find(|job| job.id == id));
    page(&shown(frame, detail, progress))
}

fn shown(frame: Frame, detail: JobDetail, progress: Option<Progress>) -> Shown {
    let JobDetail {
        summary: job,
        payload,
        remaining,
        result,
        traceparent: _,
        log: told,
    } = detail;
    let state = job.state.0;
    let waited = job.queued_at.zip(job.started_at);
    Shown {
        frame,
        state: state.name(),
        kind: job.kind.clone().unwrap_or_else(|| "–".to_owned()),
        items: count(job.items),
        queue: job.queue.map(|queue| queue.0.name()),
        may_retry: state.may_be_done_again(),
        may_cancel: !state.is_ended(),
        progress,
        waited: waited.map(|(queued, began)| span(began.0.saturating_sub(queued.0))),
        took: took(&job),
        log: log(&job, told),
        kept: count(LINES_KEPT as u64),
        payload: pretty(&payload),
        remaining: remaining.as_ref().map(pretty),
        found: result.as_ref().and_then(table),
        job,
    }
}

/// What was told of it, or where that is no longer known, what its row says.
fn log(job: &Summary, told: Vec<JobLine>) -> Vec<Line> {
    let queued = job.queued_at.map(|time| Line {
        at: Some(Moment::of(time)),
        state: "available",
        text: "taken in".to_owned(),
    });
    let crashes = (job.crashes > 0).then(|| Line {
        at: None,
        state: "failed",
        text: format!("the daemon died {} times while it ran", job.crashes),
    });
    let between = if told.is_empty() {
        of_row(job)
    } else {
        told.into_iter().map(line).collect()
    };
    queued.into_iter().chain(between).chain(crashes).collect()
}

fn line(told: JobLine) -> Line {
    Line {
        at: Some(Moment::of(told.at)),
        state: match told.level.as_str() {
            "warn" => "retryable",
            _ => "running",
        },
        text: told.text,
    }
}

fn of_row(job: &Summary) -> Vec<Line> {
    let line = |time: Option<Time>, state, text| Line {
        at: time.map(Moment::of),
        state,
        text,
    };
    let mut lines = Vec::new();
    if job.started_at.is_some() {
        let text = format!("attempt {} began", job.attempts.max(1));
        lines.push(line(job.started_at, "running", text));
    }
    let state = job.state.0.name();
    if job.ended_at.is_some() {
        let took = took(job).map(|took| format!(" after {took}"));
        let text = format!("{state}{}", took.unwrap_or_default());
        lines.push(line(job.ended_at, state, text));
    } else if let JobState::Retryable | JobState::Scheduled = job.state.0 {
        lines.push(line(job.run_at, state, format!("{state}: next attempt")));
    }
    if let Some(error) = &job.error {
        lines.push(line(None, state, error.clone()));
    }
    lines
}

fn pretty(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        value => serde_json::to_string_pretty(value).unwrap_or_default(),
    };
    cut(&text, LONGEST_PAYLOAD)
}

/// What was found as a table: `{"kind": [{…}, …]}`; none where that is nothing yet.
fn table(result: &Value) -> Option<Table> {
    let found = result.as_object()?.values().next()?.as_array()?;
    if found.is_empty() {
        return None;
    }
    let has = |column: &&str| found.iter().any(|row| row.get(column).is_some());
    let heads: Vec<&'static str> = COLUMNS.into_iter().filter(has).collect();
    let row = |found: &Value| Row {
        id: found.get("id").and_then(Value::as_str).map(str::to_owned),
        cells: heads
            .iter()
            .filter(|head| **head != "id")
            .map(|head| cell(found.get(head)))
            .collect(),
    };
    Some(Table {
        rows: found.iter().take(FINDINGS).map(row).collect(),
        more: found.len().saturating_sub(FINDINGS),
        heads,
    })
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::Bool(yes)) => if *yes { "yes" } else { "no" }.to_owned(),
        Some(Value::String(text)) => cut(text, LONGEST_CELL),
        Some(other) => cut(&other.to_string(), LONGEST_CELL),
    }
}
