//! Sends spans from a thread of its own: nobody who works waits for the collector. Spans that find
//! no room are dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use awc::http::header::{CONTENT_TYPE, HeaderMap};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use url::Url;

use super::layer::Told;
use super::wire::request;

/// Spans that wait to be sent.
const WAITING: usize = 8_192;
/// Spans in one request.
const AT_ONCE: usize = 512;
/// How long a span waits for others to go with.
const GATHER: Duration = Duration::from_secs(1);
/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last spans may take when the program ends.
const TO_FLUSH: Duration = Duration::from_secs(2);
/// Before it is looked again whether there is room.
const ROOM_AGAIN: Duration = Duration::from_millis(10);

enum Entry {
    Span(Box<Told>),
    /// All before it is sent.
    Flush(SyncSender<()>),
}

/// Takes spans, without waiting.
pub(super) struct Queue {
    entries: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

impl Queue {
    pub(super) fn send(&self, told: Told) {
        if let Err(TrySendError::Full(_)) = self.entries.try_send(Entry::Span(Box::new(told))) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Has the last spans sent when it goes, for as long as that may take.
#[must_use = "the last spans are lost without it"]
pub struct FlushSpans(SyncSender<Entry>);

impl Drop for FlushSpans {
    fn drop(&mut self) {
        let until = Instant::now() + TO_FLUSH;
        let (done, sent) = sync_channel(1);
        let mut flush = Entry::Flush(done);
        // Where there is no room, there is some as soon as the next spans are sent.
        while let Err(refused) = self.0.try_send(flush) {
            match refused {
                TrySendError::Full(entry) if Instant::now() < until => flush = entry,
                TrySendError::Full(_) | TrySendError::Disconnected(_) => return,
            }
            thread::sleep(ROOM_AGAIN);
        }
        let _ = sent.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

/// Where spans are sent, and the headers to send with them.
pub(super) struct Collector {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
}

/// Starts the thread that sends to a collector.
pub(super) fn start(collector: Collector) -> anyhow::Result<(Queue, FlushSpans)> {
    let (entries, waiting) = sync_channel(WAITING);
    let dropped = Arc::new(AtomicU64::new(0));
    let (missing, tls) = (Arc::clone(&dropped), tls()?);
    thread::Builder::new()
        .name("vvv-otlp".to_owned())
        .spawn(move || {
            let system = actix_rt::System::new();
            let client = system.block_on(async { client(tls) });
            let mut told = Trouble::default();
            while let Some((spans, flush)) = gather(&waiting) {
                if !spans.is_empty() {
                    let sent = system.block_on(post(&client, &collector, &spans));
                    told.tell(sent, missing.swap(0, Ordering::Relaxed));
                }
                if let Some(done) = flush {
                    let _ = done.try_send(());
                }
            }
        })?;
    let flush = FlushSpans(entries.clone());
    Ok((Queue { entries, dropped }, flush))
}

/// The spans of one request, and who waits for them to be sent; none when nobody can send any more.
fn gather(waiting: &Receiver<Entry>) -> Option<(Vec<Told>, Option<SyncSender<()>>)> {
    let mut spans = Vec::new();
    let mut until = None;
    while spans.len() < AT_ONCE {
        let entry = match until {
            None => waiting.recv().ok()?,
            Some(until) => {
                let left = Instant::saturating_duration_since(&until, Instant::now());
                match waiting.recv_timeout(left) {
                    Ok(entry) => entry,
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                }
            }
        };
        match entry {
            Entry::Span(told) => spans.push(*told),
            Entry::Flush(done) => return Some((spans, Some(done))),
        }
        until = until.or_else(|| Instant::now().checked_add(GATHER));
    }
    Some((spans, None))
}

/// Built-in roots and ring, and nothing of the system's or the process's.
fn tls() -> anyhow::Result<Arc<ClientConfig>> {
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

fn client(tls: Arc<ClientConfig>) -> awc::Client {
    awc::Client::builder()
        .connector(awc::Connector::new().rustls_0_23(tls))
        .timeout(TIMEOUT)
        .disable_redirects()
        .finish()
}

async fn post(client: &awc::Client, collector: &Collector, spans: &[Told]) -> Result<(), String> {
    let body = request(spans).to_string();
    let mut post = client.post(collector.url.as_str()).force_close();
    for header in &collector.headers {
        post = post.insert_header(header);
    }
    let post = post.insert_header((CONTENT_TYPE, "application/json"));
    let answer = post.send_body(body).await;
    let status = answer.map_err(|error| error.to_string())?.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("the collector answered {status}"))
    }
}

/// What goes wrong: it is told when that changes, and not at each request.
#[derive(Default)]
struct Trouble {
    /// Whether the last request failed.
    fails: bool,
    /// Spans dropped since there was no room any more.
    dropped: u64,
}

impl Trouble {
    fn tell(&mut self, sent: Result<(), String>, dropped: u64) {
        let failed = std::mem::replace(&mut self.fails, sent.is_err());
        match sent {
            Err(error) if !failed => tracing::warn!(error, "spans are not exported"),
            Ok(()) if failed => tracing::info!("spans are exported again"),
            Ok(()) | Err(_) => {}
        }
        match (self.dropped, dropped) {
            (0, 0) => {}
            (0, _) => tracing::warn!("spans find no room and are dropped"),
            (_, 0) => tracing::info!(dropped = self.dropped, "spans find room again"),
            (_, _) => {}
        }
        self.dropped = if dropped == 0 {
            0
        } else {
            self.dropped + dropped
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_goes_wrong_is_told_when_it_changes() {
        let log = Log::default();
        let written = log.clone();
        let lines = tracing_subscriber::fmt().with_writer(move || written.clone());
        tracing::subscriber::with_default(lines.finish(), || {
            let mut trouble = Trouble::default();
            for dropped in [0, 3, 4, 5, 0, 0] {
                trouble.tell(Ok(()), dropped);
            }
            for refused in [true, true, false] {
                let sent = if refused {
                    Err("no".to_owned())
                } else {
                    Ok(())
                };
                trouble.tell(sent, 0);
            }
        });
        let told = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        for line in [
            "spans find no room and are dropped",
            "spans find room again",
            "spans are not exported",
            "spans are exported again",
        ] {
            assert_eq!(told.matches(line).count(), 1, "{line}: {told}");
        }
        assert!(told.contains("12"), "{told}");
    }

    #[test]
    fn the_last_spans_wait_for_room() {
        let (entries, waiting) = sync_channel(1);
        let (nobody, _) = sync_channel(1);
        assert!(entries.try_send(Entry::Flush(nobody)).is_ok());
        let flush = FlushSpans(entries);
        let ends = thread::spawn(move || drop(flush));
        let mut flushed = 0;
        while let Ok(Entry::Flush(done)) = waiting.recv() {
            let _ = done.try_send(());
            flushed += 1;
        }
        ends.join().unwrap();
        assert_eq!(flushed, 2);
    }
}
