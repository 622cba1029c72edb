//! One of a program's outputs, read as it comes, so that the program never waits for us.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// What has come so far, and who reads on.
#[derive(Debug)]
pub(super) struct Stream {
    read: Arc<(Mutex<Received>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Received {
    bytes: Vec<u8>,
    ended: bool,
}

impl Stream {
    pub(super) fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let read = Arc::new((Mutex::new(Received::default()), Condvar::new()));
        let shared = Arc::clone(&read);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 8 * 1024];
            loop {
                let count = pipe.read(&mut buffer).unwrap_or(0);
                let mut read = lock(&shared.0);
                read.bytes.extend_from_slice(&buffer[..count]);
                read.ended = count == 0;
                shared.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Self {
            read,
            reader: Some(reader),
        }
    }

    pub(super) fn wait_for(&self, text: &str, deadline: Instant) -> bool {
        let has = |read: &Received| String::from_utf8_lossy(&read.bytes).contains(text);
        let left = deadline.saturating_duration_since(Instant::now());
        let (read, _) = self
            .read
            .1
            .wait_timeout_while(lock(&self.read.0), left, |read| !read.ended && !has(read))
            .unwrap_or_else(PoisonError::into_inner);
        has(&read)
    }

    /// All of it, once the pipe has ended.
    pub(super) fn rest(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("read the program's output");
        }
        String::from_utf8_lossy(&lock(&self.read.0).bytes).into_owned()
    }
}

fn lock(read: &Mutex<Received>) -> MutexGuard<'_, Received> {
    read.lock().unwrap_or_else(PoisonError::into_inner)
}
