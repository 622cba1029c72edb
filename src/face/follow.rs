//! Follows jobs in the daemon's queue to their end, and makes of what they found the very report
//! that a one-shot run prints.

mod found;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use self::found::{calls, note, plan_too};
use super::client::{Client, ClientError, Events};
use super::protocol::{Get, JobDetail, State, States, Subscribe};
use super::retries::Retries;
use crate::engine::JobState;

/// How long a daemon may be away: it is being restarted, and its queue outlives it.
const AWAY: Duration = Duration::from_secs(60);
/// Between two tries to find it again.
const AGAIN: Duration = Duration::from_millis(500);
/// So often every job is looked at, whatever the events said.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The most jobs told of at once.
const AT_ONCE: usize = 64;

/// Hears when jobs end, and when they are to be tried again.
#[derive(Debug)]
pub struct Follower {
    socket: PathBuf,
    link: Option<(Client, Events)>,
    away_since: Option<Instant>,
    open: BTreeSet<i64>,
    /// Jobs whose state is to be looked up.
    doubtful: Vec<i64>,
    next_look: Instant,
    /// Jobs that are no more: their end was forgotten with them.
    gone: usize,
    retries: Retries,
}

impl Follower {
    /// Begins to listen. Whoever submits after this misses no end.
    ///
    /// # Errors
    /// When the daemon cannot be asked.
    pub fn listen(socket: &Path) -> Result<Self, ClientError> {
        Ok(Self {
            socket: socket.to_owned(),
            link: Some(link(socket)?),
            away_since: None,
            open: BTreeSet::new(),
            doubtful: Vec::new(),
            next_look: Instant::now() + LOOK_EVERY,
            gone: 0,
            retries: Retries::default(),
        })
    }

    /// Follows these jobs too.
    pub fn expect(&mut self, jobs: impl IntoIterator<Item = i64>) {
        let jobs: Vec<i64> = jobs.into_iter().collect();
        self.open.extend(jobs.iter().copied());
        // Some may have ended before anybody listened.
        self.doubtful.extend(jobs);
    }

    /// How many jobs have not ended.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The jobs that have not ended.
    pub fn unended(&self) -> impl Iterator<Item = i64> {
        self.open.iter().copied()
    }

    /// Jobs that were deleted before their end was heard of.
    #[must_use]
    pub const fn gone(&self) -> usize {
        self.gone
    }

    /// Those that wait for their next try.
    pub const fn retries(&mut self) -> &mut Retries {
        &mut self.retries
    }

    /// Jobs that have ended since, with all that is known of them; waits a moment for the first.
    ///
    /// # Errors
    /// When the daemon refuses, or is away for a minute.
    pub fn ended(&mut self, patience: Duration) -> Result<Vec<JobDetail>, ClientError> {
        let Some((client, mut events)) = self.link.take() else {
            self.find_again(patience)?;
            return Ok(Vec::new());
        };
        let mut client = client;
        let mut jobs = Vec::new();
        match self.hear(&mut client, &mut events, patience, &mut jobs) {
            Ok(()) => {
                self.link = Some((client, events));
                self.away_since = None;
            }
            // Too slow, or it went away: what was missed is looked up.
            Err(error) if error.is_silence() || matches!(error, ClientError::Lagged { .. }) => {
                self.look_again();
            }
            Err(error) if error.is_stopping() => {
                self.look_again();
                std::thread::sleep(patience.min(AGAIN));
            }
            Err(error) => return Err(error),
        }
        Ok(jobs)
    }

    /// What is known of the jobs that have not ended, of as many as can be looked at in this time.
    /// Where the daemon does not answer nothing is.
    pub fn so_far(&mut self, patience: Duration) -> Vec<JobDetail> {
        let deadline = Instant::now() + patience;
        let Some((client, _)) = &mut self.link else {
            return Vec::new();
        };
        let mut jobs = Vec::new();
        for id in &self.open {
            let left = deadline.saturating_duration_since(Instant::now());
            match client.ask_within(left, &Get { id: *id }) {
                Ok(got) if !left.is_zero() => jobs.push(got.job),
                Ok(_) | Err(_) => break,
            }
        }
        jobs
    }

    /// Whatever was heard before an error is among the jobs.
    fn hear(
        &mut self,
        client: &mut Client,
        events: &mut Events,
        mut patience: Duration,
        jobs: &mut Vec<JobDetail>,
    ) -> Result<(), ClientError> {
        if Instant::now() >= self.next_look {
            self.look_again();
        }
        while jobs.len() < AT_ONCE {
            let Some(id) = self.doubtful.pop() else {
                break;
            };
            jobs.extend(self.look(client, id)?);
        }
        if !jobs.is_empty() || !self.doubtful.is_empty() || self.open.is_empty() {
            return Ok(());
        }
        for _ in 0..AT_ONCE {
            let Some(event) = events.next(patience)? else {
                break;
            };
            patience = Duration::ZERO;
            jobs.extend(self.look(client, event.id)?);
        }
        Ok(())
    }

    /// The job, if it is one of ours and has ended.
    fn look(&mut self, client: &mut Client, id: i64) -> Result<Option<JobDetail>, ClientError> {
        if !self.open.contains(&id) {
            return Ok(None);
        }
        match client.ask(&Get { id }) {
            Ok(got) => {
                self.retries.note(&got.job.summary);
                let has_ended = got.job.summary.state.0.is_ended();
                if has_ended {
                    self.open.remove(&id);
                }
                Ok(Some(got.job).filter(|_| has_ended))
            }
            Err(error) if error.is_not_found() => {
                self.open.remove(&id);
                self.retries.forget(id);
                self.gone += 1;
                Ok(None)
            }
            Err(error) => {
                self.doubtful.push(id);
                Err(error)
            }
        }
    }

    fn look_again(&mut self) {
        self.next_look = Instant::now() + LOOK_EVERY;
        self.doubtful = self.open.iter().copied().collect();
    }

    fn find_again(&mut self, patience: Duration) -> Result<(), ClientError> {
        let since = *self.away_since.get_or_insert_with(Instant::now);
        match link(&self.socket) {
            Ok(link) => {
                self.link = Some(link);
                Ok(())
            }
            Err(error) if (error.is_silence() || error.is_stopping()) && since.elapsed() < AWAY => {
                std::thread::sleep(patience.min(AGAIN));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn link(socket: &Path) -> Result<(Client, Events), ClientError> {
    let told = |state: &JobState| state.is_ended() || *state == JobState::Retryable;
    let states = JobState::ALL.into_iter().filter(told);
    let subscribe = Subscribe {
        states: States(states.map(State).collect()),
        ..Subscribe::default()
    };
    let events = Client::connect(socket)?.subscribe(&subscribe)?;
    Ok((Client::connect(socket)?, events))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ThumbnailItem;
    use crate::face::batch_file::Plan;
    use crate::face::client::scripted::{Script, answers};
    use crate::face::protocol::{ErrorCode, Got};
    use crate::face::report::{Collector, Summary};
    use serde_json::{Value, json};

    const SOON: Duration = Duration::from_secs(10);

    fn job(id: i64, state: &str, more: &Value) -> Value {
        let mut job = json!({"id": id, "kind": "liveness", "queue": "cleanup", "state": state,
            "priority": 5, "items": 1, "attempts": 1, "crashes": 0, "payload": null});
        let more = more.as_object().unwrap().clone();
        job.as_object_mut().unwrap().extend(more);
        json!({ "job": job })
    }

    fn event(id: i64, state: &str) -> String {
        let params = json!({"id": id, "queue": "cleanup", "state": state,
            "at": "2026-01-02T03:04:05Z"});
        format!(
            "+{}",
            json!({"jsonrpc": "2.0", "method": "events.job", "params": params})
        )
    }

    fn listening(more: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut lines = answers([json!({"subscribed": true})]);
        lines.extend(more);
        lines
    }

    fn ids(jobs: &[JobDetail]) -> Vec<i64> {
        jobs.iter().map(|job| job.summary.id).collect()
    }

    /// Waits until something is told.
    fn ended(follower: &mut Follower) -> Vec<JobDetail> {
        loop {
            let jobs = follower.ended(SOON).unwrap();
            if !jobs.is_empty() {
                return jobs;
            }
        }
    }

    #[test]
    fn an_end_is_heard_and_what_was_missed_is_looked_up() {
        let script = Script::play_each([
            // Says one end, then that it said too much.
            listening([
                event(7, "succeeded"),
                event(2, "succeeded"),
                r#"+{"jsonrpc":"2.0","method":"events.lagged","params":{"missed":1}}"#.to_owned(),
            ]),
            answers([
                job(3, "running", &json!({})),
                job(2, "running", &json!({})),
                job(1, "succeeded", &json!({})),
                job(2, "succeeded", &json!({})),
            ]),
            listening([]),
            answers([job(3, "cancelled", &json!({}))]),
        ]);
        let mut follower = Follower::listen(script.socket()).unwrap();
        follower.expect([1, 2, 3]);
        assert_eq!(ids(&ended(&mut follower)), [1]);
        assert_eq!(ids(&ended(&mut follower)), [2]);
        assert_eq!(ids(&ended(&mut follower)), [3]);
        assert_eq!((follower.open(), follower.gone()), (0, 0));
    }

    #[test]
    fn a_daemon_that_stops_amid_a_look_is_waited_for() {
        let refused = json!({"jsonrpc": "2.0", "id": 1,
            "error": {"code": ErrorCode::Stopping.number(), "message": "the daemon is stopping"}});
        let script = Script::play_each([
            listening([]),
            vec![refused.to_string()],
            listening([]),
            answers([job(1, "succeeded", &json!({}))]),
        ]);
        let mut follower = Follower::listen(script.socket()).unwrap();
        follower.expect([1]);
        assert_eq!(ids(&ended(&mut follower)), [1]);
        assert_eq!((follower.open(), follower.gone()), (0, 0));
    }

    #[test]
    fn a_job_that_was_deleted_is_not_waited_for() {
        let script = Script::play_each([
            listening([]),
            vec![
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32004,"message":"no job 1"}}"#
                    .to_owned(),
            ],
        ]);
        let mut follower = Follower::listen(script.socket()).unwrap();
        follower.expect([1]);
        assert!(follower.ended(SOON).unwrap().is_empty());
        assert_eq!((follower.open(), follower.gone()), (0, 1));
    }

    #[test]
    fn what_jobs_found_is_the_report_of_a_run() {
        let plan = Plan {
            scoring: Some(vec!["s".into(), "t".into()]),
            thumbnails: Some(vec![ThumbnailItem {
                video_id: "p".into(),
                thumbnail_url: "u".into(),
            }]),
            liveness: Some(vec!["a".into(), "b".into(), "c".into()]),
        };
        let mut collector = Collector::new(&plan, false);
        let found = |result: Value| job(1, "succeeded", &json!({ "result": result }));
        let mut asked = 0;
        for answer in [
            found(json!({"score": [
                {"id": "s", "score": 87.3, "velocity": 12, "engagement": 6.21, "region": "PL",
                 "label": "VIRAL"},
                {"id": "t", "score": 0.0, "reason": "insufficient data"}]})),
            found(
                json!({"thumbnails": [{"id": "p", "url": "u", "status": "placeholder",
                 "width": 120, "height": 90, "cached": true}]}),
            ),
            found(
                json!({"liveness": [{"id": "a", "verdict": "dead", "reason": "404",
                 "http_status": 404, "cached": false}]}),
            ),
            job(
                2,
                "failed",
                &json!({
                "error": "panicked",
                "payload": {"video_ids": ["a", "b"]},
                "remaining": {"video_ids": ["b"]}}),
            ),
            job(3, "cancelled", &json!({"payload": {"video_ids": ["c"]}})),
        ] {
            let Got { job } = serde_json::from_value(answer).unwrap();
            asked += calls(&job);
            note(job, &mut collector);
        }
        let report = collector.into_report(|gathered| Summary::of(gathered, "v.db".to_owned()));
        let report = serde_json::to_value(report).unwrap();
        assert_eq!(report["scoring"]["s"]["label"], "VIRAL");
        assert_eq!(report["scoring"]["t"]["reason"], "insufficient data");
        assert_eq!(report["thumbnails"]["details"][0]["size"], "120x90");
        assert_eq!(report["liveness"]["dead_ids"], json!(["a"]));
        assert_eq!(report["liveness"]["unknown_ids"], json!(["b"]));
        let summary = &report["summary"];
        assert_eq!(summary["failures"][0]["error"], "panicked");
        assert_eq!(summary["not_done"]["liveness"], json!(["c"]));
        assert_eq!(summary["cached"]["thumbnails"], 1);
        assert_eq!(asked, 1);
    }
}
