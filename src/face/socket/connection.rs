//! One connection: reads lines, has some of them worked on at once, and hands the answers to the
//! task that writes them. What is not yet written holds its place, so a client that does not read
//! stops being read.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc, watch};

use super::events::{Feeds, follow};
use super::lines::{End, Lines, TO_END_A_LINE};
use super::writer::write;
use crate::face::protocol::{
    ErrorCode, Id, LONGEST_LINE, Method, NO_PLACE, Reply, Request, RpcError, Subscribe, params,
};
use crate::face::site::{Site, stopping};

/// Requests of one connection worked on at once, their unread answers included.
const AT_ONCE: usize = 32;
/// Of these so many look into the file at once, so that others' looks get their turn.
const LOOKS: usize = 2;

/// What a connection may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    /// Everything.
    Long,
    /// What is soon done: all places are taken.
    Visit,
}

/// Whether a connection goes on after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    Close,
}

/// Serves a connection to its end.
pub(super) async fn converse(
    stream: UnixStream,
    site: Arc<Site>,
    closing: watch::Receiver<bool>,
    stay: Stay,
) {
    let (reading, writing) = stream.into_split();
    let (answers, outgoing) = mpsc::channel(AT_ONCE);
    let writer = tokio::spawn(write(writing, outgoing));
    let mut lines = Lines::new(reading);
    let end = serve(&mut lines, (&site, stay), &answers, closing).await;
    if let Some(error) = end.and_then(complaint) {
        let _ = answers.send(Reply::failure(Value::Null, error)).await;
        drop(answers);
        lines.hear_out().await;
    } else {
        drop(answers);
    }
    let _ = writer.await;
}

/// Reads and answers until nothing more is to come, or the peer is gone.
async fn serve<R: tokio::io::AsyncRead + Unpin>(
    lines: &mut Lines<R>,
    (site, stay): (&Arc<Site>, Stay),
    answers: &mpsc::Sender<Vec<u8>>,
    mut closing: watch::Receiver<bool>,
) -> Option<End> {
    let mut at_work = FuturesUnordered::new();
    let mut end = None;
    let heard = closing.clone();
    let looks = Arc::new(Semaphore::new(LOOKS));
    loop {
        if end.is_some() && at_work.is_empty() {
            return end;
        }
        let is_busy = !at_work.is_empty();
        tokio::select! {
            biased;
            Some(then) = at_work.next() => {
                if then == Then::Close {
                    return end;
                }
                if at_work.len() + 1 == AT_ONCE {
                    lines.resume();
                }
            }
            () = answers.closed() => return None,
            _ = closing.wait_for(|closing| *closing), if end.is_none() => end = Some(End::Closed),
            line = lines.next(is_busy), if end.is_none() && at_work.len() < AT_ONCE => match line {
                Ok(line) => {
                    let (site, looks) = (Arc::clone(site), Arc::clone(&looks));
                    let asked = Asked { line, site, looks, stay };
                    at_work.push(answer(asked, answers.clone(), heard.clone()));
                }
                Err(why) => end = Some(why),
            },
        }
    }
}

/// What a client is told whose connection we end.
fn complaint(end: End) -> Option<RpcError> {
    match end {
        End::TooLong => Some(RpcError::new(
            ErrorCode::LineTooLong,
            format!("a line has {LONGEST_LINE} bytes at most"),
        )),
        End::TooSlow => Some(RpcError::new(
            ErrorCode::Timeout,
            format!("a line must end within {} s", TO_END_A_LINE.as_secs()),
        )),
        End::Closed | End::Idle => None,
    }
}

/// What a visitor is told who asks for more.
fn no_place() -> RpcError {
    let message = "too many connections are open; what is left is for daemon.*, queues.* and looks";
    RpcError::new(ErrorCode::Busy, message).with(NO_PLACE, true)
}

/// A line, and what answers it.
struct Asked {
    line: Vec<u8>,
    site: Arc<Site>,
    looks: Arc<Semaphore>,
    stay: Stay,
}

impl Asked {
    async fn work(self, method: Method, id: &Id) -> Result<Vec<u8>, RpcError> {
        let _look = if method.is_look() {
            self.looks.acquire().await.ok()
        } else {
            None
        };
        self.site.answer(method, id, self.line).await
    }
}

/// Answers one line. The place of the answer is taken before the work is done.
async fn answer(
    asked: Asked,
    answers: mpsc::Sender<Vec<u8>>,
    mut closing: watch::Receiver<bool>,
) -> Then {
    let Ok(place) = answers.reserve().await else {
        return Then::Close;
    };
    let request = match Request::read(&asked.line) {
        Ok(request) => request,
        Err(error) => {
            place.send(Reply::failure(Value::Null, error));
            return Then::GoOn;
        }
    };
    let wants_answer = request.id.is_some();
    let id = request.id.unwrap_or_default();
    let answered = match Method::from_name(&request.method) {
        None => Err(RpcError::method(&request.method)),
        Some(method) if asked.stay == Stay::Visit && !method.is_soon_done() => Err(no_place()),
        Some(Method::EventsSubscribe) => match params::<Subscribe>(&asked.line) {
            Ok(wanted) => {
                // The stream begins before it is said to.
                let feeds = Feeds {
                    jobs: asked.site.engine.moves(),
                    queues: asked.site.queue_events.subscribe(),
                };
                let began = crate::face::protocol::Subscribed { subscribed: true };
                if let Ok(line) = Reply::success(&id, &began) {
                    place.send(line);
                }
                tokio::select! {
                    () = follow(&wanted, feeds, &answers) => {}
                    _ = closing.wait_for(|closing| *closing) => {}
                }
                return Then::Close;
            }
            Err(error) => Err(error),
        },
        Some(method) => tokio::select! {
            answered = asked.work(method, &id) => answered,
            _ = closing.wait_for(|closing| *closing) => Err(stopping()),
        },
    };
    if wants_answer {
        place.send(answered.unwrap_or_else(|error| Reply::failure(id, error)));
    }
    Then::GoOn
}
