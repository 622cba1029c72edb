//! A daemon of the built program and clients of its socket, which speak to it as `nc -U` would.

use std::borrow::Borrow;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::run::{Output, Running};
use super::scene::Scene;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon that is ready; it is killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    /// The process.
    pub running: Running,
    /// Its socket.
    pub socket: PathBuf,
}

impl Daemon {
    /// Starts one on the scene's vault, with more arguments.
    #[must_use]
    pub fn start(scene: &Scene, args: &[&str]) -> Self {
        let socket = scene.path("d.sock");
        let running = Self::run(scene, &socket, args);
        assert!(
            running.wait_for_stderr("\"message\":\"ready\""),
            "{:?}",
            running.wait()
        );
        Self { running, socket }
    }

    /// The same without waiting for it.
    #[must_use]
    pub fn run(scene: &Scene, socket: &Path, args: &[&str]) -> Running {
        let database = scene.vault.path.to_str().expect("UTF-8");
        let socket = socket.to_str().expect("UTF-8");
        let own = ["daemon", "--db", database, "--socket", socket];
        scene
            .run([&own, args].concat())
            .timeout(Duration::from_secs(120))
            .start()
    }

    /// A new connection.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::connect(&self.socket)
    }

    /// One call on a connection of its own.
    #[must_use]
    pub fn call(&self, method: &str, params: impl Borrow<Value>) -> Value {
        self.client().call(method, params)
    }

    /// Has it drain and stop.
    #[must_use]
    pub fn stop(self) -> Output {
        self.running.signal(rustix::process::Signal::TERM);
        self.running.wait()
    }
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    next: u64,
}

impl Client {
    /// Connects.
    #[must_use]
    pub fn connect(socket: &Path) -> Self {
        Self::over(UnixStream::connect(socket).expect("connect to the daemon"))
    }

    /// Takes a connection over.
    #[must_use]
    pub fn over(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("be patient");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("be patient");
        Self {
            stream: BufReader::new(stream),
            next: 0,
        }
    }

    /// Sends bytes as they are; false if the daemon has closed the connection.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.get_mut().write_all(bytes).is_ok()
    }

    /// Sends a request and answers its id.
    pub fn ask(&mut self, method: &str, params: &Value) -> u64 {
        self.next += 1;
        let id = self.next;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        assert!(self.send(format!("{request}\n").as_bytes()), "{method}");
        id
    }

    /// The next line; none if the daemon has closed the connection.
    pub fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).expect("a line of JSON")),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// The result of a call that must succeed.
    pub fn call(&mut self, method: &str, params: impl Borrow<Value>) -> Value {
        let params = params.borrow();
        let reply = self.reply(method, params);
        assert!(reply.get("error").is_none(), "{method} {params}: {reply}");
        reply["result"].clone()
    }

    /// The error of a call that must fail.
    pub fn refused(&mut self, method: &str, params: impl Borrow<Value>) -> Value {
        let params = params.borrow();
        let reply = self.reply(method, params);
        assert!(reply.get("result").is_none(), "{method} {params}: {reply}");
        reply["error"].clone()
    }

    /// What comes back of a call, whatever it is.
    pub fn reply(&mut self, method: &str, params: &Value) -> Value {
        let id = self.ask(method, params);
        let reply = self.line().expect("an answer");
        assert_eq!(reply["id"], id, "{reply}");
        reply
    }

    /// The connection itself.
    #[must_use]
    pub fn stream(&self) -> &UnixStream {
        self.stream.get_ref()
    }
}

/// Asks again and again until a condition holds.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}
