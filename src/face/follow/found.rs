//! What jobs of the daemon's queue found, as a one-shot run would hear it.

use std::sync::Arc;

use crate::engine::{
    Failure as JobFailure, Findings, Job, JobState, Kind, Queue, ThumbnailItem, TicketEvent,
};
use crate::face::batch_file::Plan;
use crate::face::protocol::JobDetail;
use crate::face::report::Collector;

/// What a job that ended has to say, as a one-shot run would hear it.
pub fn note(job: JobDetail, collector: &mut Collector) {
    let findings = job
        .result
        .and_then(|result| serde_json::from_value(result).ok());
    for event in findings.into_iter().flat_map(told) {
        collector.note(event);
    }
    let summary = job.summary;
    if summary.state.0 != JobState::Failed {
        return;
    }
    let kind = summary.kind.as_deref().and_then(Kind::from_name);
    if let Some(kind) = kind.or_else(|| summary.queue.map(|queue| Queue::kind(queue.0))) {
        let payload = job.remaining.unwrap_or(job.payload);
        let error = summary.error.unwrap_or_else(|| "failed".to_owned());
        let failure = JobFailure::of(kind, &payload.to_string(), error);
        collector.note(TicketEvent::Failed(failure));
    }
}

/// Takes what a job is to do into a plan, so that its findings can be reported on. What cannot be
/// read is nothing to report on; the job's failure says why.
pub fn plan_too(plan: &mut Plan, job: &JobDetail) {
    let kind = job.summary.kind.as_deref().and_then(Kind::from_name);
    let Some(kind) = kind else {
        return;
    };
    if let Ok(job) = Job::from_payload(kind, &job.payload.to_string()) {
        plan.add(job);
    }
}

/// Verdicts of the daemon's that asked somebody: each is a call, or several.
#[must_use]
pub fn calls(job: &JobDetail) -> u64 {
    let findings = job.result.clone();
    match findings.and_then(|result| serde_json::from_value(result).ok()) {
        Some(Findings::Liveness(found)) => found
            .iter()
            .filter(|found| !found.cached && found.http_status.is_some())
            .map(|_| 1)
            .sum(),
        Some(Findings::Score(_) | Findings::Thumbnails(_)) | None => 0,
    }
}

fn told(findings: Findings) -> Vec<TicketEvent> {
    match findings {
        Findings::Score(found) => {
            let scores = found
                .into_iter()
                .filter_map(|found| found.score().map(|score| (found.id, score)));
            vec![TicketEvent::Scored(Arc::new(scores.collect()))]
        }
        Findings::Thumbnails(found) => found
            .into_iter()
            .filter_map(|found| {
                Some(TicketEvent::Thumbnail {
                    verdict: found.verdict()?,
                    cached: found.cached,
                    item: ThumbnailItem {
                        video_id: found.id,
                        thumbnail_url: found.url,
                    },
                })
            })
            .collect(),
        Findings::Liveness(found) => found
            .into_iter()
            .filter_map(|found| {
                Some(TicketEvent::Liveness {
                    judgement: found.judgement()?,
                    cached: found.cached,
                    video_id: found.id,
                })
            })
            .collect(),
    }
}
