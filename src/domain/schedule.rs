//! When scheduled tasks are due. Lines are cron's five fields, cron's nicknames (`@daily`), or
//! `@every 15m`; the clock and the zone are arguments, and the rules of all zones are built in.

use std::fmt;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, SpanRelativeTo, Timestamp, Zoned};
use serde::{Deserialize, Serialize};

/// Between two ticks of `@every` at least.
const SHORTEST_PERIOD_MS: i64 = 1_000;
/// A record further ahead of the clock than this was made by a clock that was wrong.
const DAY_MS: i64 = 86_400_000;

/// What can be scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Score the videos with snapshots newer than their score.
    Rescore,
    /// Check the thumbnails that were not validated for a while.
    Thumbnails,
    /// Ask about the stalest and hottest videos, as many as the rate limit allows.
    Liveness,
    /// Delete what `[retention]` keeps no longer.
    Prune,
    /// Have SQLite look after its statistics.
    Optimize,
}

impl Task {
    /// Every task.
    pub const ALL: [Self; 5] = [
        Self::Rescore,
        Self::Thumbnails,
        Self::Liveness,
        Self::Prune,
        Self::Optimize,
    ];

    /// Its key in `[schedule]`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rescore => "rescore",
            Self::Thumbnails => "thumbnails",
            Self::Liveness => "liveness",
            Self::Prune => "prune",
            Self::Optimize => "optimize",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A line or a zone that cannot be used; its message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScheduleError(String);

/// The zone of this name, by the rules built into the program.
///
/// # Errors
/// When there is no such zone.
pub fn zone(name: &str) -> Result<TimeZone, ScheduleError> {
    let wrong = |_| ScheduleError("must be a zone such as \"UTC\" or \"Europe/Warsaw\"".to_owned());
    TimeZoneDatabase::bundled().get(name).map_err(wrong)
}

/// A time, Unix milliseconds, as people of the zone write it.
#[must_use]
pub fn shown(unix_ms: i64, zone: &TimeZone) -> String {
    zoned(unix_ms, zone).map_or_else(
        || unix_ms.to_string(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S %Z").to_string(),
    )
}

/// When a task is due. Times are Unix milliseconds.
#[derive(Debug, Clone)]
pub struct Line(Rule);

#[derive(Debug, Clone)]
enum Rule {
    /// Counted from 1970 on, so that a restart moves no tick.
    Every(i64),
    Cron(Box<Cron>),
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It never ran, or by a clock that was wrong: it counts from this tick on, which is not run.
    Begin(i64),
    /// This tick has come and was not run. Of several, the last; the others are left out.
    Due(i64),
    /// Nothing is due.
    Waiting,
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// When it is no such line, or names a day that never comes.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let line = match text.trim().strip_prefix("@every") {
            Some(period) => Rule::Every(parse_period(period)?),
            None => Rule::Cron(Box::new(parse_cron(text)?)),
        };
        let line = Self(line);
        match line.next_after(0, &TimeZone::UTC) {
            Some(_) => Ok(line),
            None => Err(ScheduleError("must come due some day".to_owned())),
        }
    }

    /// The first tick after this time.
    #[must_use]
    pub fn next_after(&self, after_ms: i64, zone: &TimeZone) -> Option<i64> {
        match &self.0 {
            Rule::Every(period) => after_ms
                .div_euclid(*period)
                .checked_add(1)?
                .checked_mul(*period),
            Rule::Cron(cron) => {
                let after = zoned(whole_seconds(after_ms), zone)?;
                let next = cron.find_next_occurrence(&after, false).ok()?;
                Some(next.timestamp().as_millisecond())
            }
        }
    }

    /// The last tick at or before this time.
    #[must_use]
    pub fn last_until(&self, until_ms: i64, zone: &TimeZone) -> Option<i64> {
        match &self.0 {
            Rule::Every(period) => until_ms.div_euclid(*period).checked_mul(*period),
            Rule::Cron(cron) => {
                let until = zoned(whole_seconds(until_ms), zone)?;
                let last = cron.find_previous_occurrence(&until, true).ok()?;
                Some(last.timestamp().as_millisecond())
            }
        }
    }

    /// How the task stands whose last tick that ran was this. A clock that is set back by less than a
    /// tick repeats none; one that was further ahead does not stop the schedule until then.
    #[must_use]
    pub fn standing(&self, ran_ms: Option<i64>, now_ms: i64, zone: &TimeZone) -> Standing {
        let last = self.last_until(now_ms, zone);
        let next = self.next_after(now_ms, zone).unwrap_or(i64::MAX);
        match (ran_ms, last) {
            (Some(ran), Some(last)) if ran < last => Standing::Due(last),
            (Some(ran), _) if ran <= next => Standing::Waiting,
            (Some(_) | None, last) => Standing::Begin(last.unwrap_or(now_ms)),
        }
    }
}

/// How many calls a rate allows until the next tick, of a day at most.
#[must_use]
pub fn calls_until(next_ms: i64, tick_ms: i64, calls: u32, per: Duration) -> u64 {
    let period = next_ms
        .saturating_sub(tick_ms)
        .clamp(0, DAY_MS)
        .unsigned_abs();
    let calls = u128::from(calls) * u128::from(period) / per.as_millis().max(1);
    u64::try_from(calls).unwrap_or(u64::MAX)
}

fn parse_period(text: &str) -> Result<i64, ScheduleError> {
    let wrong = || ScheduleError("must be at least a second, such as \"@every 15m\"".to_owned());
    let span: Span = text.trim().parse().map_err(|_| wrong())?;
    let period = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong())?;
    let period = i64::try_from(period.as_millis()).map_err(|_| wrong())?;
    if period < SHORTEST_PERIOD_MS {
        return Err(wrong());
    }
    Ok(period)
}

fn parse_cron(text: &str) -> Result<Cron, ScheduleError> {
    CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build()
        .parse(text)
        .map_err(|error| {
            ScheduleError(format!(
                "must be five fields of cron such as \"15 3 * * *\", \"@daily\" or \
                 \"@every 15m\", or empty: {error}"
            ))
        })
}

const fn whole_seconds(ms: i64) -> i64 {
    ms.div_euclid(1000).saturating_mul(1000)
}

fn zoned(unix_ms: i64, zone: &TimeZone) -> Option<Zoned> {
    let time = Timestamp::from_millisecond(unix_ms).ok()?;
    Some(time.to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn text(unix_ms: i64) -> String {
        Timestamp::from_millisecond(unix_ms).unwrap().to_string()
    }

    /// The ticks from a time on, and the same walked back.
    fn ticks(line: &str, of: &str, from: &str, count: usize) -> Vec<String> {
        let (line, of) = (Line::parse(line).unwrap(), zone(of).unwrap());
        let mut ticks = Vec::new();
        let mut now = at(from);
        for _ in 0..count {
            let next = line.next_after(now, &of).unwrap();
            assert!(next > now);
            assert_eq!(
                line.last_until(next, &of),
                Some(next),
                "back at {}",
                text(next)
            );
            if let Some(last) = ticks.last() {
                assert_eq!(line.last_until(next - 1, &of), Some(*last));
            }
            ticks.push(next);
            now = next;
        }
        ticks.into_iter().map(text).collect()
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn lines_come_due_as_cron_says() {
        for (line, of, from, expected) in [
            // Plain lines.
            (
                "15 3 * * *",
                "UTC",
                "2026-01-31T03:15:00Z",
                ["2026-02-01T03:15:00Z", "2026-02-02T03:15:00Z"],
            ),
            (
                "@weekly",
                "UTC",
                "2026-11-25T00:00:00.5Z",
                ["2026-11-29T00:00:00Z", "2026-12-06T00:00:00Z"],
            ),
            (
                "0 0 29 2 *",
                "UTC",
                "2026-01-01T00:00:00Z",
                ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"],
            ),
            // A day of the month or of the week, as cron has it.
            (
                "0 6 1 * MON",
                "UTC",
                "2026-11-24T00:00:00Z",
                ["2026-11-30T06:00:00Z", "2026-12-01T06:00:00Z"],
            ),
            // The same hour of the day, whatever the season.
            (
                "0 4 * * *",
                "Europe/Warsaw",
                "2026-03-28T00:00:00Z",
                ["2026-03-28T03:00:00Z", "2026-03-29T02:00:00Z"],
            ),
            // 02:30 is left out on 29 March: right after the gap instead.
            (
                "30 2 * * *",
                "Europe/Warsaw",
                "2026-03-28T12:00:00Z",
                ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
            ),
            // 02:30 comes twice on 25 October: once only.
            (
                "30 2 * * *",
                "Europe/Warsaw",
                "2026-10-24T12:00:00Z",
                ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
            ),
            // Each hour is an hour, in the night with 25 of them too.
            (
                "0 * * * *",
                "Europe/Warsaw",
                "2026-10-25T00:00:00Z",
                ["2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"],
            ),
            (
                "0 * * * *",
                "America/New_York",
                "2026-03-08T06:00:00Z",
                ["2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z"],
            ),
            (
                "@every 15m",
                "Asia/Kathmandu",
                "2026-11-25T10:07:00Z",
                ["2026-11-25T10:15:00Z", "2026-11-25T10:30:00Z"],
            ),
            (
                "@every 1d",
                "Europe/Warsaw",
                "2026-10-24T12:00:00Z",
                ["2026-10-25T00:00:00Z", "2026-10-26T00:00:00Z"],
            ),
        ] {
            assert_eq!(
                ticks(line, of, from, 2),
                expected,
                "{line} in {of} from {from}"
            );
        }
    }

    #[test]
    fn what_is_no_line_says_what_would_be() {
        for (line, hint) in [
            ("", "five fields"),
            ("soon", "five fields"),
            ("60 * * * *", "five fields"),
            ("0 0 * * * *", "five fields"),
            ("@fortnightly", "five fields"),
            ("@every", "@every 15m"),
            ("@every 15", "@every 15m"),
            ("@every -1h", "@every 15m"),
            ("@every 1ms", "@every 15m"),
            ("0 0 31 2 *", "some day"),
        ] {
            let error = Line::parse(line).unwrap_err().to_string();
            assert!(error.contains(hint), "{line}: {error}");
        }
        assert!(zone("Europe/Atlantis").is_err());
        assert!(zone("").is_err());
    }

    #[test]
    fn a_tick_may_make_the_calls_of_its_period_and_a_days_at_most() {
        let minute = Duration::from_secs(60);
        assert_eq!(calls_until(3_600_000, 0, 20, minute), 1_200);
        assert_eq!(calls_until(DAY_MS, 0, 20, minute), 28_800);
        assert_eq!(calls_until(7 * DAY_MS, 0, 20, minute), 28_800);
        assert_eq!(calls_until(0, 5, 20, minute), 0);
    }

    #[test]
    fn a_missed_tick_runs_once_and_a_clock_that_is_set_repeats_none() {
        let line = Line::parse("0 * * * *").unwrap();
        let standing =
            |ran: Option<&str>, now: &str| line.standing(ran.map(at), at(now), &TimeZone::UTC);
        let noon = at("2026-11-25T12:00:00Z");
        // The first time the line is seen: from now on.
        assert_eq!(
            standing(None, "2026-11-25T12:20:00Z"),
            Standing::Begin(noon)
        );
        assert_eq!(
            standing(Some("2026-11-25T12:00:00Z"), "2026-11-25T12:59:59Z"),
            Standing::Waiting
        );
        // Three were missed.
        assert_eq!(
            standing(Some("2026-11-25T09:00:00Z"), "2026-11-25T12:20:00Z"),
            Standing::Due(noon)
        );
        // Set back by an hour.
        assert_eq!(
            standing(Some("2026-11-25T13:00:00Z"), "2026-11-25T12:20:00Z"),
            Standing::Waiting
        );
        // It had been two ticks ahead, or a year.
        for ran in ["2026-11-25T14:00:00Z", "2027-11-25T12:00:00Z"] {
            let standing = standing(Some(ran), "2026-11-25T12:20:00Z");
            assert_eq!(standing, Standing::Begin(noon), "{ran}");
        }
    }
}
