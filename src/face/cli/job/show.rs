//! Jobs for people: a table of many, a card of one.

use std::fmt::Write as _;

use super::super::daemon_link::{Source, since};
use crate::engine::{Findings, JobId};
use crate::face::exit::{Code, Failure};
use crate::face::one_shot::failure;
use crate::face::protocol::{Get, Job, JobDetail, JobLine, Listed, Time};
use crate::face::report::found::{by_reason, tally, unknown, unscored};
use crate::face::tables::{cell, number, table};
use crate::face::text::plain;

/// The most of one line that is printed, in bytes.
const LONGEST_LINE: usize = 4096;

/// One job, from whoever has it.
pub(super) fn get(source: &mut Source, id: i64) -> Result<JobDetail, Failure> {
    match source {
        Source::Daemon(client) => Ok(client.ask(&Get { id })?.job),
        Source::File(view) => match view.job(JobId(id)).map_err(failure)? {
            Some(job) => Ok(job.into()),
            None => {
                let error = anyhow::anyhow!("show job {id}: there is none");
                Err(Failure::new(Code::Failed, error))
            }
        },
    }
}

/// A page of jobs as a table.
pub(super) fn lines(listed: &Listed) -> String {
    if listed.jobs.is_empty() {
        return "no such jobs\n".to_owned();
    }
    let mut text = of(&listed.jobs);
    if let Some(next) = listed.next {
        let _ = writeln!(text, "\nthere are more: --before {next}");
    }
    text
}

/// Jobs as a table.
pub(super) fn of(jobs: &[Job]) -> String {
    let mut table = table(&[
        "job",
        "kind",
        "state",
        "items",
        "attempts",
        "group",
        "last move",
        "why",
    ]);
    for job in jobs {
        table.add_row(vec![
            number(job.id),
            cell(job.kind.as_deref().unwrap_or("-")),
            cell(job.state.0.name()),
            number(job.items),
            number(job.attempts),
            number(
                job.group
                    .map_or_else(|| "-".to_owned(), |id| id.to_string()),
            ),
            cell(since(last_move(job))),
            cell(job.error.as_deref().unwrap_or("")),
        ]);
    }
    format!("{table}\n")
}

fn last_move(job: &Job) -> Option<Time> {
    job.ended_at.or(job.started_at).or(job.queued_at)
}

/// What a job found; none if that cannot be read, or is nothing.
pub(super) fn findings(job: &JobDetail) -> Option<Findings> {
    let found: Findings = serde_json::from_value(job.result.clone()?).ok()?;
    Some(found).filter(|found| !found.is_empty())
}

/// Everything of a job, a line each.
pub(super) fn card(job: &JobDetail) -> String {
    let mut text = String::new();
    let mut add = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{name:<12} {}", plain(value, LONGEST_LINE));
    };
    let summary = &job.summary;
    add("job", &summary.id);
    add("kind", &summary.kind.as_deref().unwrap_or("-"));
    add("state", &summary.state.0.name());
    if let Some(error) = &summary.error {
        add("why", error);
    }
    if let Some(queue) = summary.queue {
        add("queue", &queue.0);
    }
    add("priority", &summary.priority);
    add("items", &summary.items);
    if let Some(found) = findings(job) {
        add("answers", &tally(&found));
        for (name, items) in [("unknown", unknown(&found)), ("no score", unscored(&found))] {
            for line in by_reason(items) {
                add(name, &line);
            }
        }
    }
    add("attempts", &summary.attempts);
    if summary.crashes > 0 {
        add("crashes", &summary.crashes);
    }
    if let Some(group) = summary.group {
        add("group", &group);
    }
    if let Some(key) = &summary.unique_key {
        add("unique key", key);
    }
    if let Some(trace) = &job.traceparent {
        add("traceparent", &trace.0);
    }
    for (name, time) in [
        ("queued", summary.queued_at),
        ("not before", summary.run_at),
        ("started", summary.started_at),
        ("ended", summary.ended_at),
    ] {
        if let Some(time) = time {
            add(name, &format!("{time} ({})", since(Some(time))));
        }
    }
    add("payload", &job.payload);
    if let Some(remaining) = &job.remaining {
        add("remaining", remaining);
    }
    if let Some(result) = &job.result {
        add("found", result);
    }
    for line in &job.log {
        let JobLine { at, level, text } = line;
        add("log", &format!("{at} {level} {text}"));
    }
    text.push('\n');
    text
}
