//! The daemon's spans reach a collector, below the span of who submitted (feature `otlp`).

#![cfg(feature = "otlp")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use support::scene::Scene;
use support::talk::Daemon;

const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Takes whatever is posted, and hands on the head and the body.
fn collector() -> (SocketAddr, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (told, posted) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                let line = line.trim_end().to_ascii_lowercase();
                if let Some(bytes) = line.strip_prefix("content-length: ") {
                    length = bytes.parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
                head += &format!("{line}\n");
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let _ = told.send((head, serde_json::from_slice(&body).unwrap()));
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
            stream.get_mut().write_all(answer).unwrap();
        }
    });
    (address, posted)
}

/// Every span that was posted, where and how it is wanted.
fn all_spans(posted: &Receiver<(String, Value)>) -> Vec<Value> {
    let mut spans = Vec::new();
    while let Ok((head, body)) = posted.recv_timeout(Duration::from_millis(200)) {
        assert!(head.starts_with("post /our/traces http/1.1\n"), "{head}");
        for header in ["api-key: s3cret\n", "x-scope: a b\n"] {
            assert!(head.contains(header), "{head}");
        }
        let resource = &body["resourceSpans"][0];
        let service = attribute(&resource["resource"], "service.name");
        assert_eq!(service["stringValue"], "vvv-actors");
        let sent = &resource["scopeSpans"][0]["spans"];
        spans.extend(sent.as_array().unwrap().clone());
    }
    spans
}

/// Of the one piece of work that was given no trace.
fn a_trace_begins_with_its_submit(spans: &[Value]) {
    let begun: Vec<&Value> = spans
        .iter()
        .filter(|span| span["traceId"] != TRACE && span["name"] == "submit")
        .collect();
    assert_eq!(begun.len(), 1, "{spans:?}");
    assert_eq!(begun[0]["parentSpanId"], "");
    let below = |span: &&Value| span["parentSpanId"] == begun[0]["spanId"];
    let below: Vec<&Value> = spans
        .iter()
        .filter(below)
        .map(|span| &span["name"])
        .collect();
    assert_eq!(below, ["queued", "job"], "{spans:?}");
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    &found.unwrap_or_else(|| panic!("no {key} in {span}"))["value"]
}

#[test]
fn spans_reach_the_collector_below_the_span_that_submitted() {
    let (address, posted) = collector();
    let mut scene = Scene::new(PROGRAM, 3);
    // The one for traces goes before, and is taken as it is.
    let traces = format!("http://{address}/our/traces");
    scene.set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces);
    scene.set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    scene.set("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cret,x-scope=a%20b");
    let daemon = Daemon::start(&scene, &[]);
    let mut client = daemon.client();
    // Of a trace that nobody records we tell nothing either; work of none begins one.
    for flags in [Some("01"), Some("00"), None] {
        let mut job = json!({"kind": "score", "payload": {"video_ids": [scene.vault.ids[0]]}});
        if let Some(flags) = flags {
            job["traceparent"] = format!("00-{TRACE}-{PARENT}-{flags}").into();
        }
        let id = client.call("jobs.submit", job)["ids"][0].clone();
        let waited = client.call("jobs.wait", json!({"ids": [id], "timeout": "20s"}));
        assert_eq!(waited["ended"], true);
    }
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let spans = all_spans(&posted);
    let all: Vec<&Value> = spans
        .iter()
        .filter(|span| span["traceId"] == TRACE)
        .collect();
    let one = |name: &str| {
        let of: Vec<&&Value> = all.iter().filter(|span| span["name"] == name).collect();
        assert_eq!(of.len(), 1, "{name}: {spans:?}");
        *of[0]
    };
    for name in ["submit", "queued", "job"] {
        assert_eq!(one(name)["parentSpanId"], PARENT, "{name}");
    }
    for name in ["score", "commit"] {
        assert_eq!(one(name)["parentSpanId"], one("job")["spanId"], "{name}");
    }
    a_trace_begins_with_its_submit(&spans);
    let time = |span: &Value, key: &str| -> u128 { span[key].as_str().unwrap().parse().unwrap() };
    let (job, commit) = (one("job"), one("commit"));
    assert!(time(job, "startTimeUnixNano") <= time(commit, "startTimeUnixNano"));
    assert!(time(commit, "endTimeUnixNano") <= time(job, "endTimeUnixNano"));
    assert_eq!(attribute(job, "attempt")["intValue"], "1");
}

#[test]
fn a_collector_that_is_not_there_costs_a_line_and_nothing_else() {
    let mut scene = Scene::new(PROGRAM, 3);
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    scene.set("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{nobody}"));
    let daemon = Daemon::start(&scene, &[]);
    let mut client = daemon.client();
    let job = json!({"kind": "score", "payload": {"video_ids": scene.vault.ids}});
    let id = client.call("jobs.submit", job)["ids"][0].clone();
    let waited = client.call("jobs.wait", json!({"ids": [id], "timeout": "20s"}));
    assert_eq!(waited["ended"], true);
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = ended.stderr.matches("spans are not exported").count();
    assert_eq!(told, 1, "{}", ended.stderr);
}

#[test]
fn an_address_that_is_none_is_said_at_the_start() {
    let mut scene = Scene::new(PROGRAM, 1);
    scene.set("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost");
    let ended = Daemon::run(&scene, &scene.path("d.sock"), &[]).wait();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended.stderr.contains("OTEL_EXPORTER_OTLP_ENDPOINT"),
        "{ended:?}"
    );
}
