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

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::Duration;

use support::site::{Gate, Site, oembed};
use support::talk::until;
use support::vault::{Vault, VaultSpec};
use tempfile::TempDir;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};
use vvv_actors::config::Config;
use vvv_actors::engine::{
    FollowUps, Grouping, Job, JobId, JobRequest, PoolStatus, Queue, QueueView, ScoreJob,
};
use vvv_actors::{
    Engine, EngineHandle, Found, Liveness, Report, Score, SubmitOptions, ThumbnailItem, Thumbnails,
    TraceParent, Work,
};

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

struct Scene {
    _folder: TempDir,
    vault: Vault,
    site: Site,
    config: Config,
    engine: EngineHandle,
    runtime: tokio::runtime::Runtime,
}

impl Scene {
    fn new(durable: bool) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let recorder = Registry::default().with(Recorder);
            tracing::subscriber::set_global_default(recorder).unwrap();
        });
        let folder = tempfile::tempdir().unwrap();
        let site = Site::start();
        let vault = VaultSpec::new(20).create(&folder.path().join("vault.db"));
        let mut config = Config::defaults().unwrap();
        config.database.path.clone_from(&vault.path);
        config.fetch.allow = vec![site.authority()];
        config.liveness.endpoint = site.oembed_endpoint();
        config.rate_limits.oembed.calls = 1000;
        config.queues.scoring.chunk = 5;
        let builder = Engine::builder().config(config.clone());
        let builder = if durable { builder.durable() } else { builder };
        Self {
            engine: builder.start().unwrap(),
            runtime: tokio::runtime::Runtime::new().unwrap(),
            _folder: folder,
            vault,
            site,
            config,
        }
    }

    fn submit<F: Found, W: Work<Report = Report<F>>>(&self, work: W, trace: TraceParent) {
        let options = SubmitOptions {
            traceparent: Some(trace),
            ..SubmitOptions::default()
        };
        self.runtime.block_on(async {
            let mut ticket = self.engine.submit_with(work, options).await.unwrap();
            ticket.wait().await.unwrap();
        });
    }

    fn end(self) {
        let drain = Duration::from_secs(5);
        self.runtime.block_on(self.engine.shutdown(drain));
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
        let video_ids = scene.vault.ids.clone();
        scene.submit(Score { video_ids }, score);
        let picture = ThumbnailItem {
            video_id: scene.vault.ids[0].clone(),
            thumbnail_url: scene.site.url("/thumb/ok.jpg"),
        };
        let videos = vec![picture];
        scene.submit(Thumbnails { videos }, pictures);
        let video_ids = vec![oembed::id("alive", 1)];
        scene.submit(
            Liveness {
                video_ids,
                fresh: false,
            },
            links,
        );
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
        let mut ticket = scene.engine.blocking().submit(asked).unwrap();
        ticket.wait().unwrap();
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
    let held = Gate::closed();
    let ids: Vec<String> = (80..90).map(|n| oembed::id("alive", n)).collect();
    for id in &ids {
        scene.site.oembed(id, oembed::alive(id).behind(&held));
    }
    let requests = ids.iter().map(|id| JobRequest {
        job: Job::Liveness(Liveness {
            video_ids: vec![id.clone()],
            fresh: true,
        }),
        priority: Job::DEFAULT_PRIORITY,
        delay_ms: 0,
        unique_key: None,
        unique_for: None,
        trace: Some(trace(111)),
    });
    let queued = scene.engine.enqueue(requests.collect(), Grouping::None);
    scene.runtime.block_on(queued).unwrap();
    until("some are claimed beside those that run", || {
        let status = scene.runtime.block_on(scene.engine.status()).unwrap();
        let claimed = |pool: &PoolStatus| pool.queue == Queue::Cleanup && pool.ready > 0;
        status.pools.iter().any(claimed).then_some(())
    });
    let stop = scene.engine.shutdown(Duration::ZERO);
    scene.runtime.block_on(stop);
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
        job: Job::Score(ScoreJob {
            video_ids: scene.vault.ids.clone(),
        }),
        priority: Job::DEFAULT_PRIORITY,
        delay_ms: 0,
        unique_key: None,
        unique_for: None,
        trace: Some(trace),
    };
    let grouping = Grouping::New {
        follow_ups: FollowUps {
            on_success: Some(follow),
            on_finish: None,
        },
        open: false,
    };
    let queued = scene.engine.enqueue(vec![request], grouping);
    let ids = scene.runtime.block_on(queued).unwrap().0[0].ids.clone();
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
