//! What the API does, operation by operation.

use serde_json::{Value, json};

use super::Document;
use crate::face::protocol::{
    Batch, Cancel, Cancelled, Changed, GroupState, JobDetail, Listed, Purged, Queues, Retried,
    Retry, StatusReport, Submit, SubmitBatch, Submitted, Waited,
};
use crate::face::web::api::videos::Check;
use crate::face::web::api::wire::{
    Counts, History, LivenessCheck, Paged, ScoredVideo, ThumbnailCheck,
};

fn names(names: &[&str]) -> Value {
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
    videos(document);
    checks(document);
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
            json!({"type": "string", "maxLength": 64}),
        )
        .query(
            "before",
            "Only those before this one: the last page's `next`.",
            whole(0),
        )
        .query(
            "limit",
            "How many; 100 without it.",
            json!({"type": "integer", "minimum": 1, "maximum": 1000}),
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
            "Queues work; any number of items. Answered after the commit.",
        )
        .traced()
        .body::<Submit>()
        .answer::<Submitted>("202", "Its jobs.")
        .end();
    document
        .operation("post", "/jobs/cancel", "Cancels jobs that have not ended.")
        .body::<Cancel>()
        .answer::<Cancelled>("200", "Those it cancelled.")
        .end();
    document
        .operation(
            "post",
            "/jobs/retry",
            "Has failed and cancelled jobs done again.",
        )
        .body::<Retry>()
        .answer::<Retried>("200", "Those that will be.")
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
            "What its jobs found: the report of `vvv-actors batch`.",
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

const AFTER: &str = "Only those after this place: the last page's `next`.";

fn page_size() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": 1000})
}

fn videos(document: &mut Document) {
    document
        .operation("get", "/videos", "Videos by score, highest first.")
        .query("region", "Only of this region.", json!({"type": "string"}))
        .query(
            "label",
            "Only these.",
            names(&["VIRAL", "TRENDING", "NORMAL"]),
        )
        .query("after", AFTER, json!({"type": "string"}))
        .query("limit", "How many; 100 without it.", page_size())
        .answer::<Paged<ScoredVideo>>("200", "A page of them.")
        .end();
    document
        .operation("get", "/regions", "How many scores each region has.")
        .answer::<Counts>("200", "The counts.")
        .end();
    document
        .operation(
            "get",
            "/videos/{video_id}",
            "All that is known of a video, and why.",
        )
        .answer_as(
            "200",
            "The video.",
            "application/json",
            json!({
                "type": "object",
                "required": ["video_id", "in_site", "score", "thumbnail", "liveness", "snapshots"],
            }),
        )
        .end();
    document
        .operation(
            "get",
            "/videos/{video_id}/history",
            "The snapshots of a video, newest first.",
        )
        .query(
            "limit",
            "How many; 100 without it.",
            json!({"type": "integer", "minimum": 1, "maximum": 500}),
        )
        .answer::<History>("200", "The snapshots; none of a video nobody knows.")
        .end();
    document
        .operation(
            "post",
            "/videos/{video_id}/check",
            "Has a video scored or asked for anew.",
        )
        .traced()
        .body::<Check>()
        .answer::<Submitted>("202", "Its job.")
        .end();
}

fn checks(document: &mut Document) {
    let statuses = ["valid", "placeholder", "broken", "error", "unknown"];
    document
        .operation(
            "get",
            "/thumbnails",
            "The latest check of each thumbnail, newest first.",
        )
        .query("status", "Only these.", names(&statuses))
        .query("after", AFTER, json!({"type": "string"}))
        .query("limit", "How many; 100 without it.", page_size())
        .answer::<Paged<ThumbnailCheck>>("200", "A page of them.")
        .end();
    document
        .operation("get", "/thumbnails/counts", "How many came out how.")
        .answer::<Counts>("200", "The counts.")
        .end();
    let verdicts = ["alive", "dead", "invalid", "unknown"];
    document
        .operation(
            "get",
            "/liveness",
            "The latest check of each video, newest first.",
        )
        .query("verdict", "Only these.", names(&verdicts))
        .query("after", AFTER, json!({"type": "string"}))
        .query("limit", "How many; 100 without it.", page_size())
        .answer::<Paged<LivenessCheck>>("200", "A page of them.")
        .end();
    document
        .operation("get", "/liveness/counts", "How many came out how.")
        .answer::<Counts>("200", "The counts.")
        .end();
    document
        .operation(
            "get",
            "/liveness.csv",
            "The same as CSV, 100,000 rows at most.",
        )
        .query("verdict", "Only these.", names(&verdicts))
        .answer_as("200", "The rows.", "text/csv", json!({"type": "string"}))
        .end();
}

fn rest(document: &mut Document) {
    document
        .operation("get", "/status", "How everything fares.")
        .answer::<StatusReport>("200", "It.")
        .end();
    document
        .operation(
            "get",
            "/events",
            "Streams events: `job`, `queue` and, where some were missed, `lagged`. \
             `Last-Event-ID` goes on where one was.",
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
        .answer_as(
            "200",
            "The stream.",
            "text/event-stream",
            json!({"type": "string"}),
        )
        .end();
    document
        .operation("get", "/openapi.json", "This.")
        .answer_as("200", "It.", "application/json", json!({"type": "object"}))
        .end();
}
