//! The API as OpenAPI 3.1, made of the types it reads and writes. Tests hold that the file we ship
//! and serve is up to date; `VVV_BLESS=1 cargo test --lib openapi` writes it anew.

#![allow(
    clippy::needless_pass_by_value,
    reason = "schemas are written where they are passed"
)]

use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::api::resources;
use super::api::videos::Check;
use super::api::wire::{Counts, History, LivenessCheck, Paged, ScoredVideo, ThumbnailCheck};
use crate::face::protocol::{
    Batch, Cancel, Cancelled, Changed, GroupState, JobDetail, Listed, Purged, Queues, Retried,
    Retry, StatusReport, Submit, SubmitBatch, Submitted, Waited,
};

/// What goes wrong, as RFC 9457 has it told.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Problem {
    /// `urn:vvv-actors:` and the kind of problem.
    r#type: String,
    /// What the status means.
    title: String,
    /// The status.
    status: u16,
    /// What is wrong, for people.
    detail: String,
    /// The parameter or the key of the body at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

struct Document {
    takes: SchemaGenerator,
    gives: SchemaGenerator,
    paths: Map<String, Value>,
}

/// One operation, while it is described.
struct Operation<'a> {
    document: &'a mut Document,
    path: &'static str,
    method: &'static str,
    described: Value,
}

impl Document {
    fn operation(
        &mut self,
        method: &'static str,
        path: &'static str,
        summary: &str,
    ) -> Operation<'_> {
        let tag = path.split('/').nth(1).unwrap_or_default();
        let name = path.replace(['/', '{', '}', '.'], "_");
        let problem = self.gives.subschema_for::<Problem>();
        let refused = json!({
            "description": "Why not.",
            "content": {"application/problem+json": {"schema": problem}},
        });
        let described = json!({
            "operationId": format!("{method}{name}"),
            "summary": summary,
            "tags": [tag],
            "parameters": path_parameters(path),
            "responses": {"default": refused},
        });
        Operation {
            document: self,
            path,
            method,
            described,
        }
    }
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(name.split(':').next().unwrap_or(name))
    });
    let described = names.map(|name| {
        let schema = match name {
            "id" => json!({"type": "integer", "format": "int64"}),
            "queue" => json!({"enum": ["scoring", "thumbnails", "cleanup"]}),
            _ => json!({"type": "string", "minLength": 1}),
        };
        json!({"name": name, "in": "path", "required": true, "schema": schema})
    });
    described.collect()
}

impl Operation<'_> {
    fn query(mut self, name: &str, description: &str, schema: Value) -> Self {
        if let Some(parameters) = self.described["parameters"].as_array_mut() {
            parameters.push(json!({
                "name": name, "in": "query", "description": description, "schema": schema,
            }));
        }
        self
    }

    fn body<T: JsonSchema>(mut self) -> Self {
        let schema = self.document.takes.subschema_for::<T>();
        self.described["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": schema}},
        });
        self
    }

    fn answer<T: JsonSchema>(self, status: &str, description: &str) -> Self {
        let schema = self.document.gives.subschema_for::<T>();
        self.answer_as(status, description, "application/json", schema.to_value())
    }

    fn answer_as(mut self, status: &str, description: &str, kind: &str, schema: Value) -> Self {
        self.described["responses"][status] = json!({
            "description": description,
            "content": {kind: {"schema": schema}},
        });
        if status == "200" && self.method == "get" {
            self.described["responses"]["304"] =
                json!({"description": "It is what `If-None-Match` names."});
        }
        self
    }

    fn end(self) {
        let item = self.document.paths.entry(self.path);
        let item = item.or_insert_with(|| json!({}));
        item[self.method] = self.described;
    }
}

fn names(names: &[&str]) -> Value {
    json!({"type": "string", "enum": names})
}

fn whole(least: i64) -> Value {
    json!({"type": "integer", "format": "int64", "minimum": least})
}

/// OpenAPI 3.1 speaks JSON Schema 2020-12, and keeps its definitions elsewhere.
fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        "/components/schemas".clone_into(&mut settings.definitions_path.to_mut());
    })
}

fn document() -> Value {
    let mut document = Document {
        takes: settings().for_deserialize().into_generator(),
        gives: settings().for_serialize().into_generator(),
        paths: Map::new(),
    };
    jobs(&mut document);
    groups_and_queues(&mut document);
    videos(&mut document);
    checks(&mut document);
    rest(&mut document);
    let mut schemas = document.gives.take_definitions(true);
    // What is both read and written is told as it is read, which is the stricter of the two.
    schemas.append(&mut document.takes.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "vvv-actors",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Background work for a video site. Paths are below the scope's own, \
                `/` for a daemon. Reads have an `ETag`. A page in a browser sends its session's \
                `X-CSRF-Token` with every write; a program sends a token.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}, {}],
        "paths": document.paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
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
        .operation(
            "post",
            "/jobs",
            "Queues work; any number of items. Answered after the commit.",
        )
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
    document
        .operation("get", "/jobs/{id}", "Everything of one job.")
        .answer::<JobDetail>("200", "The job.")
        .end();
    waiting(document, "/jobs/{id}/wait", "Waits for a job's end.");
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

fn groups_and_queues(document: &mut Document) {
    document
        .operation(
            "post",
            "/batches",
            "Queues all that a batch file asks for, as one group.",
        )
        .body::<SubmitBatch>()
        .answer::<Batch>("202", "The group and its jobs.")
        .end();
    document
        .operation("get", "/groups/{id}", "How far a group is.")
        .answer::<GroupState>("200", "The group.")
        .end();
    waiting(document, "/groups/{id}/wait", "Waits for a group's end.");
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

#[test]
fn the_document_that_is_shipped_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/openapi.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&document()).unwrap());
    if std::env::var_os("VVV_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let shipped = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        shipped == text,
        "conf/openapi.json is out of date: VVV_BLESS=1 cargo test --lib openapi"
    );
}

#[test]
fn what_is_served_is_described_and_the_other_way_round() {
    let document = document();
    let mut described: Vec<(String, String)> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.push((path.clone(), method.to_uppercase()));
        }
    }
    described.sort();
    let mut served: Vec<(String, String)> = resources()
        .into_iter()
        .flat_map(|(path, routes)| {
            let methods = routes.into_iter().map(|(method, _)| method);
            methods.map(move |method| (path.to_owned(), method.to_string()))
        })
        .collect();
    served.sort();
    assert_eq!(described, served);
}
