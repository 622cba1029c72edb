//! Permits and parks, by a clock that the tests turn.

use std::sync::atomic::{AtomicU32, Ordering};

use super::super::fixture::{Fixture, JOURNALS, run};
use super::super::window::rate_window;
use super::super::writer::Writer;
use super::*;

static TAKEN: AtomicU32 = AtomicU32::new(1);

const LIMIT: Limit = Limit {
    calls: 2,
    window_ms: 60_000,
};

fn at(ms: i64) -> BootTime {
    BootTime {
        boot_id: "this boot".to_owned(),
        ms,
    }
}

fn next_id() -> PermitId {
    PermitId(i64::from(TAKEN.fetch_add(1, Ordering::Relaxed)))
}

fn take(writer: &mut Writer, now: BootTime) -> PermitAnswer {
    let take = TakePermit {
        id: next_id(),
        upstream: "oembed".to_owned(),
        clock: move || now.clone(),
        limit: LIMIT,
        hold_ms: 10_000,
    };
    run(writer, take).unwrap()
}

fn granted(answer: PermitAnswer) -> PermitId {
    match answer {
        PermitAnswer::Granted { permit, .. } => permit,
        PermitAnswer::Wait { .. } | PermitAnswer::Parked { .. } => panic!("{answer:?}"),
    }
}

fn release(writer: &mut Writer, permit: PermitId, now: BootTime) {
    run(writer, ReleasePermit { permit, now }).unwrap();
}

fn park(writer: &mut Writer, now: BootTime, retry_after: Option<u64>) -> i64 {
    let park = ParkUpstream {
        upstream: "oembed".to_owned(),
        now,
        retry_after: retry_after.map(Duration::from_secs),
    };
    run(writer, park).unwrap()
}

fn count(writer: &Writer, now: &BootTime) -> u32 {
    let connection = &writer.file.connection;
    rate_window(connection, "oembed", LIMIT, now).unwrap().used
}

fn kept(fixture: &Fixture) -> Vec<String> {
    fixture.rows("SELECT taken_ms, expires_ms, released_ms FROM vvv_permits ORDER BY id")
}

#[test]
fn a_permit_counts_for_a_window_after_its_call_is_over() {
    for journal in JOURNALS {
        let fixture = Fixture::new(journal);
        let mut writer = fixture.writer();
        let first = take(&mut writer, at(1_000));
        assert!(matches!(
            first,
            PermitAnswer::Granted {
                expires_ms: 11_000,
                ..
            }
        ));
        let first = granted(first);
        granted(take(&mut writer, at(2_000)));
        // Both may be under way until they expire.
        let full = PermitAnswer::Wait { until_ms: 71_000 };
        assert_eq!(take(&mut writer, at(3_000)), full);
        release(&mut writer, first, at(4_000));
        let sooner = PermitAnswer::Wait { until_ms: 64_001 };
        assert_eq!(take(&mut writer, at(64_000)), sooner);
        assert_eq!(count(&writer, &at(64_000)), 2);
        granted(take(&mut writer, at(64_001)));
        assert_eq!(kept(&fixture), ["2000|12000|-", "64001|74001|-"], "pruned");
        assert_eq!(
            count(&writer, &at(72_000)),
            1,
            "the second one lapsed by itself"
        );
    }
}

#[test]
fn permits_hold_for_every_process_on_the_file() {
    let fixture = Fixture::new("wal");
    let (mut one, mut other) = (fixture.writer(), fixture.writer());
    granted(take(&mut one, at(1_000)));
    granted(take(&mut other, at(1_000)));
    one.close();
    assert!(matches!(
        take(&mut other, at(1_001)),
        PermitAnswer::Wait { .. }
    ));
    let elsewhere = TakePermit {
        id: next_id(),
        upstream: "another".to_owned(),
        clock: || at(1_001),
        limit: LIMIT,
        hold_ms: 10_000,
    };
    granted(run(&mut other, elsewhere).unwrap());
}

#[test]
fn a_late_or_repeated_release_changes_nothing() {
    let fixture = Fixture::new("wal");
    let mut writer = fixture.writer();
    let permit = granted(take(&mut writer, at(1_000)));
    release(&mut writer, permit, at(2_000));
    release(&mut writer, permit, at(9_000));
    assert_eq!(kept(&fixture), ["1000|11000|2001"]);
    let other_boot = BootTime {
        boot_id: "the next boot".to_owned(),
        ms: 5,
    };
    let permit = granted(take(&mut writer, at(2_000)));
    release(&mut writer, permit, other_boot);
    assert_eq!(kept(&fixture)[1], "2000|12000|-");
}

#[test]
fn permits_of_another_boot_count_until_a_window_has_passed_in_this_one() {
    let fixture = Fixture::new("wal");
    let mut writer = fixture.writer();
    for _ in 0..2 {
        let last_boot = BootTime {
            boot_id: "the last boot".to_owned(),
            ms: 5_000_000,
        };
        granted(take(&mut writer, last_boot));
    }
    let wait = PermitAnswer::Wait { until_ms: 60_000 };
    assert_eq!(take(&mut writer, at(59_999)), wait);
    granted(take(&mut writer, at(60_000)));
    assert_eq!(kept(&fixture).len(), 1);
}

#[test]
fn a_permit_from_the_future_counts_as_of_now_once() {
    let fixture = Fixture::new("wal");
    let mut writer = fixture.writer();
    for _ in 0..2 {
        granted(take(&mut writer, at(900_000)));
    }
    let wait = PermitAnswer::Wait { until_ms: 71_000 };
    assert_eq!(take(&mut writer, at(1_000)), wait);
    assert_eq!(take(&mut writer, at(70_999)), wait, "not pushed on");
    granted(take(&mut writer, at(71_000)));
}

#[test]
fn a_park_doubles_and_is_never_shortened() {
    for journal in JOURNALS {
        let fixture = Fixture::new(journal);
        let mut writer = fixture.writer();
        assert_eq!(park(&mut writer, at(0), None), 60_000);
        let parked = PermitAnswer::Parked { until_ms: 60_000 };
        assert_eq!(take(&mut writer, at(59_999)), parked);
        // Answers to calls that were on their way.
        assert_eq!(park(&mut writer, at(1_000), None), 60_000);
        assert_eq!(park(&mut writer, at(1_000), Some(5)), 60_000);
        assert_eq!(park(&mut writer, at(1_000), Some(100)), 101_000);
        granted(take(&mut writer, at(101_000)));
        assert_eq!(
            park(&mut writer, at(101_000), None),
            221_000,
            "the second strike"
        );
        // What is asked for doubles too, or an upstream that asks for little would be asked for ever.
        assert_eq!(park(&mut writer, at(221_000), Some(7)), 249_000);
        let upstream = "oembed".to_owned();
        run(&mut writer, UnparkUpstream { upstream }).unwrap();
        let parked = PermitAnswer::Parked { until_ms: 249_000 };
        assert_eq!(
            take(&mut writer, at(222_000)),
            parked,
            "a good answer lifts no park"
        );
        assert_eq!(
            park(&mut writer, at(300_000), None),
            360_000,
            "the first strike again"
        );
    }
}

#[test]
fn a_park_of_another_boot_is_over_but_its_strikes_stay() {
    let fixture = Fixture::new("wal");
    let mut writer = fixture.writer();
    let last_boot = BootTime {
        boot_id: "the last boot".to_owned(),
        ms: 5_000_000,
    };
    park(&mut writer, last_boot, None);
    granted(take(&mut writer, at(100)));
    assert_eq!(park(&mut writer, at(200), None), 120_200);
}
