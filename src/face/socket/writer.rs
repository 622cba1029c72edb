//! Writes a connection's answers, in a task of its own: whoever reads slowly holds up nobody else,
//! and whoever does not read at all is left.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long a peer may take to read what one write holds.
const TO_READ: Duration = Duration::from_secs(30);
/// How often it is looked whether the peer is still there.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Short answers go out together up to this.
const TOGETHER: usize = 64 * 1024;

/// Writes until the answers end or the peer is gone.
pub(super) async fn write(mut stream: OwnedWriteHalf, mut answers: mpsc::Receiver<Vec<u8>>) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut piece = tokio::select! {
            answer = answers.recv() => match answer {
                Some(answer) => answer,
                None => break,
            },
            _ = look.tick() => {
                if is_gone(&stream) {
                    return;
                }
                continue;
            }
        };
        while piece.len() < TOGETHER
            && let Ok(more) = answers.try_recv()
        {
            piece.extend(more);
        }
        match timeout(TO_READ, stream.write_all(&piece)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                tracing::warn!("a client of the socket does not read its answers and is left");
                return;
            }
        }
    }
    let _ = stream.shutdown().await;
}

/// Whether the peer has closed its side for good; one that only ended its requests has not.
fn is_gone(stream: &OwnedWriteHalf) -> bool {
    let ready = stream.ready(Interest::WRITABLE).now_or_never();
    matches!(ready, Some(Ok(ready)) if ready.is_write_closed())
}
