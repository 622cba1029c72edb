//! Dates: every form SQLite reads, forms it does not, ties, and order by text instead of time.

use rusqlite::types::Value;

use super::{Cases, Row, plain_pair, text};

/// Noon of the latest plain snapshot and forms near it; years before 0 are left out, since
/// Python's older SQLite counts them otherwise.
const FORMS: [&str; 62] = [
    "2026-08-20T12:00:00",
    "2026-08-20T12:00:00Z",
    "2026-08-20 12:00:00Z",
    "2026-08-20 12:00:00 Z",
    "2026-08-20 12:00:00z",
    "2026-08-20T12:00:00+00:00",
    "2026-08-20 12:00:00+02:00",
    "2026-08-20 12:00:00 +02:00",
    "2026-08-20 12:00:00-05:30",
    "2026-08-20 12:00:00+14:00",
    "2026-08-20 12:00:00-14:00",
    "2026-08-20 12:00:00+14:01",
    "2026-08-20 12:00:00+15:00",
    "2026-08-20 12:00:00+0200",
    "2026-08-20 12:00:00 UTC",
    "2026-08-20 12:00:00  ",
    " 2026-08-20 12:00:00",
    "2026-08-20  12:00:00",
    "2026-08-20 12:00",
    "2026-08-20T12:00Z",
    "2026-08-20 12",
    "2026-08-20",
    "2026-08-20 ",
    "2026-08-20T",
    "2026-08",
    "2026",
    "20260820",
    "2026-8-20",
    "2026/08/20",
    "20.08.2026",
    "20 Aug 2026",
    "2026-08-20 12:00:00 PM",
    "2026-08-20 12:00:00,5",
    "2026-08-20 12:00:00.",
    "2026-08-20 12:00:00.5",
    "2026-08-20 12:00:00.999",
    "2026-08-20 12:00:00.9995",
    "2026-08-20 12:00:00.999999",
    "2026-08-20T12:00:00.999999+00:00",
    "2026-08-20 24:00:00",
    "2026-08-20 24:00:00.001",
    "2026-08-20 24:00:01",
    "2026-08-20 25:00:00",
    "2026-08-20 12:60:00",
    "2026-08-20 12:00:60",
    "2026-02-29 12:00:00",
    "2026-02-31 12:00:00",
    "2026-04-31 12:00:00",
    "2026-13-01 12:00:00",
    "2026-00-10 12:00:00",
    "2026-08-00 12:00:00",
    "2026-08-32 12:00:00",
    "12:00:00",
    "12:00",
    "2461273",
    "2461273.0",
    "2461273.123456",
    "1787227200",
    "1787227200000",
    "",
    "yesterday",
    "0000-00-00 00:00:00",
];

/// Dates far from now, in both directions.
const FAR: [&str; 10] = [
    "0000-01-01 00:00:00",
    "0001-01-01",
    "1969-12-31 23:59:59",
    "1970-01-01 00:00:00",
    "2000-02-29 12:00:00",
    "2038-01-19 03:14:08",
    "2100-02-28 23:59:59",
    "9999-12-31 23:59:59",
    "9999-12-31 23:59:59.999999",
    "10000-01-01",
];

pub(super) fn add(cases: &mut Cases) {
    forms(cases);
    cells(cases);
    fractions(cases);
    ties(cases);
    orders(cases);
    numbers_of_snapshots(cases);
}

fn forms(cases: &mut Cases) {
    for date in FORMS.into_iter().chain(FAR) {
        cases.pair(format!("latest {date:?}"), |latest, _| {
            latest.fetched_at = text(date);
        });
        cases.pair(format!("previous {date:?}"), |_, previous| {
            previous.fetched_at = text(date);
        });
    }
    for date in ["2026-08-20T12:00:00Z", "", "2026-02-31", "never"] {
        cases.pair(format!("both {date:?}"), |latest, previous| {
            latest.fetched_at = text(date);
            previous.fetched_at = text(date);
        });
    }
    // Equal moments under other names, and ones that only look later.
    for date in [
        "2026-08-20T06:00:00Z",
        "2026-08-20 06:00:00+00:00",
        "2026-08-20 11:00:00+05:00",
    ] {
        cases.pair(format!("six o'clock as {date:?}"), |latest, _| {
            latest.fetched_at = text(date);
        });
    }
    // Nothing is wrong with the counts' reason if there is no time in between.
    cases.pair("null counts at one moment", |latest, previous| {
        latest.views = Value::Null;
        previous.fetched_at = latest.fetched_at.clone();
    });
    cases.pair("null counts and no date", |latest, previous| {
        latest.views = Value::Null;
        previous.fetched_at = text("never");
    });
}

/// Dates that are not text.
fn cells(cases: &mut Cases) {
    let values = [
        Value::Null,
        Value::Integer(0),
        Value::Integer(2_461_273),
        Value::Integer(1_787_227_200),
        Value::Integer(-1),
        Value::Real(2_461_273.25),
        Value::Real(2_461_272.999_999),
        Value::Real(1e300),
        Value::Blob(b"2026-08-20 12:00:00".to_vec()),
        Value::Blob(vec![0xFF]),
    ];
    for value in &values {
        cases.pair(format!("latest {value:?}"), |latest, _| {
            latest.fetched_at = value.clone();
        });
        cases.pair(format!("previous {value:?}"), |_, previous| {
            previous.fetched_at = value.clone();
        });
        cases.pair(format!("both {value:?}"), |latest, previous| {
            latest.fetched_at = value.clone();
            previous.fetched_at = value.clone();
        });
    }
    cases.pair("julian days", |latest, previous| {
        latest.fetched_at = Value::Real(2_461_273.5);
        previous.fetched_at = Value::Integer(2_461_273);
    });
}

/// Fractions of seconds, cut and never rounded.
fn fractions(cases: &mut Cases) {
    for number in 0..100 {
        let mut date = |second: u8| {
            let digits: String = (0..cases.dice.usize(1..8))
                .map(|_| {
                    if cases.dice.bool() {
                        '9'
                    } else {
                        cases.dice.digit(10)
                    }
                })
                .collect();
            text(&format!("2026-08-20 12:00:{second:02}.{digits}"))
        };
        let (latest_at, previous_at) = (date(11), date(10));
        cases.pair(format!("fractions {number}"), |latest, previous| {
            latest.fetched_at = latest_at;
            previous.fetched_at = previous_at;
        });
    }
    for (from, to) in [(".1", ".9"), (".999", ".9999"), ("", ".5"), (".5", "")] {
        cases.pair(
            format!("within a second, {from:?} to {to:?}"),
            |latest, previous| {
                latest.fetched_at = text(&format!("2026-08-20 12:00:00{to}"));
                previous.fetched_at = text(&format!("2026-08-20 12:00:00{from}"));
            },
        );
    }
}

/// Equal dates, of which the higher rowid is the newer.
fn ties(cases: &mut Cases) {
    for count in 2..=7 {
        let rows = (0..count).map(|views| row(views * 1_000, "2026-08-20 12:00:00"));
        cases.add(format!("{count} at one moment"), rows.collect());
    }
    for number in 0..40 {
        let mut rows = vec![row(50_000, "2026-08-20 12:00:00")];
        for _ in 0..cases.dice.usize(2..6) {
            rows.push(row(cases.dice.i64(0..50_000), "2026-08-20 06:00:00"));
        }
        rows.push(row(9, "2026-08-20 01:00:00"));
        cases.dice.shuffle(&mut rows);
        cases.add(format!("a tie for the second place, {number}"), rows);
    }
}

/// Rows that do not lie in order of time, and text that sorts otherwise than time.
fn orders(cases: &mut Cases) {
    let (latest, previous) = plain_pair();
    cases.add("newest first", vec![latest, previous]);
    for number in 0..40 {
        let mut rows: Vec<Row> = (0..9)
            .map(|day| {
                row(
                    day * day * 10_000,
                    &format!("2026-08-{:02} 12:00:00", 10 + day),
                )
            })
            .collect();
        cases.dice.shuffle(&mut rows);
        cases.add(format!("days in disorder, {number}"), rows);
    }
    for (name, first, second) in [
        (
            "T sorts after a space",
            "2026-08-20T01:00:00",
            "2026-08-20 12:00:00",
        ),
        (
            "zones sort by their digits",
            "2026-08-20 12:00:00+10:00",
            "2026-08-20 11:00:00",
        ),
        ("an empty date sorts last", "", "2026-08-20 12:00:00"),
        ("letters sort first", "never", "2026-08-20 12:00:00"),
        (
            "no leading zero",
            "2026-8-20 12:00:00",
            "2026-08-20 12:00:00",
        ),
    ] {
        cases.add(name, vec![row(9_000, first), row(4_000, second)]);
        let third = row(1_000, "2026-08-19 12:00:00");
        cases.add(
            format!("{name}, of three"),
            vec![row(9_000, first), row(4_000, second), third],
        );
    }
}

fn numbers_of_snapshots(cases: &mut Cases) {
    for count in [0, 1, 2, 3, 4, 5, 6, 20] {
        let rows = || {
            (0..count)
                .map(|hour| {
                    row(
                        i64::from(hour) * 777,
                        &format!("2026-08-20 {hour:02}:00:00"),
                    )
                })
                .collect()
        };
        cases.add(format!("{count} snapshots"), rows());
        cases
            .add(format!("{count} snapshots, not listed"), rows())
            .listed = false;
    }
    let (mut only, _) = plain_pair();
    only.views = Value::Null;
    cases.add("one snapshot, null", vec![only]);
}

fn row(views: i64, fetched_at: &str) -> Row {
    let (mut row, _) = plain_pair();
    row.views = views.into();
    row.fetched_at = text(fetched_at);
    row
}
