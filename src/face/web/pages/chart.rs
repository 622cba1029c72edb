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

/// How values and times become places.
struct Scale {
    first: i64,
    last: i64,
    lowest: f64,
    highest: f64,
    /// Where the drawing ends below.
    floor: f64,
}

impl Scale {
    /// Of points in the order of their times; none where no time passes.
    fn of(points: &[(i64, f64)]) -> Option<Self> {
        let (first, last) = (points.first()?.0, points.last()?.0);
        if first == last {
            return None;
        }
        let values = || points.iter().map(|(_, value)| *value);
        let (lowest, highest) = (
            values().fold(f64::MAX, f64::min),
            values().fold(f64::MIN, f64::max),
        );
        // From naught where that is near, or a small change would look like a great one.
        let is_near = lowest >= 0.0 && lowest < highest / 2.0;
        Some(Self {
            first,
            last,
            lowest,
            highest,
            floor: if is_near { 0.0 } else { lowest },
        })
    }

    fn place(&self, (seconds, value): (i64, f64)) -> String {
        // Between two times of the site's there may be more seconds than an `i64` holds.
        let since = |time: i64| (i128::from(time) - i128::from(self.first)) as f64;
        let x = since(seconds) / since(self.last) * WIDTH;
        let share = if self.highest > self.floor {
            (value - self.floor) / (self.highest - self.floor)
        } else {
            0.5
        };
        format!("{x:.1} {:.1}", HEIGHT - share * HEIGHT)
    }
}

/// A line of these points, by Unix seconds; none of fewer than two.
pub(super) fn chart(title: &'static str, points: &[(i64, f64)]) -> Option<Chart> {
    let mut points: Vec<(i64, f64)> = points.to_vec();
    points.retain(|(_, value)| value.is_finite());
    points.sort_by_key(|(seconds, _)| *seconds);
    let scale = Scale::of(&points)?;
    let places: Vec<String> = points.into_iter().map(|point| scale.place(point)).collect();
    let line = format!("M{}", places.join("L"));
    let (first, last) = (
        Moment::to_the_minute(scale.first),
        Moment::to_the_minute(scale.last),
    );
    let (lowest, highest) = (short(scale.lowest), short(scale.highest));
    Some(Chart {
        title,
        area: format!("{line}L{WIDTH} {HEIGHT}L0 {HEIGHT}Z"),
        line,
        dots: places.iter().map(|place| format!("M{place}h0")).collect(),
        told: format!("{title} from {first} to {last}: at least {lowest}, at most {highest}"),
        highest,
        lowest: short(scale.floor),
        first,
        last,
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
    fn a_line_has_room_for_all_times() {
        let chart = chart("Views", &[(i64::MIN, 1.0), (i64::MAX, 2.0)]).unwrap();
        assert_eq!(chart.line, "M0.0 160.0L1000.0 0.0");
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
