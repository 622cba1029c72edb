//! The queue: its order, its claims, and what is given back.

use super::super::backlog::ReadQueue;
use super::super::claim::{ClaimJobs, Claimed};
use super::super::fixture::{Fixture, run};
use super::super::outcome::FinishJob;
use super::super::writer::Writer;
use super::*;

fn job(kind: Kind, priority: u8, run_at_ms: i64) -> NewJob {
    NewJob {
        kind,
        payload: format!("{priority} at {run_at_ms}"),
        priority,
        run_at_ms,
        origin: run_at_ms,
        trace: None,
    }
}

fn submit(writer: &mut Writer, jobs: Vec<NewJob>, now_ms: i64) -> Vec<JobId> {
    let now = Moment(now_ms);
    run(writer, SubmitJobs { jobs, now }).unwrap()
}

fn claim(writer: &mut Writer, limit: usize, lease: i64, now_ms: i64) -> Claimed {
    let next = ClaimJobs {
        queue: Queue::Scoring,
        limit,
        lease: Lease(lease),
        alone: true,
        yields: false,
        now: Moment(now_ms),
    };
    run(writer, next).unwrap()
}

fn finish(claim: Claim) -> FinishJob {
    FinishJob {
        claim,
        result: None,
        now: Moment(0),
    }
}

fn payloads(claimed: &Claimed) -> Vec<&str> {
    let payloads = claimed.jobs.iter().map(|job| job.payload.as_str());
    payloads.collect()
}

#[test]
fn jobs_are_claimed_by_priority_then_time_then_number() {
    let fixture = Fixture::new("wal");
    let mut writer = fixture.writer();
    let mut jobs = vec![
        job(Kind::Score, 5, 30),
        job(Kind::Score, 5, 10),
        job(Kind::Score, 9, 0),
        job(Kind::Liveness, 0, 0),
        job(Kind::Score, 0, 100),
        job(Kind::Score, 0, 101),
    ];
    jobs.push(job(Kind::Score, 5, 10));
    let ids = submit(&mut writer, jobs, 20);
    let first = claim(&mut writer, 3, 1, 100);
    assert_eq!(payloads(&first), ["0 at 100", "5 at 10", "5 at 10"]);
    let claimed: Vec<JobId> = first.jobs.iter().map(|job| job.claim.job).collect();
    assert_eq!(claimed, [ids[4], ids[1], ids[6]]);
    assert_eq!(first.next_due_ms, Some(101));
    assert_eq!(first.jobs[0].origin, 100);
    let rest = claim(&mut writer, 9, 2, 101);
    assert_eq!(payloads(&rest), ["0 at 101", "5 at 30", "9 at 0"]);
    assert_eq!(rest.next_due_ms, None);
    assert_eq!(claim(&mut writer, 9, 3, 999).jobs, []);
}

#[test]
fn a_released_job_comes_back_with_its_attempt_not_counted() {
    let fixture = Fixture::new("wal");
    let mut writer = fixture.writer();
    submit(&mut writer, vec![job(Kind::Score, 5, 0); 2], 0);
    let claims: Vec<Claim> = claim(&mut writer, 2, 1, 0)
        .jobs
        .iter()
        .map(|job| job.claim)
        .collect();
    let stranger = Claim {
        lease: Lease(99),
        ..claims[0]
    };
    let released =
        |writer: &mut Writer, claims: Vec<Claim>| run(writer, ReleaseJobs { claims }).unwrap();
    assert_eq!(released(&mut writer, vec![stranger]), 0);
    assert_eq!(released(&mut writer, claims.clone()), 2);
    assert_eq!(released(&mut writer, claims), 0);
    let again = claim(&mut writer, 2, 2, 0);
    assert_eq!(
        again
            .jobs
            .iter()
            .map(|job| job.attempts)
            .collect::<Vec<_>>(),
        [1, 1]
    );
}

#[test]
fn what_a_dead_pool_held_comes_back_with_its_attempt_not_counted() {
    let fixture = Fixture::new("wal");
    let mut writer = fixture.writer();
    submit(
        &mut writer,
        vec![job(Kind::Score, 5, 0), job(Kind::Liveness, 5, 0)],
        0,
    );
    submit(&mut writer, vec![job(Kind::Score, 5, 7)], 0);
    let first = claim(&mut writer, 1, 1, 0).jobs[0].claim;
    run(&mut writer, finish(first)).unwrap();
    submit(&mut writer, vec![job(Kind::Score, 5, 9)], 0);
    claim(&mut writer, 1, 1, 9);
    for (queue, left) in [
        (Queue::Cleanup, vec![0]),
        (Queue::Scoring, vec![7, 9]),
        (Queue::Thumbnails, vec![]),
    ] {
        assert_eq!(run(&mut writer, ReleaseRunning { queue }).unwrap(), left);
    }
    assert_eq!(claim(&mut writer, 1, 2, 9).jobs[0].attempts, 1);
}

#[test]
fn jobs_are_counted_by_queue_and_state() {
    let fixture = Fixture::new("wal");
    let mut writer = fixture.writer();
    assert_eq!(run(&mut writer, ReadQueue).unwrap(), []);
    let jobs = vec![
        job(Kind::Score, 5, 0),
        job(Kind::Score, 5, 0),
        job(Kind::Score, 5, 7),
        job(Kind::Liveness, 5, 0),
    ];
    submit(&mut writer, jobs, 0);
    claim(&mut writer, 1, 1, 0);
    let counts: Vec<_> = run(&mut writer, ReadQueue)
        .unwrap()
        .iter()
        .map(|count| (count.queue, count.state, count.jobs))
        .collect();
    assert_eq!(
        counts,
        [
            (Queue::Scoring, JobState::Scheduled, 1),
            (Queue::Scoring, JobState::Available, 1),
            (Queue::Scoring, JobState::Running, 1),
            (Queue::Cleanup, JobState::Available, 1),
        ]
    );
}

#[test]
fn a_queue_is_its_writers_alone_and_leaves_nothing_behind() {
    let fixture = Fixture::new("wal");
    let (mut one, mut other) = (fixture.writer(), fixture.writer());
    submit(&mut one, vec![job(Kind::Score, 5, 0)], 0);
    assert_eq!(claim(&mut other, 9, 1, 0).jobs, []);
    one.close();
    assert_eq!(run(&mut fixture.writer(), ReadQueue).unwrap(), []);
    assert_eq!(fixture.rows("SELECT * FROM vvv_jobs"), [""; 0]);
}

#[test]
fn what_a_lost_answer_holds_is_given_back() {
    let fixture = Fixture::new("wal");
    let mut writer = fixture.writer();
    submit(&mut writer, vec![job(Kind::Score, 5, 0); 3], 0);
    claim(&mut writer, 1, 1, 0);
    claim(&mut writer, 2, 2, 0);
    assert_eq!(run(&mut writer, ReleaseLease(Lease(2))).unwrap(), 2);
    assert_eq!(run(&mut writer, ReleaseLease(Lease(2))).unwrap(), 0);
    let again = claim(&mut writer, 9, 3, 0).jobs;
    assert_eq!(
        again.iter().map(|job| job.attempts).collect::<Vec<_>>(),
        [1, 1]
    );
}

#[test]
fn withdrawn_work_is_gone_and_who_held_it_can_write_nothing() {
    let fixture = Fixture::new("wal");
    let mut writer = fixture.writer();
    let jobs = vec![
        job(Kind::Score, 5, 1),
        job(Kind::Score, 5, 2),
        job(Kind::Score, 5, 3),
    ];
    let ids = submit(&mut writer, jobs, 10);
    let held = claim(&mut writer, 1, 7, 10).jobs[0].claim;
    let withdraw = WithdrawJobs {
        origins: vec![1, 3, 9],
    };
    let withdrawn = run(&mut writer, withdraw.clone()).unwrap();
    assert_eq!(withdrawn, [ids[0], ids[2]]);
    let late = run(&mut writer, finish(held));
    assert!(matches!(late, Err(StoreError::LeaseLost)));
    assert_eq!(payloads(&claim(&mut writer, 9, 8, 10)), ["5 at 2"]);
    assert!(run(&mut writer, withdraw).unwrap().is_empty());
}
