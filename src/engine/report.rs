//! What submitted work came to, item by item.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

use crate::actors::tickets::Failure;
use crate::domain::finding::{Findings, LivenessFound, ScoreFound, ThumbnailFound};
use crate::domain::job::{Job, ThumbnailItem, once_each};

/// What submitted work came to. Each item that was asked for is in one of the lists, those found
/// and those not done in the order they were asked for.
#[derive(Debug, Clone)]
pub struct Report<F: Found> {
    /// What was found, an object an item.
    pub found: Vec<F>,
    /// Jobs that were given up, with the items they left and why.
    pub failures: Vec<Failure>,
    /// Items that were not got to: cancelled, or no call to the upstream was left.
    pub not_done: Vec<F::Item>,
}

/// What [`Score`](crate::Score) comes to.
pub type ScoreReport = Report<ScoreFound>;
/// What [`Thumbnails`](crate::Thumbnails) comes to.
pub type ThumbnailsReport = Report<ThumbnailFound>;
/// What [`Liveness`](crate::Liveness) comes to.
pub type LivenessReport = Report<LivenessFound>;

impl<F: Found> Report<F> {
    /// Whether every item was found.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.failures.is_empty() && self.not_done.is_empty()
    }

    pub(super) fn assemble(asked: Job, found: Vec<F>, failures: Vec<Failure>) -> Self {
        // Of an item told twice the later word stands.
        let mut by_item: HashMap<F::Item, F> = found
            .into_iter()
            .map(|found| (found.item(), found))
            .collect();
        let failed: HashSet<F::Item> = failures
            .iter()
            .filter_map(|failure| failure.left.clone())
            .flat_map(F::items)
            .collect();
        let mut report = Self {
            found: Vec::with_capacity(by_item.len()),
            failures,
            not_done: Vec::new(),
        };
        for item in once_each(F::items(asked)) {
            if let Some(found) = by_item.remove(&item) {
                report.found.push(found);
            } else if !failed.contains(&item) {
                report.not_done.push(item);
            }
        }
        // Of a job that was there before, under the same key, with other items.
        report.found.extend(by_item.into_values());
        report
    }
}

/// News of submitted work, each after the commit it speaks of.
#[derive(Debug, Clone)]
pub enum News<F> {
    /// Items have their answer.
    Found(Vec<F>),
    /// A job was given up.
    Failed(Failure),
}

/// What is found of one item: [`ScoreFound`], [`ThumbnailFound`] or [`LivenessFound`].
pub trait Found: sealed::Sealed + Debug + Clone + Send + Sync + Unpin + 'static {
    /// What is asked for: a video's id, or a picture with its video.
    type Item: Debug + Clone + Eq + Hash + Send + Sync + Unpin + 'static;

    /// What it was found of.
    fn item(&self) -> Self::Item;

    /// Those of this kind.
    #[doc(hidden)]
    fn of(findings: Findings) -> Vec<Self>;

    /// The items of a job of this kind.
    #[doc(hidden)]
    fn items(job: Job) -> Vec<Self::Item>;
}

mod sealed {
    /// The kinds of work are a closed set.
    pub trait Sealed {}

    impl Sealed for super::ScoreFound {}
    impl Sealed for super::ThumbnailFound {}
    impl Sealed for super::LivenessFound {}
}

impl Found for ScoreFound {
    type Item = String;

    fn item(&self) -> String {
        self.id.clone()
    }

    fn of(findings: Findings) -> Vec<Self> {
        match findings {
            Findings::Score(found) => found,
            Findings::Thumbnails(_) | Findings::Liveness(_) => Vec::new(),
        }
    }

    fn items(job: Job) -> Vec<String> {
        match job {
            Job::Score(job) => job.video_ids,
            Job::Thumbnails(_) | Job::Liveness(_) => Vec::new(),
        }
    }
}

impl Found for ThumbnailFound {
    type Item = ThumbnailItem;

    fn item(&self) -> ThumbnailItem {
        ThumbnailItem {
            video_id: self.id.clone(),
            thumbnail_url: self.url.clone(),
        }
    }

    fn of(findings: Findings) -> Vec<Self> {
        match findings {
            Findings::Thumbnails(found) => found,
            Findings::Score(_) | Findings::Liveness(_) => Vec::new(),
        }
    }

    fn items(job: Job) -> Vec<ThumbnailItem> {
        match job {
            Job::Thumbnails(job) => job.videos,
            Job::Score(_) | Job::Liveness(_) => Vec::new(),
        }
    }
}

impl Found for LivenessFound {
    type Item = String;

    fn item(&self) -> String {
        self.id.clone()
    }

    fn of(findings: Findings) -> Vec<Self> {
        match findings {
            Findings::Liveness(found) => found,
            Findings::Score(_) | Findings::Thumbnails(_) => Vec::new(),
        }
    }

    fn items(job: Job) -> Vec<String> {
        match job {
            Job::Liveness(job) => job.video_ids,
            Job::Score(_) | Job::Thumbnails(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::{Kind, LivenessJob};

    fn found(id: &str, verdict: &str) -> LivenessFound {
        LivenessFound {
            id: id.to_owned(),
            verdict: verdict.to_owned(),
            reason: String::new(),
            http_status: None,
            cached: false,
        }
    }

    fn job(ids: &[&str]) -> Job {
        let video_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        Job::Liveness(LivenessJob {
            video_ids,
            fresh: false,
        })
    }

    #[test]
    fn each_item_is_in_one_list_in_the_order_it_was_asked_for() {
        let told = ["c", "a", "z", "a"].map(|id| found(id, "alive"));
        let failure = Failure {
            kind: Kind::Liveness,
            left: Some(job(&["b"])),
            error: "panicked".to_owned(),
        };
        let asked = job(&["a", "b", "c", "d", "a"]);
        let report = LivenessReport::assemble(asked, told.to_vec(), vec![failure]);
        let ids: Vec<&str> = report.found.iter().map(|found| &*found.id).collect();
        assert_eq!(ids, ["a", "c", "z"]);
        assert_eq!(report.not_done, ["d"]);
        assert!(!report.is_complete());
    }
}
