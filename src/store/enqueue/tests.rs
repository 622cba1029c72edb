//! The durable queue on real files: handed in by calls and by plain SQL, cut, ended, grouped,
//! taken back after a death.

use super::super::claim::{ClaimJobs, Claimed};
use super::super::fixture::{Fixture, JOURNALS, run};
use super::super::intake::{TakeIn, TakenIn};
use super::super::job_filter::JobFilter;
use super::super::listing::JobSummary;
use super::super::liveness::RecordLiveness;
use super::super::outcome::{FailJob, FinishJob};
use super::super::queue::{Claim, JobState, Lease, ReleaseJobs};
use super::super::writer::Writer;
use super::super::{
    CancelJobs, LeftAlone, LetGroupsGo, PauseQueue, PurgeQueue, QueueHome, Recover, Recovered,
    RetryEnded, ShortenWaits, SteeredJob,
};
use super::*;
use crate::domain::job::{Kind, LivenessJob, ScoreJob};
use crate::domain::liveness::{Judgement, Verdict};

const CHUNKS: Chunks = Chunks {
    scoring: 2,
    thumbnails: 2,
    cleanup: 2,
};

fn queue(journal: &str) -> (Fixture, Writer) {
    let mut fixture = Fixture::new(journal);
    fixture.options.queue = QueueHome::File;
    let writer = fixture.writer();
    (fixture, writer)
}

fn liveness(ids: &[&str]) -> Job {
    Job::Liveness(LivenessJob {
        video_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        fresh: false,
    })
}

fn request(job: Job) -> JobRequest {
    JobRequest {
        job,
        priority: 5,
        delay_ms: 0,
        unique_key: None,
        unique_for: None,
        trace: None,
    }
}

fn enqueue(writer: &mut Writer, requests: Vec<JobRequest>, now: i64) -> Vec<Enqueued> {
    let enqueue = Enqueue {
        requests,
        grouping: Grouping::None,
        chunks: CHUNKS,
        now: Moment(now),
    };
    run(writer, enqueue).unwrap().0
}

fn take_in(writer: &mut Writer, now: i64) -> TakenIn {
    let take_in = TakeIn {
        chunks: CHUNKS,
        now: Moment(now),
    };
    run(writer, take_in).unwrap()
}

fn claim(writer: &mut Writer, limit: usize, now: i64, alone: bool) -> Claimed {
    let claim = ClaimJobs {
        queue: Queue::Cleanup,
        limit,
        lease: Lease(now),
        alone,
        yields: false,
        now: Moment(now),
    };
    run(writer, claim).unwrap()
}

fn finish(writer: &mut Writer, claim: Claim, now: i64) {
    let finish = FinishJob {
        claim,
        result: Some("found".to_owned()),
        now: Moment(now),
    };
    run(writer, finish).unwrap();
}

fn fail(writer: &mut Writer, claim: Claim, now: i64) {
    let fail = FailJob {
        claim,
        error: "no answer".to_owned(),
        now: Moment(now),
    };
    run(writer, fail).unwrap();
}

fn listed(fixture: &Fixture) -> Vec<JobSummary> {
    let mut jobs = fixture.reader().jobs(&JobFilter::default()).unwrap();
    jobs.reverse();
    jobs
}

fn states(fixture: &Fixture) -> Vec<JobState> {
    listed(fixture).iter().map(|job| job.state).collect()
}

fn recover(writer: &mut Writer, now: i64) -> Recovered {
    let recover = Recover {
        max_crashes: Queue::ALL.map(|queue| (queue, 3)),
        now: Moment(now),
    };
    run(writer, recover).unwrap()
}

#[test]
fn a_kind_and_a_payload_are_enough_for_the_site() {
    for journal in JOURNALS {
        let (fixture, mut writer) = queue(journal);
        fixture.sql(
            r#"INSERT INTO vvv_jobs (kind, payload) VALUES
               ('liveness', '{"video_ids": ["a", "b", "a", "c"]}'),
               ('tasks.detect_dead_videos', '{"video_ids": ["d"]}'),
               ('liveness', '{"video_ids": []}')"#,
        );
        assert_eq!(
            take_in(&mut writer, 10),
            TakenIn {
                rows: 3,
                more: false,
                refused: Vec::new(),
            }
        );
        let jobs = listed(&fixture);
        let seen: Vec<_> = jobs
            .iter()
            .map(|job| (job.id.0, job.state.name(), job.items, job.group.is_some()))
            .collect();
        // The first was cut: its row keeps the first two, a new one has the rest.
        assert_eq!(
            seen,
            [
                (1, "available", 2, true),
                (2, "available", 1, false),
                (3, "succeeded", 0, false),
                (4, "available", 1, true),
            ]
        );
        let claimed = claim(&mut writer, 9, 20, true).jobs;
        let payloads: Vec<_> = claimed.iter().map(|job| job.payload.as_str()).collect();
        assert_eq!(
            payloads,
            [
                r#"{"video_ids":["a","b"]}"#,
                r#"{"video_ids":["d"]}"#,
                r#"{"video_ids":["c"]}"#,
            ]
        );
        assert_eq!(
            take_in(&mut writer, 30),
            TakenIn {
                rows: 0,
                more: false,
                refused: Vec::new(),
            }
        );
    }
}

#[test]
fn what_cannot_be_read_fails_with_the_reason_and_can_be_mended_and_retried() {
    let (fixture, mut writer) = queue("wal");
    fixture.sql(
        r#"INSERT INTO vvv_jobs (kind, payload, priority, run_at_ms, state) VALUES
           ('karaoke', '{}', 5, 0, 'available'), (NULL, NULL, 5, 0, 'available'),
           (x'00', '{}', 5, 0, 'available'), ('score', 'not json', 5, 0, 'available'),
           ('score', '{"videos": []}', 5, 0, 'available'),
           ('score', '{"video_ids": ["a"]}', 10, 0, 'available'),
           ('score', '{"video_ids": ["a"]}', 'high', 0, 'available'),
           ('score', '{"video_ids": ["a"]}', NULL, 'soon', 'available'),
           ('score', '{"video_ids": ["a"]}', 5, 0, 'on fire')"#,
    );
    let refused = take_in(&mut writer, 10).refused;
    let kinds: Vec<_> = refused.iter().map(|row| row.kind).collect();
    assert_eq!(kinds[..3], [None; 3]);
    assert_eq!(kinds[3..], [Some(Kind::Score); 6]);
    let errors: Vec<String> = listed(&fixture)
        .into_iter()
        .map(|job| job.error.unwrap())
        .collect();
    let expected = [
        "kind = \"karaoke\": must be one of score, thumbnails, liveness",
        "kind: must be text",
        "kind: must be text",
        "read the payload of a score job: no JSON: expected",
        "read the payload of a score job: ",
        "priority = 10: must be 0 to 9",
        "priority: must be a whole number",
        "run_at_ms: must be a whole number",
        "state = \"on fire\": leave it out, it is ours",
    ];
    let reasons: Vec<&String> = refused.iter().map(|row| &row.reason).collect();
    assert_eq!(reasons, errors.iter().collect::<Vec<_>>());
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.starts_with(expected), "{error} / {expected}");
    }
    assert!(
        states(&fixture)
            .iter()
            .all(|state| *state == JobState::Failed)
    );
    fixture.sql(
        "UPDATE vvv_jobs SET kind = 'liveness', payload = '{\"video_ids\": [\"a\"]}' WHERE id = 1",
    );
    let again = RetryEnded {
        ids: vec![JobId(1), JobId(99)],
        now: Moment(20),
    };
    let again = run(&mut writer, again).unwrap();
    let done: Vec<JobId> = again.done.iter().map(|job| job.id).collect();
    assert_eq!(done, [JobId(1)]);
    let nobody = LeftAlone {
        id: JobId(99),
        state: None,
    };
    assert_eq!(again.left, [nobody]);
    take_in(&mut writer, 30);
    assert_eq!(claim(&mut writer, 9, 40, true).jobs.len(), 1);
}

#[test]
fn a_key_is_held_until_its_time_is_over_and_the_job_has_ended() {
    for journal in JOURNALS {
        let (fixture, mut writer) = queue(journal);
        let keyed = |unique_for| JobRequest {
            unique_key: Some("daily".to_owned()),
            unique_for,
            ..request(liveness(&["a"]))
        };
        let first = enqueue(&mut writer, vec![keyed(Some(10))], 0);
        assert!(!first[0].duplicate);
        let second = enqueue(&mut writer, vec![keyed(Some(10)), keyed(None)], 20_000);
        assert!(second.iter().all(|queued| queued.duplicate));
        assert_eq!(second[1].ids, first[0].ids);
        let held = claim(&mut writer, 1, 20_000, true).jobs[0].claim;
        finish(&mut writer, held, 20_001);
        let third = enqueue(&mut writer, vec![keyed(None)], 20_002);
        assert!(!third[0].duplicate, "its ten seconds were over");
        let held = claim(&mut writer, 1, 20_003, true).jobs[0].claim;
        finish(&mut writer, held, 20_004);
        let fourth = enqueue(&mut writer, vec![keyed(None)], i64::MAX / 2);
        assert!(fourth[0].duplicate, "without a time it is held for good");
        // The site's own way to say the same.
        fixture.sql(
            "INSERT INTO vvv_jobs (kind, payload, unique_key) VALUES ('score', '{}', 'daily') \
             ON CONFLICT DO NOTHING",
        );
        assert_eq!(listed(&fixture).len(), 2);
    }
}

#[test]
fn waits_come_due_and_are_never_longer_than_they_were_meant() {
    let (_fixture, mut writer) = queue("wal");
    let later = JobRequest {
        delay_ms: 500,
        ..request(liveness(&["later"]))
    };
    enqueue(&mut writer, vec![later], 10_000);
    let early = claim(&mut writer, 1, 10_499, true);
    assert_eq!((early.jobs.len(), early.next_due_ms), (0, Some(10_500)));
    // The clock was set back by nine seconds.
    let shorten = ShortenWaits { now: Moment(1_000) };
    assert_eq!(run(&mut writer, shorten).unwrap(), 1);
    assert_eq!(claim(&mut writer, 1, 1_499, true).next_due_ms, Some(1_500));
    assert_eq!(claim(&mut writer, 1, 1_500, true).jobs.len(), 1);
}

#[test]
fn a_group_counts_its_ends_and_is_followed_exactly_once() {
    for journal in JOURNALS {
        let (fixture, mut writer) = queue(journal);
        let follow =
            |id: &str| format!(r#"{{"kind":"liveness","payload":{{"video_ids":["{id}"]}}}}"#);
        let group = Enqueue {
            requests: vec![
                request(liveness(&["a", "b", "c"])),
                request(liveness(&["d"])),
            ],
            grouping: Grouping::New {
                follow_ups: FollowUps {
                    on_success: Some(follow("well")),
                    on_finish: Some(follow("done")),
                },
                open: false,
            },
            chunks: CHUNKS,
            now: Moment(0),
        };
        let (queued, id) = run(&mut writer, group).unwrap();
        assert_eq!((queued[0].ids.len(), queued[1].ids.len()), (2, 1));
        let held: Vec<Claim> = claim(&mut writer, 9, 1, true)
            .jobs
            .iter()
            .map(|job| job.claim)
            .collect();
        finish(&mut writer, held[0], 2);
        fail(&mut writer, held[1], 3);
        assert_eq!(take_in(&mut writer, 4).rows, 0, "one is still at work");
        finish(&mut writer, held[2], 5);
        let summary = fixture.reader().group(id.unwrap()).unwrap().unwrap();
        assert_eq!((summary.jobs, summary.succeeded, summary.failed), (3, 2, 1));
        assert_eq!(summary.ended_ms, Some(5));
        // Not all went well, so only one follows.
        assert_eq!(take_in(&mut writer, 6).rows, 1);
        let again = RetryEnded {
            ids: vec![held[1].job],
            now: Moment(7),
        };
        run(&mut writer, again).unwrap();
        assert_eq!(
            fixture
                .reader()
                .group(id.unwrap())
                .unwrap()
                .unwrap()
                .ended_ms,
            None
        );
        for job in claim(&mut writer, 9, 8, true).jobs {
            finish(&mut writer, job.claim, 9);
        }
        let summary = fixture.reader().group(id.unwrap()).unwrap().unwrap();
        assert_eq!((summary.succeeded, summary.failed), (3, 0));
        assert_eq!(summary.ended_ms, Some(9));
        assert_eq!(take_in(&mut writer, 10).rows, 0, "it was followed already");
    }
}

#[test]
fn an_open_group_waits_for_the_rest_of_it() {
    let (fixture, mut writer) = queue("wal");
    let mut part = |grouping, ids: &[&str]| {
        let part = Enqueue {
            requests: vec![request(liveness(ids))],
            grouping,
            chunks: CHUNKS,
            now: Moment(0),
        };
        run(&mut writer, part)
    };
    let follow_ups = FollowUps::default();
    let open = true;
    let (_, group) = part(Grouping::New { follow_ups, open }, &["a"]).unwrap();
    let group = group.unwrap();
    part(Grouping::Join { group, open }, &["b"]).unwrap();
    let unknown = Grouping::Join {
        group: GroupId(99),
        open,
    };
    assert!(matches!(
        part(unknown, &["c"]),
        Err(StoreError::NoGroup(GroupId(99)))
    ));
    let ended = || fixture.reader().group(group).unwrap().unwrap().ended_ms;
    let done = |writer: &mut Writer| {
        for job in claim(writer, 9, 1, true).jobs {
            finish(writer, job.claim, 2);
        }
    };
    done(&mut writer);
    assert_eq!(ended(), None);
    let last = Enqueue {
        requests: vec![request(liveness(&["d"]))],
        grouping: Grouping::Join { group, open: false },
        chunks: CHUNKS,
        now: Moment(3),
    };
    run(&mut writer, last.clone()).unwrap();
    assert_eq!(ended(), None);
    done(&mut writer);
    assert_eq!(ended(), Some(2));
    assert_eq!(fixture.reader().group(group).unwrap().unwrap().jobs, 3);
    assert!(matches!(
        run(&mut writer, last),
        Err(StoreError::NoGroup(_))
    ));
}

#[test]
fn a_group_whose_rest_never_came_ends_when_results_go() {
    let (fixture, mut writer) = queue("wal");
    let mut open = |ids: &[&str]| {
        let follow = |id: &str| format!(r#"{{"kind":"score","payload":{{"video_ids":["{id}"]}}}}"#);
        let first = Enqueue {
            requests: vec![request(liveness(ids))],
            grouping: Grouping::New {
                follow_ups: FollowUps {
                    on_success: Some(follow("well")),
                    on_finish: Some(follow("over")),
                },
                open: true,
            },
            chunks: CHUNKS,
            now: Moment(0),
        };
        run(&mut writer, first).unwrap().1.unwrap()
    };
    let (over, busy) = (open(&["a"]), open(&["b"]));
    let job = claim(&mut writer, 1, 1, true).jobs.remove(0);
    finish(&mut writer, job.claim, 5);
    let mut let_go = |before| {
        let now = Moment(9);
        let before = Moment(before);
        writer.run(LetGroupsGo { before, now }).unwrap()
    };
    assert_eq!(let_go(5), 0, "something ended since");
    assert_eq!(let_go(6), 1);
    assert_eq!(let_go(6), 0);
    let ended = |group| fixture.reader().group(group).unwrap().unwrap().ended_ms;
    assert_eq!((ended(over), ended(busy)), (Some(9), None));
    assert_eq!(take_in(&mut writer, 10).rows, 2, "both follow");
}

#[test]
fn a_key_of_work_that_was_cut_is_held_until_the_last_chunk_has_ended() {
    let (_fixture, mut writer) = queue("wal");
    let keyed = JobRequest {
        unique_key: Some("cut".to_owned()),
        unique_for: Some(1),
        ..request(liveness(&["a", "b", "c"]))
    };
    let first = enqueue(&mut writer, vec![keyed.clone()], 0).remove(0);
    assert!(first.ids.len() > 1);
    let mut claims = claim(&mut writer, 9, 1, true).jobs;
    finish(&mut writer, claims.remove(0).claim, 2);
    let again = |writer: &mut Writer| enqueue(writer, vec![keyed.clone()], 2_000).remove(0);
    assert!(again(&mut writer).duplicate, "others run");
    for job in claims {
        finish(&mut writer, job.claim, 2_000);
    }
    assert!(!again(&mut writer).duplicate);
}

#[test]
fn one_turn_takes_in_no_more_rows_than_it_has_items_for() {
    let (fixture, mut writer) = queue("wal");
    fixture.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) \
         INSERT INTO vvv_jobs (kind, payload) \
           SELECT 'score', json_object('video_ids', json_group_array('v' || i)) FROM n; \
         INSERT INTO vvv_jobs (kind, payload) SELECT kind, payload FROM vvv_jobs; \
         INSERT INTO vvv_jobs (kind, payload) SELECT kind, payload FROM vvv_jobs LIMIT 1;",
    );
    let turns = [(); 3].map(|()| take_in(&mut writer, 1));
    let turns = turns.map(|turn| (turn.rows, turn.more));
    assert_eq!(turns, [(2, true), (1, false), (0, false)]);
}

#[test]
fn after_a_death_suspects_run_alone_and_only_then_are_struck() {
    for journal in JOURNALS {
        let (fixture, mut writer) = queue(journal);
        let requests = ["a", "b", "c"].map(|id| request(liveness(&[id])));
        enqueue(&mut writer, requests.to_vec(), 0);
        assert_eq!(claim(&mut writer, 2, 1, true).jobs.len(), 2);
        let recovered = recover(&mut writer, 2);
        assert_eq!((recovered.suspects, recovered.given_up.len()), (2, 0));
        let crowded = claim(&mut writer, 9, 3, false);
        assert!(
            crowded.jobs.is_empty() && crowded.suspects,
            "others are at work"
        );
        for death in 1..=3 {
            let tried = claim(&mut writer, 9, 10 * death, true);
            assert!(tried.suspects);
            assert_eq!(tried.jobs.len(), 1, "one at a time");
            assert_eq!(
                (tried.jobs[0].claim.job, tried.jobs[0].attempts),
                (JobId(1), 1)
            );
            let recovered = recover(&mut writer, 10 * death + 1);
            let struck = listed(&fixture)[0].crashes;
            assert_eq!(i64::from(struck), death);
            assert_eq!(recovered.given_up.len(), usize::from(death == 3));
        }
        let culprit = &listed(&fixture)[0];
        assert_eq!(culprit.state, JobState::Failed);
        assert_eq!(culprit.error.as_deref(), Some("crashed 3 times"));
        // The innocent one answers, and all is as before.
        let innocent = claim(&mut writer, 9, 50, true);
        assert!(innocent.suspects);
        finish(&mut writer, innocent.jobs[0].claim, 51);
        let rest = claim(&mut writer, 9, 52, false);
        assert_eq!((rest.jobs.len(), rest.suspects), (1, false));
        assert_eq!(listed(&fixture)[1].crashes, 0);
    }
}

#[test]
fn only_one_suspect_of_all_queues_is_tried_at_once() {
    let (_fixture, mut writer) = queue("wal");
    let score = Job::Score(ScoreJob {
        video_ids: vec!["s".to_owned()],
    });
    enqueue(
        &mut writer,
        vec![request(liveness(&["a"])), request(score)],
        0,
    );
    let claim_of = |writer: &mut Writer, queue, lease| {
        let claim = ClaimJobs {
            queue,
            limit: 9,
            lease: Lease(lease),
            alone: true,
            yields: false,
            now: Moment(lease),
        };
        run(writer, claim).unwrap()
    };
    claim_of(&mut writer, Queue::Cleanup, 1);
    claim_of(&mut writer, Queue::Scoring, 2);
    recover(&mut writer, 3);
    let tried = claim_of(&mut writer, Queue::Cleanup, 4).jobs;
    assert_eq!(tried.len(), 1);
    let waits = claim_of(&mut writer, Queue::Scoring, 5);
    assert!(waits.suspects && waits.jobs.is_empty());
    finish(&mut writer, tried[0].claim, 6);
}

#[test]
fn what_the_site_wrote_to_our_columns_is_written_anew() {
    let (fixture, mut writer) = queue("wal");
    fixture.sql(
        r#"INSERT INTO vvv_jobs (kind, payload, queue, attempts, lease, ended_ms, remaining) VALUES
           ('liveness', '{"video_ids": ["a"]}', 'cleanup', -5, 7, 1, 'x')"#,
    );
    assert_eq!(
        claim(&mut writer, 9, 1, true).jobs,
        [],
        "not before it is taken in"
    );
    take_in(&mut writer, 2);
    let jobs = claim(&mut writer, 9, 3, true).jobs;
    assert_eq!((jobs.len(), jobs[0].attempts), (1, 1));
    assert_eq!(jobs[0].payload, r#"{"video_ids":["a"]}"#);
    finish(&mut writer, jobs[0].claim, 4);
    enqueue(
        &mut writer,
        vec![request(liveness(&["b"])), request(liveness(&["c"]))],
        5,
    );
    fixture.sql("UPDATE vvv_jobs SET kind = 'karaoke' WHERE id = 2");
    let left = claim(&mut writer, 9, 6, true).jobs;
    assert_eq!(left.len(), 1, "one that cannot be read stops nobody");
    assert_eq!(states(&fixture)[1], JobState::Failed);
}

#[test]
fn a_suspect_that_is_released_stays_one() {
    let (_fixture, mut writer) = queue("wal");
    enqueue(&mut writer, vec![request(liveness(&["a"]))], 0);
    claim(&mut writer, 1, 1, true);
    recover(&mut writer, 2);
    let held = claim(&mut writer, 1, 3, true).jobs[0].claim;
    run(&mut writer, ReleaseJobs { claims: vec![held] }).unwrap();
    assert!(claim(&mut writer, 1, 4, true).suspects);
}

fn cancelled(id: i64) -> SteeredJob {
    SteeredJob {
        id: JobId(id),
        queue: Some(Queue::Cleanup),
        trace: None,
    }
}

#[test]
fn a_cancelled_job_can_write_nothing_more() {
    for journal in JOURNALS {
        let (fixture, mut writer) = queue(journal);
        let requests = ["a", "b", "c"].map(|id| request(liveness(&[id])));
        enqueue(&mut writer, requests.to_vec(), 0);
        let held = claim(&mut writer, 1, 1, true).jobs[0].claim;
        let cancel = CancelJobs {
            ids: vec![JobId(1), JobId(2), JobId(77)],
            now: Moment(2),
        };
        assert_eq!(
            run(&mut writer, cancel.clone()).unwrap().done,
            [1, 2].map(cancelled)
        );
        assert_eq!(run(&mut writer, cancel).unwrap().done, []);
        let late = FinishJob {
            claim: held,
            result: None,
            now: Moment(3),
        };
        assert!(matches!(run(&mut writer, late), Err(StoreError::LeaseLost)));
        assert_eq!(
            states(&fixture),
            [
                JobState::Cancelled,
                JobState::Cancelled,
                JobState::Available
            ]
        );
    }
}

#[test]
fn a_paused_queue_gives_nothing_and_a_purged_one_is_empty() {
    let (fixture, mut writer) = queue("wal");
    let requests = ["a", "b"].map(|id| request(liveness(&[id])));
    enqueue(&mut writer, requests.to_vec(), 0);
    let pause = |pause| PauseQueue {
        queue: Queue::Cleanup,
        pause,
        now: Moment(1),
    };
    assert!(run(&mut writer, pause(true)).unwrap());
    assert!(!run(&mut writer, pause(true)).unwrap());
    assert_eq!(claim(&mut writer, 9, 2, true), Claimed::default());
    let summary = fixture.reader().queues().unwrap()[2];
    assert_eq!((summary.paused_ms, summary.available), (Some(1), 2));
    assert_eq!(summary.oldest_ms, Some(0));
    writer.close();
    let mut writer = fixture.writer();
    assert_eq!(
        claim(&mut writer, 9, 2, true),
        Claimed::default(),
        "a restart changes nothing"
    );
    assert!(run(&mut writer, pause(false)).unwrap());
    assert_eq!(claim(&mut writer, 1, 3, true).jobs.len(), 1);
    let purge = PurgeQueue {
        queue: Queue::Cleanup,
        now: Moment(4),
    };
    assert_eq!(run(&mut writer, purge).unwrap(), [cancelled(2)]);
    assert_eq!(states(&fixture), [JobState::Running, JobState::Cancelled]);
}

#[test]
fn jobs_are_listed_by_state_queue_group_and_text_page_by_page() {
    let (fixture, mut writer) = queue("wal");
    let requests: Vec<JobRequest> = (0..5)
        .map(|n| request(liveness(&[format!("id_{n}%").as_str()])))
        .collect();
    enqueue(&mut writer, requests, 0);
    let held = claim(&mut writer, 1, 1, true).jobs[0].claim;
    finish(&mut writer, held, 2);
    let reader = fixture.reader();
    let ids = |filter: &JobFilter| -> Vec<i64> {
        reader
            .jobs(filter)
            .unwrap()
            .iter()
            .map(|job| job.id.0)
            .collect()
    };
    let page = JobFilter {
        limit: 2,
        ..JobFilter::default()
    };
    assert_eq!(ids(&page), [5, 4]);
    let next = JobFilter {
        before: Some(JobId(4)),
        ..page
    };
    assert_eq!(ids(&next), [3, 2]);
    let of = |filter: JobFilter| ids(&filter);
    let states = vec![JobState::Succeeded];
    assert_eq!(
        of(JobFilter {
            states,
            ..JobFilter::default()
        }),
        [1]
    );
    let text = |text: &str| JobFilter {
        text: Some(text.to_owned()),
        ..JobFilter::default()
    };
    assert_eq!(of(text("id_3%")), [4]);
    assert_eq!(of(text("id%3")), [0; 0], "a sign that is no wildcard");
    let keyed = |key: &str| JobFilter {
        unique_key: Some(key.to_owned()),
        ..JobFilter::default()
    };
    fixture.sql("UPDATE vvv_jobs SET unique_key = 'k' || id");
    assert_eq!(of(keyed("k4")), [4]);
    assert_eq!(of(keyed("k")), [0; 0], "the whole key");
    let queue = Some(Queue::Scoring);
    assert_eq!(
        of(JobFilter {
            queue,
            ..JobFilter::default()
        }),
        [0; 0]
    );
    let detail = reader.job(JobId(1)).unwrap().unwrap();
    assert_eq!(detail.result.as_deref(), Some("found"));
    assert_eq!(detail.summary.ended_ms, Some(2));
    assert_eq!(reader.job(JobId(9)).unwrap(), None);
}

#[test]
fn a_group_with_a_key_is_queued_once_and_found_by_it() {
    let (_fixture, mut writer) = queue("wal");
    let batch = |unique_for| Enqueue {
        requests: vec![
            JobRequest {
                unique_key: Some("k".to_owned()),
                unique_for,
                ..request(liveness(&["a", "b"]))
            },
            request(liveness(&["c"])),
        ],
        grouping: Grouping::New {
            follow_ups: FollowUps::default(),
            open: false,
        },
        chunks: CHUNKS,
        now: Moment(1),
    };
    let (queued, group) = run(&mut writer, batch(Some(1))).unwrap();
    assert!(group.is_some() && queued.iter().all(|queued| !queued.duplicate));
    let (again, same) = run(&mut writer, batch(None)).unwrap();
    assert_eq!(same, group);
    assert!(
        again
            .iter()
            .all(|queued| queued.duplicate && queued.ids.is_empty())
    );
    let later = Enqueue {
        now: Moment(5_000),
        ..batch(None)
    };
    assert_eq!(
        run(&mut writer, later.clone()).unwrap().1,
        group,
        "it has not ended"
    );
    let held = claim(&mut writer, 9, 2, true).jobs;
    for job in held {
        finish(&mut writer, job.claim, 3);
    }
    assert_ne!(run(&mut writer, later).unwrap().1, group);
}

#[test]
fn what_is_wrong_with_a_row_is_said_in_words() {
    let (fixture, mut writer) = queue("wal");
    fixture.sql(
        "INSERT INTO vvv_jobs (kind, payload, unique_for, state) VALUES \
         ('score', '{\"video_ids\": []}', -4, 'available'), \
         ('score', '{\"video_ids\": []}', 4, 'running'), ('score', '7', 4, 'available')",
    );
    take_in(&mut writer, 1);
    let errors: Vec<String> = listed(&fixture)
        .into_iter()
        .filter_map(|job| job.error)
        .collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    for said in [
        "unique_for = -4: must not be negative",
        "state = \"running\": leave it out, it is ours",
        "expected an object with video_ids",
    ] {
        assert!(
            errors.iter().any(|error| error.contains(said)),
            "{said}: {errors:?}"
        );
    }
}

#[test]
fn a_row_that_nobody_has_taken_in_is_listed_and_counted() {
    let (fixture, _writer) = queue("wal");
    fixture.sql(
        "INSERT INTO vvv_jobs (kind, payload) VALUES \
         ('tasks.score_virality_batch', '{\"video_ids\": [\"a\", \"b\"]}'), \
         ('thumbnails', '{\"videos\": [{}]}'), ('score', 'oops'), ('scoring', 7), (NULL, NULL)",
    );
    let reader = fixture.reader();
    let listed = |queue| -> Vec<(i64, u64)> {
        let filter = JobFilter {
            queue,
            ..JobFilter::default()
        };
        let jobs = reader.jobs(&filter).unwrap();
        jobs.iter().map(|job| (job.id.0, job.items)).collect()
    };
    assert_eq!(listed(Some(Queue::Scoring)), [(4, 0), (3, 0), (1, 2)]);
    assert_eq!(listed(Some(Queue::Thumbnails)), [(2, 1)]);
    assert_eq!(listed(None).len(), 5);
    assert_eq!(reader.job(JobId(1)).unwrap().unwrap().summary.items, 2);
    assert_eq!(reader.backlogs().unwrap()[0].available, 3);
}

#[test]
fn no_question_of_the_queue_reads_all_of_it() {
    let (fixture, _writer) = queue("wal");
    for (sql, index) in [
        (
            "SELECT id FROM main.vvv_jobs WHERE queued_ms IS NULL ORDER BY id LIMIT 1",
            "vvv_jobs_new",
        ),
        (
            "SELECT id FROM main.vvv_jobs WHERE queue = 'x' AND state = 'available' \
             ORDER BY priority, run_at_ms, id LIMIT 1",
            "vvv_jobs_available",
        ),
        (
            "SELECT id FROM main.vvv_jobs WHERE queue = 'x' AND state = 'available' \
             AND suspect = 1 ORDER BY id LIMIT 1",
            "vvv_jobs_suspect",
        ),
        (
            "SELECT run_at_ms FROM main.vvv_jobs WHERE queue = 'x' \
             AND state IN ('scheduled', 'retryable') ORDER BY run_at_ms LIMIT 1",
            "vvv_jobs_waiting",
        ),
        (
            "SELECT id FROM main.vvv_jobs WHERE unique_key = 'k'",
            "vvv_jobs_by_key",
        ),
        (
            "SELECT id FROM main.vvv_jobs WHERE state = 'running' AND queue = 'x'",
            "vvv_jobs_running",
        ),
    ] {
        let plan = fixture
            .rows(&format!("EXPLAIN QUERY PLAN {sql}"))
            .join("\n");
        assert!(
            plan.contains(index) && !plan.contains("TEMP B-TREE"),
            "{sql}: {plan}"
        );
    }
}

#[test]
fn an_unreadable_row_belongs_to_no_group_whatever_it_says() {
    let (fixture, mut writer) = queue("wal");
    fixture.sql(
        "INSERT INTO vvv_groups (id, jobs, queued_ms) VALUES (7, 1, 1);
         INSERT INTO vvv_jobs (kind, payload, group_id, items, delay_ms) VALUES
           ('karaoke', '{}', 'x', 'y', 'z'), ('karaoke', '{}', 7, 1, 1)",
    );
    assert_eq!(take_in(&mut writer, 10).rows, 2);
    assert_eq!(states(&fixture), [JobState::Failed, JobState::Failed]);
    let seen = fixture.rows("SELECT failed, ended_ms FROM vvv_groups");
    assert_eq!(seen, fixture.rows("SELECT 0, NULL"));
}

#[test]
fn why_a_row_cannot_be_read_is_told_in_few_words_however_long_the_row_is() {
    let (fixture, mut writer) = queue("wal");
    fixture.sql(
        "INSERT INTO vvv_jobs (kind, payload) VALUES \
         ('score', '{\"video_ids\": \"' || replace(hex(zeroblob(500000)), '0', 'é') || '\"}')",
    );
    let refused = take_in(&mut writer, 10).refused;
    let reason = &refused[0].reason;
    assert!(reason.starts_with("read the payload of a score job: "));
    assert!(
        reason.ends_with('…') && reason.len() < 2_000,
        "{}",
        reason.len()
    );
    assert_eq!(listed(&fixture)[0].error.as_ref(), Some(reason));
}

fn suspects_of(writer: &mut Writer, queue: Queue, lease: i64, yields: bool) -> Claimed {
    let claim = ClaimJobs {
        queue,
        limit: 9,
        lease: Lease(lease),
        alone: true,
        yields,
        now: Moment(lease),
    };
    run(writer, claim).unwrap()
}

#[test]
fn suspects_that_may_wait_long_let_those_of_the_quicker_queues_go_first() {
    let (_fixture, mut writer) = queue("wal");
    let score = |id: &str| {
        request(Job::Score(ScoreJob {
            video_ids: vec![id.to_owned()],
        }))
    };
    let requests = vec![request(liveness(&["a"])), score("s"), score("t")];
    enqueue(&mut writer, requests, 0);
    suspects_of(&mut writer, Queue::Cleanup, 1, true);
    suspects_of(&mut writer, Queue::Scoring, 2, true);
    recover(&mut writer, 3);
    for lease in [10, 20] {
        let waits = suspects_of(&mut writer, Queue::Cleanup, lease, true);
        assert_eq!(
            (waits.jobs.len(), waits.suspects, waits.yields),
            (0, true, true)
        );
        let tried = suspects_of(&mut writer, Queue::Scoring, lease + 1, true);
        assert_eq!((tried.jobs.len(), tried.yields), (1, false));
        let waits = suspects_of(&mut writer, Queue::Cleanup, lease + 2, true);
        assert_eq!((waits.jobs.len(), waits.yields), (0, false), "one is tried");
        finish(&mut writer, tried.jobs[0].claim, lease + 3);
    }
    let own = suspects_of(&mut writer, Queue::Cleanup, 30, true);
    assert_eq!((own.jobs.len(), own.yields), (1, false));
}

#[test]
fn nobody_waits_for_the_suspects_of_a_queue_that_is_paused_or_does_not_move() {
    for pause in [false, true] {
        let (_fixture, mut writer) = queue("wal");
        let score = Job::Score(ScoreJob {
            video_ids: vec!["s".to_owned()],
        });
        let requests = vec![request(liveness(&["a"])), request(score)];
        enqueue(&mut writer, requests, 0);
        suspects_of(&mut writer, Queue::Cleanup, 1, true);
        suspects_of(&mut writer, Queue::Scoring, 2, true);
        recover(&mut writer, 3);
        let pause_it = PauseQueue {
            queue: Queue::Scoring,
            pause,
            now: Moment(4),
        };
        run(&mut writer, pause_it).unwrap();
        let own = suspects_of(&mut writer, Queue::Cleanup, 5, pause);
        assert_eq!(own.jobs.len(), 1, "{pause}");
    }
}

#[test]
fn a_death_after_progress_is_no_strike() {
    for journal in JOURNALS {
        let (fixture, mut writer) = queue(journal);
        enqueue(&mut writer, vec![request(liveness(&["a", "b"]))], 0);
        claim(&mut writer, 1, 1, true);
        recover(&mut writer, 2);
        for death in 1..=9 {
            let held = claim(&mut writer, 1, 10 * death, true).jobs[0].claim;
            let alive = RecordLiveness {
                claim: held,
                mark: "1".to_owned(),
                video_id: "a".to_owned(),
                judgement: Judgement {
                    verdict: Verdict::Alive,
                    reason: String::new(),
                    http_status: Some(200),
                },
                checked_at: death,
            };
            run(&mut writer, alive).unwrap();
            let other = suspects_of(&mut writer, Queue::Cleanup, 10 * death + 1, false);
            assert_eq!(other.jobs, [], "it is tried alone to its end");
            assert_eq!(recover(&mut writer, 10 * death + 2).suspects, 1);
            assert_eq!(listed(&fixture)[0].crashes, 0);
        }
        for death in 1..=3 {
            claim(&mut writer, 1, 100 * death, true);
            let given_up = recover(&mut writer, 100 * death + 1).given_up;
            assert_eq!(given_up.len(), usize::from(death == 3));
        }
    }
}

#[test]
fn jobs_that_come_due_together_come_a_thousand_at_a_time() {
    let (fixture, mut writer) = queue("wal");
    fixture.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) \
         INSERT INTO vvv_jobs (kind, payload, queue, state, run_at_ms, queued_ms) SELECT 'liveness', \
           '{\"video_ids\": []}', 'cleanup', CASE i % 2 WHEN 0 THEN 'scheduled' ELSE 'retryable' END, \
           5, 0 FROM n",
    );
    for (now, left) in [(4, 2500), (5, 1500), (6, 500), (7, 0)] {
        let claimed = claim(&mut writer, 2, now, true);
        assert_eq!(claimed.jobs.len(), if now == 4 { 0 } else { 2 });
        assert_eq!(claimed.next_due_ms, (left > 0).then_some(5));
        let waiting = "SELECT count(*) FROM vvv_jobs WHERE state IN ('scheduled', 'retryable')";
        assert_eq!(fixture.rows(waiting), [left.to_string()]);
    }
}
