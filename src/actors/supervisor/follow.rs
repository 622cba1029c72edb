//! Jobs of the durable queue, followed to their ends for whoever submitted them: listen first, then
//! look into the file, then wait; so no end is missed in between.

mod lookout;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, Handler, Message, ResponseActFuture, ResponseFuture, WrapFuture};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc, watch};

use self::lookout::Lookout;
use super::enqueue::EnqueueJobs;
use super::{SubmitError, Supervisor};
use crate::actors::tickets::Failure;
use crate::actors::worker::JobMoved;
use crate::domain::finding::Findings;
use crate::domain::job::{Kind, Queue};
use crate::store::{Grouping, JobDetail, JobId, JobRequest, JobState, Options, StoreError};

/// Looked again after so long, and then ever more rarely: a row that somebody deletes ends without
/// news.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const LOOK_RARELY: Duration = Duration::from_secs(10);
/// Jobs of one look: others look in between, and what they found is in memory.
const JOBS_A_LOOK: usize = 64;

/// What a follower has to tell.
#[derive(Debug)]
pub enum Followed {
    /// What a job found that has ended.
    Found(Findings),
    /// A job was given up.
    Failed(Failure),
    /// A job's row was deleted before its end was seen.
    Gone(JobId),
    /// The file cannot be read.
    Unreadable(StoreError),
    /// Every job has ended.
    End,
}

/// Work that was queued, and the news of it.
pub struct Following {
    /// Its jobs.
    pub ids: Vec<JobId>,
    /// What becomes of them. It closes without [`Followed::End`] if the engine stops before.
    pub news: mpsc::UnboundedReceiver<Followed>,
}

/// The followers of an engine: how they look, and how they are told to end.
pub(super) struct Followers {
    lookout: Lookout,
    stop: Arc<watch::Sender<bool>>,
}

impl Followers {
    pub(super) fn new(store: &Arc<Options>) -> Self {
        Self {
            lookout: Lookout::new(store),
            stop: Arc::new(watch::Sender::new(false)),
        }
    }
}

/// Follows the jobs of one ticket.
struct Follower {
    lookout: Lookout,
    moves: broadcast::Receiver<JobMoved>,
    stop: watch::Receiver<bool>,
    open: BTreeSet<JobId>,
    told: mpsc::UnboundedSender<Followed>,
}

impl Follower {
    /// Tells of every job as it ends, until all have, nobody listens, or the engine stops.
    async fn follow(mut self) {
        let mut due: Vec<JobId> = self.open.iter().copied().collect();
        let mut pause = LOOK_AGAIN;
        loop {
            if !self.tell(&due).await {
                return;
            }
            due = tokio::select! {
                biased;
                () = self.told.closed() => return,
                _ = self.stop.wait_for(|stop| *stop) => break,
                ended = ends(&mut self.moves, &self.open) => match ended {
                    Some(ended) => ended,
                    // The supervisor is gone, and with it the engine.
                    None => return,
                },
                () = actix_rt::time::sleep(pause) => {
                    pause = (pause * 2).min(LOOK_RARELY);
                    self.open.iter().copied().collect()
                }
            };
        }
        // What the drain has ended.
        let open: Vec<JobId> = self.open.iter().copied().collect();
        self.tell(&open).await;
    }

    /// Looks at jobs and tells of those that have ended; whether others are still awaited.
    async fn tell(&mut self, due: &[JobId]) -> bool {
        for ids in due.chunks(JOBS_A_LOOK) {
            let jobs = match self.lookout.jobs(ids.to_vec()).await {
                Ok(jobs) => jobs,
                Err(error) => {
                    let _ = self.told.send(Followed::Unreadable(error));
                    return false;
                }
            };
            for id in ids {
                if !jobs.iter().any(|job| job.summary.id == *id) && self.open.remove(id) {
                    let _ = self.told.send(Followed::Gone(*id));
                }
            }
            for job in jobs {
                if job.summary.state.is_ended() && self.open.remove(&job.summary.id) {
                    self.tell_end(&job);
                }
            }
        }
        if self.open.is_empty() {
            let _ = self.told.send(Followed::End);
        }
        !self.open.is_empty()
    }

    fn tell_end(&self, job: &JobDetail) {
        let result = job.result.as_deref();
        let found = result.and_then(|result| Findings::from_json(result).ok());
        if let Some(failure) = failure(job, found.as_ref()) {
            let _ = self.told.send(Followed::Failed(failure));
        }
        if let Some(found) = found {
            let _ = self.told.send(Followed::Found(found));
        }
    }
}

/// What a failed job left, and why.
fn failure(job: &JobDetail, found: Option<&Findings>) -> Option<Failure> {
    let summary = &job.summary;
    if summary.state != JobState::Failed {
        return None;
    }
    let named = summary.kind.as_deref().and_then(Kind::from_name);
    let kind = named.or_else(|| summary.queue.map(Queue::kind))?;
    let error = summary.error.clone();
    let error = error.unwrap_or_else(|| "failed".to_owned());
    let mut failure = Failure::of(kind, job.payload.as_deref().unwrap_or_default(), error);
    if let Some(found) = found {
        failure.left = failure.left.map(|job| job.without(&found.video_ids()));
    }
    Some(failure)
}

/// Waits until some of these have ended, or something was missed: those to be looked at. None:
/// nothing will be told any more.
async fn ends(
    moves: &mut broadcast::Receiver<JobMoved>,
    open: &BTreeSet<JobId>,
) -> Option<Vec<JobId>> {
    let all = || Some(open.iter().copied().collect());
    let mut ended = Vec::new();
    loop {
        match moves.try_recv() {
            Ok(moved) => ended.extend(end_of(&moved, open)),
            Err(TryRecvError::Lagged(_)) => return all(),
            Err(TryRecvError::Closed) if ended.is_empty() => return None,
            Err(TryRecvError::Empty) if ended.is_empty() => match moves.recv().await {
                Ok(moved) => ended.extend(end_of(&moved, open)),
                Err(RecvError::Lagged(_)) => return all(),
                Err(RecvError::Closed) => return None,
            },
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(ended),
        }
    }
}

fn end_of(moved: &JobMoved, open: &BTreeSet<JobId>) -> Option<JobId> {
    (moved.state.is_ended() && open.contains(&moved.id)).then_some(moved.id)
}

/// Queues work in the durable queue and follows it; answers after the commit.
#[derive(Message)]
#[rtype(result = "Result<Following, SubmitError>")]
pub struct EnqueueAndFollow(pub JobRequest);

impl Handler<EnqueueAndFollow> for Supervisor {
    type Result = ResponseActFuture<Self, Result<Following, SubmitError>>;

    fn handle(
        &mut self,
        EnqueueAndFollow(request): EnqueueAndFollow,
        _: &mut Self::Context,
    ) -> Self::Result {
        // Listens before they are queued.
        let (moves, stop) = (self.events.subscribe(), self.followers.stop.subscribe());
        let lookout = self.followers.lookout.clone();
        let kind = request.job.kind();
        let queued = self.enqueue_jobs(EnqueueJobs {
            requests: vec![request],
            grouping: Grouping::None,
        });
        Box::pin(queued.then(move |queued, actor, _| {
            let follow = async move {
                let (queued, _) = queued?;
                let mut ids = Vec::new();
                for queued in queued {
                    ids.extend(match &*queued.ids {
                        [holder] if queued.duplicate => lookout.holders(kind, *holder).await?,
                        ids => ids.to_vec(),
                    });
                }
                let (told, news) = mpsc::unbounded_channel();
                let follower = Follower {
                    lookout,
                    moves,
                    stop,
                    open: ids.iter().copied().collect(),
                    told,
                };
                actix_rt::spawn(follower.follow());
                Ok(Following { ids, news })
            };
            follow.into_actor(actor)
        }))
    }
}

/// Has the followers look a last time and end.
#[derive(Message)]
#[rtype(result = "()")]
pub struct EndFollowing;

impl Handler<EndFollowing> for Supervisor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: EndFollowing, _: &mut Self::Context) -> Self::Result {
        let stop = Arc::clone(&self.followers.stop);
        Box::pin(async move {
            stop.send_replace(true);
            stop.closed().await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(id: i64, state: JobState) -> JobMoved {
        JobMoved {
            id: JobId(id),
            queue: Queue::Scoring,
            state,
            error: None,
            trace: None,
        }
    }

    #[tokio::test]
    async fn ends_are_heard_together_and_after_a_gap_all_are_looked_at() {
        let (sender, mut moves) = broadcast::channel(4);
        let open = BTreeSet::from([JobId(1), JobId(2), JobId(3)]);
        for (id, state) in [
            (1, JobState::Running),
            (3, JobState::Cancelled),
            (9, JobState::Succeeded),
            (1, JobState::Failed),
        ] {
            sender.send(moved(id, state)).unwrap();
        }
        let ended = ends(&mut moves, &open).await;
        assert_eq!(ended, Some(vec![JobId(3), JobId(1)]));
        for _ in 0..9 {
            sender.send(moved(9, JobState::Running)).unwrap();
        }
        let all: Vec<JobId> = open.iter().copied().collect();
        assert_eq!(ends(&mut moves, &open).await, Some(all));
        drop(sender);
        assert_eq!(ends(&mut moves, &open).await, None);
    }

    #[test]
    fn a_failed_job_leaves_what_it_did_not_find() {
        let found = Findings::from_json(
            r#"{"liveness":[{"id":"a","verdict":"alive","reason":"","cached":false}]}"#,
        )
        .unwrap();
        let mut job = JobDetail {
            summary: crate::store::JobSummary {
                id: JobId(1),
                kind: Some("tasks.detect_dead_videos".to_owned()),
                queue: Some(Queue::Cleanup),
                state: JobState::Failed,
                priority: 5,
                items: 2,
                attempts: 1,
                crashes: 0,
                group: None,
                unique_key: None,
                error: Some("panicked".to_owned()),
                run_at_ms: 0,
                queued_ms: None,
                started_ms: None,
                ended_ms: None,
            },
            payload: Some(r#"{"video_ids":["a","b"]}"#.to_owned()),
            remaining: None,
            result: None,
            trace: None,
        };
        let failed = failure(&job, Some(&found)).unwrap();
        assert_eq!(failed.left.unwrap().video_ids(), ["b"]);
        assert_eq!(failed.error, "panicked");
        job.summary.state = JobState::Cancelled;
        assert!(failure(&job, Some(&found)).is_none());
    }
}
