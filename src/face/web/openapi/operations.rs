//! What the API does, operation by operation.

use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::{Document, videos};
use crate::face::protocol::{
    Batch, Cancel, Cancelled, Changed, GroupState, JobDetail, JobEvent, LONGEST_TEXT, List, Listed,
    Purged, QueueEvent, Queues, Retried, Retry, StatusReport, Submit, SubmitBatch, Submitted,
    Waited,
};
use crate::face::web::api::wire::Lagged;

pub(super) fn names(names: &[&str]) -> Value {
    json!({"type": "string", "enum": names})
}

fn whole(least: i64) -> Value {
    json!({"type": "integer", "format": "int64", "minimum": least})
}

/// Every operation, as `api::resources` has them.
pub(super) fn describe(document: &mut Document) {
    jobs(document);
    changes_of_jobs(document);
    groups(document);
    queues(document);
    videos::describe(document);
    rest(document);
}

fn jobs(document: &mut Document) {
    let states = "One state or several, set apart by commas.";
    document
        .operation("get", "/jobs", "Lists jobs, newest first.")
        .query("state", states, json!({"type": "string"}))
        .query(
            "queue",
            "Only of this queue.",
            names(&["scoring", "thumbnails", "cleanup"]),
        )
        .query(
            "kind",
            "Only of this kind.",
            names(&["score", "thumbnails", "liveness"]),
        )
        .query("group", "Only of this group.", whole(0))
        .query(
            "unique_key",
            "Only the one with this key.",
            json!({"type": "string"}),
        )
        .query(
            "text",
            "Only those whose payload, key or error holds this.",
            json!({"type": "string", "maxLength": LONGEST_TEXT}),
        )
        .query(
            "before",
            "Only those before this one: the last page's `next`.",
            whole(0),
        )
        .query(
            "limit",
            "How many.",
            json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": List::default().limit}),
        )
        .answer::<Listed>("200", "A page of them.")
        .end();
    document
        .operation("get", "/jobs/{id}", "Everything of one job.")
        .answer::<JobDetail>("200", "The job.")
        .end();
    waiting(document, "/jobs/{id}/wait", "Waits for a job's end.");
}

fn changes_of_jobs(document: &mut Document) {
    document
        .operation(
            "post",
            "/jobs",
            "Queues work of any size that a body of 1 MiB holds, some 70,000 ids. Answered after the commit.",
        )
        .traced()
        .body::<Submit>()
        .answer::<Submitted>("202", "Its jobs.")
        .end();
    document
        .operation("post", "/jobs/cancel", "Cancels jobs that have not ended.")
        .body::<Cancel>()
        .answer::<Cancelled>("200", "Those it cancelled, and why not the others.")
        .end();
    document
        .operation(
            "post",
            "/jobs/retry",
            "Has failed and cancelled jobs done again.",
        )
        .body::<Retry>()
        .answer::<Retried>("200", "Those that will be, and why not the others.")
        .end();
}

fn waiting(document: &mut Document, path: &'static str, summary: &str) {
    document
        .operation("get", path, summary)
        .query(
            "timeout",
            "So long at most, such as `30s`, which it is without it; `60s` is the most.",
            json!({"type": "string", "pattern": "^[0-9]{1,4}(ms|s)$"}),
        )
        .answer::<Waited>("200", "What was seen at the end of the wait.")
        .end();
}

fn groups(document: &mut Document) {
    document
        .operation(
            "post",
            "/batches",
            "Queues all that a batch file asks for, as one group.",
        )
        .traced()
        .body::<SubmitBatch>()
        .answer::<Batch>("202", "The group and its jobs.")
        .end();
    document
        .operation("get", "/groups/{id}", "How far a group is.")
        .answer::<GroupState>("200", "The group.")
        .end();
    waiting(document, "/groups/{id}/wait", "Waits for a group's end.");
    document
        .operation(
            "get",
            "/groups/{id}/report",
            "What its jobs found: the report of `vvv-actors batch`. Of a group with more than 50,000 items \
             there is none: its jobs are listed page by page.",
        )
        .answer_as(
            "200",
            "The report; what has no answer yet is not done.",
            "application/json",
            json!({
                "type": "object",
                "required": ["summary"],
                "properties": {
                    "scoring": {"type": "object"},
                    "thumbnails": {"type": "object"},
                    "liveness": {"type": "object"},
                    "summary": {"type": "object"},
                },
            }),
        )
        .end();
}

fn queues(document: &mut Document) {
    document
        .operation("get", "/queues", "Every queue with what waits in it.")
        .answer::<Queues>("200", "The queues.")
        .end();
    document
        .operation(
            "post",
            "/queues/{queue}/pause",
            "Pauses a queue until it is resumed.",
        )
        .answer::<Changed>("200", "Whether it was otherwise before.")
        .end();
    document
        .operation("post", "/queues/{queue}/resume", "Lets a queue go on.")
        .answer::<Changed>("200", "Whether it was otherwise before.")
        .end();
    document
        .operation(
            "post",
            "/queues/{queue}/purge",
            "Cancels every job of a queue that waits.",
        )
        .answer::<Purged>("200", "How many.")
        .end();
}

/// An event of a stream: its `data` is one line of JSON.
fn event(document: &mut Document, name: &str, data: fn(&mut SchemaGenerator) -> Schema) -> Value {
    let data = data(&mut document.gives);
    json!({
        "type": "object",
        "required": ["event", "data"],
        "properties": {
            "event": {"const": name},
            "id": {"type": "string"},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": data,
            },
        },
    })
}

fn rest(document: &mut Document) {
    let events = [
        event(document, "job", SchemaGenerator::subschema_for::<JobEvent>),
        event(
            document,
            "queue",
            SchemaGenerator::subschema_for::<QueueEvent>,
        ),
        event(document, "lagged", SchemaGenerator::subschema_for::<Lagged>),
    ];
    // What JSON Schema has for a text that holds something else.
    let stream = json!({
        "type": "string",
        "contentMediaType": "text/event-stream",
        "contentSchema": {"type": "array", "items": {"oneOf": events}},
    });
    document
        .operation("get", "/status", "How everything fares.")
        .answer::<StatusReport>("200", "It.")
        .end();
    document
        .operation(
            "get",
            "/events",
            "Streams events: `job`, `queue` and, where some were missed, `lagged`.",
        )
        .header(
            "Last-Event-ID",
            "The `id` of the last event that was heard: goes on after it.",
        )
        .query(
            "queue",
            "Only of this queue.",
            names(&["scoring", "thumbnails", "cleanup"]),
        )
        .query(
            "state",
            "Only into these states, set apart by commas.",
            json!({"type": "string"}),
        )
        .answer_as("200", "The stream.", "text/event-stream", stream)
        .end();
    document
        .operation("get", "/openapi.json", "This.")
        .answer_as("200", "It.", "application/json", json!({"type": "object"}))
        .end();
}
