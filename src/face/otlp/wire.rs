//! OTLP's JSON: ids are hexadecimal, 64-bit numbers are text.

use serde_json::{Value, json};

use super::layer::{Fields, Happened, Told, hex};

/// What one request to the collector says.
pub(super) fn request(spans: &[Told]) -> Value {
    let resource = [
        ("service.name", "vvv-actors"),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let resource = resource.map(|(key, text)| json!({"key": key, "value": {"stringValue": text}}));
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{
            "scope": {"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")},
            "spans": spans.iter().map(span).collect::<Vec<Value>>(),
        }],
    }]})
}

fn span(told: &Told) -> Value {
    let status = |wrong: &String| json!({"code": ERROR, "message": wrong});
    json!({
        "traceId": hex(told.trace_id),
        "spanId": hex(told.span_id),
        "parentSpanId": told.parent_id.map(hex).unwrap_or_default(),
        "name": told.name,
        "kind": kind(told.name),
        "startTimeUnixNano": told.began_ns.to_string(),
        "endTimeUnixNano": told.ended_ns.to_string(),
        "attributes": attributes(&told.fields),
        "events": told.events.iter().map(event).collect::<Vec<Value>>(),
        "status": told.wrong.as_ref().map_or_else(|| json!({}), status),
    })
}

/// A status that something went wrong.
const ERROR: u8 = 2;

/// `PRODUCER`, `CONSUMER`, `CLIENT` or `INTERNAL`.
fn kind(name: &str) -> u8 {
    match name {
        "submit" => 4,
        "job" => 5,
        "fetch" => 3,
        _ => 1,
    }
}

fn event(event: &Happened) -> Value {
    json!({
        "timeUnixNano": event.at_ns.to_string(),
        "name": event.message,
        "attributes": attributes(&event.fields),
    })
}

fn attributes(fields: &Fields) -> Vec<Value> {
    let attribute = |(key, value): &(&'static str, Value)| {
        let value = match value {
            Value::Bool(yes) => json!({"boolValue": yes}),
            Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
            Value::Number(number) => json!({"intValue": number.to_string()}),
            Value::String(text) => json!({"stringValue": text}),
            other => json!({"stringValue": other.to_string()}),
        };
        json!({"key": key, "value": value})
    };
    fields.0.iter().map(attribute).collect()
}
