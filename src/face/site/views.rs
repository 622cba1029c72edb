//! Looks into the file for whoever asks: few at a time and none for long, each with a connection of
//! its own, on threads that may block.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;
use crate::engine::{EngineError, QueueView, SiteView, StoreError};
use crate::face::protocol::{ErrorCode, RpcError};

/// Looks at once.
const AT_ONCE: usize = 4;
/// Glances at once, which have places of their own: who asks how we fare waits behind nobody.
const GLANCES: usize = 2;
/// How long others' locks are waited for, and by a glance.
const TO_UNLOCK: Duration = Duration::from_secs(30);
const AT_A_GLANCE: Duration = Duration::from_millis(500);
/// How long one may take, with all that it asks the file for.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// A connection that looks at one part of the file.
pub(in crate::face) trait View: Sized + Send + 'static {
    /// How one asks for less of it.
    const HINT: &'static str;

    /// Opens what the configuration names, waiting so long for others' locks.
    fn open(config: &Config, within: Duration) -> Result<Self, EngineError>;
    /// From now on locks are waited for so long, and looks may take `longest`, all together.
    fn bound(&mut self, within: Duration, longest: Duration);
}

impl View for QueueView {
    const HINT: &'static str = "a look into the queue may take 2 s and was stopped; ask for less of \
         it: by unique_key, group, queue or state, and without text";

    fn open(config: &Config, within: Duration) -> Result<Self, EngineError> {
        Self::open_within(config, within)
    }

    fn bound(&mut self, within: Duration, longest: Duration) {
        self.bound(within, longest);
    }
}

impl View for SiteView {
    const HINT: &'static str = "a look at the site's videos may take 2 s and was stopped; an index \
         is missing, or the machine is busy: `vvv-actors db doctor` tells";

    fn open(config: &Config, within: Duration) -> Result<Self, EngineError> {
        Self::open_within(config, within)
    }

    fn bound(&mut self, within: Duration, longest: Duration) {
        self.bound(within, longest);
    }
}

/// Looks at the file as the configuration has it at that time.
pub(in crate::face) struct Views<V> {
    settings: Settings,
    places: Arc<Semaphore>,
    glances: Arc<Semaphore>,
    kept: Arc<Mutex<Kept<V>>>,
}

/// Where the configuration is to be had.
type Settings = Arc<dyn Fn() -> Arc<Config> + Send + Sync>;

/// Views that are open and not in use, and what they were opened by.
struct Kept<V> {
    config: Arc<Config>,
    idle: Vec<V>,
}

impl<V: View> Views<V> {
    pub(super) fn new(settings: impl Fn() -> Arc<Config> + Send + Sync + 'static) -> Self {
        let (config, idle) = (settings(), Vec::new());
        Self {
            settings: Arc::new(settings),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            glances: Arc::new(Semaphore::new(GLANCES)),
            kept: Arc::new(Mutex::new(Kept { config, idle })),
        }
    }

    /// Looks with `look`, when there is a place, and waits while another process holds the file.
    pub(in crate::face) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&V) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, RpcError> {
        self.look_within(&self.places, TO_UNLOCK, look).await
    }

    /// The same, soon or not at all.
    pub(in crate::face) async fn glance<T: Send + 'static>(
        &self,
        look: impl FnOnce(&V) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, RpcError> {
        self.look_within(&self.glances, AT_A_GLANCE, look).await
    }

    async fn look_within<T: Send + 'static>(
        &self,
        places: &Arc<Semaphore>,
        within: Duration,
        look: impl FnOnce(&V) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, RpcError> {
        let internal = |error: &dyn std::fmt::Display| {
            RpcError::new(
                ErrorCode::Internal,
                format!("look into the database: {error}"),
            )
        };
        let place = Arc::clone(places).acquire_owned().await;
        let place = place.map_err(|error| internal(&error))?;
        let (kept, config) = (Arc::clone(&self.kept), (self.settings)());
        let looked =
            tokio::task::spawn_blocking(move || look_once(&kept, &config, place, within, look));
        let looked = looked.await.map_err(|error| internal(&error))?;
        looked.map_err(|error| match error {
            EngineError::Store(StoreError::Interrupted) => {
                RpcError::new(ErrorCode::Timeout, V::HINT)
            }
            error => error.into(),
        })
    }
}

/// The place is held until the look is over and its view is kept, whether or not the asker stays: so
/// there are never more looks, nor more views, than places.
fn look_once<V: View, T>(
    kept: &Mutex<Kept<V>>,
    config: &Arc<Config>,
    _place: OwnedSemaphorePermit,
    within: Duration,
    look: impl FnOnce(&V) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let idle = lock(kept).opened_by(config).pop();
    let mut view = idle.map_or_else(|| V::open(config, within), Ok)?;
    view.bound(within, LONGEST_LOOK);
    let found = look(&view);
    lock(kept).opened_by(config).push(view);
    found
}

impl<V> Kept<V> {
    /// Those of this configuration; what was opened by another is closed.
    fn opened_by(&mut self, config: &Arc<Config>) -> &mut Vec<V> {
        if !Arc::ptr_eq(&self.config, config) {
            self.config = Arc::clone(config);
            self.idle.clear();
        }
        &mut self.idle
    }
}

fn lock<V>(kept: &Mutex<Kept<V>>) -> MutexGuard<'_, Kept<V>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Looks at nothing.
    struct Blind;

    impl View for Blind {
        const HINT: &'static str = "";

        fn open(_: &Config, _: Duration) -> Result<Self, EngineError> {
            Ok(Self)
        }

        fn bound(&mut self, _: Duration, _: Duration) {}
    }

    #[actix_rt::test]
    async fn a_look_keeps_its_place_though_its_asker_is_gone() {
        let config = Arc::new(Config::defaults().unwrap());
        let views: Views<Blind> = Views::new(move || Arc::clone(&config));
        let (begun, begins) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let look = views.look(move |_| {
            begun.send(()).unwrap();
            let _ = ends.recv();
            Ok(())
        });
        let mut look = Box::pin(look);
        // Far enough to have begun; then nobody asks any more.
        assert!(futures_util::poll!(&mut look).is_pending());
        begins.recv().unwrap();
        drop(look);
        assert_eq!(views.places.available_permits(), AT_ONCE - 1);
        drop(end);
        let all = u32::try_from(AT_ONCE).unwrap();
        drop(views.places.acquire_many(all).await.unwrap());
        assert_eq!(lock(&views.kept).idle.len(), 1);
    }
}
