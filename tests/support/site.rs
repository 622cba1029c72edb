//! A web site on loopback that misbehaves as the real YouTube does: thumbnails under
//! `/vi/<ID>/<name>` and oEmbed under `/oembed`, over HTTP/1.1 on raw sockets.
//!
//! By itself it answers by what the id and the file's name say ([`oembed::id`],
//! [`thumbnails`]); a test scripts the rest by id or path. It keeps a log of all it was asked.

mod connection;
mod log;
pub mod oembed;
mod reply;
mod request;
mod rules;
pub mod thumbnails;

use std::collections::HashMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use log::{Call, max_at_once, max_in_window};
pub use reply::{Ending, Gate, Length, Reply, Script};
pub use request::{Endpoint, Request};
use rules::Rules;

/// The running site; it ends, with all its threads, when dropped.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<Vec<JoinHandle<()>>>>,
}

/// What the site's threads share.
#[derive(Debug, Default)]
struct Shared {
    stop: connection::Stop,
    log: log::Log,
    rules: Rules,
    streams: Mutex<HashMap<usize, Arc<TcpStream>>>,
}

impl Site {
    /// Starts a site on a free port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a loopback port");
        let address = listener.local_addr().expect("a bound port has an address");
        let shared = Arc::new(Shared::default());
        let acceptor = thread::Builder::new()
            .name(thread_name(address))
            .spawn({
                let shared = Arc::clone(&shared);
                move || accept(&listener, address, &shared)
            })
            .expect("start the site's thread");
        Self {
            address,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// `127.0.0.1:<port>`, as `fetch.allow` wants it.
    #[must_use]
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The address of a path that begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What `liveness.endpoint` should be.
    #[must_use]
    pub fn oembed_endpoint(&self) -> String {
        self.url("/oembed")
    }

    /// The address of a video's thumbnail.
    #[must_use]
    pub fn thumbnail_url(&self, id: &str, file: &str) -> String {
        self.url(&format!("/vi/{id}/{file}"))
    }

    /// Scripts all thumbnails of a video.
    pub fn thumbnail(&self, id: &str, script: impl Into<Script>) {
        self.shared
            .rules
            .of_video(Endpoint::Thumbnail, id, script.into());
    }

    /// Scripts a video's oEmbed answers.
    pub fn oembed(&self, id: &str, script: impl Into<Script>) {
        self.shared
            .rules
            .of_video(Endpoint::Oembed, id, script.into());
    }

    /// Scripts a path, query excluded. It stands above scripts by id.
    pub fn path(&self, path: &str, script: impl Into<Script>) {
        self.shared.rules.of_path(path, script.into());
    }

    /// Answers everything at an endpoint with one reply, above all scripts, until
    /// [`Site::recover`].
    pub fn outage(&self, endpoint: Endpoint, reply: Reply) {
        self.shared.rules.outage(endpoint, Some(reply));
    }

    /// Ends an outage.
    pub fn recover(&self, endpoint: Endpoint) {
        self.shared.rules.outage(endpoint, None);
    }

    /// A copy of the log, in order of arrival.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.log.read(<[Call]>::to_vec)
    }

    /// Forgets the log.
    pub fn clear_log(&self) {
        self.shared.log.clear();
    }

    /// How many requests came to an endpoint.
    #[must_use]
    pub fn total(&self, endpoint: Endpoint) -> usize {
        self.count_where(|call| call.is(endpoint))
    }

    /// How many requests an endpoint got for a video.
    #[must_use]
    pub fn count(&self, endpoint: Endpoint, id: &str) -> usize {
        self.count_where(|call| call.is(endpoint) && call.id() == Some(id))
    }

    /// How many requests fit a description.
    #[must_use]
    pub fn count_where(&self, fits: impl Fn(&Call) -> bool) -> usize {
        self.shared
            .log
            .read(|calls| calls.iter().filter(|call| fits(call)).count())
    }

    /// How many requests an endpoint got for each video.
    #[must_use]
    pub fn counts(&self, endpoint: Endpoint) -> HashMap<String, usize> {
        self.shared.log.read(|calls| {
            let mut counts = HashMap::new();
            for id in calls
                .iter()
                .filter(|call| call.is(endpoint))
                .filter_map(Call::id)
            {
                *counts.entry(id.to_owned()).or_default() += 1;
            }
            counts
        })
    }

    /// The largest number of requests an endpoint got in any half-open window of this length.
    #[must_use]
    pub fn max_in_window(&self, endpoint: Endpoint, window: Duration) -> usize {
        let times: Vec<Instant> = self.shared.log.read(|calls| {
            let calls = calls.iter().filter(|call| call.is(endpoint));
            calls.map(|call| call.arrived).collect()
        });
        max_in_window(&times, window)
    }

    /// The largest number of requests an endpoint was answering at one moment.
    #[must_use]
    pub fn max_at_once(&self, endpoint: Endpoint) -> usize {
        let log = &self.shared.log;
        log.read(|calls| max_at_once(calls.iter().filter(|call| call.is(endpoint))))
    }

    /// Connections open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.log.connections().0
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn accepted_connections(&self) -> usize {
        self.shared.log.connections().1
    }

    /// Waits until the log fits a condition; false if it did not within `timeout`.
    #[must_use]
    pub fn wait_until(&self, timeout: Duration, condition: impl Fn(&[Call]) -> bool) -> bool {
        let log = &self.shared.log;
        log.wait_until(timeout, |calls, _| condition(calls))
    }

    /// Waits until every client has left; false if one had not within `timeout`.
    #[must_use]
    pub fn wait_until_alone(&self, timeout: Duration) -> bool {
        let log = &self.shared.log;
        log.wait_until(timeout, |_, open| open == 0)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.shared.stop.set();
        // Wakes the acceptor, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
        let serving = self.acceptor.take().and_then(|thread| thread.join().ok());
        for stream in self.shared.streams().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        for thread in serving.into_iter().flatten() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn streams(&self) -> MutexGuard<'_, HashMap<usize, Arc<TcpStream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts until the site ends; answers the threads that still serve.
fn accept(
    listener: &TcpListener,
    address: SocketAddr,
    shared: &Arc<Shared>,
) -> Vec<JoinHandle<()>> {
    let mut serving: Vec<JoinHandle<()>> = Vec::new();
    for (number, stream) in listener.incoming().enumerate() {
        if shared.stop.comes_within(Duration::ZERO) {
            break;
        }
        let Ok(stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        let stream = Arc::new(stream);
        shared.streams().insert(number, Arc::clone(&stream));
        shared.log.connected();
        // Threads of connections that ended give their stacks back here.
        serving = serving.into_iter().filter_map(still_running).collect();
        let shared = Arc::clone(shared);
        let thread = thread::Builder::new().name(thread_name(address));
        serving.push(
            thread
                .stack_size(256 * 1024)
                .spawn(move || {
                    connection::serve(&stream, &shared);
                    // The socket closes with its last owner: before anyone is told of it.
                    shared.streams().remove(&number);
                    drop(stream);
                    shared.log.disconnected();
                })
                .expect("start a thread for a connection"),
        );
    }
    serving
}

fn still_running(thread: JoinHandle<()>) -> Option<JoinHandle<()>> {
    if thread.is_finished() {
        let _ = thread.join();
        return None;
    }
    Some(thread)
}

/// Short enough for Linux, and different for each site of a process.
fn thread_name(address: SocketAddr) -> String {
    format!("site-{}", address.port())
}
