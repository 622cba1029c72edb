//! The connection under awc, which watches the answers that pass through it.
//!
//! actix-http's client loses what it should tell: a body without a length (HTTP/1.1, ended by
//! closing) is dropped as if it were empty, a chunked body that breaks off looks complete, and an
//! interim answer (103 Early Hints) counts as the answer. So the head of each answer is read here
//! first: interim ones are swallowed, a body of unknown length is announced as HTTP/1.0 has it,
//! and an end that comes too early is an error. A reused connection that was closed before it
//! answered is told apart too, since only that request may be sent again.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_rt::net::{ActixStream, Ready, TcpStream};
use actix_tls::connect::rustls_0_23::reexports::AsyncTlsStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::head::{Complete, Head};
use super::progress::may_send;

/// The largest head of an answer, bytes.
const MAX_HEAD: usize = 64 * 1024;

/// Bytes read at once while the head is not complete.
const CHUNK: usize = 4096;

/// A reused connection was closed before it answered.
#[derive(Debug, thiserror::Error)]
#[error("kept connection closed")]
pub(super) struct Stale;

/// What bytes travel on.
#[derive(Debug)]
pub(super) enum Transport {
    /// http
    Plain(TcpStream),
    /// https
    Tls(Box<AsyncTlsStream<TcpStream>>),
}

/// A connection whose answers are watched.
#[derive(Debug)]
pub(super) struct Wire {
    io: Transport,
    phase: Phase,
    /// Whether an answer has come on this connection before.
    answered: bool,
}

#[derive(Debug)]
enum Phase {
    /// The head is collected until it is complete.
    Head(Head),
    /// The head and what came with it are handed on, then bytes pass.
    Body {
        head: Vec<u8>,
        passed: usize,
        framed: bool,
    },
}

impl Wire {
    pub(super) fn new(io: Transport) -> Self {
        Self {
            io,
            phase: Phase::Head(Head::default()),
            answered: false,
        }
    }

    /// A hangup where an answer should begin.
    fn hangup(&self, error: io::Error) -> io::Error {
        let waiting = matches!(&self.phase, Phase::Head(head) if head.len() == 0);
        let hangup = matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
        );
        if self.answered && waiting && hangup {
            io::Error::new(error.kind(), Stale)
        } else {
            error
        }
    }

    /// Reads until the head is complete.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Phase::Head(collected) = &mut self.phase {
            let mut chunk = [0; CHUNK];
            let mut chunk = ReadBuf::new(&mut chunk);
            if let Err(error) = ready!(Pin::new(&mut self.io).poll_read(cx, &mut chunk)) {
                return Poll::Ready(Err(self.hangup(error)));
            }
            if chunk.filled().is_empty() {
                return Poll::Ready(Err(self.hangup(closed())));
            }
            if let Some(Complete { bytes, framed }) = collected.push(chunk.filled()) {
                self.phase = Phase::Body {
                    head: bytes,
                    passed: 0,
                    framed,
                };
                self.answered = true;
            } else if collected.len() > MAX_HEAD {
                let error = io::Error::new(io::ErrorKind::InvalidData, "head is too large");
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "closed early")
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_head(cx))?;
        let Phase::Body {
            head,
            passed,
            framed,
        } = &mut this.phase
        else {
            return Poll::Pending;
        };
        if let Some(rest) = head.get(*passed..).filter(|rest| !rest.is_empty()) {
            let (now, _) = rest.split_at(rest.len().min(buf.remaining()));
            buf.put_slice(now);
            *passed += now.len();
            return Poll::Ready(Ok(()));
        }
        head.clear();
        *passed = 0;
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        if *framed && buf.filled().len() == before {
            // The codec reads on only while the body is not complete.
            return Poll::Ready(Err(closed()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        may_send().map_err(io::Error::other)?;
        if matches!(this.phase, Phase::Body { .. }) {
            // awc keeps a connection only when its answer is complete: this is the next request.
            this.phase = Phase::Head(Head::default());
        }
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, buf));
        Poll::Ready(written.map_err(|error| this.hangup(error)))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = ready!(Pin::new(&mut this.io).poll_flush(cx));
        Poll::Ready(flushed.map_err(|error| this.hangup(error)))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

impl ActixStream for Wire {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(self.io.tcp(), cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(self.io.tcp(), cx)
    }
}

impl Transport {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
