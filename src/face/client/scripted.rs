//! A daemon that answers from a script, for tests of those who ask.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Serves one connection after the other; each line it hears is answered by the next of its own.
pub struct Script {
    _folder: TempDir,
    socket: PathBuf,
    heard: Receiver<Value>,
}

/// Results as the answers to requests 1, 2 and so on.
pub fn answers(results: impl IntoIterator<Item = Value>) -> Vec<String> {
    let numbered = (1..).zip(results);
    numbered
        .map(|(id, result)| json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string())
        .collect()
}

impl Script {
    /// Plays these lines on one connection and hangs up after the last.
    pub fn play<S: Into<String>>(lines: impl IntoIterator<Item = S>) -> Self {
        Self::play_each([lines.into_iter().map(Into::into).collect()])
    }

    /// Plays the first lines on the first connection, the next on the next. A line that begins
    /// with `+` is said without being asked.
    pub fn play_each(acts: impl IntoIterator<Item = Vec<String>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let acts: Vec<_> = acts.into_iter().collect();
        let (tell, heard) = channel();
        thread::spawn(move || {
            let mut playing = Vec::new();
            for act in acts {
                let (stream, _) = listener.accept().unwrap();
                let tell = tell.clone();
                playing.push(thread::spawn(move || {
                    let mut requests = BufReader::new(stream.try_clone().unwrap()).lines();
                    let mut stream = stream;
                    for line in act {
                        let line = match line.strip_prefix('+') {
                            Some(unasked) => unasked.to_owned(),
                            None => {
                                let Some(Ok(request)) = requests.next() else {
                                    return;
                                };
                                tell.send(serde_json::from_str(&request).unwrap()).unwrap();
                                line
                            }
                        };
                        if stream.write_all(format!("{line}\n").as_bytes()).is_err() {
                            return;
                        }
                    }
                }));
            }
            for act in playing {
                act.join().unwrap();
            }
        });
        Self {
            _folder: folder,
            socket,
            heard,
        }
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What it heard, once its last connection has ended.
    pub fn heard(&self) -> Vec<Value> {
        self.heard.iter().collect()
    }
}
