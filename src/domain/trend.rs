//! How fast a video gains views, and whether that grows.

use serde::Serialize;

use super::score::{Count, Snapshot};

/// Velocities that differ by less than this share of the greater one are the same.
const STEADY: f64 = 0.1;

/// Where a velocity goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// It grows.
    Rising,
    /// It stays, within a tenth.
    Steady,
    /// It falls.
    Falling,
}

/// The latest velocity beside the one before it, views an hour.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Trend {
    /// What became of it.
    pub direction: Direction,
    /// Between the last two snapshots.
    pub latest: f64,
    /// Between the two before.
    pub before: f64,
}

/// The trend of a video from its snapshots, newest first; none where the first three do not give
/// two velocities.
#[must_use]
pub fn trend(newest_first: &[Snapshot]) -> Option<Trend> {
    let [now, then, earlier, ..] = newest_first else {
        return None;
    };
    let (latest, before) = (velocity(now, then)?, velocity(then, earlier)?);
    let change = latest - before;
    let direction = if change.abs() <= latest.abs().max(before.abs()) * STEADY {
        Direction::Steady
    } else if change > 0.0 {
        Direction::Rising
    } else {
        Direction::Falling
    };
    Some(Trend {
        direction,
        latest,
        before,
    })
}

/// Seconds from one snapshot to the next; none where a time cannot be read.
#[must_use]
pub fn elapsed(now: &Snapshot, then: &Snapshot) -> Option<i64> {
    now.seconds?.checked_sub(then.seconds?)
}

/// Views an hour; none where no time has passed or a count is no number.
#[must_use]
pub fn velocity(now: &Snapshot, then: &Snapshot) -> Option<f64> {
    let seconds = elapsed(now, then).filter(|seconds| *seconds > 0)?;
    let gained = match (now.views, then.views) {
        (Count::Integer(now), Count::Integer(then)) => (i128::from(now) - i128::from(then)) as f64,
        (now, then) => as_float(now)? - as_float(then)?,
    };
    Some(gained / seconds as f64 * 3600.0)
}

const fn as_float(count: Count) -> Option<f64> {
    match count {
        Count::Integer(integer) => Some(integer as f64),
        Count::Real(real) => Some(real),
        Count::Missing | Count::Unreadable => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Snapshots an hour apart, newest first.
    fn hourly(views: &[i64]) -> Vec<Snapshot> {
        let newest = i64::try_from(views.len()).unwrap();
        let snapshot = |(place, views): (i64, &i64)| Snapshot {
            views: Count::Integer(*views),
            likes: Count::Missing,
            comments: Count::Missing,
            region: None,
            seconds: Some((newest - place) * 3600),
            region_is_unreadable: false,
        };
        (0..).zip(views).map(snapshot).collect()
    }

    fn direction(views: &[i64]) -> Option<Direction> {
        trend(&hourly(views)).map(|trend| trend.direction)
    }

    #[test]
    fn a_velocity_is_held_against_the_one_before() {
        let risen = trend(&hourly(&[600, 200, 100])).unwrap();
        assert_eq!((risen.latest, risen.before), (400.0, 100.0));
        assert_eq!(risen.direction, Direction::Rising);
        assert_eq!(direction(&[250, 200, 100]), Some(Direction::Falling));
        assert_eq!(direction(&[305, 200, 100]), Some(Direction::Steady));
        assert_eq!(direction(&[100, 100, 100]), Some(Direction::Steady));
        // Views may be taken back.
        assert_eq!(direction(&[50, 100, 100]), Some(Direction::Falling));
    }

    #[test]
    fn without_two_velocities_there_is_no_trend() {
        assert_eq!(direction(&[200, 100]), None);
        let mut same_time = hourly(&[300, 200, 100]);
        same_time[1].seconds = same_time[2].seconds;
        assert_eq!(trend(&same_time), None);
        let mut unreadable = hourly(&[300, 200, 100]);
        unreadable[2].views = Count::Unreadable;
        assert_eq!(trend(&unreadable), None);
    }
}
