//! Work to do: the payload each kind carries, and how it is cut.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

pub use super::kind::{Kind, Queue};

/// One picture to check: the video it belongs to and where it lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(expecting = "an object with video_id and thumbnail_url")]
pub struct ThumbnailItem {
    /// The site's id of the video.
    pub video_id: String,
    /// The picture's address, untrusted.
    pub thumbnail_url: String,
}

/// Work to do, typed: what a host submits and a worker receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Score these videos.
    Score(ScoreJob),
    /// Check these thumbnails.
    Thumbnails(ThumbnailsJob),
    /// Ask whether these videos live.
    Liveness(LivenessJob),
}

/// Videos to score: the payload of [`Kind::Score`], and what a host submits as
/// `vvv_actors::Score`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "an object with video_ids")]
pub struct ScoreJob {
    /// The site's video ids.
    pub video_ids: Vec<String>,
}

/// Thumbnails to check: the payload of [`Kind::Thumbnails`], and what a host submits as
/// `vvv_actors::Thumbnails`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "an object with videos")]
pub struct ThumbnailsJob {
    /// The pictures, each with its video.
    pub videos: Vec<ThumbnailItem>,
}

/// Videos to ask for: the payload of [`Kind::Liveness`], and what a host submits as
/// `vvv_actors::Liveness`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "an object with video_ids")]
pub struct LivenessJob {
    /// The site's video ids.
    pub video_ids: Vec<String>,
    /// Whether no earlier verdict will do: each is asked for anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
}

/// A part of a job as stored in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// How many items it holds.
    pub items: usize,
    /// What [`Job::payload`] of it would be.
    pub payload: String,
}

/// A payload that does not fit its kind.
#[derive(Debug, thiserror::Error)]
#[error("read the payload of a {kind} job: {}{source}", if source.is_data() { "" } else { "no JSON: " })]
pub struct PayloadError {
    /// What the job claimed to be.
    pub kind: Kind,
    /// What serde found.
    pub source: serde_json::Error,
}

impl Job {
    /// The priority of a job that nobody gave one; 0 is first, 9 last.
    pub const DEFAULT_PRIORITY: u8 = 5;

    /// Reads a payload as stored in the queue.
    ///
    /// # Errors
    /// When the JSON does not have the kind's shape.
    pub fn from_payload(kind: Kind, payload: &str) -> Result<Self, PayloadError> {
        match kind {
            Kind::Score => serde_json::from_str(payload).map(Self::Score),
            Kind::Thumbnails => serde_json::from_str(payload).map(Self::Thumbnails),
            Kind::Liveness => serde_json::from_str(payload).map(Self::Liveness),
        }
        .map_err(|source| PayloadError { kind, source })
    }

    /// The payload as stored in the queue.
    ///
    /// # Errors
    /// None in practice: strings always serialise.
    pub fn payload(&self) -> serde_json::Result<String> {
        match self {
            Self::Score(job) => payload_of("video_ids", &job.video_ids, false),
            Self::Thumbnails(job) => payload_of("videos", &job.videos, false),
            Self::Liveness(job) => payload_of("video_ids", &job.video_ids, job.fresh),
        }
    }

    /// Cuts the job, each item once, into jobs of at most `size` items, in order.
    ///
    /// # Errors
    /// None in practice, as of [`Self::payload`].
    pub fn payloads(&self, size: usize) -> serde_json::Result<Vec<Piece>> {
        match self {
            Self::Score(job) => payloads_of("video_ids", &job.video_ids, false, size),
            Self::Thumbnails(job) => payloads_of("videos", &job.videos, false, size),
            Self::Liveness(job) => payloads_of("video_ids", &job.video_ids, job.fresh, size),
        }
    }

    /// What the job does.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Score(_) => Kind::Score,
            Self::Thumbnails(_) => Kind::Thumbnails,
            Self::Liveness(_) => Kind::Liveness,
        }
    }

    /// A job of this kind with nothing to do.
    #[must_use]
    pub const fn nothing(kind: Kind) -> Self {
        match kind {
            Kind::Score => Self::Score(ScoreJob {
                video_ids: Vec::new(),
            }),
            Kind::Thumbnails => Self::Thumbnails(ThumbnailsJob { videos: Vec::new() }),
            Kind::Liveness => Self::Liveness(LivenessJob {
                video_ids: Vec::new(),
                fresh: false,
            }),
        }
    }

    /// How many items it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Score(job) => job.video_ids.len(),
            Self::Thumbnails(job) => job.videos.len(),
            Self::Liveness(job) => job.video_ids.len(),
        }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The video ids of its items, in order.
    #[must_use]
    pub fn video_ids(&self) -> Vec<String> {
        match self {
            Self::Score(job) => job.video_ids.clone(),
            Self::Thumbnails(job) => job.videos.iter().map(|v| v.video_id.clone()).collect(),
            Self::Liveness(job) => job.video_ids.clone(),
        }
    }

    /// The job without the items of these videos.
    #[must_use]
    pub fn without(mut self, videos: &HashSet<String>) -> Self {
        match &mut self {
            Self::Score(ScoreJob { video_ids }) | Self::Liveness(LivenessJob { video_ids, .. }) => {
                video_ids.retain(|id| !videos.contains(id));
            }
            Self::Thumbnails(ThumbnailsJob { videos: items }) => {
                items.retain(|item| !videos.contains(&item.video_id));
            }
        }
        self
    }

    /// Cuts the job into jobs of at most `size` items, in order.
    #[must_use]
    pub fn into_chunks(self, size: usize) -> Vec<Self> {
        let size = size.max(1);
        match self {
            Self::Score(job) => cut(job.video_ids, size, |video_ids| {
                Self::Score(ScoreJob { video_ids })
            }),
            Self::Thumbnails(job) => cut(job.videos, size, |videos| {
                Self::Thumbnails(ThumbnailsJob { videos })
            }),
            Self::Liveness(LivenessJob { video_ids, fresh }) => cut(video_ids, size, |video_ids| {
                Self::Liveness(LivenessJob { video_ids, fresh })
            }),
        }
    }
}

/// Each value once, where it first stood.
#[must_use]
pub fn once_each<T: Eq + std::hash::Hash>(values: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::with_capacity(values.len());
    let is_first: Vec<bool> = values.iter().map(|value| seen.insert(value)).collect();
    let marked = values.into_iter().zip(is_first);
    marked
        .filter_map(|(value, first)| first.then_some(value))
        .collect()
}

fn payloads_of<T: Serialize + Eq + std::hash::Hash>(
    key: &str,
    items: &[T],
    fresh: bool,
    size: usize,
) -> serde_json::Result<Vec<Piece>> {
    let items: Vec<&T> = once_each(items.iter().collect());
    let piece = |items: &[&T]| {
        let payload = payload_of(key, items, fresh)?;
        Ok(Piece {
            items: items.len(),
            payload,
        })
    };
    items.chunks(size.max(1)).map(piece).collect()
}

fn payload_of<T: Serialize>(key: &str, items: &[T], fresh: bool) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Payload<'a, T> {
        #[serde(flatten)]
        items: HashMap<&'a str, &'a [T]>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        fresh: bool,
    }
    let items = HashMap::from([(key, items)]);
    serde_json::to_string(&Payload { items, fresh })
}

fn cut<T>(items: Vec<T>, size: usize, make: impl Fn(Vec<T>) -> Job) -> Vec<Job> {
    let mut chunks = Vec::with_capacity(items.len().div_ceil(size));
    let mut items = items.into_iter();
    loop {
        let chunk: Vec<T> = items.by_ref().take(size).collect();
        if chunk.is_empty() {
            return chunks;
        }
        chunks.push(make(chunk));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_survives_the_queue() {
        let job = Job::Thumbnails(ThumbnailsJob {
            videos: vec![ThumbnailItem {
                video_id: "-x\u{7}\"".into(),
                thumbnail_url: "u".into(),
            }],
        });
        let stored = job.payload().unwrap();
        assert_eq!(Job::from_payload(Kind::Thumbnails, &stored).unwrap(), job);
        let piece = Piece {
            items: 1,
            payload: stored.clone(),
        };
        assert_eq!(job.payloads(7).unwrap(), [piece]);
        let wrong = Job::from_payload(Kind::Score, &stored).unwrap_err();
        assert!(wrong.to_string().contains("video_ids"), "{wrong}");
    }

    #[test]
    fn pieces_hold_each_item_once() {
        let video_ids = ["b", "a", "b", "c", "a"].map(str::to_owned).to_vec();
        let pieces = Job::Liveness(LivenessJob {
            video_ids,
            fresh: true,
        })
        .payloads(2);
        let pieces = pieces.unwrap();
        let read: Vec<_> = pieces
            .iter()
            .map(|piece| {
                let job = Job::from_payload(Kind::Liveness, &piece.payload).unwrap();
                assert!(matches!(
                    &job,
                    Job::Liveness(LivenessJob { fresh: true, .. })
                ));
                (piece.items, job.video_ids())
            })
            .collect();
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(read, [(2, owned(&["b", "a"])), (1, owned(&["c"]))]);
        let none = Job::nothing(Kind::Score).payloads(2).unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn chunks_keep_order_and_lose_nothing() {
        let ids: Vec<String> = (0..101).map(|n| n.to_string()).collect();
        let chunks = Job::Score(ScoreJob {
            video_ids: ids.clone(),
        })
        .into_chunks(50);
        assert_eq!(chunks.iter().map(Job::len).collect::<Vec<_>>(), [50, 50, 1]);
        assert_eq!(
            chunks.iter().flat_map(Job::video_ids).collect::<Vec<_>>(),
            ids
        );
        assert!(
            Job::Score(ScoreJob { video_ids: vec![] })
                .into_chunks(50)
                .is_empty()
        );
    }
}
