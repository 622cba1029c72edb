//! Every thread of the engine: who started it, and its end.

use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_rt::{Arbiter, ArbiterHandle};

/// Owns the arbiters of one engine; clones share them.
#[derive(Clone, Default)]
pub struct Arbiters(Arc<Mutex<Vec<(String, Arbiter)>>>);

impl Arbiters {
    /// Starts a thread for an actor.
    ///
    /// # Errors
    /// When the system gives no thread or no event loop.
    pub fn start(&self, name: &str) -> io::Result<ArbiterHandle> {
        let arbiter = Arbiter::try_new()?;
        let handle = arbiter.handle();
        let mut arbiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that have ended need no join.
        arbiters.retain(|(_, arbiter)| arbiter.alive());
        arbiters.push((name.to_owned(), arbiter));
        Ok(handle)
    }

    /// The same from the thread `maker`, which waits for nothing else: a thread begins as nice as its
    /// maker is, and one that has stepped back cannot undo that without privileges.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_from(
        &self,
        maker: &ArbiterHandle,
        name: &'static str,
    ) -> io::Result<ArbiterHandle> {
        let (sender, started) = mpsc::channel();
        let arbiters = self.clone();
        maker.spawn_fn(move || {
            let _ = sender.send(arbiters.start(name));
        });
        // If the maker is gone, a nicer thread is better than none.
        started.recv().unwrap_or_else(|_| self.start(name))
    }

    /// Ends every thread and waits for them; names those that have not ended in time (a lookup in
    /// getaddrinfo cannot be interrupted), which are abandoned.
    #[must_use]
    pub fn stop_and_join(&self, within: Duration) -> Vec<String> {
        let arbiters = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let (sender, ended) = mpsc::channel();
        let (mut late, mut ending) = (Vec::new(), Vec::new());
        for (index, (name, arbiter)) in arbiters.into_iter().enumerate() {
            arbiter.stop();
            late.push(Some(name));
            ending.push((index, arbiter));
        }
        let ending = Arc::new(Mutex::new(ending));
        for _ in 0..late.len() {
            let (ending, sender) = (Arc::clone(&ending), sender.clone());
            // A thread each, since one that never ends must not hide the others. Where the system has
            // not so many left, those there are do.
            let joiner = std::thread::Builder::new().spawn(move || {
                while let Some((index, arbiter)) = next(&ending) {
                    let _ = arbiter.join();
                    let _ = sender.send(index);
                }
            });
            if joiner.is_err() {
                break;
            }
        }
        drop(sender);
        let deadline = Instant::now() + within;
        while let Ok(index) = ended.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            if let Some(name) = late.get_mut(index) {
                *name = None;
            }
        }
        late.into_iter().flatten().collect()
    }
}

fn next(ending: &Mutex<Vec<(usize, Arbiter)>>) -> Option<(usize, Arbiter)> {
    ending.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

/// Puts the current thread behind the site's own work, and those that it starts from now on.
pub fn be_nice(nice: u8) {
    #[cfg(target_os = "linux")]
    {
        let thread = rustix::thread::gettid();
        if let Err(error) = rustix::process::setpriority_process(Some(thread), i32::from(nice)) {
            tracing::debug!(%error, "thread priority left as it is");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = nice;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_thread_that_does_not_end_is_named_and_left_behind() {
        let arbiters = Arbiters::default();
        arbiters.start("quick").unwrap();
        let stuck = arbiters.start("stuck").unwrap();
        let (release, held) = mpsc::channel::<()>();
        let (sender, began) = mpsc::channel();
        stuck.spawn_fn(move || {
            sender.send(()).unwrap();
            let _ = held.recv();
        });
        began.recv().unwrap();
        assert_eq!(
            arbiters.stop_and_join(Duration::from_millis(300)),
            ["stuck"]
        );
        drop(release);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_is_as_nice_as_its_maker() {
        let nice_of = |thread: &ArbiterHandle| {
            let (sender, nice) = mpsc::channel();
            thread.spawn_fn(move || {
                let thread = rustix::thread::gettid();
                let nice = rustix::process::getpriority_process(Some(thread));
                sender.send(nice.unwrap()).unwrap();
            });
            nice.recv().unwrap()
        };
        // Threads of its own, for nobody can take the step back.
        let system = std::thread::spawn(move || {
            let system = actix_rt::System::new();
            system.block_on(async {
                let arbiters = Arbiters::default();
                let maker = arbiters.start("maker").unwrap();
                let before = nice_of(&maker);
                be_nice(15);
                let nice = arbiters.start("nice").unwrap();
                let from = |maker| arbiters.start_from(maker, "other").unwrap();
                let found = [&nice, &from(&maker), &from(&nice)].map(nice_of);
                assert_eq!(found, [15, before, 15]);
                assert!(arbiters.stop_and_join(Duration::from_secs(10)).is_empty());
                assert!(from(&maker).alive(), "though its maker is gone");
                assert!(arbiters.stop_and_join(Duration::from_secs(10)).is_empty());
            });
        });
        system.join().unwrap();
    }
}
