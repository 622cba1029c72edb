//! What a sample of the snapshots' times tells: whether the formula can read them, whether they
//! sort as they should, and which setting would fit better.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::finding::Finding;
use crate::config::FetchedAt;
use crate::store::{Cell, SampledTime, seconds};

const NAME: &str = "fetched_at";

/// Clocks of different machines differ; more than this is no clock any more.
const AHEAD: i64 = 300;

/// A gap is longer than this, seconds…
const GAP: i64 = 86_400;

/// … and than so many times what is usual.
const UNUSUAL: i64 = 10;

/// Fewer distances than this have no usual one.
const FEWEST_DISTANCES: usize = 10;

/// Numbers in this range are Unix seconds of 1990 to 2100 …
const SECONDS: std::ops::Range<i64> = 631_152_000..4_102_444_800;

/// … and in this one milliseconds.
const MILLISECONDS: std::ops::Range<i64> = 631_152_000_000..4_102_444_800_000;

/// Judges the sample; `column` is the site's name for it.
pub(super) fn judge(
    sample: &[SampledTime],
    configured: FetchedAt,
    column: &str,
    now: i64,
) -> Finding {
    if sample.is_empty() {
        return Finding::ok(NAME, format!("{column} has no values yet"));
    }
    let read: Vec<(&SampledTime, Option<i64>)> = sample
        .iter()
        .map(|time| (time, read(time, configured)))
        .collect();
    let unreadable = read.iter().filter(|(_, seconds)| seconds.is_none()).count();
    let better = better_form(sample, configured);
    if let Some(form) = better {
        return misread(sample, configured, form, column);
    }
    let all = sample.len();
    if unreadable > 0 {
        let example = read
            .iter()
            .find(|(_, seconds)| seconds.is_none())
            .map_or_else(String::new, |(time, _)| shown(&time.value));
        let text =
            format!("{unreadable} of {all} sampled {column} hold no time, such as {example}");
        let todo = "correct them; until then such a video keeps its old score";
        return Finding::warn(NAME, text).todo(todo);
    }
    let ahead = read
        .iter()
        .filter(|(_, seconds)| seconds.is_some_and(|seconds| seconds > now + AHEAD))
        .count();
    if ahead > 0 {
        let latest = read.iter().filter_map(|(_, seconds)| *seconds).max();
        let latest = latest.map_or_else(String::new, time);
        let text = format!("{ahead} of {all} sampled {column} lie in the future, up to {latest}");
        let todo = "correct them: the latest snapshots decide a score, and these stay the latest";
        return Finding::warn(NAME, text).todo(todo);
    }
    let forms = forms(sample, configured);
    if forms.len() > 1 {
        let listed: Vec<String> = forms
            .values()
            .map(|(count, example)| format!("{count} like {example}"))
            .collect();
        let text = format!(
            "{column} is written in several forms: {}",
            listed.join(", ")
        );
        let todo = "write all in one form: snapshots are sorted by it as SQLite compares them";
        return Finding::warn(NAME, text).todo(todo);
    }
    readable(&read, column, now)
}

/// Nothing wrong: how fresh they are, and gaps.
fn readable(read: &[(&SampledTime, Option<i64>)], column: &str, now: i64) -> Finding {
    let newest = read.iter().filter_map(|(_, seconds)| *seconds).max();
    let newest = newest.map_or_else(String::new, |seconds| {
        let age = span(now.saturating_sub(seconds).max(0));
        format!(
            "the newest of {} sampled is {}, {age} ago",
            read.len(),
            time(seconds)
        )
    });
    let spread: Vec<i64> = read
        .iter()
        .filter(|(time, _)| time.is_spread)
        .filter_map(|(_, seconds)| *seconds)
        .collect();
    match gap(spread) {
        None => Finding::ok(NAME, format!("{column} can be read; {newest}")),
        Some((from, to)) => {
            let text = format!(
                "no snapshots for {} between {} and {}; {newest}",
                span(to.saturating_sub(from)),
                time(from),
                time(to)
            );
            Finding::warn(NAME, text)
                .advice("a velocity over such a gap is an average over all of it")
        }
    }
}

/// What the formula makes of a time.
fn read(time: &SampledTime, form: FetchedAt) -> Option<i64> {
    match form {
        FetchedAt::Text => time.as_date,
        FetchedAt::Unix | FetchedAt::UnixMs => seconds(&time.value, form),
    }
}

/// The setting that fits more than half of the sample where the configured one does not.
fn better_form(sample: &[SampledTime], configured: FetchedAt) -> Option<FetchedAt> {
    let fits = |form: FetchedAt| {
        let count = sample.iter().filter(|time| plausible(time, form)).count();
        count * 2 > sample.len()
    };
    if fits(configured) {
        return None;
    }
    [FetchedAt::Text, FetchedAt::Unix, FetchedAt::UnixMs]
        .into_iter()
        .find(|form| fits(*form))
}

/// Whether a cell looks as if it was written in this form.
fn plausible(time: &SampledTime, form: FetchedAt) -> bool {
    match form {
        FetchedAt::Text => {
            time.as_date
                .is_some_and(|seconds| SECONDS.contains(&seconds))
                && number(time).is_none()
        }
        FetchedAt::Unix => number(time).is_some_and(|number| SECONDS.contains(&number)),
        FetchedAt::UnixMs => number(time).is_some_and(|number| MILLISECONDS.contains(&number)),
    }
}

/// The number a cell holds, as text too.
fn number(time: &SampledTime) -> Option<i64> {
    seconds(&time.value, FetchedAt::Unix)
}

fn misread(
    sample: &[SampledTime],
    configured: FetchedAt,
    form: FetchedAt,
    column: &str,
) -> Finding {
    let example = sample
        .iter()
        .find(|time| plausible(time, form))
        .map_or_else(String::new, |time| shown(&time.value));
    let text = format!(
        "{column} holds {}, such as {example}, but schema.fetched_at = \"{}\"",
        described(form),
        name(configured)
    );
    Finding::bad(NAME, text).todo(format!("set schema.fetched_at = \"{}\"", name(form)))
}

const fn name(form: FetchedAt) -> &'static str {
    match form {
        FetchedAt::Text => "text",
        FetchedAt::Unix => "unix",
        FetchedAt::UnixMs => "unix-ms",
    }
}

const fn described(form: FetchedAt) -> &'static str {
    match form {
        FetchedAt::Text => "dates as text",
        FetchedAt::Unix => "Unix seconds",
        FetchedAt::UnixMs => "Unix milliseconds",
    }
}

/// How often each form occurs, with an example. Numbers sort as numbers whatever their length,
/// texts by their characters.
fn forms(sample: &[SampledTime], configured: FetchedAt) -> BTreeMap<String, (usize, String)> {
    let mut forms: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for time in sample {
        let form = match &time.value {
            Cell::Text(text) if configured == FetchedAt::Text => shape(text),
            Cell::Text(_) => "text".to_owned(),
            Cell::Integer(_) | Cell::Real(_) => "number".to_owned(),
            Cell::Null | Cell::Blob(_) => continue,
        };
        let (count, _) = forms.entry(form).or_insert_with(|| (0, shown(&time.value)));
        *count += 1;
    }
    forms
}

/// A text with its digits made alike. Fractions of any length count as one form: they sort well.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    let mut in_fraction = false;
    for c in text.chars() {
        if c == '.' {
            in_fraction = true;
        } else if c.is_ascii_digit() {
            if !in_fraction {
                shape.push('0');
            }
        } else {
            in_fraction = false;
            shape.push(c);
        }
    }
    // An hour of one zone is not an hour of another, nor do they sort alike.
    let zone = text.len().checked_sub(6).and_then(|at| text.get(at..));
    match zone.filter(|zone| zone.starts_with(['+', '-']) && zone.get(3..4) == Some(":")) {
        Some(zone) => format!("{shape}={zone}"),
        None => shape,
    }
}

/// The longest distance between neighbours, if it is out of all proportion.
fn gap(mut times: Vec<i64>) -> Option<(i64, i64)> {
    times.sort_unstable();
    times.dedup();
    let mut distances: Vec<(i64, i64, i64)> = times
        .iter()
        .zip(times.iter().skip(1))
        .map(|(from, to)| (to.saturating_sub(*from), *from, *to))
        .collect();
    if distances.len() < FEWEST_DISTANCES {
        return None;
    }
    distances.sort_unstable();
    let (usual, ..) = *distances.get(distances.len() / 2)?;
    let (longest, from, to) = *distances.last()?;
    (longest > GAP && longest > usual.saturating_mul(UNUSUAL)).then_some((from, to))
}

/// A value as it stands, in quotes if it is text.
fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
        other => other.to_string(),
    }
}

/// RFC 3339, or the number where the calendar ends.
pub(super) fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .map_or_else(|_| seconds.to_string(), |timestamp| timestamp.to_string())
}

/// A length of time in its largest unit.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::database::finding::Level;

    /// 2026-01-31 12:00:00
    const NOW: i64 = 1_769_860_800;

    fn date(seconds: i64) -> SampledTime {
        let text = time(seconds).replace('T', " ").replace('Z', "");
        SampledTime {
            value: Cell::Text(text),
            as_date: Some(seconds),
            is_spread: true,
        }
    }

    fn cell(value: Cell) -> SampledTime {
        SampledTime {
            value,
            as_date: None,
            is_spread: true,
        }
    }

    fn dates(count: i64) -> Vec<SampledTime> {
        (0..count).map(|n| date(NOW - n * 300)).collect()
    }

    fn text_of(sample: &[SampledTime], form: FetchedAt) -> (Level, String) {
        let finding = judge(sample, form, "video_snapshots.fetched_at", NOW);
        (finding.level, finding.to_string())
    }

    #[test]
    fn times_that_can_be_read_are_fine() {
        let (level, text) = text_of(&dates(100), FetchedAt::Text);
        assert_eq!(level, Level::Ok, "{text}");
        assert!(text.contains("2026-01-31T12:00:00Z, 0 s ago"), "{text}");
        assert_eq!(text_of(&[], FetchedAt::Text).0, Level::Ok);
    }

    #[test]
    fn numbers_suggest_their_setting_and_dates_theirs() {
        let numbers = |value: i64| vec![cell(Cell::Integer(value)), cell(Cell::Integer(value + 9))];
        let (level, text) = text_of(&numbers(NOW), FetchedAt::Text);
        assert_eq!(level, Level::Bad);
        assert!(text.contains("set schema.fetched_at = \"unix\""), "{text}");
        let (_, text) = text_of(&numbers(NOW * 1000), FetchedAt::Text);
        assert!(
            text.contains("set schema.fetched_at = \"unix-ms\""),
            "{text}"
        );
        let (_, text) = text_of(&numbers(NOW * 1000), FetchedAt::Unix);
        assert!(
            text.contains("set schema.fetched_at = \"unix-ms\""),
            "{text}"
        );
        let (_, text) = text_of(&numbers(NOW), FetchedAt::UnixMs);
        assert!(text.contains("set schema.fetched_at = \"unix\""), "{text}");
        let (_, text) = text_of(&dates(5), FetchedAt::Unix);
        assert!(text.contains("set schema.fetched_at = \"text\""), "{text}");
        let written = [cell(Cell::Text(NOW.to_string()))];
        assert!(text_of(&written, FetchedAt::Text).1.contains("\"unix\""));
        assert_eq!(text_of(&written, FetchedAt::Unix).0, Level::Ok);
    }

    #[test]
    fn what_holds_no_time_is_counted_with_an_example() {
        let mut sample = dates(20);
        sample.push(cell(Cell::Null));
        sample.push(cell(Cell::Text("yesterday".to_owned())));
        let (level, text) = text_of(&sample, FetchedAt::Text);
        assert_eq!(level, Level::Warn);
        assert!(text.contains("2 of 22"), "{text}");
        assert!(text.contains("NULL"), "{text}");
    }

    #[test]
    fn the_future_and_mixed_forms_need_correcting() {
        let mut sample = dates(20);
        sample.push(date(NOW + 86_400));
        assert!(text_of(&sample, FetchedAt::Text).1.contains("future"));
        let mut sample = dates(20);
        sample.push(SampledTime {
            value: Cell::Text("2026-01-31T11:00:00Z".to_owned()),
            ..date(NOW - 3600)
        });
        let (level, text) = text_of(&sample, FetchedAt::Text);
        assert_eq!(level, Level::Warn);
        assert!(text.contains("20 like \"2026-01-31 12:00:00\""), "{text}");
        assert!(text.contains("1 like \"2026-01-31T11:00:00Z\""), "{text}");
    }

    #[test]
    fn fractions_are_no_form_of_their_own_and_zones_are() {
        assert_eq!(shape("2026-01-31 12:00:00"), "0000-00-00 00:00:00");
        assert_eq!(shape("2026-01-31 12:00:00.123"), "0000-00-00 00:00:00");
        assert_eq!(
            shape("2026-01-31 12:00:00.5+02:00"),
            "0000-00-00 00:00:00+00:00=+02:00"
        );
    }

    #[test]
    fn a_pause_in_collecting_is_a_gap() {
        let mut sample = dates(50);
        sample.extend((0..50).map(|n| date(NOW - 30 * 86_400 - n * 300)));
        let (level, text) = text_of(&sample, FetchedAt::Text);
        assert_eq!(level, Level::Warn);
        assert!(text.contains("no snapshots for 29 days"), "{text}");
    }
}
