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

/// What an earlier careful verdict is worth under today's rules: a size is judged anew, and an error
/// counts only if it lies in the picture. Others came of a setting that may have changed since
/// (addresses, bytes, pixels, redirects) or of a fault of ours.
#[must_use]
pub fn reuse(earlier: Verdict, rules: &Rules) -> Option<Verdict> {
    match (earlier.status, earlier.size, earlier.reason.as_deref()) {
        (Status::Valid | Status::Placeholder, Some(size), _) => {
            Some(judge(&Evidence::Decoded(size), rules))
        }
        (Status::Broken, ..) => Some(earlier),
        (Status::Error, _, Some(reason)) if lies_in_the_picture(reason) => Some(earlier),
        (Status::Valid | Status::Placeholder | Status::Error | Status::Unknown, ..) => None,
    }
}

fn lies_in_the_picture(reason: &str) -> bool {
    matches!(reason, "not a picture" | "truncated") || reason.starts_with("corrupt: ")
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

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        min_width: 200,
        min_height: 150,
    };

    const fn decoded(width: u32, height: u32) -> Evidence {
        Evidence::Decoded(Size { width, height })
    }

    #[test]
    fn a_picture_is_a_placeholder_if_either_side_is_too_short() {
        let cases = [
            (200, 150, Status::Valid),
            (480, 360, Status::Valid),
            (199, 150, Status::Placeholder),
            (200, 149, Status::Placeholder),
            (120, 90, Status::Placeholder),
            (4000, 1, Status::Placeholder),
        ];
        for (width, height, status) in cases {
            let verdict = judge(&decoded(width, height), &RULES);
            assert_eq!(verdict.status, status, "{width}x{height}");
            assert_eq!(verdict.size, Some(Size { width, height }));
            assert_eq!(verdict.reason.is_none(), status == Status::Valid);
        }
        let reason = judge(&decoded(120, 90), &RULES).reason;
        assert_eq!(reason.as_deref(), Some("120x90 is under 200x150"));
    }

    #[test]
    fn a_definitive_status_is_broken_and_a_passing_one_unknown() {
        for code in [
            100, 204, 206, 301, 304, 400, 401, 403, 404, 410, 451, 600, 999,
        ] {
            let evidence = Evidence::Status(code);
            assert!(!is_transient(&evidence), "{code}");
            assert_eq!(judge(&evidence, &RULES).status, Status::Broken, "{code}");
        }
        for code in [408, 425, 429, 500, 502, 503, 504, 520, 599] {
            let evidence = Evidence::Status(code);
            assert!(is_transient(&evidence), "{code}");
            let verdict = judge(&evidence, &RULES);
            assert_eq!(verdict.status, Status::Unknown, "{code}");
            assert_eq!(verdict.reason, Some(format!("http {code}")));
        }
    }

    #[test]
    fn silence_is_unknown_and_what_cannot_be_shown_an_error() {
        let why = || "why".to_owned();
        let cases = [
            (Evidence::NoAnswer(why()), Status::Unknown, "no answer: why"),
            (Evidence::Refused(why()), Status::Error, "refused: why"),
            (Evidence::TooLarge(why()), Status::Error, "too large: why"),
            (
                Evidence::BadRedirect(why()),
                Status::Error,
                "bad redirect: why",
            ),
            (Evidence::Panicked(why()), Status::Error, "panicked: why"),
            (
                Evidence::Undecodable(PictureError::Truncated),
                Status::Error,
                "truncated",
            ),
            (
                Evidence::Undecodable(PictureError::NotAPicture),
                Status::Error,
                "not a picture",
            ),
        ];
        for (evidence, status, reason) in cases {
            let verdict = judge(&evidence, &RULES);
            assert_eq!(verdict.status, status, "{evidence:?}");
            assert_eq!(verdict.reason.as_deref(), Some(reason));
            assert_eq!(verdict.size, None);
            assert_eq!(is_transient(&evidence), status == Status::Unknown);
        }
    }

    #[test]
    fn an_earlier_size_is_judged_by_todays_rules() {
        let lax = Rules {
            min_width: 1,
            min_height: 1,
        };
        for (then, now, status) in [
            (&RULES, &RULES, Status::Placeholder),
            (&lax, &RULES, Status::Placeholder),
            (&RULES, &lax, Status::Valid),
        ] {
            let reused = reuse(judge(&decoded(199, 150), then), now);
            assert_eq!(reused, Some(judge(&decoded(199, 150), now)));
            assert_eq!(reused.map(|verdict| verdict.status), Some(status));
        }
        let without_size = Verdict {
            status: Status::Valid,
            reason: None,
            size: None,
        };
        assert_eq!(reuse(without_size, &RULES), None);
    }

    #[test]
    fn an_earlier_verdict_counts_if_no_setting_could_change_it() {
        let size = Size {
            width: 70_000,
            height: 1,
        };
        let why = || "why".to_owned();
        let cases = [
            (Evidence::Status(404), true),
            (Evidence::Undecodable(PictureError::NotAPicture), true),
            (Evidence::Undecodable(PictureError::Truncated), true),
            (Evidence::Undecodable(PictureError::Corrupt(why())), true),
            (
                Evidence::Undecodable(PictureError::TooManyPixels { size, max: 9 }),
                false,
            ),
            (
                Evidence::Undecodable(PictureError::SideTooLong { size }),
                false,
            ),
            (Evidence::Refused(why()), false),
            (Evidence::TooLarge(why()), false),
            (Evidence::BadRedirect(why()), false),
            (Evidence::Panicked(why()), false),
            (Evidence::Status(503), false),
            (Evidence::NoAnswer(why()), false),
        ];
        for (evidence, counts) in cases {
            let earlier = judge(&evidence, &RULES);
            let reused = reuse(earlier.clone(), &RULES);
            assert_eq!(reused, counts.then_some(earlier), "{evidence:?}");
        }
    }

    #[test]
    fn a_status_is_found_by_its_name() {
        for status in Status::ALL {
            assert_eq!(Status::from_name(&status.to_string()), Some(status));
        }
        assert_eq!(Status::from_name("ok"), None);
    }
}
