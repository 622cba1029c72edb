//! When a server wants to be asked again.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// Longer waits are taken as this, so that sums with them cannot overflow.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

// The date counts, whatever weekday a server takes it for.
static DATES: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

/// Reads a Retry-After header: seconds, or a date that is compared with `now`. A date in the past
/// is no wait; anything else is none.
pub(super) fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only a number too large for u64 does not parse here.
        return Some(
            value
                .parse()
                .map_or(LONGEST, Duration::from_secs)
                .min(LONGEST),
        );
    }
    let at = DATES.parse_timestamp(value).ok()?;
    let wait = Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO);
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "1994-11-06T08:49:37Z".parse().unwrap()
    }

    #[test]
    fn seconds_are_taken_as_they_are() {
        assert_eq!(parse("120", now()), Some(Duration::from_secs(120)));
        assert_eq!(parse(" 0 ", now()), Some(Duration::ZERO));
    }

    #[test]
    fn a_date_is_a_wait_from_now() {
        let date = "Sun, 06 Nov 1994 08:51:37 GMT";
        assert_eq!(parse(date, now()), Some(Duration::from_secs(120)));
    }

    #[test]
    fn a_date_in_the_past_is_no_wait() {
        assert_eq!(
            parse("Sun, 06 Nov 1994 08:49:07 GMT", now()),
            Some(Duration::ZERO)
        );
    }

    #[test]
    fn absurd_waits_are_capped() {
        assert_eq!(parse("99999999999999999999999999", now()), Some(LONGEST));
        assert_eq!(parse("18446744073709551615", now()), Some(LONGEST));
        assert_eq!(parse("Fri, 31 Dec 9998 23:59:59 GMT", now()), Some(LONGEST));
    }

    #[test]
    fn nonsense_is_no_wait_at_all() {
        for value in [
            "",
            "soon",
            "-5",
            "1.5",
            "+3",
            "Sun, 99 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse(value, now()), None, "{value}");
        }
    }
}
