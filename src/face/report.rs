//! What a one-shot run found: collected as news arrives, printed as JSON or as tables.

mod collect;
pub mod found;
mod human;

use std::fmt;

use indexmap::IndexMap;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

pub use self::collect::{Collector, Counted, Gathered};
pub use self::human::print_tables;
use super::cli::selection::FailOn;
use crate::engine::{Kind, Score};

/// The report of a run. A section that was not asked for is absent.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Scores by video, in the order of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scoring: Option<Scoring>,
    /// Counts of thumbnails, and those that are not valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnails: Option<Thumbnails>,
    /// Counts of videos by verdict, and those that are not alive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Liveness>,
    /// The run itself.
    pub summary: Summary,
}

/// Scores by video; only videos with an entry are in it.
#[derive(Debug, Default)]
pub struct Scoring(pub IndexMap<String, Option<ScoreEntry>>);

impl Scoring {
    /// Each video with its entry, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&String, &ScoreEntry)> {
        self.0
            .iter()
            .filter_map(|(id, entry)| Some((id, entry.as_ref()?)))
    }
}

/// What became of a video's score.
#[derive(Debug, Clone, PartialEq)]
pub enum ScoreEntry {
    /// The formula's answer.
    Score(Score),
    /// The job failed; the stored score is what it was.
    Failed(String),
}

impl Serialize for Scoring {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (id, entry) in self.entries() {
            map.serialize_entry(id, entry)?;
        }
        map.end()
    }
}

impl Serialize for ScoreEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Score(score) => score.serialize(serializer),
            Self::Failed(error) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("score", &0)?;
                map.serialize_entry("reason", &format!("failed: {error}"))?;
                map.end()
            }
        }
    }
}

/// The thumbnails of a run.
#[derive(Debug, Default, Serialize)]
pub struct Thumbnails {
    /// Pictures that are what they should be.
    pub valid: usize,
    /// Pictures that are missing or cannot be shown.
    pub broken: usize,
    /// Pictures too small to be real.
    pub placeholder: usize,
    /// Pictures nobody could judge.
    pub unknown: usize,
    /// Whose they are.
    pub unknown_ids: Vec<String>,
    /// Each that is not valid.
    pub details: Vec<ThumbnailDetail>,
}

/// A thumbnail that is not valid.
#[derive(Debug, Serialize)]
pub struct ThumbnailDetail {
    /// The video.
    pub id: String,
    /// The picture's verdict.
    pub status: &'static str,
    /// Its size in pixels, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<String>,
    /// The picture's address.
    pub url: String,
}

/// The videos asked for in a run.
#[derive(Debug, Default, Serialize)]
pub struct Liveness {
    /// Videos that exist.
    pub alive: usize,
    /// Videos that are gone.
    pub dead: usize,
    /// Which.
    pub dead_ids: Vec<String>,
    /// Videos nobody could judge.
    pub unknown: usize,
    /// Which.
    pub unknown_ids: Vec<String>,
    /// Ids that cannot exist.
    pub invalid: usize,
    /// Which.
    pub invalid_ids: Vec<String>,
    /// The evidence of each that is not alive.
    pub details: Vec<LivenessDetail>,
}

/// A video that is not known to be alive.
#[derive(Debug, Serialize)]
pub struct LivenessDetail {
    /// The video.
    pub id: String,
    /// What was found.
    pub verdict: &'static str,
    /// Why.
    pub reason: String,
    /// The answer's status, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
}

/// The run itself.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The program's version.
    pub version: &'static str,
    /// The database.
    pub db: String,
    /// Jobs submitted.
    pub jobs: usize,
    /// Items no job could answer.
    pub failures: Vec<FailedJob>,
    /// What is left to do.
    pub not_done: NotDone,
    /// Verdicts reused from earlier runs.
    pub cached: Cached,
    /// Calls made to the rate-limited upstream.
    pub oembed_calls: u64,
    /// From start to report.
    pub elapsed_ms: u64,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// What ended the run early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// What was handed to the queue of what is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enqueued: Option<HandedOver>,
}

/// Work that a run left and the queue has taken.
#[derive(Debug, Serialize)]
pub struct HandedOver {
    /// Its jobs.
    pub jobs: usize,
    /// Their group, if they are one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<i64>,
    /// Who took it.
    pub to: Taker,
}

impl fmt::Display for HandedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs = self.jobs;
        match (self.to, self.group) {
            (Taker::Daemon, Some(group)) => {
                write!(f, "the daemon has them as {jobs} jobs of group {group}")
            }
            (Taker::Daemon, None) => write!(f, "the daemon has them as {jobs} jobs"),
            (Taker::File, _) => write!(f, "they wait in the file as {jobs} jobs for the daemon"),
        }
    }
}

/// Who took what a run left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Taker {
    /// The daemon, over its socket.
    Daemon,
    /// The file: whoever works off its queue next finds it there.
    File,
}

impl Summary {
    /// The summary of a run of which no more is known than what it gathered.
    #[must_use]
    pub fn of(gathered: Gathered, db: String) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            db,
            jobs: 0,
            failures: gathered.failures,
            not_done: gathered.not_done,
            cached: gathered.cached,
            oembed_calls: 0,
            elapsed_ms: 0,
            dry_run: false,
            ended_by: None,
            enqueued: None,
        }
    }
}

/// A job that could not answer some items.
#[derive(Debug, Serialize)]
pub struct FailedJob {
    /// What it did.
    pub kind: Kind,
    /// The videos left without an answer.
    pub ids: Vec<String>,
    /// Why.
    pub error: String,
}

/// Items nobody got to.
#[derive(Debug, Default, Serialize)]
pub struct NotDone {
    /// Videos not scored.
    pub scoring: Vec<String>,
    /// Videos whose thumbnails were not checked.
    pub thumbnails: Vec<String>,
    /// Videos not asked for.
    pub liveness: Vec<String>,
}

impl NotDone {
    /// Items in all.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.scoring.len() + self.thumbnails.len() + self.liveness.len()
    }

    /// Whether everything was done.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Verdicts reused from earlier runs.
#[derive(Debug, Default, Serialize)]
pub struct Cached {
    /// Of thumbnails.
    pub thumbnails: usize,
    /// Of videos.
    pub liveness: usize,
}

impl Report {
    /// Whether it holds such a verdict.
    #[must_use]
    pub fn holds(&self, verdict: FailOn) -> bool {
        let thumbnails =
            |count: fn(&Thumbnails) -> usize| self.thumbnails.as_ref().map_or(0, count);
        let liveness = |count: fn(&Liveness) -> usize| self.liveness.as_ref().map_or(0, count);
        let found = match verdict {
            FailOn::Dead => liveness(|section| section.dead),
            FailOn::Invalid => liveness(|section| section.invalid),
            FailOn::Broken => thumbnails(|section| section.broken),
            FailOn::Placeholder => thumbnails(|section| section.placeholder),
            FailOn::Unknown => {
                thumbnails(|section| section.unknown) + liveness(|section| section.unknown)
            }
        };
        found > 0
    }
}
