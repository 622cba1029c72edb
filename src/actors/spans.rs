//! The spans of a job, from its submit to the commit of its outcome. Those of a job named by a
//! `traceparent` carry it, so that whoever exports them finds the span that asked.
//!
//! What an attempt is made of is told at debug level: where nobody wants it, a span costs one look
//! at a flag.

use tracing::Span;

use crate::domain::trace::TraceParent;
use crate::store::{ClaimedJob, Moment};

/// Work on its way into the queue, until the commit.
#[must_use]
pub fn submit(pieces: usize, trace: Option<TraceParent>) -> Span {
    tracing::debug_span!(
        "submit",
        pieces,
        trace_id = trace.map(|trace| display(trace.trace())),
        traceparent = trace.map(display),
    )
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
