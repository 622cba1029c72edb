//! The labels meters are told apart by: closed sets, so that no stranger's text becomes one.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};

use super::each::{Label, Labels};
use crate::domain::alarm::AlarmKind;
use crate::domain::job::{Kind, Queue};
use crate::domain::liveness::Verdict;
use crate::domain::thumbnail::Status;
use crate::fetch::FetchError;

/// A label whose values are listed in the order they are declared in.
macro_rules! label {
    ($of:ty, $key:literal, $all:expr, $text:expr) => {
        impl Label for $of {
            const KEY: &'static str = $key;
            const COUNT: usize = $all.len();

            fn all() -> Vec<Self> {
                $all.to_vec()
            }

            fn place(self) -> usize {
                self as usize
            }

            fn text(self) -> &'static str {
                $text(self)
            }
        }
    };
}

/// A closed set of words.
macro_rules! words {
    ($(#[$doc:meta])* $of:ident, $key:literal: $($(#[$what:meta])* $name:ident = $text:literal,)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $of {
            $($(#[$what])* $name,)+
        }

        label!($of, $key, [$($of::$name),+], |word| match word {
            $($of::$name => $text,)+
        });
    };
}

label!(Kind, "kind", Kind::ALL, Kind::name);
label!(Queue, "queue", Queue::ALL, Queue::name);
label!(AlarmKind, "alarm", ALARMS, alarm);

const ALARMS: [AlarmKind; 7] = [
    AlarmKind::Backlog,
    AlarmKind::RestartsSpent,
    AlarmKind::StorageFull,
    AlarmKind::StorageFailing,
    AlarmKind::DatabaseDamaged,
    AlarmKind::DatabaseReplaced,
    AlarmKind::UpstreamParked,
];

const fn alarm(kind: AlarmKind) -> &'static str {
    match kind {
        AlarmKind::Backlog => "backlog",
        AlarmKind::RestartsSpent => "restarts_spent",
        AlarmKind::StorageFull => "storage_full",
        AlarmKind::StorageFailing => "storage_failing",
        AlarmKind::DatabaseDamaged => "database_damaged",
        AlarmKind::DatabaseReplaced => "database_replaced",
        AlarmKind::UpstreamParked => "upstream_parked",
    }
}

words! {
    /// What became of a claimed job.
    Outcome, "outcome":
    /// Every item has an answer, or its last verdict.
    Succeeded = "succeeded",
    /// It ended without one.
    Failed = "failed",
    /// Somebody cancelled it, claimed or not.
    Cancelled = "cancelled",
    /// The attempt failed and another follows.
    Retried = "retried",
    /// It went back without a spent attempt: a park, a soft limit, a stop.
    Released = "released",
}

words! {
    /// Who fetches.
    Lane, "lane":
    /// Pictures, from addresses of strangers.
    Thumbnail = "thumbnail",
    /// The provider's own endpoint.
    Oembed = "oembed",
}

words! {
    /// Who died and was replaced.
    Who, "who":
    /// A worker of the scoring queue.
    ScoringWorker = "scoring_worker",
    /// A worker of the thumbnails queue.
    ThumbnailsWorker = "thumbnails_worker",
    /// A worker of the cleanup queue.
    CleanupWorker = "cleanup_worker",
    /// The scoring queue's pool.
    ScoringPool = "scoring_pool",
    /// The thumbnails queue's pool.
    ThumbnailsPool = "thumbnails_pool",
    /// The cleanup queue's pool.
    CleanupPool = "cleanup_pool",
    /// The rate limiter.
    RateLimiter = "rate_limiter",
    /// The database actor.
    Database = "database",
    /// The scheduler.
    Scheduler = "scheduler",
    /// The alarm keeper.
    AlarmKeeper = "alarm_keeper",
}

impl Who {
    /// A worker of this queue.
    #[must_use]
    pub const fn worker(queue: Queue) -> Self {
        match queue {
            Queue::Scoring => Self::ScoringWorker,
            Queue::Thumbnails => Self::ThumbnailsWorker,
            Queue::Cleanup => Self::CleanupWorker,
        }
    }

    /// The pool of this queue.
    #[must_use]
    pub const fn pool(queue: Queue) -> Self {
        match queue {
            Queue::Scoring => Self::ScoringPool,
            Queue::Thumbnails => Self::ThumbnailsPool,
            Queue::Cleanup => Self::CleanupPool,
        }
    }
}

words! {
    /// What is looked up at a scrape.
    Part, "part":
    /// The queues' lengths.
    Queues = "queues",
    /// The rate window.
    RateWindow = "rate_window",
    /// The database's files.
    Files = "files",
    /// The process.
    Process = "process",
}

words! {
    /// How a fetch ended: the class of its status, or why it has none.
    FetchEnd, "outcome":
    /// A 2xx.
    Success = "2xx",
    /// A 3xx that was not followed.
    Redirect = "3xx",
    /// A 429.
    TooMany = "429",
    /// Another 4xx.
    Refusal = "4xx",
    /// A 5xx.
    Failure = "5xx",
    /// No status there is.
    OtherStatus = "other_status",
    /// Its time was over.
    TimedOut = "timed_out",
    /// The name has no address.
    Unresolved = "unresolved",
    /// No connection, or it was lost.
    Connection = "connection",
    /// No trusted TLS session.
    Tls = "tls",
    /// No HTTP.
    Protocol = "protocol",
    /// The guard let nobody through.
    Guarded = "guarded",
    /// Redirects that lead nowhere.
    BadRedirect = "bad_redirect",
    /// A body over its cap.
    TooLarge = "too_large",
    /// A body cut short.
    Incomplete = "incomplete",
    /// A body that does not decode, or is not of the kind that is wanted.
    BadBody = "bad_body",
    /// A fault of ours.
    Setup = "setup",
}

impl FetchEnd {
    pub(super) const fn status(status: u16) -> Self {
        match status {
            200..=299 => Self::Success,
            300..=399 => Self::Redirect,
            429 => Self::TooMany,
            400..=499 => Self::Refusal,
            500..=599 => Self::Failure,
            _ => Self::OtherStatus,
        }
    }

    pub(super) const fn error(error: &FetchError) -> Self {
        match error {
            FetchError::TimedOut { .. } => Self::TimedOut,
            FetchError::Unresolved(_) => Self::Unresolved,
            FetchError::Connect(_) | FetchError::Broken(_) => Self::Connection,
            FetchError::Tls(_) => Self::Tls,
            FetchError::Protocol(_) => Self::Protocol,
            FetchError::Refused(_) | FetchError::BadUrl(_) => Self::Guarded,
            FetchError::BadRedirect(_) => Self::BadRedirect,
            FetchError::TooLarge { .. } => Self::TooLarge,
            FetchError::Incomplete | FetchError::BrokenOff(_) => Self::Incomplete,
            FetchError::Corrupt(_) | FetchError::Unrecognised => Self::BadBody,
            FetchError::Setup(_) => Self::Setup,
        }
    }
}

/// What was found of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Found {
    /// A score.
    Scored,
    /// No score.
    Unscored,
    /// What a thumbnail is worth.
    Thumbnail(Status),
    /// Whether a video exists.
    Liveness(Verdict),
}

impl Labels for Found {
    fn all() -> Vec<Self> {
        [Self::Scored, Self::Unscored]
            .into_iter()
            .chain(Status::ALL.map(Self::Thumbnail))
            .chain(Verdict::ALL.map(Self::Liveness))
            .collect()
    }

    fn place(self) -> usize {
        match self {
            Self::Scored => 0,
            Self::Unscored => 1,
            Self::Thumbnail(status) => 2 + status as usize,
            Self::Liveness(verdict) => 2 + Status::ALL.len() + verdict as usize,
        }
    }
}

impl EncodeLabelSet for Found {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        let (kind, verdict) = match self {
            Self::Scored => (Kind::Score, "scored"),
            Self::Unscored => (Kind::Score, "unscored"),
            Self::Thumbnail(status) => (Kind::Thumbnails, status.name()),
            Self::Liveness(verdict) => (Kind::Liveness, verdict.name()),
        };
        [("kind", kind.name()), ("verdict", verdict)].encode(encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::super::each::{Both, Of};
    use super::*;

    fn stands_where_it_says<L: Labels>() {
        for (place, labels) in L::all().into_iter().enumerate() {
            assert_eq!(labels.place(), place, "{labels:?}");
        }
    }

    #[test]
    fn every_label_stands_where_it_says() {
        stands_where_it_says::<Of<Queue>>();
        stands_where_it_says::<Of<AlarmKind>>();
        stands_where_it_says::<Of<Who>>();
        stands_where_it_says::<Both<Kind, Outcome>>();
        stands_where_it_says::<Both<Lane, FetchEnd>>();
        stands_where_it_says::<Found>();
    }
}
