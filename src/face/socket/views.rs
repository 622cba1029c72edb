//! Looks into the file for whoever asks: few at a time, each with a connection of its own, on
//! threads that may block.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::config::Config;
use crate::engine::QueueView;
use crate::face::protocol::{ErrorCode, RpcError};

/// Looks at once.
const AT_ONCE: usize = 4;

/// Views that are open and not in use.
pub(super) struct Views {
    config: Arc<Config>,
    places: Semaphore,
    idle: Arc<Mutex<Vec<QueueView>>>,
}

impl Views {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            places: Semaphore::new(AT_ONCE),
            idle: Arc::default(),
        }
    }

    /// Looks with `look`, when there is a place.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&QueueView) -> Result<T, crate::engine::EngineError> + Send + 'static,
    ) -> Result<T, RpcError> {
        let internal = |error: &dyn std::fmt::Display| {
            RpcError::new(ErrorCode::Internal, format!("look into the queue: {error}"))
        };
        let _place = self.places.acquire().await.map_err(|e| internal(&e))?;
        let (config, idle) = (Arc::clone(&self.config), Arc::clone(&self.idle));
        let looked = tokio::task::spawn_blocking(move || {
            let kept = lock(&idle).pop();
            let view = kept.map_or_else(|| QueueView::open(&config), Ok)?;
            let found = look(&view);
            lock(&idle).push(view);
            found
        });
        Ok(looked.await.map_err(|error| internal(&error))??)
    }
}

fn lock(idle: &Mutex<Vec<QueueView>>) -> std::sync::MutexGuard<'_, Vec<QueueView>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
