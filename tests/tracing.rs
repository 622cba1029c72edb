//! The spans of a job, as a host's own subscriber sees them: from submit to the commit of the outcome,
//! over all threads, and of the trace that the submitter named.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::Duration;

use support::engine::{self, EngineScene, alive, liveness, request, score, shut_down, stop};
use support::site::{Gate, oembed};
use support::talk::until;
use support::vault::VaultSpec;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};
use vvv_actors::actors::faults::{Fault, Faults, Step};
use vvv_actors::engine::{
    BlockingEngine, FollowUps, Grouping, JobId, JobRequest, PoolStatus, Queue, QueueView,
};
use vvv_actors::{Found, Liveness, Report, SubmitOptions, TraceParent, Work};

/// A span that was begun, or an event.
#[derive(Debug, Clone)]
struct Seen {
    name: String,
    fields: HashMap<String, String>,
    /// Its place in the list.
    parent: Option<usize>,
    thread: String,
    closed: bool,
}

static SEEN: Mutex<Vec<Seen>> = Mutex::new(Vec::new());

fn seen() -> MutexGuard<'static, Vec<Seen>> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Recorder;

struct Place(usize);

#[derive(Default)]
struct Fields(HashMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let place = |id: &Id| {
            let span = context.span(id)?;
            span.extensions().get::<Place>().map(|place| place.0)
        };
        let parent = span.parent().and_then(|parent| place(&parent.id()));
        let mut all = seen();
        span.extensions_mut().insert(Place(all.len()));
        all.push(Seen {
            name: span.name().to_owned(),
            fields: fields.0,
            parent,
            thread: thread::current().name().unwrap_or_default().to_owned(),
            closed: false,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let place = span.extensions().get::<Place>().map(|place| place.0);
        let mut fields = Fields::default();
        values.record(&mut fields);
        seen()[place.unwrap()].fields.extend(fields.0);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let scope = context.event_span(event);
        let parent = scope.and_then(|span| span.extensions().get::<Place>().map(|place| place.0));
        seen().push(Seen {
            name: fields.0.remove("message").unwrap_or_default(),
            fields: fields.0,
            parent,
            thread: String::new(),
            closed: true,
        });
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        let place = span.extensions().get::<Place>().map(|place| place.0);
        if let Some(place) = place {
            seen()[place].closed = true;
        }
    }
}

/// The first of this name above a span, itself included.
fn above(all: &[Seen], mut at: usize, name: &str) -> Option<usize> {
    loop {
        if all[at].name == name {
            return Some(at);
        }
        at = all[at].parent?;
    }
}

/// An engine all of whose spans are kept.
struct Scene {
    ground: EngineScene,
    engine: BlockingEngine,
}

impl Deref for Scene {
    type Target = EngineScene;

    fn deref(&self) -> &EngineScene {
        &self.ground
    }
}

impl Scene {
    fn new(durable: bool) -> Self {
        Self::with(durable, Faults::default())
    }

    fn with(durable: bool, faults: Faults) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let recorder = Registry::default().with(Recorder);
            tracing::subscriber::set_global_default(recorder).unwrap();
        });
        let mut ground = EngineScene::of(VaultSpec::new(20));
        ground.config.queues.scoring.chunk = 5;
        ground.config.queues.scoring.workers = 1;
        ground.config.engine.max_restarts = 1;
        let engine = ground.builder(durable).faults(faults).start();
        let engine = engine.unwrap().blocking();
        Self { ground, engine }
    }

    fn submit<F: Found, W: Work<Report = Report<F>>>(
        &self,
        work: W,
        trace: TraceParent,
    ) -> Report<F> {
        let options = SubmitOptions {
            traceparent: Some(trace),
            ..SubmitOptions::default()
        };
        let ticket = self.engine.submit_with(work, options);
        ticket.unwrap().wait().unwrap()
    }

    fn end(self) {
        stop(&self.engine);
    }
}

fn trace(last: u8) -> TraceParent {
    TraceParent {
        trace_id: [0x4b, 0xf9, 0x2f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last],
        parent_id: [7; 8],
        flags: 1,
    }
}

/// The names below each attempt of this trace, those of all attempts.
fn below_jobs(trace: TraceParent) -> Vec<String> {
    let all = seen().clone();
    let id = trace.trace().to_string();
    let below = (0..all.len()).filter(|at| {
        let job = above(&all, *at, "job");
        job.is_some_and(|job| job != *at && all[job].fields.get("trace_id") == Some(&id))
    });
    below.map(|at| all[at].name.clone()).collect()
}

fn named(trace: TraceParent, name: &str) -> Vec<Seen> {
    let id = trace.trace().to_string();
    let all = seen();
    let of = |seen: &&Seen| seen.name == name && seen.fields.get("trace_id") == Some(&id);
    all.iter().filter(of).cloned().collect()
}

fn the_work_is_below_its_attempts(score: TraceParent, pictures: TraceParent, links: TraceParent) {
    for (trace, work) in [
        (score, &["score"][..]),
        (pictures, &["thumbnail", "fetch", "judge", "record"]),
        (links, &["video", "permit", "fetch", "judge", "record"]),
    ] {
        let below = below_jobs(trace);
        for name in work {
            assert!(below.iter().any(|seen| seen == name), "{name}: {below:?}");
        }
    }
    // The work is done on other threads than the one that hands it out.
    let all = seen();
    let id = score.trace().to_string();
    let at = (0..all.len()).find(|at| {
        let job = above(&all, *at, "job");
        all[*at].name == "score"
            && job.is_some_and(|job| all[job].fields.get("trace_id") == Some(&id))
    });
    let work = &all[at.unwrap()];
    assert_ne!(work.thread, all[work.parent.unwrap()].thread);
}

#[test]
fn spans_flow_from_the_submit_to_the_commit_over_all_threads() {
    for (durable, n) in [(true, 1), (false, 2)] {
        let scene = Scene::new(durable);
        let (score, pictures, links) = (trace(n), trace(n + 16), trace(n + 32));
        scene.submit(engine::score(&scene.vault.ids), score);
        scene.submit(scene.pictures(1), pictures);
        scene.submit(liveness(&alive(1..2)), links);
        scene.end();
        for trace in [score, pictures, links] {
            let jobs = named(trace, "job");
            assert_eq!(jobs.len(), if trace == score { 4 } else { 1 });
            let submits = named(trace, "submit");
            assert_eq!(submits.len(), 1);
            assert_eq!(submits[0].fields["jobs"], jobs.len().to_string());
            let queued = named(trace, "queued");
            assert_eq!(queued.len(), jobs.len());
            for queued in queued {
                let waited_ms: u64 = queued.fields["waited_ms"].parse().unwrap();
                assert!(waited_ms < 20_000, "{queued:?}");
            }
            for job in jobs {
                assert!(job.closed && job.parent.is_none(), "{job:?}");
                assert_eq!(job.fields["traceparent"], trace.to_string());
                assert_eq!(job.fields["attempt"], "1");
            }
            let below = below_jobs(trace);
            assert!(below.iter().any(|name| name == "commit"), "{below:?}");
        }
        the_work_is_below_its_attempts(score, pictures, links);
    }
}

#[test]
fn work_of_no_trace_begins_one_with_its_submit() {
    for durable in [true, false] {
        let scene = Scene::new(durable);
        let id = oembed::id("alive", 70 + u32::from(durable) as usize);
        let asked = Liveness {
            video_ids: vec![id.clone()],
            fresh: true,
        };
        scene.engine.submit(asked).unwrap().wait().unwrap();
        scene.end();
        let all = seen().clone();
        let video = |at: &usize| all[*at].name == "video" && all[*at].fields["id"].contains(&id);
        let video = (0..all.len()).find(video).unwrap();
        let job = &all[above(&all, video, "job").unwrap()];
        let trace: TraceParent = job.fields["traceparent"].parse().unwrap();
        assert!(trace.is_sampled());
        let submits = named(trace, "submit");
        assert_eq!(submits.len(), 1, "{submits:?}");
        assert_eq!(submits[0].fields["traceparent"], trace.to_string());
    }
}

#[test]
fn a_commit_of_no_attempt_is_no_span() {
    let scene = Scene::new(true);
    let ids = alive(80..90);
    let _held: Vec<Gate> = ids.iter().map(|id| scene.hold(id)).collect();
    let requests = ids.chunks(1).map(|id| JobRequest {
        trace: Some(trace(111)),
        ..request(liveness(id))
    });
    let queued = scene.engine.enqueue(requests.collect(), Grouping::None);
    queued.unwrap();
    until("some are claimed beside those that run", || {
        let pools = scene.engine.status().unwrap().pools;
        let claimed = |pool: &PoolStatus| pool.queue == Queue::Cleanup && pool.ready > 0;
        pools.into_iter().find(claimed)
    });
    scene.engine.shutdown(Duration::ZERO);
    // Jobs that nobody can be found for are an attempt each.
    let dies = |step| (step == Step::ScoringReceives).then_some(Fault::Panic);
    let scene = Scene::with(false, Faults::new(dies));
    let failed = scene.submit(score(&scene.vault.ids), trace(112)).failures;
    shut_down(&scene.engine);
    let jobs = named(trace(112), "job");
    let ids: BTreeSet<&String> = jobs.iter().map(|job| &job.fields["id"]).collect();
    assert_eq!((failed.len(), ids.len()), (4, 4), "{jobs:?}");
    let all = seen();
    let mut commits = all.iter().filter(|seen| seen.name == "commit");
    assert!(commits.all(|commit| commit.parent.is_some()));
}

#[test]
fn pieces_and_what_follows_a_group_are_of_its_trace() {
    let scene = Scene::new(true);
    let trace = trace(99);
    let follow = format!(
        "{{\"kind\":\"score\",\"payload\":{{\"video_ids\":[\"{}\",\"{}\"]}}}}",
        scene.vault.ids[0], scene.vault.ids[1]
    );
    let request = JobRequest {
        trace: Some(trace),
        ..request(score(&scene.vault.ids))
    };
    let grouping = Grouping::New {
        follow_ups: FollowUps {
            on_success: Some(follow),
            on_finish: None,
        },
        open: false,
    };
    let queued = scene.engine.enqueue(vec![request], grouping);
    let ids = queued.unwrap().0[0].ids.clone();
    assert_eq!(ids.len(), 4);
    until("the follow-up has ended", || {
        let view = QueueView::open_within(&scene.config, Duration::from_secs(5)).unwrap();
        let last = view.job(JobId(5)).unwrap()?;
        assert_eq!(last.trace, Some(trace));
        assert!(
            ids.iter()
                .all(|id| view.job(*id).unwrap().unwrap().trace == Some(trace))
        );
        last.summary.state.is_ended().then_some(())
    });
    scene.end();
    assert_eq!(named(trace, "job").len(), 5);
}
