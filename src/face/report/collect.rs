//! Gathers a run's committed news into its report.

use indexmap::IndexMap;

use super::{
    Cached, FailedJob, Liveness, LivenessDetail, NotDone, Report, ScoreEntry, Scoring, Summary,
    ThumbnailDetail, Thumbnails,
};
use crate::engine::{
    Failure, Job, Judgement, Kind, ThumbnailItem, ThumbnailStatus, ThumbnailVerdict, TicketEvent,
    Verdict,
};
use crate::face::batch_file::Plan;

/// What is known so far of everything that was asked for.
#[derive(Debug, Default)]
pub struct Collector {
    scoring: Option<Section<String, ScoreEntry>>,
    thumbnails: Option<Section<ThumbnailItem, Answer<ThumbnailVerdict>>>,
    liveness: Option<Section<String, Answer<Judgement>>>,
    cached: Cached,
    failures: Vec<FailedJob>,
    /// Whether an unjudged picture counts as broken, as in the article.
    unknown_is_broken: bool,
}

/// Each input once, in order, with its answer if there is one.
#[derive(Debug)]
struct Section<K, A> {
    inputs: IndexMap<K, Option<A>>,
    answered: usize,
}

#[derive(Debug)]
enum Answer<V> {
    Given(V),
    Failed(String),
}

impl<K: Eq + std::hash::Hash, A> Section<K, A> {
    fn new(inputs: Vec<K>) -> Self {
        Self {
            inputs: inputs.into_iter().map(|input| (input, None)).collect(),
            answered: 0,
        }
    }

    fn answer<Q>(&mut self, input: &Q, answer: A)
    where
        Q: std::hash::Hash + indexmap::Equivalent<K> + ?Sized,
    {
        let Some(place) = self.inputs.get_mut(input) else {
            return;
        };
        if place.is_none() {
            self.answered += 1;
        }
        *place = Some(answer);
    }

    /// Marks what has no answer yet, and tells which inputs that were.
    fn fail<'a>(&mut self, inputs: &'a [K], failed: impl Fn() -> A) -> Vec<&'a K> {
        let is_open = |input: &&K| matches!(self.inputs.get(*input), Some(None));
        let open: Vec<&K> = inputs.iter().filter(is_open).collect();
        for input in &open {
            self.answer(*input, failed());
        }
        open
    }

    fn progress(&self) -> Counted {
        Counted {
            done: self.answered,
            of: self.inputs.len(),
        }
    }
}

/// How far a section has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Inputs with an answer.
    pub done: usize,
    /// Inputs in all.
    pub of: usize,
}

impl Collector {
    /// Nothing is known yet of what this plan asks for.
    #[must_use]
    pub fn new(plan: &Plan, unknown_is_broken: bool) -> Self {
        Self {
            scoring: plan.scoring.clone().map(Section::new),
            thumbnails: plan.thumbnails.clone().map(Section::new),
            liveness: plan.liveness.clone().map(Section::new),
            unknown_is_broken,
            ..Self::default()
        }
    }

    /// Takes note of a piece of news.
    pub fn note(&mut self, event: TicketEvent) {
        match event {
            TicketEvent::Scored(scores) => {
                let Some(section) = &mut self.scoring else {
                    return;
                };
                for (id, score) in scores.iter() {
                    section.answer(id, ScoreEntry::Score(score.clone()));
                }
            }
            TicketEvent::Thumbnail {
                item,
                verdict,
                cached,
            } => {
                let Some(section) = &mut self.thumbnails else {
                    return;
                };
                self.cached.thumbnails += usize::from(cached);
                section.answer(&item, Answer::Given(verdict));
            }
            TicketEvent::Liveness {
                video_id,
                judgement,
                cached,
            } => {
                let Some(section) = &mut self.liveness else {
                    return;
                };
                self.cached.liveness += usize::from(cached);
                section.answer(&video_id, Answer::Given(judgement));
            }
            TicketEvent::Failed(failure) => self.note_failure(failure),
            TicketEvent::End => {}
        }
    }

    /// Items without an answer are told apart from those nobody got to. A failure names its job's
    /// items as they were claimed; those that were answered since keep their answer.
    fn note_failure(&mut self, failure: Failure) {
        let Failure { kind, left, error } = failure;
        let ids = match &left {
            Some(Job::Score(job)) => {
                let failed = || ScoreEntry::Failed(error.clone());
                fail_each(self.scoring.as_mut(), &job.video_ids, failed, String::clone)
            }
            Some(Job::Thumbnails(job)) => {
                let failed = || Answer::Failed(error.clone());
                let id = |item: &ThumbnailItem| item.video_id.clone();
                fail_each(self.thumbnails.as_mut(), &job.videos, failed, id)
            }
            Some(Job::Liveness(job)) => {
                let failed = || Answer::Failed(error.clone());
                fail_each(
                    self.liveness.as_mut(),
                    &job.video_ids,
                    failed,
                    String::clone,
                )
            }
            None => Vec::new(),
        };
        // A job whose every item is answered has done its work, however it ended.
        if left.is_none() || !ids.is_empty() {
            self.failures.push(FailedJob { kind, ids, error });
        }
    }

    /// How far a kind of work has come; `None` if it was not asked for.
    #[must_use]
    pub fn progress(&self, kind: Kind) -> Option<Counted> {
        match kind {
            Kind::Score => self.scoring.as_ref().map(Section::progress),
            Kind::Thumbnails => self.thumbnails.as_ref().map(Section::progress),
            Kind::Liveness => self.liveness.as_ref().map(Section::progress),
        }
    }

    /// The report; `describe` completes its summary.
    #[must_use]
    pub fn into_report(self, describe: impl FnOnce(Gathered) -> Summary) -> Report {
        let mut not_done = NotDone::default();
        let unknown_is_broken = self.unknown_is_broken;
        let scoring = self
            .scoring
            .map(|section| scoring(section, &mut not_done.scoring));
        let thumbnails = self
            .thumbnails
            .map(|section| thumbnails(section, unknown_is_broken, &mut not_done.thumbnails));
        let liveness = self
            .liveness
            .map(|section| liveness(section, &mut not_done.liveness));
        let gathered = Gathered {
            failures: self.failures,
            not_done,
            cached: self.cached,
        };
        Report {
            scoring,
            thumbnails,
            liveness,
            summary: describe(gathered),
        }
    }
}

/// What the collector knows of the run itself.
#[derive(Debug)]
pub struct Gathered {
    /// Items no job could answer.
    pub failures: Vec<FailedJob>,
    /// What is left to do.
    pub not_done: NotDone,
    /// Verdicts reused from earlier runs.
    pub cached: Cached,
}

fn fail_each<K: Eq + std::hash::Hash, A>(
    section: Option<&mut Section<K, A>>,
    inputs: &[K],
    failed: impl Fn() -> A,
    id: impl Fn(&K) -> String,
) -> Vec<String> {
    section.map_or_else(Vec::new, |section| {
        let open = section.fail(inputs, failed);
        open.into_iter().map(id).collect()
    })
}

/// The section itself becomes the report's: a second copy of a large one would double it.
fn scoring(mut section: Section<String, ScoreEntry>, left: &mut Vec<String>) -> Scoring {
    section.inputs.retain(|id, entry| {
        if entry.is_none() {
            left.push(id.clone());
        }
        entry.is_some()
    });
    Scoring(section.inputs)
}

fn thumbnails(
    section: Section<ThumbnailItem, Answer<ThumbnailVerdict>>,
    unknown_is_broken: bool,
    left: &mut Vec<String>,
) -> Thumbnails {
    let mut found = Thumbnails::default();
    for (item, answer) in section.inputs {
        let verdict = match answer {
            Some(Answer::Given(verdict)) => verdict,
            Some(Answer::Failed(error)) => ThumbnailVerdict {
                status: ThumbnailStatus::Unknown,
                reason: Some(format!("failed: {error}")),
                size: None,
            },
            None => {
                left.push(item.video_id);
                continue;
            }
        };
        match verdict.status {
            ThumbnailStatus::Valid => {
                found.valid += 1;
                continue;
            }
            ThumbnailStatus::Placeholder => found.placeholder += 1,
            ThumbnailStatus::Broken | ThumbnailStatus::Error => found.broken += 1,
            ThumbnailStatus::Unknown if unknown_is_broken => found.broken += 1,
            ThumbnailStatus::Unknown => {
                found.unknown += 1;
                found.unknown_ids.push(item.video_id.clone());
            }
        }
        found.details.push(ThumbnailDetail {
            id: item.video_id,
            status: verdict.status.name(),
            size: verdict.size.map(|size| size.to_string()),
            msg: verdict.reason,
            url: item.thumbnail_url,
        });
    }
    found
}

fn liveness(section: Section<String, Answer<Judgement>>, left: &mut Vec<String>) -> Liveness {
    let mut found = Liveness::default();
    for (id, answer) in section.inputs {
        let judgement = match answer {
            Some(Answer::Given(judgement)) => judgement,
            Some(Answer::Failed(error)) => Judgement {
                verdict: Verdict::Unknown,
                reason: format!("failed: {error}"),
                http_status: None,
            },
            None => {
                left.push(id);
                continue;
            }
        };
        let (count, ids) = match judgement.verdict {
            Verdict::Alive => {
                found.alive += 1;
                continue;
            }
            Verdict::Dead => (&mut found.dead, &mut found.dead_ids),
            Verdict::Invalid => (&mut found.invalid, &mut found.invalid_ids),
            Verdict::Unknown => (&mut found.unknown, &mut found.unknown_ids),
        };
        *count += 1;
        ids.push(id.clone());
        found.details.push(LivenessDetail {
            id,
            verdict: judgement.verdict.name(),
            reason: judgement.reason,
            http_status: judgement.http_status,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::LivenessJob;

    fn judged(id: &str) -> TicketEvent {
        TicketEvent::Liveness {
            video_id: id.to_owned(),
            judgement: Judgement {
                verdict: Verdict::Alive,
                reason: "oembed json".to_owned(),
                http_status: Some(200),
            },
            cached: false,
        }
    }

    /// As pools tell it: what is left is the payload as it was claimed.
    fn failed(ids: &[&str]) -> TicketEvent {
        TicketEvent::Failed(Failure {
            kind: Kind::Liveness,
            left: Some(Job::Liveness(LivenessJob {
                video_ids: ids.iter().map(ToString::to_string).collect(),
                fresh: false,
            })),
            error: "panicked".to_owned(),
        })
    }

    fn gathered(events: impl IntoIterator<Item = TicketEvent>) -> (Report, Option<Counted>) {
        let plan = Plan {
            liveness: Some(["a", "b", "c"].map(str::to_owned).to_vec()),
            ..Plan::default()
        };
        let mut collector = Collector::new(&plan, false);
        for event in events {
            collector.note(event);
        }
        let progress = collector.progress(Kind::Liveness);
        let report = collector.into_report(|gathered| Summary::of(gathered, String::new()));
        (report, progress)
    }

    #[test]
    fn a_late_failure_takes_no_answer_away() {
        let (report, progress) = gathered([judged("a"), failed(&["a", "b"])]);
        let found = report.liveness.unwrap();
        assert_eq!((found.alive, found.unknown), (1, 1));
        assert_eq!(found.unknown_ids, ["b"]);
        assert_eq!(report.summary.failures[0].ids, ["b"]);
        assert_eq!(report.summary.not_done.liveness, ["c"]);
        assert_eq!(progress, Some(Counted { done: 2, of: 3 }));
    }

    #[test]
    fn a_failure_that_leaves_nothing_open_is_none() {
        let (report, _) = gathered([judged("a"), failed(&["a"])]);
        assert!(report.summary.failures.is_empty());
        assert_eq!(report.liveness.unwrap().alive, 1);
    }
}
