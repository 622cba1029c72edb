//! Whether a video still exists, judged from what its provider's oEmbed endpoint says.
//!
//! Only a definitive answer is a verdict: a site that hides a video for an upstream's bad hour
//! loses it for nothing.

use std::fmt;

use serde_json::{Map, Value};

const IMPOSSIBLE_ID: &str = "impossible id";

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
    /// An answer whose body did not come to its end.
    BrokenOff {
        /// The HTTP status.
        status: u16,
        /// How it ended.
        why: String,
    },
    /// No answer: time-out, connection, DNS; and which.
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
        Evidence::BrokenOff { status, why } => {
            let verdict = match policy {
                Policy::Careful => Verdict::Unknown,
                Policy::Http200 => dead_unless(*status == 200),
            };
            (verdict, format!("http {status}, but {why}"), Some(*status))
        }
        Evidence::NoAnswer(why) => {
            let verdict = match policy {
                Policy::Careful => Verdict::Unknown,
                Policy::Http200 => Verdict::Dead,
            };
            (verdict, format!("no answer: {why}"), None)
        }
        Evidence::ImpossibleId => (Verdict::Invalid, IMPOSSIBLE_ID.to_owned(), None),
        Evidence::RateLimited => (Verdict::Unknown, "rate limited".to_owned(), None),
    };
    Judgement {
        verdict,
        reason,
        http_status,
    }
}

/// Whether an earlier judgement is one that careful comes to; the article's policy may have been in
/// force. A verdict whose status is no longer known is sought again.
#[must_use]
pub fn is_reusable(earlier: &Judgement) -> bool {
    match earlier.verdict {
        Verdict::Alive => true,
        Verdict::Dead => earlier.http_status == Some(404),
        Verdict::Invalid => earlier.http_status == Some(400) || earlier.reason == IMPOSSIBLE_ID,
        Verdict::Unknown => false,
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
pub fn is_transient(evidence: &Evidence, policy: Policy) -> bool {
    match evidence {
        // The status is all that the article looks at.
        Evidence::BrokenOff { .. } => policy == Policy::Careful,
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(status: u16, content_is_oembed: bool) -> Evidence {
        Evidence::Answer {
            status,
            content_is_oembed,
            hint: None,
        }
    }

    #[test]
    fn only_a_definitive_answer_is_a_verdict() {
        use Verdict::{Alive, Dead, Invalid, Unknown};
        let cases = [
            (200, true, Alive),
            (200, false, Unknown),
            (401, false, Alive),
            (404, false, Dead),
            (404, true, Dead),
            (400, false, Invalid),
            (403, false, Unknown),
            (429, false, Unknown),
            (204, false, Unknown),
            (302, false, Unknown),
            (410, false, Unknown),
            (500, false, Unknown),
            (503, true, Unknown),
        ];
        for (status, is_oembed, verdict) in cases {
            let judgement = judge(&answer(status, is_oembed), Policy::Careful);
            assert_eq!(judgement.verdict, verdict, "{status}");
            assert_eq!(judgement.http_status, Some(status));
            assert!(judgement.reason.contains(&status.to_string()));
        }
    }

    #[test]
    fn the_article_calls_all_but_200_dead() {
        for status in [201, 204, 302, 400, 401, 403, 404, 429, 500, 503] {
            let judgement = judge(&answer(status, false), Policy::Http200);
            assert_eq!(judgement.verdict, Verdict::Dead, "{status}");
        }
        let captcha = judge(&answer(200, false), Policy::Http200);
        assert_eq!(captcha.verdict, Verdict::Alive);
        let silence = Evidence::NoAnswer("timed out".into());
        assert_eq!(judge(&silence, Policy::Http200).verdict, Verdict::Dead);
    }

    #[test]
    fn who_was_not_asked_is_neither_alive_nor_dead() {
        for policy in [Policy::Careful, Policy::Http200] {
            let limited = judge(&Evidence::RateLimited, policy);
            assert_eq!(limited.verdict, Verdict::Unknown);
            assert_eq!(limited.reason, "rate limited");
            let impossible = judge(&Evidence::ImpossibleId, policy);
            assert_eq!(impossible.verdict, Verdict::Invalid);
            assert_eq!(impossible.http_status, None);
        }
        let silence = judge(&Evidence::NoAnswer("timed out".into()), Policy::Careful);
        assert_eq!(silence.verdict, Verdict::Unknown);
        assert_eq!(silence.reason, "no answer: timed out");
    }

    #[test]
    fn an_earlier_judgement_counts_if_careful_comes_to_it() {
        let silence = || Evidence::NoAnswer("timed out".into());
        let cases = [
            (answer(200, true), Policy::Careful, true),
            (answer(401, false), Policy::Careful, true),
            (answer(404, false), Policy::Careful, true),
            (answer(400, false), Policy::Careful, true),
            (Evidence::ImpossibleId, Policy::Careful, true),
            (answer(503, false), Policy::Careful, false),
            (silence(), Policy::Careful, false),
            (Evidence::RateLimited, Policy::Careful, false),
            (answer(200, true), Policy::Http200, true),
            (answer(404, false), Policy::Http200, true),
            (answer(400, false), Policy::Http200, false),
            (answer(401, false), Policy::Http200, false),
            (answer(503, false), Policy::Http200, false),
            (silence(), Policy::Http200, false),
        ];
        for (evidence, policy, counts) in cases {
            let earlier = judge(&evidence, policy);
            assert_eq!(is_reusable(&earlier), counts, "{evidence:?} {policy:?}");
        }
    }

    #[test]
    fn a_200_that_is_no_oembed_says_what_it_seems_to_be() {
        let page = Evidence::Answer {
            status: 200,
            content_is_oembed: false,
            hint: Some("captcha or consent page"),
        };
        let judgement = judge(&page, Policy::Careful);
        assert_eq!(judgement.reason, "http 200 with captcha or consent page");
    }

    #[test]
    fn what_may_pass_is_asked_again() {
        for policy in [Policy::Careful, Policy::Http200] {
            let passes = |evidence: &Evidence| is_transient(evidence, policy);
            for status in [408, 425, 429, 500, 502, 503, 504, 599] {
                assert!(passes(&answer(status, false)), "{status}");
            }
            for status in [200, 302, 400, 401, 403, 404, 410, 600] {
                assert!(!passes(&answer(status, false)), "{status}");
            }
            assert!(passes(&Evidence::NoAnswer("reset".into())));
            assert!(!passes(&Evidence::ImpossibleId));
            assert!(!passes(&Evidence::RateLimited));
        }
    }

    #[test]
    fn a_status_counts_though_its_body_breaks_off() {
        let evidence = Evidence::BrokenOff {
            status: 200,
            why: "body ends early".to_owned(),
        };
        for (policy, verdict, is_asked_again) in [
            (Policy::Careful, Verdict::Unknown, true),
            (Policy::Http200, Verdict::Alive, false),
        ] {
            let judgement = judge(&evidence, policy);
            assert_eq!(judgement.verdict, verdict);
            assert_eq!(judgement.reason, "http 200, but body ends early");
            assert_eq!(judgement.http_status, Some(200));
            assert_eq!(is_transient(&evidence, policy), is_asked_again);
        }
    }

    #[test]
    fn oembed_is_an_object_with_a_type_and_a_title() {
        let sound = br#" {"title":"x","type":"video","extra":[1,{"a":null}]} "#;
        assert!(is_oembed(sound));
        let others: [&[u8]; 9] = [
            b"",
            b"{}",
            br#"{"type":"video"}"#,
            br#"{"type":"video","title":null}"#,
            br#"{"type":1,"title":"x"}"#,
            br#"["video","x"]"#,
            br#"{"type":"video","title":"x"} <html>"#,
            br#"{"type":"video","title":"x""#,
            b"<html>type title</html>",
        ];
        for other in others {
            assert!(!is_oembed(other), "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn an_id_is_eleven_characters_of_which_the_last_is_one_of_sixteen() {
        for id in ["dQw4w9WgXcQ", "-abcdefghi0", "__________A"] {
            assert!(is_possible_id(id), "{id}");
        }
        let impossible = [
            "",
            "dQw4w9WgXc",
            "dQw4w9WgXcQQ",
            "dQw4w9WgXcR",
            "dQw4w9WgXc-",
            "dQw4w9 gXcQ",
            "dQw4w9+gXcQ",
            "dQw4w9WgXcQ\n",
            "dQw4w9WgX\u{e9}Q",
            "https://youtu.be/dQw4w9WgXcQ",
        ];
        for id in impossible {
            assert!(!is_possible_id(id), "{id:?}");
        }
    }

    #[test]
    fn a_verdict_is_found_by_its_name() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::from_name(&verdict.to_string()), Some(verdict));
        }
        assert_eq!(Verdict::from_name("gone"), None);
    }

    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    proptest! {
        /// An id is 64 bits; its eleven characters hold 66, so two zero bits are appended.
        #[test]
        fn every_number_of_64_bits_is_an_id_and_nothing_between_is(number: u64, spoil in 1_u128..4) {
            let text = |bits: u128| -> String {
                let sextet = |n: u32| usize::try_from(bits >> (6 * n) & 63).unwrap();
                (0..11).rev().map(|n| char::from(ALPHABET[sextet(n)])).collect()
            };
            let bits = u128::from(number) << 2;
            prop_assert!(is_possible_id(&text(bits)));
            prop_assert!(!is_possible_id(&text(bits | spoil)));
        }
    }
}
