//! Talks to the daemon over its socket: one request a line, one answer a line.

mod error;
pub mod submit;

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::error::ClientError;
use super::protocol::{
    Command, JOB_EVENT, JobEvent, LAGGED_EVENT, Lagged, Method, Request, RpcError, Subscribe,
};
use super::socket::path_of;
use crate::config::Config;

/// How long an answer may take. Another program may hold the database meanwhile, and a submit is
/// answered after its commit.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long a place is waited for where all are taken, and between two tries.
const FOR_A_PLACE: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(100);
/// The most of one answer, in bytes: far more than a daemon sends, and no more than we can hold.
const LONGEST_ANSWER: usize = 256 << 20;
/// Read at once.
const CHUNK: usize = 64 << 10;

/// Where the daemon of this configuration listens.
#[must_use]
pub fn socket_of(config: &Config) -> PathBuf {
    path_of(&config.daemon)
}

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    stream: UnixStream,
    /// What was read beyond the last line.
    unread: Vec<u8>,
    calls: u64,
}

/// What every line from the daemon may hold, its result left unread: that is read as its own type.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    error: Option<RpcError>,
}

#[derive(Deserialize)]
struct Body<T> {
    result: T,
}

impl Client {
    /// Connects to the daemon that listens here.
    ///
    /// # Errors
    /// When nobody does, or we are not let in.
    pub fn connect(socket: &Path) -> Result<Self, ClientError> {
        Ok(Self {
            socket: socket.to_owned(),
            stream: open(socket)?,
            unread: Vec::new(),
            calls: 0,
        })
    }

    /// Where the daemon listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks the daemon.
    ///
    /// # Errors
    /// When it refuses, does not answer in a minute or hangs up.
    pub fn ask<C: Command>(&mut self, command: &C) -> Result<C::Answer, ClientError> {
        self.ask_within(PATIENCE, command)
    }

    /// Asks the daemon, who is to answer in this time. A place is waited for.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn ask_within<C: Command>(
        &mut self,
        patience: Duration,
        command: &C,
    ) -> Result<C::Answer, ClientError> {
        let until = Instant::now() + patience.min(FOR_A_PLACE);
        loop {
            match self.ask_once(patience, command) {
                Err(error) if error.is_no_place() && Instant::now() < until => {
                    std::thread::sleep(AGAIN);
                    self.stream = open(&self.socket)?;
                    self.unread.clear();
                }
                asked => return asked,
            }
        }
    }

    fn ask_once<C: Command>(
        &mut self,
        patience: Duration,
        command: &C,
    ) -> Result<C::Answer, ClientError> {
        let method = C::METHOD;
        let deadline = Instant::now() + patience;
        self.calls += 1;
        let id = self.calls;
        let request = Request::line(id, command)
            .map_err(|source| ClientError::NotUnderstood { method, source })?;
        self.send(&request, patience)?;
        loop {
            let line = self.line_by(deadline, patience)?;
            let head: Head = read(method, &line)?;
            if head.method.is_some() || head.id.is_some_and(|answered| answered != id) {
                continue;
            }
            if let Some(error) = head.error {
                return Err(ClientError::refused(method, error));
            }
            let body: Body<C::Answer> = read(method, &line)?;
            return Ok(body.result);
        }
    }

    /// Turns the connection into one that hears what becomes of jobs.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn subscribe(mut self, subscribe: &Subscribe) -> Result<Events, ClientError> {
        self.ask(subscribe)?;
        Ok(Events(self))
    }

    fn send(&mut self, line: &[u8], patience: Duration) -> Result<(), ClientError> {
        let sent = self
            .stream
            .set_write_timeout(Some(patience))
            .and_then(|()| self.stream.write_all(line));
        match sent {
            // Who hangs up may have said why before.
            Err(error) if is_hung_up(&error) => Ok(()),
            sent => sent.map_err(|source| self.broken(source, patience)),
        }
    }

    /// The next line. What was read of one that is not complete in time is kept.
    fn line_by(&mut self, deadline: Instant, patience: Duration) -> Result<Vec<u8>, ClientError> {
        let mut searched = 0;
        loop {
            let new = self.unread.get(searched..).unwrap_or_default();
            if let Some(at) = new.iter().position(|byte| *byte == b'\n') {
                let rest = self.unread.split_off(searched + at + 1);
                return Ok(std::mem::replace(&mut self.unread, rest));
            }
            searched = self.unread.len();
            if searched > LONGEST_ANSWER {
                let error = io::Error::other("an answer without an end");
                return Err(self.broken(error, patience));
            }
            self.read_some(deadline)
                .map_err(|source| self.broken(source, patience))?;
        }
    }

    fn read_some(&mut self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        // To the system zero means for ever.
        self.stream
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let mut chunk = [0; CHUNK];
        let read = match self.stream.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            read => read?,
        };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.unread
            .extend_from_slice(chunk.get(..read).unwrap_or_default());
        Ok(())
    }

    fn broken(&self, source: io::Error, patience: Duration) -> ClientError {
        let socket = self.socket.clone();
        match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                ClientError::NoAnswer { socket, patience }
            }
            _ if is_hung_up(&source) => ClientError::HungUp { socket },
            _ => ClientError::Broken { socket, source },
        }
    }
}

fn open(socket: &Path) -> Result<UnixStream, ClientError> {
    UnixStream::connect(socket).map_err(|source| ClientError::connecting(socket, source))
}

fn read<T: DeserializeOwned>(method: Method, line: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(line).map_err(|source| ClientError::NotUnderstood { method, source })
}

fn is_hung_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof
    )
}

/// A connection that hears what becomes of jobs.
#[derive(Debug)]
pub struct Events(Client);

#[derive(Deserialize)]
struct Notice {
    method: String,
    #[serde(default)]
    params: Value,
}

impl Events {
    /// The next move of a job; none came in this time.
    ///
    /// # Errors
    /// When the daemon hung up, or we were too slow for it: moves were missed then.
    pub fn next(&mut self, patience: Duration) -> Result<Option<JobEvent>, ClientError> {
        let line = match self.0.line_by(Instant::now() + patience, patience) {
            Err(ClientError::NoAnswer { .. }) => return Ok(None),
            line => line?,
        };
        let method = Method::EventsSubscribe;
        let Notice {
            method: notice,
            params,
        } = read(method, &line)?;
        let unread = |source| ClientError::NotUnderstood { method, source };
        match notice.as_str() {
            JOB_EVENT => serde_json::from_value(params).map(Some).map_err(unread),
            LAGGED_EVENT => {
                let Lagged { missed } = serde_json::from_value(params).map_err(unread)?;
                Err(ClientError::Lagged { missed })
            }
            // News of a later version.
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
pub mod scripted;

#[cfg(test)]
mod tests;
