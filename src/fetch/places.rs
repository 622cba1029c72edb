//! What all clients of a process share: places at a host, and places for large bodies. Both are
//! bounds on what strangers' URLs can make us do at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::settings::Settings;

/// A body past this many decoded bytes needs a large-body place.
pub(super) const LARGE_BODY: usize = 256 * 1024;

/// Large bodies held at once.
const LARGE_BODIES: usize = 2;

/// The places that clients on all threads share. Clones share them too.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Places>);

#[derive(Debug)]
struct Places {
    max_per_host: usize,
    hosts: Mutex<HashMap<String, Host>>,
    large: Arc<Semaphore>,
}

#[derive(Debug)]
struct Host {
    places: Arc<Semaphore>,
    // Holders and waiters; the entry goes with the last one.
    users: usize,
}

impl Shared {
    /// Places for one process, none taken.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self(Arc::new(Places {
            max_per_host: settings.max_per_host.clamp(1, Semaphore::MAX_PERMITS),
            hosts: Mutex::default(),
            large: Arc::new(Semaphore::new(LARGE_BODIES)),
        }))
    }

    /// Waits for a place at `host`, first come first served.
    pub(super) async fn host(&self, host: &str) -> HostPlace {
        let user = HostUser {
            shared: self.clone(),
            host: host.to_owned(),
        };
        let places = user.enter();
        // The semaphore is never closed; were it, going on without a place beats stopping.
        let permit = places.acquire_owned().await.ok();
        HostPlace {
            _permit: permit,
            _user: user,
        }
    }

    /// Waits for a large-body place.
    pub(super) async fn large_body(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.large).acquire_owned().await.ok()
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place at a host, given back when dropped.
#[derive(Debug)]
pub(super) struct HostPlace {
    // In this order: the entry may go only after its permit.
    _permit: Option<OwnedSemaphorePermit>,
    _user: HostUser,
}

/// Somebody who holds a place at a host or waits for one; a cancelled wait is dropped too.
#[derive(Debug)]
struct HostUser {
    shared: Shared,
    host: String,
}

impl HostUser {
    fn enter(&self) -> Arc<Semaphore> {
        let mut hosts = self.shared.hosts();
        let host = hosts.entry(self.host.clone()).or_insert_with(|| Host {
            places: Arc::new(Semaphore::new(self.shared.0.max_per_host)),
            users: 0,
        });
        host.users += 1;
        Arc::clone(&host.places)
    }
}

impl Drop for HostUser {
    fn drop(&mut self) {
        let mut hosts = self.shared.hosts();
        if let Some(host) = hosts.get_mut(&self.host) {
            host.users = host.users.saturating_sub(1);
            if host.users == 0 {
                hosts.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::fetch::tests::settings;

    #[actix_rt::test]
    async fn a_host_is_forgotten_with_its_last_user() {
        let shared = Shared::new(&Settings {
            max_per_host: 1,
            ..settings()
        });
        let place = shared.host("a.example").await;
        let mut waiting = Box::pin(shared.host("a.example"));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(shared.host("b.example").now_or_never().is_some());
        assert_eq!(shared.hosts().len(), 1);
        drop(place);
        assert_eq!(shared.hosts().len(), 1);
        drop(waiting.await);
        assert!(shared.hosts().is_empty());
    }

    #[actix_rt::test]
    async fn a_wait_that_is_given_up_takes_no_place() {
        let shared = Shared::new(&Settings {
            max_per_host: 1,
            ..settings()
        });
        let place = shared.host("a.example").await;
        let mut given_up = Box::pin(shared.host("a.example"));
        assert!(given_up.as_mut().now_or_never().is_none());
        drop(given_up);
        drop(place);
        assert!(shared.hosts().is_empty());
        assert!(shared.host("a.example").now_or_never().is_some());
    }

    #[actix_rt::test]
    async fn no_place_at_all_counts_as_one() {
        let shared = Shared::new(&Settings {
            max_per_host: 0,
            ..settings()
        });
        assert!(shared.host("a.example").now_or_never().is_some());
    }
}
