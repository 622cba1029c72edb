//! The spans of a job, from its submit to the commit of its outcome. Those of a job named by a
//! `traceparent` carry it, so that whoever exports them finds the span that asked.
//!
//! What an attempt is made of is told at debug level: where nobody wants it, a span costs one look
//! at a flag.

use tracing::Span;
use tracing::field::{Empty, display};

use crate::domain::trace::TraceParent;
use crate::store::{ClaimedJob, Moment};

/// Work on its way into the queue, until the commit.
#[must_use]
pub fn submit(trace: Option<TraceParent>) -> Span {
    tracing::debug_span!(
        "submit",
        jobs = Empty,
        trace_id = trace.map(|trace| display(trace.trace())),
        traceparent = trace.map(display),
    )
}

/// The trace of submitted work: the one it was given, or one that its submit begins where anybody
/// collects spans. A `traceparent` that a span is told later names that span itself.
#[must_use]
pub fn trace_of(submit: &Span, given: Option<TraceParent>) -> Option<TraceParent> {
    if given.is_some() || submit.is_disabled() {
        return given;
    }
    let begun = TraceParent {
        trace_id: fastrand::u128(1..).to_be_bytes(),
        parent_id: fastrand::u64(1..).to_be_bytes(),
        flags: TraceParent::SAMPLED,
    };
    submit.record("trace_id", display(begun.trace()));
    submit.record("traceparent", display(begun));
    Some(begun)
}

/// A commit, if it is an attempt's: what belongs to none would be a trace of its own.
#[must_use]
pub fn commit(attempt: &Span) -> Span {
    if attempt.is_none() {
        return Span::none();
    }
    tracing::debug_span!("commit")
}

/// One attempt at a job, until its outcome is committed: what every line of the log about it is told
/// under.
#[must_use]
pub fn attempt(claimed: &ClaimedJob) -> Span {
    tracing::error_span!(
        parent: None,
        "job",
        id = %claimed.claim.job,
        kind = %claimed.kind,
        attempt = claimed.attempts,
        trace_id = claimed.trace.map(|trace| display(trace.trace())),
        traceparent = claimed.trace.map(display),
    )
}

/// How long a job that is handed to a worker had waited: since it was due, and of that since it was
/// claimed. The span ends as it begins; an exporter has it begin so much earlier.
pub fn queued(claimed: &ClaimedJob, attempt: &Span, now: Moment) {
    let due_ms = claimed.due_ms.unwrap_or(now.0);
    let whole = |ms: i64| u64::try_from(ms).unwrap_or(0);
    // It was queued by who asked and not by the attempt, if that is known.
    let parent = attempt.id().filter(|_| claimed.trace.is_none());
    let _ = tracing::debug_span!(
        parent: parent,
        "queued",
        id = %claimed.claim.job,
        waited_ms = whole(now.0.saturating_sub(due_ms)),
        claimed_us = u64::try_from(claimed.claimed_at.elapsed().as_micros()).unwrap_or(u64::MAX),
        trace_id = claimed.trace.map(|trace| display(trace.trace())),
        traceparent = claimed.trace.map(display),
    );
}
