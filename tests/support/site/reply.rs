//! What the site can do with one request: an honest answer, or any way of misbehaving.
//!
//! Every reply is a head, a few steps and an ending, so that a new kind of misbehaviour is a
//! new combination, not a new case in the server.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What the site sends for one request.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(super) before: Vec<Step>,
    /// Status line and header lines, without the empty line; empty when nothing is sent.
    pub(super) head: String,
    pub(super) after: Vec<Step>,
    pub(super) ending: Ending,
}

/// One thing the server does while it answers.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Send these bytes.
    Bytes(Arc<[u8]>),
    /// Do nothing for a while.
    Pause(Duration),
    /// Do nothing until the test opens the gate.
    Wait(Gate),
    /// Send these bytes again and again, with a pause before each, until the client leaves.
    Forever(Arc<[u8]>, Duration),
}

/// What becomes of the connection once the steps are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The next request may follow.
    KeepAlive,
    /// A clean end (FIN).
    Close,
    /// A reset (RST).
    Reset,
    /// Nothing more is said; the connection stays until the client leaves.
    Hold,
}

/// What an answer says about the length of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// `Content-Length` as it is.
    True,
    /// `Content-Length` with this number of bytes, true or not.
    Claimed(u64),
    /// No length; the body ends with the connection.
    UntilClose,
}

impl Reply {
    /// A complete answer.
    #[must_use]
    pub fn answer(status: u16, content_type: &str, body: impl Into<Arc<[u8]>>) -> Self {
        Self::sized(status, content_type, body, Length::True)
    }

    /// An answer that may lie about its length. One whose claim is longer than its body ends
    /// with the connection.
    #[must_use]
    pub fn sized(
        status: u16,
        content_type: &str,
        body: impl Into<Arc<[u8]>>,
        length: Length,
    ) -> Self {
        let body = body.into();
        let sent = u64::try_from(body.len()).expect("a length fits 64 bits");
        let mut head = format!("HTTP/1.1 {status} {}\r\n", phrase(status));
        if !content_type.is_empty() {
            head.push_str(&format!("Content-Type: {content_type}\r\n"));
        }
        let (claimed, ending) = match length {
            Length::True => (Some(sent), Ending::KeepAlive),
            Length::Claimed(claim) if claim <= sent => (Some(claim), Ending::KeepAlive),
            Length::Claimed(claim) => (Some(claim), Ending::Close),
            Length::UntilClose => (None, Ending::Close),
        };
        if let Some(claimed) = claimed.filter(|_| has_body(status)) {
            head.push_str(&format!("Content-Length: {claimed}\r\n"));
        }
        let after = if has_body(status) {
            vec![Step::Bytes(body)]
        } else {
            Vec::new()
        };
        Self {
            before: Vec::new(),
            head,
            after,
            ending,
        }
    }

    /// An answer with this status and a line of text.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let text = format!("{}\n", phrase(status));
        Self::answer(status, "text/plain", text.into_bytes())
    }

    /// A web page.
    #[must_use]
    pub fn html(status: u16, page: &str) -> Self {
        Self::answer(status, "text/html; charset=utf-8", page.as_bytes())
    }

    /// 200 with a picture, its type by its first bytes.
    #[must_use]
    pub fn picture(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self::answer(200, media_type(&bytes), bytes)
    }

    /// 302 to `location`.
    #[must_use]
    pub fn redirect(location: &str) -> Self {
        Self::status(302).header("Location", location)
    }

    /// These bytes as they are; the site adds no HTTP.
    #[must_use]
    pub fn raw(bytes: impl Into<Arc<[u8]>>, ending: Ending) -> Self {
        Self {
            before: Vec::new(),
            head: String::new(),
            after: vec![Step::Bytes(bytes.into())],
            ending,
        }
    }

    /// Reads the request and never says a byte.
    #[must_use]
    pub fn silent() -> Self {
        Self::raw(Vec::new(), Ending::Hold)
    }

    /// Resets the connection without an answer.
    #[must_use]
    pub fn reset() -> Self {
        Self::raw(Vec::new(), Ending::Reset)
    }

    /// Adds a header line. Only for replies that have a head.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// Adds `Retry-After` in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.header("Retry-After", &seconds.to_string())
    }

    /// Says the rest of the connection's life otherwise than the constructor did.
    #[must_use]
    pub fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// Waits before the first byte.
    #[must_use]
    pub fn late(mut self, pause: Duration) -> Self {
        self.before.push(Step::Pause(pause));
        self
    }

    /// Waits before the first byte until the test opens `gate`.
    #[must_use]
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.before.push(Step::Wait(gate.clone()));
        self
    }

    /// After all else sends `bytes` for ever, `pause` before each time. Without end, so any
    /// `Content-Length` in the head is a lie or a long promise.
    #[must_use]
    pub fn forever(mut self, bytes: impl Into<Arc<[u8]>>, pause: Duration) -> Self {
        self.after.push(Step::Forever(bytes.into(), pause));
        self
    }

    /// Breaks the body off after `percent` of its bytes; the head stays as it was.
    #[must_use]
    pub fn cut(mut self, percent: usize, ending: Ending) -> Self {
        for step in &mut self.after {
            if let Step::Bytes(bytes) = step {
                *bytes = bytes[..bytes.len() * percent / 100].into();
            }
        }
        self.ending(ending)
    }

    /// The status this reply sends; `None` if it never sends a status line.
    #[must_use]
    pub fn sends_status(&self) -> Option<u16> {
        let first = match self.after.first() {
            _ if !self.head.is_empty() => self.head.as_bytes(),
            Some(Step::Bytes(bytes)) => bytes,
            _ => return None,
        };
        let line = first.strip_prefix(b"HTTP/1.1 ")?;
        std::str::from_utf8(line.get(..3)?).ok()?.parse().ok()
    }
}

/// Replies to a key's requests in turn; the last one repeats.
#[derive(Debug, Clone)]
pub struct Script(pub(super) Vec<Reply>);

impl From<Reply> for Script {
    fn from(reply: Reply) -> Self {
        Self(vec![reply])
    }
}

impl From<Vec<Reply>> for Script {
    fn from(replies: Vec<Reply>) -> Self {
        assert!(!replies.is_empty(), "a script needs a reply");
        Self(replies)
    }
}

impl<const N: usize> From<[Reply; N]> for Script {
    fn from(replies: [Reply; N]) -> Self {
        Self::from(Vec::from(replies))
    }
}

/// Holds answers back until the test has seen what it wanted to see.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn closed() -> Self {
        Self::default()
    }

    /// Lets all pass, now and later.
    pub fn open(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Waits at most `pause`; whether the gate is open.
    pub fn passes_within(&self, pause: Duration) -> bool {
        let open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (open, _) = self
            .0
            .1
            .wait_timeout_while(open, pause, |open| !*open)
            .unwrap_or_else(PoisonError::into_inner);
        *open
    }
}

const fn has_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// The media type of a picture by its first bytes.
fn media_type(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x89, b'P', ..] => "image/png",
        [b'G', b'I', b'F', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', ..] => "image/webp",
        _ => "image/jpeg",
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
