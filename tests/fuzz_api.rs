//! Whatever is asked, the API answers as `conf/openapi.json` says: many requests for each of its
//! operations, right by the document or spoilt in one place, over a real server. The seed is fixed;
//! `VVV_SEED` is another one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "fuzz_api/cases.rs"]
mod cases;
#[path = "fuzz_api/document.rs"]
mod document;
#[path = "fuzz_api/junk.rs"]
mod junk;
mod support;

use std::collections::BTreeSet;

use serde_json::json;
use support::engine::{EngineScene, stop};
use support::http::{Answer, Events, Request, Server};
use support::vault::VaultSpec;

use cases::{Case, Cases};
use document::{Document, Operation};

/// Requests for each operation: 1,215 for the 27 there are.
const EACH: usize = 45;
const SEED: u64 = 20_261_125;

#[test]
fn whatever_is_asked_the_answer_is_a_documented_one() {
    let scene = EngineScene::of(VaultSpec::new(20));
    let engine = scene.start();
    let server = Server::open(&engine, "");
    // There is something to be found.
    let ids = &scene.vault.ids;
    let batch = json!({"new_videos": [{"video_id": ids[0]}], "stale_ids": [ids[1]]});
    server.post("/api/v1/batches", &batch).well();
    let document = Document::read();
    let seed = std::env::var("VVV_SEED").ok();
    let seed = seed.map_or(SEED, |seed| seed.parse().unwrap());
    let thumbnail = scene.site.url("/vi/x/hqdefault.jpg");
    let mut cases = Cases::new(&document, ids.clone(), thumbnail, seed);
    let (mut wrong, mut answered) = (Vec::new(), BTreeSet::new());
    for round in 0..EACH {
        for operation in document.operations() {
            let case = cases.of(&operation, round % 3 != 0);
            let answer = ask(&server, &operation, &case);
            if answer.status < 300 {
                answered.insert(operation.name());
            }
            if let Err(why) = judge(&document, &operation, &answer) {
                wrong.push(format!("{case}: {}: {why}", answer.status));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of them:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // Else the cases are poor ones.
    for operation in document.operations() {
        let name = operation.name();
        assert!(answered.contains(&name), "{name} was never answered well");
    }
    assert_eq!(server.get("/readyz").status, 200);
    drop(server);
    stop(&engine);
}

fn ask(server: &Server, operation: &Operation, case: &Case) -> Answer {
    let stream = server.send(&case.request());
    if operation.path == "/events" {
        Answer::begun(stream)
    } else {
        Answer::of(stream)
    }
}

/// What is not as the document says.
fn judge(document: &Document, operation: &Operation, answer: &Answer) -> Result<(), String> {
    if answer.status >= 500 {
        return Err(answer.text());
    }
    let responses = &operation.described["responses"];
    let named = responses.get(answer.status.to_string());
    let is_refusal = answer.status >= 400;
    let described = match named {
        Some(described) => described,
        None if is_refusal => &responses["default"],
        None => return Err("no such status is documented".to_owned()),
    };
    let Some(content) = described["content"].as_object() else {
        return Err("no such answer was asked for".to_owned());
    };
    let told = answer.headers.get("content-type").map(String::as_str);
    let told = told
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    let Some(content) = content.get(told) else {
        return Err(format!("the content type {told:?} is not documented"));
    };
    if !told.ends_with("json") {
        return Ok(());
    }
    let body = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    document.check(&content["schema"], &body)?;
    if is_refusal && body["status"] != answer.status {
        return Err(format!("the problem tells another status: {body}"));
    }
    Ok(())
}

#[test]
fn what_a_stream_tells_is_documented_too() {
    let scene = EngineScene::of(VaultSpec::new(1));
    let engine = scene.start();
    let server = Server::open(&engine, "");
    // The first event says that some were missed.
    let listen = Request::new("GET", "/api/v1/events").header("Last-Event-ID", "of another run");
    let events = Events::of(server.send(&listen));
    server
        .post("/api/v1/queues/scoring/pause", &json!({}))
        .well();
    let work = json!({"kind": "score", "payload": {"video_ids": scene.vault.ids}});
    server.post("/api/v1/jobs", &work).well();
    let document = Document::read();
    let operations = document.operations();
    let stream = operations.iter().find(|it| it.path == "/events").unwrap();
    let stream = &stream.described["responses"]["200"]["content"]["text/event-stream"]["schema"];
    let described = stream["contentSchema"]["items"]["oneOf"]
        .as_array()
        .unwrap();
    let described: Vec<_> = described.iter().map(|it| &it["properties"]).collect();
    let mut heard = BTreeSet::new();
    for event in events.take(3) {
        let schema = described
            .iter()
            .find(|it| it["event"]["const"] == *event.name);
        let data = &schema.unwrap()["data"]["contentSchema"];
        assert_ne!(data, &json!(null), "{event:?}");
        document.check(data, &event.data).unwrap();
        assert!(document.check(data, &json!({})).is_err(), "{data}");
        heard.insert(event.name);
    }
    let named = described
        .iter()
        .map(|it| it["event"]["const"].as_str().unwrap());
    assert_eq!(heard, named.map(str::to_owned).collect());
    drop(server);
    stop(&engine);
}
