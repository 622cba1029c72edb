//! Reads lines, none longer than it may be and none longer in coming than it may take.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

use crate::face::protocol::LONGEST_LINE;

/// How long a line that was begun may take to end.
pub(super) const TO_END_A_LINE: Duration = Duration::from_secs(5);
/// How long a connection may say nothing while nothing is done for it.
const IDLE: Duration = Duration::from_secs(300);
/// How long what is still sent is read and dropped, so that the last answer is heard.
const TO_HEAR_US_OUT: Duration = Duration::from_secs(1);
const PIECE: usize = 16 * 1024;

/// Why no line follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All was said.
    Closed,
    /// The line is too long.
    TooLong,
    /// The line did not end in time.
    TooSlow,
    /// Nothing came for a long time.
    Idle,
}

/// The lines of a stream. Waiting for one may be given up and taken up again.
pub(super) struct Lines<R> {
    stream: R,
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// How far no end of a line was found.
    searched: usize,
    /// When the line that is being read was begun.
    begun: Option<Instant>,
    /// Since when nothing happened.
    quiet_since: Instant,
    to_end_a_line: Duration,
    idle: Duration,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(stream: R) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            begun: None,
            quiet_since: Instant::now(),
            to_end_a_line: TO_END_A_LINE,
            idle: IDLE,
        }
    }

    /// The next line, without its end. Who waits for answers of ours is not idle.
    pub(super) async fn next(&mut self, is_busy: bool) -> Result<Vec<u8>, End> {
        if is_busy {
            self.quiet_since = Instant::now();
        }
        loop {
            if let Some(line) = self.take() {
                return Ok(line);
            }
            if self.buffer.len() - self.start >= LONGEST_LINE {
                return Err(End::TooLong);
            }
            self.make_room();
            let read = self.stream.read_buf(&mut self.buffer);
            let read = match (self.begun, is_busy) {
                (Some(begun), _) => timeout_at(begun + self.to_end_a_line, read)
                    .await
                    .map_err(|_| End::TooSlow)?,
                (None, true) => read.await,
                (None, false) => timeout_at(self.quiet_since + self.idle, read)
                    .await
                    .map_err(|_| End::Idle)?,
            };
            match read {
                Ok(0) | Err(_) => return self.last(),
                Ok(_) => {
                    self.quiet_since = Instant::now();
                    self.begun.get_or_insert(self.quiet_since);
                }
            }
        }
    }

    /// Reading goes on after we did not: a line that was begun has its whole time again.
    pub(super) fn resume(&mut self) {
        self.begun = self.begun.map(|_| Instant::now());
    }

    /// A line that is there, blank ones passed over.
    fn take(&mut self) -> Option<Vec<u8>> {
        loop {
            let found = self
                .buffer
                .get(self.searched..)?
                .iter()
                .position(|byte| *byte == b'\n');
            let Some(found) = found else {
                self.searched = self.buffer.len();
                return None;
            };
            let end = self.searched + found;
            let line = self.buffer.get(self.start..end)?.trim_ascii().to_vec();
            (self.start, self.searched) = (end + 1, end + 1);
            let is_more = self.start < self.buffer.len();
            self.begun = is_more.then(Instant::now);
            if !line.is_empty() {
                return Some(line);
            }
        }
    }

    /// What stands after the last end of a line is a line too.
    fn last(&mut self) -> Result<Vec<u8>, End> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let line = rest.trim_ascii().to_vec();
        (self.start, self.searched) = (self.buffer.len(), self.buffer.len());
        self.begun = None;
        if line.is_empty() {
            Err(End::Closed)
        } else {
            Ok(line)
        }
    }

    fn make_room(&mut self) {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > 4 * PIECE {
            // One long line is no reason to keep its memory.
            self.buffer = Vec::new();
        }
        self.buffer.reserve(PIECE);
    }

    /// Reads and drops what is still sent, for a moment: an end that leaves bytes unread would cost
    /// the peer our last words.
    pub(super) async fn hear_out(&mut self) {
        let until = Instant::now() + TO_HEAR_US_OUT;
        let mut dropped = vec![0; PIECE];
        while let Ok(Ok(read)) = timeout_at(until, self.stream.read(&mut dropped)).await {
            if read == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    async fn all(text: &[u8]) -> (Vec<String>, End) {
        let mut lines = Lines::new(text);
        let mut found = Vec::new();
        loop {
            match lines.next(false).await {
                Ok(line) => found.push(String::from_utf8(line).unwrap()),
                Err(end) => return (found, end),
            }
        }
    }

    #[tokio::test]
    async fn lines_end_by_a_newline_or_with_the_stream() {
        assert_eq!(all(b"").await, (vec![], End::Closed));
        let (lines, end) = all(b"a\r\n\n  \nb\nlast").await;
        assert_eq!(
            (lines, end),
            (vec!["a".into(), "b".into(), "last".into()], End::Closed)
        );
        let long = vec![b'x'; LONGEST_LINE + 1];
        assert_eq!(all(&long).await, (vec![], End::TooLong));
        let mut fits = vec![b'x'; LONGEST_LINE - 1];
        fits.extend(b"\nb\n");
        assert_eq!(all(&fits).await.0.len(), 2);
    }

    #[tokio::test]
    async fn a_line_that_is_begun_must_end_and_an_idle_connection_too() {
        let soon = Duration::from_millis(10);
        let (mut near, far) = tokio::io::duplex(64);
        let mut lines = Lines::new(far);
        lines.to_end_a_line = soon;
        near.write_all(b"{\"half\":").await.unwrap();
        assert_eq!(lines.next(true).await, Err(End::TooSlow));
        // What we did not read meanwhile was not slow.
        lines.resume();
        near.write_all(b"1}\n").await.unwrap();
        assert_eq!(lines.next(true).await.unwrap(), b"{\"half\":1}");
        let (_near, far) = tokio::io::duplex(64);
        let mut lines = Lines::new(far);
        lines.idle = soon;
        assert_eq!(lines.next(false).await, Err(End::Idle));
    }
}
