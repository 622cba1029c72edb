//! From spans as `tracing` has them to spans as a collector takes them.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::sender::Queue;
use crate::engine::{Hex, TraceParent};
use crate::face::text::plain;

/// The most of one text that is sent, in bytes.
const LONGEST_FIELD: usize = 512;
/// The most events of one span that are kept.
const EVENTS: usize = 64;

/// Gathers what spans say and hands them on as they close.
pub(super) struct Spans(Queue);

impl Spans {
    pub(super) const fn new(queue: Queue) -> Self {
        Self(queue)
    }
}

/// A span on its way.
pub(super) struct Told {
    pub(super) name: &'static str,
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    pub(super) parent_id: Option<[u8; 8]>,
    /// Whether who began the trace records it.
    sampled: bool,
    pub(super) began_ns: u128,
    pub(super) ended_ns: u128,
    pub(super) fields: Fields,
    pub(super) events: Vec<Happened>,
    /// What went wrong, if anything did.
    pub(super) wrong: Option<String>,
}

/// Something that happened within a span.
pub(super) struct Happened {
    pub(super) at_ns: u128,
    pub(super) message: String,
    pub(super) fields: Fields,
}

impl Told {
    /// A span below `parent`, else below the one that `traceparent` names, else the first of a trace.
    fn begin(name: &'static str, parent: Option<&Self>, mut fields: Fields) -> Self {
        let remote: Option<TraceParent> = fields
            .take("traceparent")
            .and_then(|text| text.as_str()?.parse().ok());
        let (trace_id, parent_id, sampled) = match (parent, remote) {
            (Some(parent), _) => (parent.trace_id, Some(parent.span_id), parent.sampled),
            (None, Some(remote)) => (remote.trace_id, Some(remote.parent_id), remote.is_sampled()),
            (None, None) => (fastrand::u128(1..).to_be_bytes(), None, true),
        };
        let now_ns = now_ns();
        let waited_ms = fields.get("waited_ms").and_then(Value::as_u64).unwrap_or(0);
        Self {
            name,
            trace_id,
            span_id: fastrand::u64(1..).to_be_bytes(),
            parent_id,
            sampled,
            began_ns: now_ns.saturating_sub(u128::from(waited_ms) * 1_000_000),
            ended_ns: now_ns,
            fields,
            events: Vec::new(),
            wrong: None,
        }
    }

    /// Is told more. A `traceparent` that comes this late names the span itself, which begins a trace.
    fn hear(&mut self, mut more: Fields) {
        let named = more.take("traceparent");
        if let Some(named) = named.and_then(|text| text.as_str()?.parse::<TraceParent>().ok()) {
            (self.trace_id, self.span_id) = (named.trace_id, named.parent_id);
            self.parent_id = None;
        }
        self.fields.0.append(&mut more.0);
    }

    fn add(&mut self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.take("message").unwrap_or_default();
        let message = message.as_str().unwrap_or_default().to_owned();
        if *event.metadata().level() <= Level::WARN {
            self.wrong = Some(message.clone());
        }
        if self.events.len() < EVENTS {
            self.events.push(Happened {
                at_ns: now_ns(),
                message,
                fields,
            });
        }
    }
}

fn now_ns() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos())
}

impl<S> Layer<S> for Spans
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = span.parent();
        let told = match &parent {
            Some(parent) => Told::begin(span.name(), parent.extensions().get(), fields),
            None => Told::begin(span.name(), None, fields),
        };
        span.extensions_mut().replace(told);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(told) = span.extensions_mut().get_mut::<Told>() {
            let mut more = Fields::default();
            values.record(&mut more);
            told.hear(more);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else {
            return;
        };
        if let Some(told) = span.extensions_mut().get_mut::<Told>() {
            told.add(event);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let told = span.extensions_mut().remove::<Told>();
        if let Some(mut told) = told.filter(|told| told.sampled) {
            told.ended_ns = now_ns();
            self.0.send(told);
        }
    }
}

/// Fields of a span or an event, each text escaped and cut.
#[derive(Default)]
pub(super) struct Fields(pub(super) Vec<(&'static str, Value)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value)
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.push((field.name(), value.into()));
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, plain(value, LONGEST_FIELD));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, plain(format_args!("{value:?}"), LONGEST_FIELD));
    }
}

/// An id as OTLP's JSON has it.
pub(super) fn hex<const N: usize>(id: [u8; N]) -> String {
    Hex(id).to_string()
}
