//! Events as they come (server-sent events), and those that came while one was away.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::{self, Stream};
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout_at};

use super::super::Shared;
use super::super::asked::Query;
use super::super::entrance::By;
use super::super::guard::bearer;
use super::super::problem::Problem;
use super::wire::Lagged;
use crate::engine::JobMoved;
use crate::face::protocol::{QueueEvent, QueueName, State, States};
use crate::face::site::{Event, News};

/// Streams at once; a browser keeps one open a tab.
const STREAMS: usize = 64;
/// Each time so long has passed a comment is sent: what stands between drops what is silent.
const BEAT: Duration = Duration::from_secs(15);
const STILL_HERE: &str = ": still here";
/// Sent first: after how many milliseconds a browser comes back.
const COME_BACK: &str = "retry: 2000";
/// Whence one goes on.
const LAST_EVENT_ID: &str = "last-event-id";

/// The places of streams.
pub(in super::super) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(STREAMS))
}

/// Streams what happens from now on, or from after the event that `Last-Event-ID` names.
pub(super) async fn events(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let wanted = Wanted {
        queue: query.value("queue")?,
        states: States(query.values::<State>("state")?),
    };
    query.end()?;
    let place = Arc::clone(&shared.streams)
        .try_acquire_owned()
        .map_err(|_| {
            let detail = format!("{STREAMS} streams are open, and no more are taken");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
        })?;
    let mut stream = following(&shared, wanted, place);
    stream.may_stay = stays(shared, &request);
    stream.go_on(&request);
    let begin = stream.here(COME_BACK);
    stream.outgoing.push_front(begin);
    let mut response = HttpResponse::Ok()
        .content_type("text/event-stream")
        .streaming(stream.run());
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    headers.insert(unbuffered, HeaderValue::from_static("no"));
    Ok(response)
}

/// Follows what happens from now on.
fn following(shared: &Shared, wanted: Wanted, place: OwnedSemaphorePermit) -> Following {
    let site = &shared.site;
    // Listens before it looks, so that nothing falls in between.
    let (jobs, queues) = (site.engine.moves(), site.queue_events.subscribe());
    Following {
        told: site.news.last(),
        news: Arc::clone(&site.news),
        wanted,
        outgoing: VecDeque::new(),
        jobs,
        queues,
        closing: shared.closing.subscribe(),
        may_stay: Box::new(|| true),
        beat: BEAT,
        next_beat: Instant::now() + BEAT,
        _place: place,
    }
}

/// Who is let in by a token or a session is so no longer than that.
fn stays(shared: Data<Shared>, request: &HttpRequest) -> Box<dyn Fn() -> bool> {
    let by = match bearer(request.headers()) {
        Some(token) => By::Token(token.to_owned()),
        None if shared.entrance.terms().open.is_some() => By::ThisMachine,
        None => {
            let cookie = request.cookie(&shared.cookie);
            By::Session(cookie.map_or_else(String::new, |cookie| cookie.value().to_owned()))
        }
    };
    Box::new(move || shared.entrance.is_in(&by))
}

/// What is told.
struct Wanted {
    queue: Option<QueueName>,
    states: States,
}

impl Wanted {
    fn holds(&self, event: &Event) -> bool {
        let of = |queue: QueueName| self.queue.is_none_or(|wanted| wanted == queue);
        match event {
            Event::Job(event) => of(event.queue) && self.states.holds(event.state.0),
            // Who asks for states asks for jobs.
            Event::Queue(event) => self.states.0.is_empty() && of(event.queue),
        }
    }
}

/// One that listens.
struct Following {
    news: Arc<News>,
    wanted: Wanted,
    /// The number of the last event that was told.
    told: u64,
    /// What is to be sent next.
    outgoing: VecDeque<Bytes>,
    jobs: Receiver<JobMoved>,
    queues: Receiver<QueueEvent>,
    closing: watch::Receiver<bool>,
    /// Whether who listens may still.
    may_stay: Box<dyn Fn() -> bool>,
    beat: Duration,
    next_beat: Instant,
    _place: OwnedSemaphorePermit,
}

impl Following {
    /// Whence one goes on, if a request names it.
    fn go_on(&mut self, request: &HttpRequest) {
        let named = request.headers().get(LAST_EVENT_ID);
        let named = named.map(|name| name.to_str().unwrap_or_default());
        match named.map(|name| self.news.number(name)) {
            None => {}
            Some(Some(number)) => self.told = number,
            // Of a process before this one, or of nobody. It is told where it stands now, so that it
            // hears this once.
            Some(None) => {
                let here = self.news.name(self.told);
                let lagged = message("lagged", &Lagged { missed: None }, Some(&here));
                self.outgoing.extend(lagged);
            }
        }
    }

    /// Where it stands, without an event: who listens for what is rare can go on from here too.
    fn here(&self, first: &str) -> Bytes {
        Bytes::from(format!("{first}\nid: {}\n\n", self.news.name(self.told)))
    }

    fn run(self) -> impl Stream<Item = Result<Bytes, actix_web::Error>> {
        stream::unfold(self, |mut following| async move {
            let next = following.next().await?;
            Some((Ok(next), following))
        })
    }

    /// What is sent next; none when the engine is no more, or the server closes.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(next) = self.outgoing.pop_front() {
                return Some(next);
            }
            if *self.closing.borrow() {
                return None;
            }
            if self.next_beat <= Instant::now() {
                self.next_beat = Instant::now() + self.beat;
                return (self.may_stay)().then(|| self.here(STILL_HERE));
            }
            self.look();
            if !self.outgoing.is_empty() {
                continue;
            }
            let is_open = async {
                tokio::select! {
                    moved = self.jobs.recv() => is_open(&moved),
                    event = self.queues.recv() => is_open(&event),
                    _ = self.closing.wait_for(|closing| *closing) => false,
                }
            };
            if timeout_at(self.next_beat, is_open).await == Ok(false) {
                return None;
            }
        }
    }

    fn look(&mut self) {
        // All that came is looked at now and is not to wake us once more.
        self.jobs = self.jobs.resubscribe();
        self.queues = self.queues.resubscribe();
        let since = self.news.since(self.told);
        if since.missed > 0 {
            let missed = Some(since.missed);
            self.outgoing
                .extend(message("lagged", &Lagged { missed }, None));
        }
        for told in since.told {
            if !self.wanted.holds(&told.event) {
                continue;
            }
            let name = self.news.name(told.number);
            let written = match &told.event {
                Event::Job(event) => message("job", event, Some(&name)),
                Event::Queue(event) => message("queue", event, Some(&name)),
            };
            self.outgoing.extend(written);
        }
        self.told = self.told.max(since.last);
    }
}

fn is_open<T>(heard: &Result<T, RecvError>) -> bool {
    !matches!(heard, Err(RecvError::Closed))
}

/// JSON is one line: no event can end early by what it holds.
fn message<T: Serialize>(event: &str, data: &T, id: Option<&str>) -> Option<Bytes> {
    let data = serde_json::to_string(data).ok()?;
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Some(Bytes::from(format!("event: {event}\n{id}data: {data}\n\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{JobId, JobState, Queue};
    use tokio::sync::broadcast::Sender;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_millis(20);
    const NEVER: Duration = Duration::from_secs(3600);

    struct Scene {
        jobs: Sender<JobMoved>,
        _queues: Sender<QueueEvent>,
        closing: watch::Sender<bool>,
        following: Following,
    }

    fn scene(queue: Queue, beat: Duration) -> Scene {
        let (jobs, queues) = (Sender::new(8), Sender::new(8));
        let news = News::new(jobs.subscribe(), queues.subscribe());
        let closing = watch::Sender::new(false);
        let following = Following {
            news: Arc::new(news),
            wanted: Wanted {
                queue: Some(QueueName(queue)),
                states: States(Vec::new()),
            },
            told: 0,
            outgoing: VecDeque::new(),
            jobs: jobs.subscribe(),
            queues: queues.subscribe(),
            closing: closing.subscribe(),
            may_stay: Box::new(|| true),
            beat,
            next_beat: Instant::now() + beat,
            _place: places().try_acquire_owned().unwrap(),
        };
        Scene {
            jobs,
            _queues: queues,
            closing,
            following,
        }
    }

    fn moved(id: i64) -> JobMoved {
        JobMoved {
            id: JobId(id),
            queue: Queue::Scoring,
            state: JobState::Running,
            error: None,
            trace: None,
        }
    }

    /// What is heard while another queue is never quiet.
    async fn heard_beside_a_busy_queue(
        following: &mut Following,
        jobs: &Sender<JobMoved>,
    ) -> String {
        let busy = async {
            loop {
                jobs.send(moved(1)).unwrap();
                yield_now().await;
            }
        };
        let heard = async {
            tokio::select! {
                next = following.next() => next,
                () = busy => None,
            }
        };
        let heard = timeout(Duration::from_secs(20), heard).await;
        let heard = heard.expect("a beat").unwrap_or_default();
        String::from_utf8(heard.to_vec()).unwrap()
    }

    #[actix_rt::test]
    async fn a_filtered_stream_beats_beside_a_busy_queue() {
        let mut scene = scene(Queue::Cleanup, SOON);
        for _ in 0..2 {
            let heard = heard_beside_a_busy_queue(&mut scene.following, &scene.jobs).await;
            // What it was not told of is not missed either, should it come back.
            let here = heard.strip_prefix(": still here\nid: ").unwrap().trim_end();
            let here = scene.following.news.number(here).unwrap();
            assert_eq!(here, scene.following.told);
        }
        assert!(scene.following.told > 0);
        // Whose session is over is let go of at a beat.
        scene.following.may_stay = Box::new(|| false);
        let heard = heard_beside_a_busy_queue(&mut scene.following, &scene.jobs).await;
        assert_eq!(heard, "");
    }

    #[actix_rt::test]
    async fn what_was_looked_at_wakes_nobody() {
        let mut scene = scene(Queue::Scoring, NEVER);
        for id in 1..=5 {
            scene.jobs.send(moved(id)).unwrap();
        }
        for id in 1..=5 {
            let next = scene.following.next().await.unwrap();
            let next = String::from_utf8(next.to_vec()).unwrap();
            assert!(next.contains(&format!("\"id\":{id},")), "{next}");
        }
        assert!(scene.following.jobs.is_empty(), "it would look five times");
    }

    #[actix_rt::test]
    async fn a_stream_ends_when_the_server_closes() {
        let mut scene = scene(Queue::Scoring, NEVER);
        let close = async {
            yield_now().await;
            scene.closing.send_replace(true);
        };
        let ended = async { tokio::join!(scene.following.next(), close).0 };
        let ended = timeout(Duration::from_secs(20), ended).await;
        assert_eq!(ended.expect("an end"), None);
        scene.jobs.send(moved(1)).unwrap();
        assert_eq!(scene.following.next().await, None);
    }

    #[actix_rt::test]
    async fn a_stream_tells_all_and_ends_when_the_engine_is_no_more() {
        let mut scene = scene(Queue::Scoring, NEVER);
        scene.jobs.send(moved(1)).unwrap();
        drop(scene.jobs);
        assert!(scene.following.next().await.is_some());
        let ended = timeout(Duration::from_secs(20), scene.following.next()).await;
        assert_eq!(ended.expect("an end"), None);
    }
}
