//! A line over time, drawn in the page itself. It is stretched to the page's width, so its words
//! stand beside it.

use super::format::{Moment, short};

/// Its width, in its own units.
const WIDTH: f64 = 1_000.0;
/// Its height.
const HEIGHT: f64 = 160.0;

/// A line over time.
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// The line itself, as a path.
    pub(super) line: String,
    /// What lies below it.
    pub(super) area: String,
    /// Where something was measured, as a path of points.
    pub(super) dots: String,
    pub(super) highest: String,
    pub(super) lowest: String,
    pub(super) first: String,
    pub(super) last: String,
    /// The same in words.
    pub(super) told: String,
}

/// A line of these points, by Unix seconds; none of fewer than two.
pub(super) fn chart(title: &'static str, points: &[(i64, f64)]) -> Option<Chart> {
    let mut points: Vec<(i64, f64)> = points.to_vec();
    points.retain(|(_, value)| value.is_finite());
    points.sort_by_key(|(seconds, _)| *seconds);
    let (first, last) = (points.first()?.0, points.last()?.0);
    if first == last {
        return None;
    }
    let highest = points
        .iter()
        .map(|(_, value)| *value)
        .fold(f64::MIN, f64::max);
    let lowest = points
        .iter()
        .map(|(_, value)| *value)
        .fold(f64::MAX, f64::min);
    // From naught where that is near, or a small change would look like a great one.
    let floor = if lowest >= 0.0 && lowest < highest / 2.0 {
        0.0
    } else {
        lowest
    };
    let at = |(seconds, value): &(i64, f64)| {
        let x = (seconds - first) as f64 / (last - first) as f64 * WIDTH;
        let share = if highest > floor {
            (value - floor) / (highest - floor)
        } else {
            0.5
        };
        format!("{x:.1} {:.1}", HEIGHT - share * HEIGHT)
    };
    let places: Vec<String> = points.iter().map(at).collect();
    let line = format!("M{}", places.join("L"));
    Some(Chart {
        title,
        area: format!("{line}L{WIDTH} {HEIGHT}L0 {HEIGHT}Z"),
        line,
        dots: places.iter().map(|place| format!("M{place}h0")).collect(),
        highest: short(highest),
        lowest: short(floor),
        first: Moment::to_the_minute(first),
        last: Moment::to_the_minute(last),
        told: format!(
            "{title} from {} to {}: at least {}, at most {}",
            Moment::to_the_minute(first),
            Moment::to_the_minute(last),
            short(lowest),
            short(highest)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_the_first_to_the_last() {
        let chart = chart("Views", &[(200, 10.0), (0, 0.0), (100, f64::NAN)]).unwrap();
        assert_eq!(chart.line, "M0.0 160.0L1000.0 0.0");
        assert_eq!((chart.highest.as_str(), chart.lowest.as_str()), ("10", "0"));
    }

    #[test]
    fn what_does_not_change_is_in_the_middle() {
        let flat = chart("Views", &[(0, 7.0), (9, 7.0)]).unwrap();
        assert_eq!(flat.line, "M0.0 80.0L1000.0 80.0");
        assert!(chart("Views", &[(0, 7.0)]).is_none());
        assert!(chart("Views", &[(5, 7.0), (5, 8.0)]).is_none());
        assert!(chart("Views", &[]).is_none());
    }
}
