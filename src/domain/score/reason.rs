//! Why a video has no score.

use std::fmt;

/// A count a score needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Views of the latest or the previous snapshot.
    Views,
    /// Likes of the latest.
    Likes,
    /// Comments of the latest.
    Comments,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Views => "views",
            Self::Likes => "likes",
            Self::Comments => "comments",
        })
    }
}

/// Why a video has no score. Its stored one stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Fewer than two snapshots.
    #[error("insufficient data")]
    InsufficientData,
    /// The last two snapshots are of one time, or in the wrong order.
    #[error("no time delta")]
    NoTimeDelta,
    /// A date of the last two snapshots is missing or cannot be read.
    #[error("unreadable date")]
    UnreadableDate,
    /// A count is NULL.
    #[error("no {0}")]
    Missing(Field),
    /// A count is text or a blob.
    #[error("unreadable {0}")]
    Unreadable(Field),
    /// The region of one of the last two snapshots is no UTF-8.
    #[error("unreadable region")]
    UnreadableRegion,
    /// A count, a baseline or a result that no finite number can hold.
    #[error("out of range")]
    OutOfRange,
}

impl Reason {
    /// Reads a reason by its text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        const FIELDS: [Field; 3] = [Field::Views, Field::Likes, Field::Comments];
        [
            Self::InsufficientData,
            Self::NoTimeDelta,
            Self::UnreadableDate,
            Self::UnreadableRegion,
            Self::OutOfRange,
        ]
        .into_iter()
        .chain(FIELDS.map(Self::Missing))
        .chain(FIELDS.map(Self::Unreadable))
        .find(|reason| reason.to_string() == text)
    }
}
