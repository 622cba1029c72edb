//! Who comes with a token that is none of ours: told in the log for whoever shuts them out, once a
//! second at most, so that guessing does not fill it.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines.
const BETWEEN: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    last: Option<Instant>,
    untold: u64,
}

impl Strangers {
    /// Somebody came from there; a Unix socket has no address.
    pub(super) fn came(&self, from: Option<SocketAddr>) {
        if let Some(untold) = self.due(Instant::now()) {
            let from = from.map(|from| from.ip().to_string());
            tracing::warn!(from, untold, "a token that is none of ours");
        }
    }

    /// How many were not told of since the last line, if one is due.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.last.is_some_and(|last| now < last + BETWEEN) {
            told.untold += 1;
            return None;
        }
        told.last = Some(now);
        Some(std::mem::take(&mut told.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_fills_no_log() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        assert_eq!(strangers.due(now), Some(0));
        for _ in 0..3 {
            assert_eq!(strangers.due(now + BETWEEN / 2), None);
        }
        assert_eq!(strangers.due(now + BETWEEN), Some(3));
        assert_eq!(strangers.due(now + 3 * BETWEEN), Some(0));
    }
}
