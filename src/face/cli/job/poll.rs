//! Waiting for jobs by their file, while no daemon answers: the site or another daemon may end them.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use crate::engine::{JobId, QueueView};
use crate::face::exit::Failure;
use crate::face::one_shot::failure;
use crate::face::protocol::JobDetail;
use crate::face::retries::Retries;

/// Looks at jobs in the file again and again.
pub(super) struct Poll {
    view: QueueView,
    open: BTreeSet<i64>,
    gone: usize,
    retries: Retries,
}

impl Poll {
    pub(super) fn new(view: QueueView) -> Self {
        Self {
            view,
            open: BTreeSet::new(),
            gone: 0,
            retries: Retries::default(),
        }
    }

    pub(super) fn expect(&mut self, ids: Vec<i64>) {
        self.open.extend(ids);
    }

    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    pub(super) fn unended(&self) -> impl Iterator<Item = i64> {
        self.open.iter().copied()
    }

    pub(super) const fn gone(&self) -> usize {
        self.gone
    }

    pub(super) const fn retries(&mut self) -> &mut Retries {
        &mut self.retries
    }

    /// Jobs that have ended since; waits a moment if there is none.
    pub(super) fn ended(&mut self, patience: Duration) -> Result<Vec<JobDetail>, Failure> {
        let mut ended = Vec::new();
        for id in self.open.clone() {
            match self.view.job(JobId(id)) {
                Ok(Some(job)) => {
                    let job = JobDetail::from(job);
                    self.retries.note(&job.summary);
                    if !job.summary.state.0.is_ended() {
                        continue;
                    }
                    ended.push(job);
                }
                Ok(None) => {
                    self.retries.forget(id);
                    self.gone += 1;
                }
                // Somebody writes: later.
                Err(error) if error.is_locked() => break,
                Err(error) => return Err(failure(error)),
            }
            self.open.remove(&id);
        }
        if ended.is_empty() && !self.open.is_empty() {
            sleep(patience);
        }
        Ok(ended)
    }
}
