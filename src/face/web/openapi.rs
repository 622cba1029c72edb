//! The API as OpenAPI 3.1, made of the types it reads and writes. Tests hold that the file we ship
//! and serve is up to date; `VVV_BLESS=1 cargo test --lib openapi` writes it anew.

#![allow(
    clippy::needless_pass_by_value,
    reason = "schemas are written where they are passed"
)]

mod operations;
mod videos;

use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::api::resources;

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
    pub(super) fn operation(
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
    pub(super) fn query(mut self, name: &str, description: &str, schema: Value) -> Self {
        if let Some(parameters) = self.described["parameters"].as_array_mut() {
            parameters.push(json!({
                "name": name, "in": "query", "description": description, "schema": schema,
            }));
        }
        self
    }

    /// It may name the trace it belongs to.
    pub(super) fn traced(self) -> Self {
        let description = "W3C Trace Context, version 00: the trace the jobs belong to. One that \
            cannot be read is ignored.";
        self.header("traceparent", description)
    }

    pub(super) fn header(mut self, name: &str, description: &str) -> Self {
        if let Some(parameters) = self.described["parameters"].as_array_mut() {
            parameters.push(json!({
                "name": name, "in": "header", "description": description,
                "schema": {"type": "string"},
            }));
        }
        self
    }

    pub(super) fn body<T: JsonSchema>(mut self) -> Self {
        let schema = self.document.takes.subschema_for::<T>();
        self.described["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": schema}},
        });
        self
    }

    pub(super) fn answer<T: JsonSchema>(self, status: &str, description: &str) -> Self {
        let schema = self.document.gives.subschema_for::<T>();
        self.answer_as(status, description, "application/json", schema.to_value())
    }

    pub(super) fn answer_as(
        mut self,
        status: &str,
        description: &str,
        kind: &str,
        schema: Value,
    ) -> Self {
        self.described["responses"][status] = json!({
            "description": description,
            "content": {kind: {"schema": schema}},
        });
        // What comes as a stream has no `ETag`.
        if status == "200" && self.method == "get" && kind == "application/json" {
            self.described["responses"]["304"] =
                json!({"description": "It is what `If-None-Match` names."});
        }
        self
    }

    pub(super) fn end(self) {
        let item = self.document.paths.entry(self.path);
        let item = item.or_insert_with(|| json!({}));
        item[self.method] = self.described;
    }
}

/// OpenAPI 3.1 speaks JSON Schema 2020-12, and keeps its definitions elsewhere.
fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        "/components/schemas".clone_into(settings.definitions_path.to_mut());
    })
}

fn document() -> Value {
    let mut document = Document {
        takes: settings().for_deserialize().into_generator(),
        gives: settings().for_serialize().into_generator(),
        paths: Map::new(),
    };
    operations::describe(&mut document);
    let mut schemas = document.gives.take_definitions(true);
    // What is both read and written is told as it is read, which is the stricter of the two.
    schemas.append(&mut document.takes.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "vvv-actors",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Background work for a video site. Paths are below the scope's own, \
                `/` for a daemon. Reads of JSON have an `ETag`. A page in a browser sends its session's \
                `X-CSRF-Token` with every write; a program sends a token.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "../v1", "description": "As it was asked for, wherever that is."}],
        "security": [{"token": []}, {}],
        "paths": document.paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
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
