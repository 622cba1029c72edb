//! One connection: requests in, replies out, until either side has had enough.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Shared;
use super::reply::{Ending, Reply, Step};
use super::request::{Request, consume};

/// Bodies up to this many bytes leave in one piece with their head.
const ONE_WRITE: usize = 64 * 1024;

/// Set once, when the site ends; wakes whoever pauses.
#[derive(Debug, Default)]
pub(super) struct Stop {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(super) fn set(&self) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits at most `pause`; whether the site ends.
    pub(super) fn comes_within(&self, pause: Duration) -> bool {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let (set, _) = self
            .changed
            .wait_timeout_while(set, pause, |set| !*set)
            .unwrap_or_else(PoisonError::into_inner);
        *set
    }
}

/// Serves a connection to its end. An error is a client that left.
pub(super) fn serve(stream: &TcpStream, shared: &Shared) {
    while let Ok(Some((request, pending))) = Request::read(stream) {
        let reply = shared.rules.choose(&request);
        if reply.ending != Ending::Reset && consume(stream, pending).is_err() {
            return;
        }
        let keep_alive = request.keeps_alive();
        let head_only = request.method == "HEAD";
        let number = shared.log.arrived(request, reply.sends_status());
        let sent = send(stream, &reply, head_only, &shared.stop);
        let goes_on = sent.is_ok() && end(stream, reply.ending, keep_alive);
        shared.log.finished(number);
        if !goes_on {
            return;
        }
    }
}

fn send(mut stream: &TcpStream, reply: &Reply, head_only: bool, stop: &Stop) -> io::Result<()> {
    for step in &reply.before {
        take(stream, step, stop)?;
    }
    let mut head = reply.head.clone().into_bytes();
    if !head.is_empty() {
        head.extend_from_slice(b"\r\n");
    }
    let mut after = reply.after.as_slice();
    if head_only {
        after = &[];
    }
    if let Some((Step::Bytes(body), rest)) = after.split_first()
        && body.len() <= ONE_WRITE
    {
        head.extend_from_slice(body);
        after = rest;
    }
    stream.write_all(&head)?;
    after.iter().try_for_each(|step| take(stream, step, stop))
}

fn take(mut stream: &TcpStream, step: &Step, stop: &Stop) -> io::Result<()> {
    let stopped = || io::Error::from(io::ErrorKind::ConnectionAborted);
    match step {
        Step::Bytes(bytes) => stream.write_all(bytes),
        Step::Pause(pause) => match stop.comes_within(*pause) {
            true => Err(stopped()),
            false => Ok(()),
        },
        Step::Wait(gate) => {
            while !gate.passes_within(Duration::from_millis(50)) {
                if stop.comes_within(Duration::ZERO) {
                    return Err(stopped());
                }
            }
            Ok(())
        }
        Step::Forever(bytes, pause) => loop {
            if stop.comes_within(*pause) {
                return Err(stopped());
            }
            stream.write_all(bytes)?;
        },
    }
}

/// Ends a reply; whether another request may follow.
fn end(mut stream: &TcpStream, ending: Ending, keep_alive: bool) -> bool {
    if ending == Ending::Hold {
        let mut ignored = [0; 512];
        while matches!(stream.read(&mut ignored), Ok(1..)) {}
    }
    keep_alive && ending == Ending::KeepAlive
}
