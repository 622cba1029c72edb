//! What the service manager is told. Without one nothing is.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, timeout};

use crate::engine::EngineHandle;

/// The service manager, if one started us.
#[derive(Debug)]
pub(super) struct Manager {
    /// How often it wants to hear that we live; none: never.
    watchdog: Option<Duration>,
    /// When it was to hear of us next.
    due: Instant,
}

impl Manager {
    /// Looks for it in the environment.
    pub(super) fn find() -> Self {
        Self {
            watchdog: sd_notify::watchdog_enabled(),
            due: Instant::now(),
        }
    }

    pub(super) fn ready(&self) {
        tell(&[NotifyState::Ready, NotifyState::Status("running")]);
    }

    pub(super) fn stopping(&self) {
        let draining = "draining: running jobs finish";
        tell(&[NotifyState::Stopping, NotifyState::Status(draining)]);
    }

    /// Says that we live.
    pub(super) fn alive(&self) {
        if self.watchdog.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// Says that we live if it is time to, and if the actors, the writer among them, answer in
    /// time. A process that only looks alive is to be replaced.
    pub(super) async fn feed(&mut self, engine: &EngineHandle) {
        let Some(every) = self.watchdog else { return };
        if Instant::now() < self.due {
            return;
        }
        match timeout(every / 4, engine.status()).await {
            Ok(Ok(_)) => {
                self.alive();
                self.due = Instant::now() + every / 3;
            }
            Ok(Err(error)) => tracing::error!(%error, "the watchdog is not fed"),
            Err(_) => tracing::error!("the watchdog is not fed: the actors do not answer"),
        }
    }
}

/// Tells how it goes, in a line.
pub(super) fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

fn tell(news: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(news) {
        tracing::warn!(%error, "failed to tell the service manager");
    }
}
