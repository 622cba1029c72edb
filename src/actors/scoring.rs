//! Scores the videos of a job from their last snapshots.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::{Actor, Context, Handler};

use super::control::JobControl;
use super::faults::Step;
use super::worker::{AttemptEnd, Deps, RunJob, panic_text};
use crate::domain::job::{Job, ScoreJob};
use crate::domain::score::{Score, score};
use crate::store::{Reader, StoreError};

/// Reads and scores on its own arbiter, where blocking disturbs nobody.
pub struct ScoringActor {
    deps: Deps,
    /// Opened at the first job and again after an error.
    reader: Option<Reader>,
}

impl ScoringActor {
    /// A worker that opens its connection when it first needs one.
    #[must_use]
    pub const fn new(deps: Deps) -> Self {
        Self { deps, reader: None }
    }

    fn score_all(&mut self, video_ids: &[String], control: &JobControl) -> Attempt {
        self.deps.faults.strike(Step::ScoringWorks);
        let _read = tracing::debug_span!("score", videos = video_ids.len()).entered();
        let mut scores = Vec::with_capacity(video_ids.len());
        loop {
            if control.is_dropped() {
                return Err(Stop::Dropped);
            }
            let left = video_ids.get(scores.len()..).unwrap_or_default();
            match self.score_once(left, &mut scores, control) {
                // Another process writes: wait for it, and look up now and then.
                Err(error) if error.is_locked() => {}
                // Meant for this job, or late for the one before: the flag tells.
                Err(StoreError::Interrupted) => {}
                Err(error) => {
                    self.reader = None;
                    return Err(Stop::Failed(error));
                }
                Ok(()) => return Ok(scores),
            }
            if control.is_asked() {
                return Ok(scores);
            }
        }
    }

    /// Scores videos until there are no more or it is asked to stop.
    fn score_once(
        &mut self,
        video_ids: &[String],
        scores: &mut Vec<(String, Score)>,
        control: &JobControl,
    ) -> Result<(), StoreError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => Reader::open(&self.deps.store)?,
        };
        let interrupt = reader.interrupt_handle();
        control.on_drop(move || interrupt.interrupt());
        let reader = self.reader.insert(reader);
        reader.snapshots(video_ids, |id, snapshots| {
            scores.push((id.clone(), score(snapshots, &self.deps.baselines)));
            control.advance();
            !control.is_asked()
        })
    }
}

type Attempt = Result<Vec<(String, Score)>, Stop>;

enum Stop {
    Dropped,
    Failed(StoreError),
}

impl Actor for ScoringActor {
    type Context = Context<Self>;
}

impl Handler<RunJob> for ScoringActor {
    type Result = AttemptEnd;

    fn handle(&mut self, run: RunJob, context: &mut Self::Context) -> Self::Result {
        if self.deps.faults.strike_in(Step::ScoringReceives, context) {
            return AttemptEnd::Failed("the arbiter ended".to_owned());
        }
        let _in_job = run.span.entered();
        let Job::Score(mut job) = run.job else {
            return AttemptEnd::Failed("not a scoring job".to_owned());
        };
        // The reader is dropped with a panic, so nothing half-changed is seen again.
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            self.score_all(&job.video_ids, &run.control)
        }));
        match attempt {
            Ok(Ok(scores)) => {
                let left = job.video_ids.split_off(scores.len());
                AttemptEnd::Scored {
                    scores: Arc::new(scores),
                    rest: (!left.is_empty()).then_some(Job::Score(ScoreJob { video_ids: left })),
                }
            }
            Ok(Err(Stop::Dropped)) => AttemptEnd::Dropped,
            Ok(Err(Stop::Failed(error))) => AttemptEnd::Failed(error.to_string()),
            Err(panic) => {
                self.reader = None;
                AttemptEnd::Failed(panic_text(panic.as_ref()))
            }
        }
    }
}
