//! What a job found, item by item, in the form it is kept and handed out: one object an item.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::job::ThumbnailItem;
use super::liveness::{self, Judgement};
use super::picture::Size;
use super::score::{Label, Reason, Score, Scored};
use super::thumbnail::{self, Verdict};

/// What became of one video's score. With a `reason` there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreFound {
    /// The site's id.
    pub id: String,
    /// At most 100, 1 decimal; 0 without a score.
    pub score: f64,
    /// Views an hour, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub velocity: Option<i128>,
    /// Percent, 2 decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engagement: Option<f64>,
    /// Region of the latest snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// `VIRAL`, `TRENDING` or `NORMAL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// Why there is no score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What one thumbnail is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThumbnailFound {
    /// The site's id of the video.
    pub id: String,
    /// The picture's address.
    pub url: String,
    /// `valid`, `placeholder`, `broken`, `error` or `unknown`.
    pub status: String,
    /// Why it is not valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The picture's width, pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// The picture's height, pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Whether an earlier verdict was reused.
    pub cached: bool,
}

/// Whether one video exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LivenessFound {
    /// The site's id.
    pub id: String,
    /// `alive`, `dead`, `invalid` or `unknown`.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// The answer's status, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Whether an earlier verdict was reused.
    pub cached: bool,
}

/// What a job found so far: a list of the kind's own objects, as JSON `{"score": […]}` and so on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Findings {
    /// Scores.
    Score(Vec<ScoreFound>),
    /// Thumbnails.
    Thumbnails(Vec<ThumbnailFound>),
    /// Videos asked for.
    Liveness(Vec<LivenessFound>),
}

impl Findings {
    /// Reads findings as they are kept with a job.
    ///
    /// # Errors
    /// When the JSON is of another shape.
    pub fn from_json(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    /// As they are kept with a job.
    ///
    /// # Errors
    /// None in practice.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// How many items they are of.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Score(found) => found.len(),
            Self::Thumbnails(found) => found.len(),
            Self::Liveness(found) => found.len(),
        }
    }

    /// The videos they are of.
    #[must_use]
    pub fn video_ids(&self) -> HashSet<String> {
        match self {
            Self::Score(found) => found.iter().map(|found| found.id.clone()).collect(),
            Self::Thumbnails(found) => found.iter().map(|found| found.id.clone()).collect(),
            Self::Liveness(found) => found.iter().map(|found| found.id.clone()).collect(),
        }
    }

    /// Whether nothing was found.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was found before and now; of items found twice the later word.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        match (self, later) {
            (Self::Score(before), Self::Score(now)) => {
                Self::Score(merge(before, now, |found| found.id.clone()))
            }
            (Self::Thumbnails(before), Self::Thumbnails(now)) => {
                Self::Thumbnails(merge(before, now, |found| {
                    (found.id.clone(), found.url.clone())
                }))
            }
            (Self::Liveness(before), Self::Liveness(now)) => {
                Self::Liveness(merge(before, now, |found| found.id.clone()))
            }
            // Findings of another kind cannot be this job's.
            (Self::Score(_) | Self::Thumbnails(_) | Self::Liveness(_), later) => later,
        }
    }
}

fn merge<T, K: Eq + std::hash::Hash>(before: Vec<T>, now: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let newer: HashSet<K> = now.iter().map(&key).collect();
    before
        .into_iter()
        .filter(|found| !newer.contains(&key(found)))
        .chain(now)
        .collect()
}

impl ScoreFound {
    /// A score as it is kept.
    #[must_use]
    pub fn new(id: &str, score: &Score) -> Self {
        let id = id.to_owned();
        match score {
            Score::Scored(scored) => Self {
                id,
                score: scored.score,
                velocity: Some(scored.velocity),
                engagement: Some(scored.engagement),
                region: scored.region.as_deref().map(str::to_owned),
                label: Some(scored.label),
                reason: None,
            },
            Score::Unscored(reason) => Self {
                id,
                score: 0.0,
                velocity: None,
                engagement: None,
                region: None,
                label: None,
                reason: Some(reason.to_string()),
            },
        }
    }

    /// The score it was made of; none if it was made of none.
    #[must_use]
    pub fn score(&self) -> Option<Score> {
        if let Some(reason) = &self.reason {
            return Reason::from_text(reason).map(Score::Unscored);
        }
        Some(Score::Scored(Scored {
            score: self.score,
            velocity: self.velocity?,
            engagement: self.engagement?,
            region: self.region.as_deref().map(Into::into),
            label: self.label?,
        }))
    }
}

impl ThumbnailFound {
    /// A verdict as it is kept.
    #[must_use]
    pub fn new(item: &ThumbnailItem, verdict: &Verdict, cached: bool) -> Self {
        Self {
            id: item.video_id.clone(),
            url: item.thumbnail_url.clone(),
            status: verdict.status.name().to_owned(),
            reason: verdict.reason.clone(),
            width: verdict.size.map(|size| size.width),
            height: verdict.size.map(|size| size.height),
            cached,
        }
    }

    /// The verdict it was made of.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        let size = self.width.zip(self.height);
        Some(Verdict {
            status: thumbnail::Status::from_name(&self.status)?,
            reason: self.reason.clone(),
            size: size.map(|(width, height)| Size { width, height }),
        })
    }
}

impl LivenessFound {
    /// A verdict as it is kept.
    #[must_use]
    pub fn new(id: &str, judgement: &Judgement, cached: bool) -> Self {
        Self {
            id: id.to_owned(),
            verdict: judgement.verdict.name().to_owned(),
            reason: judgement.reason.clone(),
            http_status: judgement.http_status,
            cached,
        }
    }

    /// The verdict it was made of.
    #[must_use]
    pub fn judgement(&self) -> Option<Judgement> {
        Some(Judgement {
            verdict: liveness::Verdict::from_name(&self.verdict)?,
            reason: self.reason.clone(),
            http_status: self.http_status,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::score::Field;

    fn scored(score: f64, velocity: i128) -> Score {
        Score::Scored(Scored {
            score,
            velocity,
            engagement: 6.21,
            region: Some("PL".into()),
            label: Label::Viral,
        })
    }

    #[test]
    fn scores_come_back_to_the_last_digit() {
        let scores = [
            scored(87.3, 12_345),
            scored(-0.0, i128::from(i64::MAX) * 5),
            scored(0.1 + 0.2, -1),
            Score::Unscored(Reason::Missing(Field::Likes)),
            Score::Unscored(Reason::InsufficientData),
        ];
        let found = scores.iter().map(|score| ScoreFound::new("a", score));
        let json = Findings::Score(found.collect()).to_json().unwrap();
        let Findings::Score(back) = Findings::from_json(&json).unwrap() else {
            panic!("{json}")
        };
        for (score, back) in scores.iter().zip(back) {
            let back = back.score().unwrap();
            assert_eq!(&back, score);
            assert_eq!(
                serde_json::to_string(&back).unwrap(),
                serde_json::to_string(score).unwrap()
            );
        }
    }

    #[test]
    fn the_later_word_on_an_item_stands() {
        let found = |id: &str, verdict: &str| LivenessFound {
            id: id.to_owned(),
            verdict: verdict.to_owned(),
            reason: String::new(),
            http_status: None,
            cached: false,
        };
        let before = Findings::Liveness(vec![found("a", "unknown"), found("b", "alive")]);
        let merged = before.and(Findings::Liveness(vec![found("a", "dead")]));
        let expected = Findings::Liveness(vec![found("b", "alive"), found("a", "dead")]);
        assert_eq!(merged, expected);
    }
}
