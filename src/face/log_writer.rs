//! Writes log lines on a thread of its own: whoever logs never waits for whoever reads the log.
//! Lines that find no room are dropped and counted, and the count is told as soon as there is room.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// Lines that wait to be written: a few MiB at most, as fields are cut.
const LINES: usize = 4_096;
/// How long the last lines may take when the program ends.
const TO_FLUSH: Duration = Duration::from_secs(1);

enum Entry {
    Line(Vec<u8>),
    /// All before it is written.
    Flush(SyncSender<()>),
}

/// Takes lines, without waiting.
#[derive(Clone)]
pub struct LogWriter {
    entries: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

/// Has what was logged written when it goes, for as long as that may take.
#[must_use = "the last lines are lost without it"]
pub struct Flush(SyncSender<Entry>);

impl LogWriter {
    /// Writes to `sink`; what `notice` makes of a number of dropped lines goes there too.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn to(
        sink: impl Write + Send + 'static,
        notice: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<(Self, Flush)> {
        let (entries, waiting) = sync_channel(LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let missing = Arc::clone(&dropped);
        thread::Builder::new()
            .name("vvv-log".to_owned())
            .spawn(move || write_all(&waiting, sink, &missing, &notice))?;
        let flush = Flush(entries.clone());
        Ok((Self { entries, dropped }, flush))
    }
}

fn write_all(
    entries: &Receiver<Entry>,
    mut sink: impl Write,
    dropped: &AtomicU64,
    notice: &impl Fn(u64) -> String,
) {
    while let Ok(entry) = entries.recv() {
        // If nobody can be told, nobody can be told that either.
        let done = match entry {
            Entry::Line(line) => {
                let _ = sink.write_all(&line);
                None
            }
            Entry::Flush(done) => Some(done),
        };
        let missing = dropped.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let _ = writeln!(sink, "{}", notice(missing));
        }
        if let Some(done) = done {
            let _ = sink.flush();
            let _ = done.try_send(());
        }
    }
}

/// A line about lines that there are not.
#[must_use]
pub fn dropped(count: u64, json: bool) -> String {
    let message = "lines of the log were dropped: its reader is too slow";
    let mut time = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    if json {
        serde_json::json!({
            "time": time,
            "level": "warn",
            "target": module_path!(),
            "message": message,
            "fields": {"lines": count},
            "spans": [],
        })
        .to_string()
    } else {
        format!("{time}  WARN {message} lines={count}")
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.entries.try_send(Entry::Line(line.to_vec())) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let (done, written) = sync_channel(1);
        // Where there is no room now, a stalled reader has had all the time there was.
        if self.0.try_send(Entry::Flush(done)).is_ok() {
            let _ = written.recv_timeout(TO_FLUSH);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Writes once its gate is open.
    struct Gated(Arc<Mutex<Vec<u8>>>);

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stalled_sink_costs_lines_that_are_counted_and_nobodys_time() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Gated(Arc::clone(&written));
        let (mut writer, flush) =
            LogWriter::to(sink, |count| format!("{count} were dropped")).unwrap();
        let stalled = written.lock().unwrap();
        for _ in 0..LINES + 10 {
            writer.write_all(b"line\n").unwrap();
        }
        drop(stalled);
        // Room again, within a moment.
        while writer
            .entries
            .try_send(Entry::Line(b"last\n".to_vec()))
            .is_err()
        {
            thread::yield_now();
        }
        drop(flush);
        // A busy machine may take longer than a flush waits.
        let text = loop {
            let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
            if text.contains("last\n") {
                break text;
            }
            thread::yield_now();
        };
        let dropped: usize = text
            .lines()
            .filter_map(|line| line.strip_suffix(" were dropped"))
            .map(|count| count.parse::<usize>().unwrap())
            .sum();
        let lines = text.lines().filter(|line| *line == "line").count();
        assert!((9..=10).contains(&dropped), "{dropped}");
        assert_eq!(lines + dropped, LINES + 10);
    }
}
