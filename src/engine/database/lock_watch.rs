//! The doctor on locks: whether another process keeps writers waiting.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::finding::Finding;
use super::locks::{Holder, Lock, lock_holders};

/// A lock held throughout this time is worth a word.
const LOCK_WATCH: Duration = Duration::from_secs(1);

/// Between two looks at the locks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Watches the locks for as long as one is in the way of writers, up to a second.
pub(super) fn watch(path: &Path) -> Finding {
    let begun = Instant::now();
    let mut seen: Option<Vec<Holder>> = None;
    loop {
        let holders = match lock_holders(path) {
            Ok(holders) => holders,
            Err(error) => {
                let text = format!("failed to read who holds locks: {error}");
                return Finding::warn("locks", text);
            }
        };
        let blocking: Vec<Holder> = holders
            .iter()
            .filter(|holder| holder.strongest().blocks_writers())
            .cloned()
            .collect();
        // Only who was there at every look has held on all the time.
        let stayed: Vec<Holder> = match seen {
            None => blocking,
            Some(before) => blocking
                .into_iter()
                .filter(|holder| before.iter().any(|earlier| earlier.pid == holder.pid))
                .collect(),
        };
        if stayed.is_empty() {
            return free(&holders);
        }
        if begun.elapsed() >= LOCK_WATCH {
            return held(&stayed);
        }
        seen = Some(stayed);
        thread::sleep(LOOK_EVERY);
    }
}

fn free(holders: &[Holder]) -> Finding {
    let others: Vec<String> = holders
        .iter()
        .map(|holder| match holder.strongest() {
            Lock::Open => holder.to_string().replace(", open lock", " has it open"),
            _ => holder.to_string(),
        })
        .collect();
    let others = if others.is_empty() {
        String::new()
    } else {
        format!("; {}", others.join("; "))
    };
    Finding::ok("locks", format!("no one keeps writers waiting{others}"))
}

fn held(holders: &[Holder]) -> Finding {
    let names: Vec<String> = holders.iter().map(ToString::to_string).collect();
    let text = format!("held for over a second by {}", names.join("; "));
    Finding::warn("locks", text).todo("let it finish, or stop it; we wait as long as it takes")
}
