//! Counts: missing, of another type, huge, negative; results on the edge of rounding and labels.

use rusqlite::types::Value;

use super::super::REGIONS;
use super::{Cases, Row, plain_pair, text};

/// Views an hour and engagement in percent that count as ordinary success, by region.
const BASELINES: [(f64, f64); 7] = [
    (10_000.0, 6.0),
    (8_000.0, 5.5),
    (5_000.0, 5.0),
    (4_000.0, 5.0),
    (6_000.0, 5.0),
    (20_000.0, 4.5),
    (50_000.0, 5.0),
];

pub(super) fn add(cases: &mut Cases) {
    cells(cases);
    huge(cases);
    mixed(cases);
    boundaries(cases);
    roundings(cases);
    below_zero(cases);
    extremes(cases);
    stored(cases);
}

/// One cell at a time is not what it should be.
fn cells(cases: &mut Cases) {
    let two_53 = 1i64 << 53;
    let values: Vec<(&str, Value)> = vec![
        ("null", Value::Null),
        ("text of digits", text("12")),
        ("text of letters", text("many")),
        ("empty text", text("")),
        ("text 1e3", text("1e3")),
        ("a blob", Value::Blob(b"12".to_vec())),
        ("1.5", Value::Real(1.5)),
        ("5.0", Value::Real(5.0)),
        ("-0.0", Value::Real(-0.0)),
        ("0.1", Value::Real(0.1)),
        ("1e-300", Value::Real(1e-300)),
        ("1e15 and a half", Value::Real(1e15 + 0.5)),
        ("1e30", Value::Real(1e30)),
        ("-1e30", Value::Real(-1e30)),
        ("0", Value::Integer(0)),
        ("1", Value::Integer(1)),
        ("-1", Value::Integer(-1)),
        ("-1000", Value::Integer(-1_000)),
        ("2^53", Value::Integer(two_53)),
        ("2^53 + 1", Value::Integer(two_53 + 1)),
        ("-2^53 - 1", Value::Integer(-two_53 - 1)),
        ("the largest integer", Value::Integer(i64::MAX)),
        ("the smallest integer", Value::Integer(i64::MIN)),
    ];
    for (name, value) in values {
        each_cell(cases, name, &value);
    }
    // Infinite likes are left out: the article's answer to them is not JSON.
    for infinite in [f64::INFINITY, f64::NEG_INFINITY] {
        cases.pair(format!("views {infinite}"), |latest, _| {
            latest.views = infinite.into();
        });
        cases.pair(format!("earlier views {infinite}"), |_, previous| {
            previous.views = infinite.into();
        });
        cases.pair(format!("both views {infinite}"), |latest, previous| {
            latest.views = infinite.into();
            previous.views = infinite.into();
        });
        cases.pair(format!("earlier likes {infinite}"), |_, previous| {
            previous.likes = infinite.into();
        });
    }
    cases.pair("all counts null", |latest, previous| {
        for row in [latest, previous] {
            row.views = Value::Null;
            row.likes = Value::Null;
            row.comments = Value::Null;
        }
    });
    cases.pair("likes and comments text", |latest, _| {
        latest.likes = text("5");
        latest.comments = text("7");
    });
}

fn each_cell(cases: &mut Cases, name: &str, value: &Value) {
    cases.pair(format!("views {name}"), |latest, _| {
        latest.views = value.clone();
    });
    cases.pair(format!("likes {name}"), |latest, _| {
        latest.likes = value.clone();
    });
    cases.pair(format!("comments {name}"), |latest, _| {
        latest.comments = value.clone();
    });
    cases.pair(format!("earlier views {name}"), |_, previous| {
        previous.views = value.clone();
    });
    cases.pair(format!("earlier likes {name}"), |_, previous| {
        previous.likes = value.clone();
    });
    cases.pair(format!("earlier comments {name}"), |_, previous| {
        previous.comments = value.clone();
    });
}

/// Integers whose differences, sums and quotients no 64 bits and no float hold exactly.
fn huge(cases: &mut Cases) {
    for number in 0..160 {
        let mut pick = || {
            let near = match cases.dice.u8(..6) {
                0 => i64::MAX,
                1 => i64::MIN,
                2 => 1 << 53,
                3 => -(1 << 53),
                4 => 1 << 62,
                _ => cases.dice.i64(..),
            };
            near.saturating_add(cases.dice.i64(-3..=3))
        };
        let counts = [pick(), pick(), pick(), pick()];
        let seconds = cases.dice.u32(1..3_600);
        let region = REGIONS[number % 7];
        cases.pair(format!("huge integers {counts:?}"), |latest, previous| {
            latest.views = counts[0].into();
            latest.likes = counts[1].into();
            latest.comments = counts[2].into();
            latest.region = text(region);
            previous.views = counts[3].into();
            let (minute, second) = (seconds / 60, seconds % 60);
            latest.fetched_at = text(&format!("2026-08-20 06:{minute:02}:{second:02}"));
        });
    }
}

/// Integers and floats in one sum, where Python turns the integer into a float first.
fn mixed(cases: &mut Cases) {
    for number in 0..120 {
        let mut pick = |scale: f64| {
            let float = (cases.dice.f64() - 0.2) * 10f64.powf(cases.dice.f64() * scale);
            match cases.dice.u8(..3) {
                0 => Value::Real(float),
                1 => Value::Real(float.round()),
                _ => Value::Integer(float as i64),
            }
        };
        let counts = [pick(19.0), pick(19.0), pick(19.0), pick(19.0)];
        cases.pair(format!("mixed {number}"), |latest, previous| {
            let [views, likes, comments, earlier] = counts;
            latest.views = views;
            latest.likes = likes;
            latest.comments = comments;
            previous.views = earlier;
        });
    }
}

/// Scores on either side of 60 and 85, in steps finer than the rounding.
fn boundaries(cases: &mut Cases) {
    for (region, (velocity, engagement)) in REGIONS.into_iter().zip(BASELINES) {
        for label in [60.0, 85.0] {
            // Engagement at its cap gives 45, velocity the rest, about ten steps to a tenth.
            let middle = (label - 45.0) / 0.55 / 100.0 * velocity;
            let step = velocity / 5_500.0;
            for offset in -9..=9 {
                let views = (middle + step * f64::from(offset)).round() as i64;
                let name = format!("{region} near {label}, {offset}");
                let rows = an_hour(region, 1_000 + views, 1_000, 1_000 + views);
                cases.add(name, rows);
            }
            // Both parts at the label itself.
            let views = 1_000_000;
            let earlier = views - (velocity * label / 100.0) as i64;
            let likes = (views as f64 * engagement / 100.0 * label / 100.0).round() as i64;
            for offset in -1..=1 {
                let rows = an_hour(region, views, earlier, likes + offset);
                cases.add(format!("{region} at {label}, {offset}"), rows);
            }
        }
    }
}

/// Two snapshots an hour apart; likes are the whole engagement.
fn an_hour(region: &str, views: i64, earlier: i64, likes: i64) -> Vec<Row> {
    let (mut latest, mut previous) = plain_pair();
    latest.views = views.into();
    latest.likes = likes.into();
    latest.comments = 0.into();
    latest.region = text(region);
    previous.views = earlier.into();
    previous.fetched_at = text("2026-08-20 11:00:00");
    vec![previous, latest]
}

/// Results that end in a five.
fn roundings(cases: &mut Cases) {
    // Scores 0.55, 1.65, 2.75 ...: ties in decimal, hardly ever in binary.
    for odd in (1..182).step_by(2) {
        let rows = an_hour("PL", 100_000 + 100 * odd, 100_000, 0);
        cases.add(format!("score of {odd} times 0.55"), rows);
    }
    // Engagement 0.125, 0.375 ...: exact ties.
    for odd in (1..80).step_by(2) {
        let rows = an_hour("GB", 800, 800, odd);
        cases.add(format!("engagement of {odd} in 800"), rows);
    }
    // Velocity n + 1/2.
    for odd in (-21..22).step_by(2) {
        let mut rows = an_hour("NO", 1_000 + odd, 1_000, 7);
        rows[0].fetched_at = text("2026-08-20 10:00:00");
        cases.add(format!("velocity of {odd} halves"), rows);
    }
}

fn below_zero(cases: &mut Cases) {
    for lost in 0..30 {
        let rows = an_hour("US", 1_000_000 - lost * lost, 1_000_000, 0);
        cases.add(format!("{} views lost", lost * lost), rows);
    }
    for lost in [1, 1_000, 1_000_000, 1_000_000_000] {
        let rows = an_hour("SE", 5, 5 + lost, 1);
        cases.add(format!("nearly all of {lost} views lost"), rows);
    }
    for likes in [-1, -4, -5, -6, -49, -50, -51, -1_000_000] {
        let rows = an_hour("AT", 100_000, 100_000, likes);
        cases.add(format!("{likes} likes"), rows);
    }
    cases.pair("negative views", |latest, _| latest.views = (-7).into());
    cases.pair("negative views, both", |latest, previous| {
        latest.views = (-7).into();
        previous.views = (-70_000).into();
    });
}

fn extremes(cases: &mut Cases) {
    for (region, likes) in REGIONS.into_iter().zip([0, 1, 2, 3, 10, 1_000, 1_000_000]) {
        cases.add(
            format!("no views and {likes} likes"),
            an_hour(region, 0, 0, likes),
        );
        cases.add(
            format!("one view and {likes} likes"),
            an_hour(region, 1, 0, likes),
        );
        let rows = an_hour(region, 1_000_000_000, 0, likes);
        cases.add(format!("a billion views and {likes} likes"), rows);
        let rows = an_hour(region, 1_000_000_000, 0, 1_000_000_000);
        cases.add("both parts at their caps", rows);
        cases.add(
            format!("nothing happened, {likes} likes"),
            an_hour(region, 77, 77, likes),
        );
    }
    for (region, (velocity, engagement)) in REGIONS.into_iter().zip(BASELINES) {
        let views = 1_000_000;
        let likes = (engagement * 10_000.0) as i64;
        let rows = an_hour(region, views, views - velocity as i64, likes);
        cases.add(format!("exactly {region}'s baseline"), rows);
    }
}

/// What stands in `virality_score` beforehand.
fn stored(cases: &mut Cases) {
    let both_capped = || an_hour("PL", 1_000_000_000, 0, 1_000_000_000);
    let nothing = || an_hour("PL", 77, 77, 0);
    let values = [
        Value::Null,
        Value::Real(100.0),
        Value::Integer(100),
        Value::Real(99.999_999_999),
        Value::Real(0.0),
        Value::Real(-0.0),
        Value::Real(55.5),
        text("100"),
        text("high"),
        Value::Blob(vec![1]),
    ];
    for value in values {
        let name = format!("{value:?} is stored");
        cases.add(format!("{name}, 100"), both_capped()).stored = value.clone();
        cases.add(format!("{name}, 0"), nothing()).stored = value.clone();
        cases.add(format!("{name}, a reason"), Vec::new()).stored = value;
    }
}
