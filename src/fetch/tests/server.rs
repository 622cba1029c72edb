//! A server on loopback whose every byte the test decides. It runs on plain threads, so that it
//! shares no executor with the client it misleads.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Longer than any wait that ends.
pub(super) const LONG: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Book {
    connections: usize,
    live: usize,
    requests: Vec<String>,
}

#[derive(Default)]
struct Ledger {
    book: Mutex<Book>,
    changed: Condvar,
}

impl Ledger {
    fn note(&self, change: impl FnOnce(&mut Book)) {
        change(&mut self.book.lock().unwrap());
        self.changed.notify_all();
    }
}

/// A listening server; stops listening when dropped.
pub(super) struct Server {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    stopping: Arc<AtomicBool>,
}

impl Server {
    /// Serves each connection on a thread of its own by `serve`.
    pub(super) fn start(serve: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            ledger: Arc::default(),
            stopping: Arc::default(),
        };
        let (ledger, stopping) = (Arc::clone(&server.ledger), Arc::clone(&server.stopping));
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                let (ledger, serve) = (Arc::clone(&ledger), Arc::clone(&serve));
                let mut index = 0;
                ledger.note(|book| {
                    index = book.connections;
                    book.connections += 1;
                    book.live += 1;
                });
                thread::spawn(move || {
                    let mut peer = Peer {
                        stream: stream.unwrap(),
                        index,
                        ledger,
                    };
                    serve(&mut peer);
                    let Peer { stream, ledger, .. } = peer;
                    drop(stream);
                    ledger.note(|book| book.live -= 1);
                });
            }
        });
        server
    }

    /// Answers every request of every connection with the same bytes.
    pub(super) fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |peer| {
            while peer.request().is_some() {
                peer.send(&answer);
            }
        })
    }

    /// Answers the first request of every connection and closes it.
    pub(super) fn answering_once(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |peer| {
            peer.request();
            peer.send(&answer);
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn connections(&self) -> usize {
        self.ledger.book.lock().unwrap().connections
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.ledger.book.lock().unwrap().requests.clone()
    }

    /// Waits until no more than `count` connections are open.
    pub(super) fn wait_until_live_is_at_most(&self, count: usize) {
        let book = self.ledger.book.lock().unwrap();
        let (book, wait) = self
            .ledger
            .changed
            .wait_timeout_while(book, LONG, |book| book.live > count)
            .unwrap();
        assert!(!wait.timed_out(), "{} connections are open", book.live);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the listening thread.
        let _ = TcpStream::connect(self.address);
    }
}

/// One connection as the server sees it.
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    /// 0 for the first connection.
    pub(super) index: usize,
    ledger: Arc<Ledger>,
}

impl Peer {
    /// Reads a request to its empty line; `None` when the client has hung up.
    pub(super) fn request(&mut self) -> Option<String> {
        let head = read_head(&mut self.stream)?;
        self.ledger.note(|book| book.requests.push(head.clone()));
        Some(head)
    }

    /// Sends bytes and says whether the client still takes them.
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends bytes one by one, slowly, until the client hangs up or the bytes end.
    pub(super) fn drip(&mut self, bytes: impl IntoIterator<Item = u8>) {
        for byte in bytes {
            if !self.send([byte]) || !self.pause(Duration::from_millis(20)) {
                return;
            }
        }
    }

    /// Waits for the client to hang up.
    pub(super) fn hold(&mut self) {
        while self.pause(LONG) {}
    }

    /// Waits a while, to set the peer's pace; `false` once the client has hung up.
    pub(super) fn pause(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        match self.stream.read(&mut [0; 512]) {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) => matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            ),
        }
    }

    /// Sends bytes and resets the connection: closing with the request unread does that.
    pub(super) fn send_and_reset(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.peek(&mut [0; 1]).unwrap();
        self.send(bytes);
        let _ = self.stream.shutdown(Shutdown::Read);
    }
}

/// Reads a head to its empty line.
pub(super) fn read_head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// An address where nobody listens.
pub(super) fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A listener that nobody accepts at and whose backlog is full, so that the kernel drops whatever
/// else knocks; as long as it is held.
pub(super) struct Full {
    pub(super) address: SocketAddr,
    _listener: actix_rt::net::TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Full {
    pub(super) fn listen() -> Self {
        let socket = actix_rt::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let knock = || TcpStream::connect_timeout(&address, Duration::from_millis(300));
        Self {
            address,
            _listener: listener,
            _waiting: std::iter::from_fn(|| knock().ok()).collect(),
        }
    }
}

/// An answer with a Content-Length.
pub(super) fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    answer("200 OK", "", body)
}

/// An answer with a Content-Length and more headers, each ended by CRLF.
pub(super) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A redirect.
pub(super) fn redirect(location: &str) -> Vec<u8> {
    answer("302 Found", &format!("Location: {location}\r\n"), "")
}
