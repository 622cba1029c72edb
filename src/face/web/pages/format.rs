//! Numbers and times as people read them.

use jiff::Timestamp;

use crate::engine::database::{Cell, Number};
use crate::face::protocol::Time;

/// Digits by thousands.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A number in about four characters.
pub(super) fn short(number: f64) -> String {
    const STEPS: [(f64, &str); 3] = [(1e9, "B"), (1e6, "M"), (1e3, "k")];
    if !number.is_finite() {
        return "–".to_owned();
    }
    let sign = if number < 0.0 { "−" } else { "" };
    let size = number.abs();
    let step = STEPS.into_iter().find(|(step, _)| size >= *step);
    let (value, unit) = step.map_or((size, ""), |(step, unit)| (size / step, unit));
    if unit.is_empty() || value >= 100.0 {
        format!("{sign}{value:.0}{unit}")
    } else {
        format!("{sign}{value:.1}{unit}")
    }
}

/// A count of the site's.
pub(super) fn float(number: Number) -> f64 {
    match number {
        Number::Integer(integer) => integer as f64,
        Number::Real(real) => real,
    }
}

/// A cell in about four characters; the text of one that is no number.
pub(super) fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Null => "–".to_owned(),
        Cell::Integer(integer) => short(*integer as f64),
        Cell::Real(real) => short(*real),
        Cell::Text(_) | Cell::Blob(_) => cell.to_string(),
    }
}

/// A length of time, milliseconds.
pub(super) fn span(millis: i64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        ..1 => format!("{} ms", millis.max(0)),
        1..10 => format!("{}.{} s", seconds, millis % 1_000 / 100),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A moment: exactly, and how long ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    /// RFC 3339, whole seconds.
    pub(super) exact: String,
    /// For people.
    pub(super) ago: String,
}

impl Moment {
    /// Of Unix milliseconds.
    pub(super) fn of(time: Time) -> Self {
        let whole = time.0.div_euclid(1_000).saturating_mul(1_000);
        Self {
            exact: Time(whole).to_string(),
            ago: ago(Time::now().0.saturating_sub(time.0)),
        }
    }

    /// Of Unix seconds.
    pub(super) fn of_seconds(seconds: i64) -> Self {
        Self::of(Time(seconds.saturating_mul(1_000)))
    }

    /// Of RFC 3339; what is none is shown as it is.
    pub(super) fn of_text(text: &str) -> Self {
        match text.parse::<Timestamp>() {
            Ok(time) => Self::of(Time(time.as_millisecond())),
            Err(_) => Self {
                exact: String::new(),
                ago: text.to_owned(),
            },
        }
    }

    /// Day and time, without seconds.
    pub(super) fn to_the_minute(seconds: i64) -> String {
        match Timestamp::from_second(seconds) {
            Ok(time) => time.strftime("%Y-%m-%d %H:%M").to_string(),
            Err(_) => "–".to_owned(),
        }
    }
}

fn ago(millis: i64) -> String {
    let seconds = millis.div_euclid(1_000);
    match seconds {
        i64::MIN..-1 => format!("in {}", rough(seconds.saturating_neg())),
        -1..2 => "just now".to_owned(),
        _ => format!("{} ago", rough(seconds)),
    }
}

fn rough(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// So many characters of a text at most.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(short(950.4), "950");
        assert_eq!(short(12_345.0), "12.3k");
        assert_eq!(short(-2_500_000.0), "−2.5M");
        assert_eq!(short(f64::NAN), "–");
    }

    #[test]
    fn times_are_rough() {
        assert_eq!(span(340), "340 ms");
        assert_eq!(span(4_250), "4.2 s");
        assert_eq!(span(123_000), "2 min 3 s");
        assert_eq!(span(-5), "0 ms");
        assert_eq!(ago(1_500), "just now");
        assert_eq!(ago(90_000), "1 min ago");
        assert_eq!(ago(-90_000), "in 1 min");
        assert_eq!(ago(i64::MIN), format!("in {} d", i64::MAX / 1_000 / 86_400));
        assert_eq!(Moment::of_text("x").ago, "x");
        for end in [i64::MIN, i64::MAX] {
            assert!(!Moment::of(Time(end)).exact.is_empty());
        }
    }

    #[test]
    fn a_cut_is_between_characters() {
        assert_eq!(cut("żółw", 2), "żó…");
        assert_eq!(cut("żółw", 4), "żółw");
    }
}
