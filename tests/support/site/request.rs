//! Reading requests off a socket, and what they ask for.

use std::io::{self, Read};
use std::net::TcpStream;

const LONGEST_HEAD: usize = 64 * 1024;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/vi/<ID>/<name>` and `/vi_webp/<ID>/<name>`.
    Thumbnail,
    /// `/oembed`.
    Oembed,
    /// Any other path.
    Other,
}

/// A request's head.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET` and the like.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// What it is for.
    pub endpoint: Endpoint,
    /// The video it names.
    pub id: Option<String>,
    /// Header lines, names in lower case, in the order sent.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// Reads the next head, or `None` when the client has left or talks nonsense.
    ///
    /// The last piece of the head stays in the socket's buffer, `pending` bytes of it: closing
    /// a socket with unread bytes is how std can send a reset. Who wants to go on consumes them.
    pub(super) fn read(stream: &TcpStream) -> io::Result<Option<(Self, usize)>> {
        let mut head = Vec::new();
        let mut peeked = [0; 8 * 1024];
        loop {
            let count = stream.peek(&mut peeked)?;
            if count == 0 || head.len() > LONGEST_HEAD {
                return Ok(None);
            }
            let read = head.len();
            head.extend_from_slice(&peeked[..count]);
            if let Some(end) = find(&head, b"\r\n\r\n") {
                let end = end + 4;
                return Ok(Self::parse(&head[..end]).map(|request| (request, end - read)));
            }
            consume(stream, count)?;
        }
    }

    fn parse(head: &[u8]) -> Option<Self> {
        let head = std::str::from_utf8(head).ok()?;
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target) = (first.next()?, first.next()?);
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut request = Self {
            method: method.to_owned(),
            target: target.to_owned(),
            endpoint: Endpoint::Other,
            id: None,
            headers,
        };
        (request.endpoint, request.id) = request.subject();
        Some(request)
    }

    fn subject(&self) -> (Endpoint, Option<String>) {
        let path = self.path();
        if path == "/oembed" {
            let watched = self.parameter("url");
            let id = watched.as_deref().and_then(watched_id).map(str::to_owned);
            return (Endpoint::Oembed, id);
        }
        let mut parts = path.split('/').skip(1);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("vi" | "vi_webp"), Some(id), Some(_), None) => {
                (Endpoint::Thumbnail, Some(decoded(id)))
            }
            _ => (Endpoint::Other, None),
        }
    }

    /// The target without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The last part of the path.
    #[must_use]
    pub fn file(&self) -> &str {
        self.path().rsplit('/').next().unwrap_or_default()
    }

    /// A parameter of the query, decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| decoded(value))
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The `User-Agent` sent, empty if none was.
    #[must_use]
    pub fn user_agent(&self) -> &str {
        self.header("user-agent").unwrap_or_default()
    }

    pub(super) fn keeps_alive(&self) -> bool {
        self.header("connection") != Some("close")
    }
}

/// Takes `count` bytes that are known to be there.
pub(super) fn consume(mut stream: &TcpStream, count: usize) -> io::Result<()> {
    stream.read_exact(&mut vec![0; count])
}

/// The id in a watch address.
fn watched_id(address: &str) -> Option<&str> {
    let (_, rest) = address
        .split_once("?v=")
        .or_else(|| address.split_once("youtu.be/"))?;
    rest.split('&').next()
}

/// Undoes percent encoding and `+`.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = bytes
            .get(at + 1..at + 3)
            .filter(|_| *byte == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(match hex {
            Some(byte) => byte,
            None if *byte == b'+' => b' ',
            None => *byte,
        });
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
