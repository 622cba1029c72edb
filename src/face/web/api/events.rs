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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::super::Shared;
use super::super::asked::Query;
use super::super::problem::Problem;
use crate::engine::JobMoved;
use crate::face::protocol::{Lagged, QueueEvent, QueueName, State, States};
use crate::face::site::{Event, Site};

/// Streams at once; a browser keeps one open a tab.
const STREAMS: usize = 64;
/// After so long without an event a comment is sent: what stands between drops what is silent.
const BEAT: Duration = Duration::from_secs(15);
/// Sent first: after how many milliseconds a browser comes back.
const COME_BACK: &str = "retry: 2000\n\n";
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
    let stream = Following::new(Arc::clone(&shared.site), &request, wanted, place);
    let mut response = HttpResponse::Ok()
        .content_type("text/event-stream")
        .streaming(stream.run());
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    headers.insert(unbuffered, HeaderValue::from_static("no"));
    Ok(response)
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
    site: Arc<Site>,
    wanted: Wanted,
    /// The number of the last event that was told.
    told: u64,
    /// What is to be sent next.
    outgoing: VecDeque<Bytes>,
    jobs: Receiver<JobMoved>,
    queues: Receiver<QueueEvent>,
    _place: OwnedSemaphorePermit,
}

impl Following {
    fn new(
        site: Arc<Site>,
        request: &HttpRequest,
        wanted: Wanted,
        place: OwnedSemaphorePermit,
    ) -> Self {
        // Listens before it looks, so that nothing falls in between.
        let (jobs, queues) = (site.engine.moves(), site.queue_events.subscribe());
        let mut outgoing = VecDeque::from([Bytes::from_static(COME_BACK.as_bytes())]);
        let named = request.headers().get(LAST_EVENT_ID);
        let named = named.map(|name| name.to_str().unwrap_or_default());
        let told = match named.map(|name| site.news.number(name)) {
            Some(Some(number)) => number,
            None => site.news.last(),
            // Of a process before this one: nobody knows how much was missed.
            Some(None) => {
                outgoing.extend(message("lagged", &Lagged { missed: 0 }, None));
                site.news.last()
            }
        };
        Self {
            site,
            wanted,
            told,
            outgoing,
            jobs,
            queues,
            _place: place,
        }
    }

    fn run(self) -> impl Stream<Item = Result<Bytes, actix_web::Error>> {
        stream::unfold(self, |mut following| async move {
            let next = following.next().await?;
            Some((Ok(next), following))
        })
    }

    /// What is sent next; none when the engine is no more.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(next) = self.outgoing.pop_front() {
                return Some(next);
            }
            self.look();
            if !self.outgoing.is_empty() {
                continue;
            }
            let news = async {
                tokio::select! {
                    moved = self.jobs.recv() => is_open(&moved),
                    event = self.queues.recv() => is_open(&event),
                }
            };
            match timeout(BEAT, news).await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(_) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }

    fn look(&mut self) {
        let since = self.site.news.since(self.told);
        if since.missed > 0 {
            let missed = Lagged {
                missed: since.missed,
            };
            self.outgoing.extend(message("lagged", &missed, None));
        }
        for told in since.told {
            if !self.wanted.holds(&told.event) {
                continue;
            }
            let name = self.site.news.name(told.number);
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
