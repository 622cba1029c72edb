//! Runs the built program as a user would: a home of its own, nothing of ours in its
//! environment, and never longer than it may.

mod stream;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

use stream::Stream;

/// A run to be.
#[derive(Debug)]
pub struct Run {
    command: Command,
    home: TempDir,
    stdin: Vec<u8>,
    timeout: Duration,
}

/// A run that goes on. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    child: Child,
    started: Instant,
    deadline: Instant,
    exit: Receiver<()>,
    stdout: Stream,
    stderr: Stream,
    peak_rss: u64,
    _home: TempDir,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether it was killed because its time was up.
    pub timed_out: bool,
    /// All of its stdout.
    pub stdout: String,
    /// All of its stderr.
    pub stderr: String,
    /// From start to end.
    pub elapsed: Duration,
    /// The most memory it had in RAM, bytes; a peak in its last 10 ms may be missed.
    pub peak_rss: u64,
}

impl Run {
    /// A run of `program`, which a test names by `env!("CARGO_BIN_EXE_vvv-actors")`. It may take
    /// a minute.
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let home = TempDir::new().expect("make a home");
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if ["VVV_", "XDG_", "RUST_LOG"]
                .iter()
                .any(|ours| name_text.starts_with(ours))
            {
                command.env_remove(name);
            }
        }
        command.env("HOME", home.path()).current_dir(home.path());
        Self {
            command,
            home,
            stdin: Vec::new(),
            timeout: Duration::from_secs(60),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs in another folder than its home.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// What it reads on stdin; nothing by default.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// After this it is killed.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Its home, to put files into before it starts.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs it to its end.
    #[must_use]
    pub fn output(self) -> Output {
        self.start().wait()
    }

    /// Starts it.
    #[must_use]
    pub fn start(mut self) -> Running {
        let started = Instant::now();
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start the program");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let bytes = self.stdin;
        // It may end before it has read all; that is its business.
        thread::spawn(move || stdin.write_all(&bytes));
        let stdout = Stream::of(child.stdout.take().expect("stdout is piped"));
        let stderr = Stream::of(child.stderr.take().expect("stderr is piped"));
        let pid = pid_of(&child);
        let (sender, exit) = mpsc::channel();
        thread::spawn(move || {
            // Leaves the child to be reaped by its owner, so its pid stays its own till then.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
            let _ = sender.send(());
        });
        Running {
            child,
            started,
            deadline: started + self.timeout,
            exit,
            stdout,
            stderr,
            peak_rss: 0,
            _home: self.home,
        }
    }
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid_of(&self.child), signal).expect("signal the program");
    }

    /// Kills it at once and answers how far it came.
    #[must_use]
    pub fn kill(mut self) -> Output {
        self.child.kill().expect("kill the program");
        self.wait()
    }

    /// Waits until its stderr holds `text`; false if it ended, or its time was up, without.
    #[must_use]
    pub fn wait_for_stderr(&self, text: &str) -> bool {
        self.stderr.wait_for(text, self.deadline)
    }

    /// Waits until its stdout holds `text`; false if it ended, or its time was up, without.
    #[must_use]
    pub fn wait_for_stdout(&self, text: &str) -> bool {
        self.stdout.wait_for(text, self.deadline)
    }

    /// Whether its stdout holds `text` by now.
    #[must_use]
    pub fn has_printed(&self, text: &str) -> bool {
        self.stdout.wait_for(text, Instant::now())
    }

    /// How many threads it has.
    #[must_use]
    pub fn threads(&self) -> usize {
        entries(&format!("/proc/{}/task", self.id()))
    }

    /// How many file descriptors it has open.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        entries(&format!("/proc/{}/fd", self.id()))
    }

    /// Waits for its end, which is by force when its time is up.
    #[must_use]
    pub fn wait(mut self) -> Output {
        let timed_out = !self.ends_by(self.deadline);
        if timed_out {
            // An error is a program that has ended at this moment.
            let _ = self.child.kill();
        }
        let status: ExitStatus = self.child.wait().expect("wait for the program");
        Output {
            code: status.code(),
            signal: status.signal(),
            timed_out,
            stdout: self.stdout.rest(),
            stderr: self.stderr.rest(),
            elapsed: self.started.elapsed(),
            peak_rss: self.peak_rss,
        }
    }

    fn ends_by(&mut self, deadline: Instant) -> bool {
        loop {
            self.peak_rss = self.peak_rss.max(peak_rss(self.id()));
            match self.exit.recv_timeout(Duration::from_millis(10)) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => return false,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has been reaped already, which is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

fn entries(folder: &str) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

/// `VmHWM` of a process, bytes; 0 if it is gone.
fn peak_rss(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}
