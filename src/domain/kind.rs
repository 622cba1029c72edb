//! Kinds of work and the queues they wait in.
//!
//! A closed enum is the registry: a new kind is a new variant, and the compiler's exhaustive
//! matches list every other place that has to know of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Score each video from its last snapshots.
    Score,
    /// Fetch and judge each thumbnail.
    Thumbnails,
    /// Ask the provider whether each video still exists.
    Liveness,
}

impl Kind {
    /// Every kind, in the order reports name them.
    pub const ALL: [Self; 3] = [Self::Score, Self::Thumbnails, Self::Liveness];

    /// The kind's own name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Thumbnails => "thumbnails",
            Self::Liveness => "liveness",
        }
    }

    /// The Celery task name the article uses for it, accepted wherever a kind is.
    #[must_use]
    pub const fn alias(self) -> &'static str {
        match self {
            Self::Score => "tasks.score_virality_batch",
            Self::Thumbnails => "tasks.validate_thumbnails",
            Self::Liveness => "tasks.detect_dead_videos",
        }
    }

    /// The report's section for it.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::Score => "scoring",
            Self::Thumbnails => "thumbnails",
            Self::Liveness => "liveness",
        }
    }

    /// The queue its jobs wait in.
    #[must_use]
    pub const fn queue(self) -> Queue {
        match self {
            Self::Score => Queue::Scoring,
            Self::Thumbnails => Queue::Thumbnails,
            Self::Liveness => Queue::Cleanup,
        }
    }

    /// Reads a kind by name, task alias, queue or report section.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| {
            [
                kind.name(),
                kind.alias(),
                kind.section(),
                kind.queue().name(),
            ]
            .contains(&name)
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A line of jobs with its own pool of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Queue {
    /// Served by the scoring actors.
    Scoring,
    /// Served by the thumbnail actors.
    Thumbnails,
    /// Served by the liveness actors.
    Cleanup,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 3] = [Self::Scoring, Self::Thumbnails, Self::Cleanup];

    /// The queue's name, the article's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scoring => "scoring",
            Self::Thumbnails => "thumbnails",
            Self::Cleanup => "cleanup",
        }
    }

    /// Reads a queue by its name, or that of its kind of job.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Kind::from_name(name).map(Kind::queue)
    }

    /// The kind of job this queue holds.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Scoring => Kind::Score,
            Self::Thumbnails => Kind::Thumbnails,
            Self::Cleanup => Kind::Liveness,
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_each_of_its_names() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
            assert_eq!(Kind::from_name(kind.alias()), Some(kind));
            assert_eq!(Kind::from_name(kind.section()), Some(kind));
            assert_eq!(Kind::from_name(kind.queue().name()), Some(kind));
            assert_eq!(kind.queue().kind(), kind);
        }
        assert_eq!(Kind::from_name("Score"), None);
    }
}
