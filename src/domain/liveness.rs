//! Whether a video still exists, judged from what its provider's oEmbed endpoint says.
//!
//! Only a definitive answer is a verdict: a site that hides a video for an upstream's bad hour
//! loses it for nothing.

use std::fmt;

use serde_json::{Map, Value};

/// What is known of a video after asking, or instead of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// The endpoint answered.
    Answer {
        /// The HTTP status.
        status: u16,
        /// Whether the body is oEmbed ([`is_oembed`]); a captcha page also answers 200.
        content_is_oembed: bool,
        /// What a body that is not seems to be.
        hint: Option<&'static str>,
    },
    /// No answer: time-out, connection, DNS, a body cut short; and which.
    NoAnswer(String),
    /// The id cannot exist, so nobody was asked.
    ImpossibleId,
    /// The endpoint is parked for longer than this run waits, so nobody was asked.
    RateLimited,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Only a definitive answer is a verdict.
    Careful,
    /// The article's: 200 is alive, anything else dead.
    Http200,
}

/// Whether the video exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It does.
    Alive,
    /// It does not.
    Dead,
    /// There is no such id: the site's own data is wrong.
    Invalid,
    /// Nobody can tell from this.
    Unknown,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 4] = [Self::Alive, Self::Dead, Self::Invalid, Self::Unknown];

    /// Its name in reports and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Dead => "dead",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
        }
    }

    /// Reads a verdict by its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A verdict with its grounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Whether the video exists.
    pub verdict: Verdict,
    /// Why, for people.
    pub reason: String,
    /// The HTTP status it rests on.
    pub http_status: Option<u16>,
}

/// Whether YouTube can have given this id: 64 bits in 11 characters of base64url, so the last
/// character has only 4 of its 6 bits. Anything else would be answered 400.
#[must_use]
pub fn is_possible_id(id: &str) -> bool {
    let [head @ .., last] = id.as_bytes() else {
        return false;
    };
    head.len() == 10
        && head
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && b"AEIMQUYcgkosw048".contains(last)
}

/// Judges a video.
#[must_use]
pub fn judge(evidence: &Evidence, policy: Policy) -> Judgement {
    let (verdict, reason, http_status) = match evidence {
        Evidence::Answer {
            status,
            content_is_oembed,
            hint,
        } => {
            let (verdict, reason) = match policy {
                Policy::Careful => read_answer(*status, *content_is_oembed, *hint),
                Policy::Http200 => (dead_unless(*status == 200), format!("http {status}")),
            };
            (verdict, reason, Some(*status))
        }
        Evidence::NoAnswer(why) => {
            let verdict = match policy {
                Policy::Careful => Verdict::Unknown,
                Policy::Http200 => Verdict::Dead,
            };
            (verdict, format!("no answer: {why}"), None)
        }
        Evidence::ImpossibleId => (Verdict::Invalid, "impossible id".to_owned(), None),
        Evidence::RateLimited => (Verdict::Unknown, "rate limited".to_owned(), None),
    };
    Judgement {
        verdict,
        reason,
        http_status,
    }
}

fn dead_unless(alive: bool) -> Verdict {
    if alive { Verdict::Alive } else { Verdict::Dead }
}

fn read_answer(status: u16, is_oembed: bool, hint: Option<&str>) -> (Verdict, String) {
    match status {
        200 if is_oembed => (Verdict::Alive, "http 200".to_owned()),
        200 => (
            Verdict::Unknown,
            format!("http 200 with {}", hint.unwrap_or("no oembed in its body")),
        ),
        401 => (
            Verdict::Alive,
            "http 401, embedding switched off".to_owned(),
        ),
        404 => (Verdict::Dead, "http 404".to_owned()),
        400 => (Verdict::Invalid, "http 400".to_owned()),
        other => (Verdict::Unknown, format!("http {other}")),
    }
}

/// Whether asking again soon may bring an answer. A parked endpoint is waited for, not retried.
#[must_use]
pub fn is_transient(evidence: &Evidence) -> bool {
    match evidence {
        Evidence::Answer { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
        Evidence::NoAnswer(_) => true,
        Evidence::ImpossibleId | Evidence::RateLimited => false,
    }
}

/// Whether a body is an oEmbed answer: a JSON object whose `type` and `title` are strings.
#[must_use]
pub fn is_oembed(body: &[u8]) -> bool {
    serde_json::from_slice::<Map<String, Value>>(body).is_ok_and(|object| {
        ["type", "title"]
            .iter()
            .all(|key| object.get(*key).is_some_and(Value::is_string))
    })
}
