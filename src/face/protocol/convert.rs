//! From the wire to the engine and back.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    FollowUp, GroupState, Job, JobDetail, LONGEST_PAGE, List, MOST_IDS, QueueName, QueueState,
    RpcError, Span, State, Submit, SubmitBatch, Time, Trace, WaitedJob,
};
use crate::engine::{
    self, FollowUps, GroupId, GroupSummary, Grouping, JobFilter, JobId, JobRequest, JobSummary,
    Kind, LivenessJob, QueueSummary, ScoreJob, ThumbnailsJob,
};
use crate::face::batch_file::Plan;

/// A payload as work of its kind.
fn job(kind: Kind, payload: Value) -> Result<engine::Job, RpcError> {
    fn read<T: DeserializeOwned>(payload: Value) -> Result<T, RpcError> {
        if payload.is_array() {
            return Err(RpcError::params("payload", "must be an object, not a list"));
        }
        serde_path_to_error::deserialize(payload).map_err(|error| {
            let path = error.path().to_string();
            let key = if path == "." {
                "payload".to_owned()
            } else {
                format!("payload.{path}")
            };
            RpcError::params(&key, error.into_inner())
        })
    }
    match kind {
        Kind::Score => read::<ScoreJob>(payload).map(engine::Job::Score),
        Kind::Thumbnails => read::<ThumbnailsJob>(payload).map(engine::Job::Thumbnails),
        Kind::Liveness => read::<LivenessJob>(payload).map(engine::Job::Liveness),
    }
}

fn priority(priority: u8) -> Result<u8, RpcError> {
    if priority <= 9 {
        Ok(priority)
    } else {
        Err(RpcError::params("priority", "must be 0 to 9"))
    }
}

/// A key that everybody may have given by mistake is none.
fn unique_key(
    key: Option<String>,
    unique_for: Option<Span>,
) -> Result<(Option<String>, Option<i64>), RpcError> {
    if key.as_ref().is_some_and(String::is_empty) {
        return Err(RpcError::params("unique_key", "must not be empty"));
    }
    if unique_for.is_some() && key.is_none() {
        return Err(RpcError::params("unique_for", "needs a `unique_key`"));
    }
    Ok((key, unique_for.map(|span| span.millis() / 1000)))
}

/// Numbers of jobs, as many as one command may name.
///
/// # Errors
/// When there are more.
pub fn job_ids(ids: Vec<i64>) -> Result<Vec<JobId>, RpcError> {
    if ids.len() > MOST_IDS {
        return Err(RpcError::params("ids", "must be 1000 at most"));
    }
    Ok(ids.into_iter().map(JobId).collect())
}

impl Submit {
    /// The work it asks for.
    ///
    /// # Errors
    /// When a parameter cannot be used.
    pub fn into_request(self, now: Time) -> Result<JobRequest, RpcError> {
        let delay_ms = match (self.delay, self.run_at) {
            (Some(_), Some(_)) => {
                return Err(RpcError::params("run_at", "must not be given with `delay`"));
            }
            (Some(delay), None) => delay.millis(),
            (None, Some(time)) => time.0.saturating_sub(now.0).max(0),
            (None, None) => 0,
        };
        let (unique_key, unique_for) = unique_key(self.unique_key, self.unique_for)?;
        Ok(JobRequest {
            job: job(self.kind.0, self.payload)?,
            priority: priority(self.priority)?,
            delay_ms,
            unique_key,
            unique_for,
            trace: self.traceparent.map(|trace| trace.0),
        })
    }
}

impl SubmitBatch {
    /// The work it asks for, what takes longest first.
    ///
    /// # Errors
    /// When a parameter cannot be used.
    pub fn into_requests(self) -> Result<Vec<JobRequest>, RpcError> {
        if self.new_videos.is_none() && self.stale_ids.is_none() {
            return Err(RpcError::params(
                "params",
                "neither new_videos nor stale_ids is given",
            ));
        }
        let priority = priority(self.priority)?;
        let (unique_key, unique_for) = unique_key(self.unique_key, self.unique_for)?;
        if unique_key.is_some() && self.group.is_some() {
            return Err(RpcError::params(
                "unique_key",
                "is said with the first part",
            ));
        }
        let mut plan = Plan::of(self.new_videos, self.stale_ids);
        if !self.only.is_empty() {
            let kinds: Vec<Kind> = self.only.iter().map(|kind| kind.0).collect();
            plan.keep_only(&kinds);
        }
        let jobs = plan.into_jobs().into_iter().filter(|job| !job.is_empty());
        let requests = jobs.map(|job| JobRequest {
            job,
            priority,
            delay_ms: 0,
            unique_key: None,
            unique_for: None,
            trace: self.traceparent.map(|trace| trace.0),
        });
        let mut requests: Vec<JobRequest> = requests.collect();
        // The first job has the key for all of them.
        if let Some(first) = requests.first_mut() {
            (first.unique_key, first.unique_for) = (unique_key, unique_for);
        }
        Ok(requests)
    }

    /// Which group it is part of.
    ///
    /// # Errors
    /// When a follow-up does not fit its kind, or comes too late.
    pub fn grouping(&self) -> Result<Grouping, RpcError> {
        let open = self.more;
        let follow_ups = self.follow_ups()?;
        match self.group.map(GroupId) {
            None => Ok(Grouping::New { follow_ups, open }),
            Some(group) if follow_ups == FollowUps::default() => Ok(Grouping::Join { group, open }),
            Some(_) => Err(RpcError::params(
                "group",
                "what follows a group is said with its first part",
            )),
        }
    }

    fn follow_ups(&self) -> Result<FollowUps, RpcError> {
        Ok(FollowUps {
            on_success: follow_up("on_success", self.on_success.as_ref())?,
            on_finish: follow_up("on_finish", self.on_finish.as_ref())?,
        })
    }
}

/// It is looked at now: a mistake found when the group ends would help nobody.
fn follow_up(key: &str, follow: Option<&FollowUp>) -> Result<Option<String>, RpcError> {
    let Some(follow) = follow else {
        return Ok(None);
    };
    job(follow.kind.0, follow.payload.clone())
        .map_err(|error| RpcError::params(key, error.message))?;
    serde_json::to_string(follow)
        .map(Some)
        .map_err(|error| RpcError::params(key, error))
}

/// The most of a text that is searched for, in bytes.
pub const LONGEST_TEXT: usize = 256;

impl List {
    /// The filter it asks for; one job more than a page tells whether another page follows.
    ///
    /// # Errors
    /// When a parameter cannot be used.
    pub fn into_filter(self) -> Result<JobFilter, RpcError> {
        if !(1..=LONGEST_PAGE).contains(&self.limit) {
            return Err(RpcError::params("limit", "must be 1 to 1000"));
        }
        // Within one row a search cannot be stopped, and costs its text times the row's.
        if self
            .text
            .as_ref()
            .is_some_and(|text| text.len() > LONGEST_TEXT)
        {
            return Err(RpcError::params("text", "must be 256 bytes at most"));
        }
        let queue = self.queue.map(|queue| queue.0);
        let of_kind = self.kind.map(|kind| kind.0.queue());
        if queue.is_some() && of_kind.is_some() && queue != of_kind {
            return Err(RpcError::params("kind", "must be of the `queue`"));
        }
        Ok(JobFilter {
            states: self.state.0.into_iter().map(|state| state.0).collect(),
            queue: queue.or(of_kind),
            group: self.group.map(GroupId),
            unique_key: self.unique_key,
            text: self.text,
            before: self.before.map(JobId),
            limit: self.limit + 1,
        })
    }
}

/// JSON as it was kept; text if it is none, for the site may have written anything.
fn kept(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

impl From<JobSummary> for Job {
    fn from(job: JobSummary) -> Self {
        Self {
            id: job.id.0,
            kind: job.kind,
            queue: job.queue.map(QueueName),
            state: State(job.state),
            priority: job.priority,
            items: job.items,
            attempts: job.attempts,
            crashes: job.crashes,
            group: job.group.map(|group| group.0),
            unique_key: job.unique_key,
            error: job.error,
            run_at: Some(job.run_at_ms).filter(|time| *time > 0).map(Time),
            queued_at: job.queued_ms.map(Time),
            started_at: job.started_ms.map(Time),
            ended_at: job.ended_ms.map(Time),
        }
    }
}

impl From<engine::JobDetail> for JobDetail {
    fn from(job: engine::JobDetail) -> Self {
        Self {
            summary: job.summary.into(),
            payload: job.payload.map_or(Value::Null, kept),
            remaining: job.remaining.map(kept),
            result: job.result.map(kept),
            traceparent: job.trace.map(Trace),
            log: Vec::new(),
        }
    }
}

impl From<engine::JobDetail> for WaitedJob {
    fn from(job: engine::JobDetail) -> Self {
        Self {
            id: job.summary.id.0,
            state: State(job.summary.state),
            error: job.summary.error,
            result: job.result.map(kept),
        }
    }
}

impl From<GroupSummary> for GroupState {
    fn from(group: GroupSummary) -> Self {
        Self {
            id: group.id.0,
            jobs: group.jobs,
            succeeded: group.succeeded,
            failed: group.failed,
            cancelled: group.cancelled,
            queued_at: Time(group.queued_ms),
            ended_at: group.ended_ms.map(Time),
        }
    }
}

impl From<QueueSummary> for QueueState {
    fn from(queue: QueueSummary) -> Self {
        Self {
            queue: QueueName(queue.queue),
            paused_at: queue.paused_ms.map(Time),
            available: queue.available,
            scheduled: queue.scheduled,
            retryable: queue.retryable,
            running: queue.running,
            oldest_at: queue.oldest_ms.map(Time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn submit(params: Value) -> Result<JobRequest, RpcError> {
        from_value::<Submit>(params)
            .unwrap()
            .into_request(Time(1_000))
    }

    #[test]
    fn work_is_read_by_its_kind() {
        let request = submit(json!({
            "kind": "tasks.score_virality_batch", "payload": {"video_ids": ["a", "b"]},
            "run_at": "1970-01-01T00:00:03Z", "unique_key": "k", "unique_for": "1h",
        }))
        .unwrap();
        assert_eq!(request.job.video_ids(), ["a", "b"]);
        assert_eq!((request.delay_ms, request.priority), (2_000, 5));
        assert_eq!(request.unique_for, Some(3_600));
        let past = json!({"kind": "score", "payload": {"video_ids": []},
                          "run_at": "1970-01-01T00:00:00Z"});
        assert_eq!(submit(past).unwrap().delay_ms, 0);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (params, key) in [
            (json!({"kind": "score", "payload": {}}), "payload"),
            (
                json!({"kind": "score", "payload": {"video_ids": [7]}}),
                "payload.video_ids[0]",
            ),
            (json!({"kind": "score", "payload": "[]"}), "payload"),
            (json!({"kind": "score", "payload": [["a"]]}), "payload"),
            (
                json!({"kind": "score", "payload": {"video_ids": []}, "priority": 10}),
                "priority",
            ),
            (
                json!({"kind": "score", "payload": {"video_ids": []}, "delay": "1s",
                       "run_at": "2026-01-01T00:00:00Z"}),
                "run_at",
            ),
            (
                json!({"kind": "score", "payload": {"video_ids": []}, "unique_for": "1s"}),
                "unique_for",
            ),
            (
                json!({"kind": "score", "payload": {"video_ids": []}, "unique_key": ""}),
                "unique_key",
            ),
        ] {
            let error = submit(params.clone()).unwrap_err();
            assert_eq!(error.data["key"], key, "{params}: {error:?}");
        }
    }

    #[test]
    fn a_batch_is_taken_as_its_file_is() {
        let batch: SubmitBatch = from_value(json!({
            "db_path": "vault.db",
            "new_videos": [{"video_id": "a", "thumbnail_url": "u", "title": "x"}, {"video_id": "b"}],
            "stale_ids": ["c"],
        }))
        .unwrap();
        let kinds = |requests: Vec<JobRequest>| -> Vec<(Kind, usize)> {
            let kind = |request: &JobRequest| (request.job.kind(), request.job.len());
            requests.iter().map(kind).collect()
        };
        let all = kinds(batch.clone().into_requests().unwrap());
        assert_eq!(
            all,
            [(Kind::Liveness, 1), (Kind::Thumbnails, 1), (Kind::Score, 2)]
        );
        let only = SubmitBatch {
            only: vec![super::super::KindName(Kind::Score)],
            ..batch
        };
        assert_eq!(kinds(only.into_requests().unwrap()), [(Kind::Score, 2)]);
        assert!(SubmitBatch::default().into_requests().is_err());
        let wrong = SubmitBatch {
            on_finish: Some(from_value(json!({"kind": "score", "payload": 7})).unwrap()),
            ..SubmitBatch::default()
        };
        assert_eq!(wrong.follow_ups().unwrap_err().data["key"], "on_finish");
        for wrong in [
            json!({"stale_ids": ["c"], "unique_key": ""}),
            json!({"stale_ids": ["c"], "unique_key": "k", "group": 1}),
        ] {
            let error = from_value::<SubmitBatch>(wrong).unwrap().into_requests();
            assert_eq!(error.unwrap_err().data["key"], "unique_key");
        }
    }

    #[test]
    fn what_the_site_wrote_is_shown_whatever_it_is() {
        assert_eq!(kept("{\"a\":1}".into()), json!({"a": 1}));
        assert_eq!(kept("{oops".into()), json!("{oops"));
    }
}
