//! Durations, sizes and rates as people write them in a configuration file, on a command line
//! and in the environment. All three read what they write.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::{Deserialize, Serialize};

/// A text that is no duration, size or rate; its message says what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(String);

const NANOS: [(u128, &str); 7] = [
    (86_400_000_000_000, "d"),
    (3_600_000_000_000, "h"),
    (60_000_000_000, "m"),
    (1_000_000_000, "s"),
    (1_000_000, "ms"),
    (1_000, "us"),
    (1, "ns"),
];

const BYTES: [(u64, &str); 8] = [
    (1 << 40, "TiB"),
    (1 << 30, "GiB"),
    (1 << 20, "MiB"),
    (1 << 10, "KiB"),
    (1_000_000_000, "GB"),
    (1_000_000, "MB"),
    (1_000, "kB"),
    (1, "B"),
];

/// Reads `"50ms"`, `"8s"`, `"1h 30m"`, `"7d"` (a day is 24 hours).
///
/// # Errors
/// When the text is no duration, has no unit, is negative or counts months or years.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let wrong = || {
        UnitError(format!(
            "`{text}` is not a duration such as \"50ms\", \"8s\", \"5m\", \"6h\" or \"7d\""
        ))
    };
    let span: Span = text.trim().parse().map_err(|_| wrong())?;
    let signed: SignedDuration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}

/// Writes a duration in the largest unit that holds it exactly.
#[must_use]
pub fn format_duration(value: Duration) -> String {
    let nanos = value.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    NANOS
        .iter()
        .find(|(size, _)| nanos.is_multiple_of(*size))
        .map_or_else(String::new, |(size, unit)| {
            format!("{}{unit}", nanos / size)
        })
}

/// Reads `"64KiB"`, `"10MiB"` or `"65536"` (bytes); case does not matter.
///
/// # Errors
/// When the text is no size or does not fit 64 bits.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let wrong = || {
        UnitError(format!(
            "`{text}` is not a size such as \"64KiB\", \"10MiB\" or a number of bytes"
        ))
    };
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let unit = unit.trim_start();
    let size = if unit.is_empty() {
        1
    } else {
        BYTES
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(unit))
            .map(|(size, _)| *size)
            .ok_or_else(wrong)?
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(size).ok_or_else(wrong)
}

/// Writes a size in the largest binary unit that holds it exactly.
#[must_use]
pub fn format_bytes(value: u64) -> String {
    BYTES
        .iter()
        .filter(|(_, unit)| unit.ends_with("iB") || *unit == "B")
        .find(|(size, _)| value != 0 && value.is_multiple_of(*size))
        .map_or_else(
            || format!("{value}B"),
            |(size, unit)| format!("{}{unit}", value / size),
        )
}

/// So many calls in any window of this length: `"20/m"`, `"5/10s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    /// Calls.
    pub calls: u32,
    /// The window; never empty.
    pub per: Duration,
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || {
            UnitError(format!(
                "`{text}` is not a rate such as \"20/m\", \"5/s\", \"100/h\" or \"5/10s\""
            ))
        };
        let (calls, per) = text.split_once('/').ok_or_else(wrong)?;
        let calls = calls.trim().parse().map_err(|_| wrong())?;
        let per = per.trim();
        let per = if per.starts_with(|c: char| c.is_ascii_digit()) {
            parse_duration(per)
        } else {
            parse_duration(&format!("1{per}"))
        }
        .map_err(|_| wrong())?;
        if per.is_zero() {
            return Err(wrong());
        }
        Ok(Self { calls, per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = format_duration(self.per);
        let single = per
            .strip_prefix('1')
            .filter(|unit| !unit.starts_with(|c: char| c.is_ascii_digit()));
        write!(f, "{}/{}", self.calls, single.unwrap_or(&per))
    }
}

impl TryFrom<String> for Rate {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

/// For `#[serde(with = …)]`: a duration as text, such as `"50ms"`. A bare number is refused, for
/// nothing says what it counts.
pub mod duration {
    use std::fmt;
    use std::time::Duration;

    use serde::de::{self, Deserializer, Visitor};
    use serde::ser::Serializer;

    /// Writes the duration in its largest exact unit.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_duration(*value))
    }

    /// Reads a duration from text.
    ///
    /// # Errors
    /// When the value is no text or no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        deserializer.deserialize_any(DurationText)
    }

    struct DurationText;

    impl Visitor<'_> for DurationText {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a duration with its unit, such as \"50ms\", \"8s\" or \"6h\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            super::parse_duration(text).map_err(E::custom)
        }
    }
}

/// For `#[serde(with = …)]`: a size as text, such as `"10MiB"`, or a number of bytes.
pub mod bytes {
    use std::fmt;

    use serde::de::{self, Deserializer, Visitor};
    use serde::ser::Serializer;

    /// Writes the size in its largest exact binary unit.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_bytes(*value))
    }

    /// Reads a size from text or a number of bytes.
    ///
    /// # Errors
    /// When the value is neither.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(Size)
    }

    struct Size;

    impl Visitor<'_> for Size {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a size such as \"64KiB\" or a number of bytes")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
            super::parse_bytes(text).map_err(E::custom)
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
            Ok(value)
        }

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<u64, E> {
            u64::try_from(value).map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_with_their_unit() {
        for (text, millis) in [
            ("50ms", 50),
            ("8s", 8_000),
            ("1.5s", 1_500),
            ("5m", 300_000),
            ("6h", 21_600_000),
            ("1h 30m", 5_400_000),
            ("7d", 604_800_000),
            (" 0s ", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "8", "-8s", "8s ago", "1mo", "1y", "soon", "8 parsecs"] {
            let error = parse_duration(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
            assert!(error.contains("6h"), "{error}");
        }
    }

    #[test]
    fn durations_are_written_in_their_largest_exact_unit() {
        for text in ["0s", "50ms", "90s", "36h", "7d", "1500ms", "1ns", "3us"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        assert_eq!(format_duration(Duration::from_secs(120)), "2m");
    }

    #[test]
    fn sizes_are_read_in_both_families_of_units() {
        for (text, bytes) in [
            ("64KiB", 65_536),
            ("10MiB", 10_485_760),
            ("10 mib", 10_485_760),
            ("1kB", 1_000),
            ("2MB", 2_000_000),
            ("1024", 1_024),
            ("7B", 7),
            ("0", 0),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "KiB",
            "10M",
            "-1",
            "1.5MiB",
            "10 bananas",
            "17179869184GiB",
            "é",
        ] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_read_and_written_the_same() {
        for (text, calls, seconds) in [
            ("20/m", 20, 60),
            ("5/s", 5, 1),
            ("100/h", 100, 3600),
            ("5/10s", 5, 10),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.calls, rate.per.as_secs()), (calls, seconds));
            assert_eq!(rate.to_string(), text);
        }
        assert_eq!("20/60s".parse::<Rate>().unwrap().to_string(), "20/m");
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "20",
            "/m",
            "20/",
            "x/m",
            "-1/m",
            "20/0s",
            "20/fortnight",
            "1/2/s",
        ] {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(error.contains("20/m"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_duration_survives_writing(millis in 0_u64..=400 * 86_400_000) {
            let value = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(value)), Ok(value));
        }

        #[test]
        fn every_size_survives_writing(value: u64) {
            prop_assert_eq!(parse_bytes(&format_bytes(value)), Ok(value));
        }

        #[test]
        fn no_text_ends_the_parsers(text in ".{0,24}") {
            let _ = (parse_duration(&text), parse_bytes(&text), text.parse::<Rate>());
        }
    }
}
