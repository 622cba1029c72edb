//! Talks to the daemon over its socket: one request a line, one answer a line.

pub mod answers;
mod error;
pub mod submit;

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use self::error::{ClientError, codes};
use self::answers::Event;

/// How long an answer may take. Another program may hold the database meanwhile, and a submit is
/// answered after its commit.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The most of one answer, in bytes: far more than a daemon sends, and no more than we can hold.
const LONGEST_ANSWER: usize = 256 << 20;
/// Read at once.
const CHUNK: usize = 64 << 10;

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    stream: UnixStream,
    /// What was read beyond the last line.
    unread: Vec<u8>,
    calls: u64,
}

/// What every line from the daemon may hold, its result left unread.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
    message: String,
    #[serde(default)]
    data: Value,
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
        let stream = UnixStream::connect(socket)
            .map_err(|source| ClientError::connecting(socket, source))?;
        Ok(Self {
            socket: socket.to_owned(),
            stream,
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
    pub fn ask<T: DeserializeOwned>(
        &mut self,
        method: &'static str,
        params: Value,
    ) -> Result<T, ClientError> {
        self.ask_within(PATIENCE, method, params)
    }

    /// Asks the daemon, who is to answer in this time.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn ask_within<T: DeserializeOwned>(
        &mut self,
        patience: Duration,
        method: &'static str,
        params: Value,
    ) -> Result<T, ClientError> {
        let deadline = Instant::now() + patience;
        self.calls += 1;
        let id = self.calls;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(&request.to_string(), patience)?;
        loop {
            let line = self.line_by(deadline, patience)?;
            let head: Head = self.read(method, &line)?;
            if head.method.is_some() || head.id.is_some_and(|answered| answered != id) {
                continue;
            }
            if let Some(Refusal {
                code,
                message,
                data,
            }) = head.error
            {
                return Err(ClientError::refused(method, code, message, data));
            }
            let body: Body<T> = self.read(method, &line)?;
            return Ok(body.result);
        }
    }

    /// Turns the connection into one that hears what becomes of jobs.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn subscribe(mut self, params: Value) -> Result<Events, ClientError> {
        let _: Value = self.ask("events.subscribe", params)?;
        Ok(Events(self))
    }

    fn send(&mut self, request: &str, patience: Duration) -> Result<(), ClientError> {
        let line = format!("{request}\n");
        let sent = self
            .stream
            .set_write_timeout(Some(patience))
            .and_then(|()| self.stream.write_all(line.as_bytes()));
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

    fn read<T: DeserializeOwned>(
        &self,
        method: &'static str,
        line: &[u8],
    ) -> Result<T, ClientError> {
        serde_json::from_slice(line).map_err(|source| ClientError::NotUnderstood { method, source })
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

fn is_hung_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::UnexpectedEof
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
    pub fn next(&mut self, patience: Duration) -> Result<Option<Event>, ClientError> {
        let line = match self.0.line_by(Instant::now() + patience, patience) {
            Err(ClientError::NoAnswer { .. }) => return Ok(None),
            line => line?,
        };
        let method = "events.subscribe";
        let Notice {
            method: notice,
            params,
        } = self.0.read(method, &line)?;
        let unread = |source| ClientError::NotUnderstood { method, source };
        match notice.as_str() {
            "events.job" => serde_json::from_value(params).map(Some).map_err(unread),
            "events.lagged" => Err(ClientError::Lagged {
                missed: params.get("missed").and_then(Value::as_u64),
            }),
            // News of a later version.
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
pub mod scripted;

#[cfg(test)]
mod tests;
