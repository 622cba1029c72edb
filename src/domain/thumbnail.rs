//! What a fetched thumbnail is worth to the site's pages.

use std::fmt;

use super::picture::{PictureError, Size};

/// What came of fetching and decoding a thumbnail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// A whole picture.
    Decoded(Size),
    /// A body that is none.
    Undecodable(PictureError),
    /// An HTTP status other than 200.
    Status(u16),
    /// No definitive answer: time-out, connection, DNS; and which.
    NoAnswer(String),
    /// The guard refused the address.
    Refused(String),
    /// The body passed the cap.
    TooLarge(String),
    /// A redirect that leads nowhere.
    BadRedirect(String),
    /// Our own code broke on it.
    Panicked(String),
}

/// What the site asks of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Narrower is a placeholder, pixels.
    pub min_width: u32,
    /// Lower is a placeholder, pixels.
    pub min_height: u32,
}

/// The finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// A picture, large enough.
    Valid,
    /// A picture too small to be the video's own.
    Placeholder,
    /// There is none: the server said so.
    Broken,
    /// What there is cannot be shown.
    Error,
    /// Nobody could tell.
    Unknown,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] = [
        Self::Valid,
        Self::Placeholder,
        Self::Broken,
        Self::Error,
        Self::Unknown,
    ];

    /// Its name in reports and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Placeholder => "placeholder",
            Self::Broken => "broken",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }

    /// Reads a status by its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A finding with its grounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The finding.
    pub status: Status,
    /// Why it is not valid, for people.
    pub reason: Option<String>,
    /// The picture's size, where one was decoded.
    pub size: Option<Size>,
}

/// Judges a thumbnail.
#[must_use]
pub fn judge(evidence: &Evidence, rules: &Rules) -> Verdict {
    let (status, reason, size) = match evidence {
        Evidence::Decoded(size) if is_too_small(*size, rules) => (
            Status::Placeholder,
            Some(format!(
                "{size} is under {}x{}",
                rules.min_width, rules.min_height
            )),
            Some(*size),
        ),
        Evidence::Decoded(size) => (Status::Valid, None, Some(*size)),
        Evidence::Undecodable(error) => (Status::Error, Some(error.to_string()), None),
        Evidence::Status(code) if is_transient(evidence) => {
            (Status::Unknown, Some(format!("http {code}")), None)
        }
        Evidence::Status(code) => (Status::Broken, Some(format!("http {code}")), None),
        Evidence::NoAnswer(why) => (Status::Unknown, Some(format!("no answer: {why}")), None),
        Evidence::Refused(why) => (Status::Error, Some(format!("refused: {why}")), None),
        Evidence::TooLarge(why) => (Status::Error, Some(format!("too large: {why}")), None),
        Evidence::BadRedirect(why) => (Status::Error, Some(format!("bad redirect: {why}")), None),
        Evidence::Panicked(why) => (Status::Error, Some(format!("panicked: {why}")), None),
    };
    Verdict {
        status,
        reason,
        size,
    }
}

const fn is_too_small(size: Size, rules: &Rules) -> bool {
    size.width < rules.min_width || size.height < rules.min_height
}

/// Whether fetching again soon may bring a definitive answer.
#[must_use]
pub fn is_transient(evidence: &Evidence) -> bool {
    match evidence {
        Evidence::Status(code) => matches!(code, 408 | 425 | 429 | 500..=599),
        Evidence::NoAnswer(_) => true,
        Evidence::Decoded(_)
        | Evidence::Undecodable(_)
        | Evidence::Refused(_)
        | Evidence::TooLarge(_)
        | Evidence::BadRedirect(_)
        | Evidence::Panicked(_) => false,
    }
}
