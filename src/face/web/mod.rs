//! The web face: a JSON API, a dashboard and metrics over a running engine, as a scope of an
//! actix-web server. A host mounts it in its own; the daemon serves the same on `http.listen`.
//!
//! Everything that is shown came from strangers: titles, addresses, errors. Templates escape it,
//! pictures come from our own cache, and a policy keeps a page from loading anything else.

mod answered;
mod api;
mod asked;
mod entrance;
mod guard;
mod health;
mod metrics;
#[cfg(test)]
mod openapi;
mod options;
mod pages;
mod problem;
mod remembered;
mod route;
mod seen;
mod server;
mod session;
mod strangers;
mod unread;

use std::path::{Path, absolute};
use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::HttpServiceFactory;
use actix_web::middleware::from_fn;
use actix_web::web;
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, mpsc, watch};

use self::entrance::Entrance;
pub use self::options::{Access, Options, OptionsError, hash_of};
use self::route::{get, resource};
pub use self::server::{ServeError, Served, Taken, serve, take};
pub use self::session::secret as new_token;
use self::strangers::Strangers;
use crate::engine::EngineHandle;
use crate::face::site::{Facts, Site};

/// What all requests share, whichever of the server's threads they are on.
struct Shared {
    site: Arc<Site>,
    entrance: Entrance,
    strangers: Strangers,
    /// The name of a session's cookie.
    cookie: String,
    /// Places for streams of events.
    streams: Arc<Semaphore>,
    /// Whether what goes on by itself is to end.
    closing: watch::Sender<bool>,
    metrics: Arc<Registry>,
    counted: api::AllCounted,
    unready: health::Unready,
}

/// The web face of an engine. Clones are the same one: make it once, and give each worker of the
/// server a [`Web::scope`] of it. A host that begins to stop says so by [`Web::close`].
#[derive(Clone)]
pub struct Web(Arc<Shared>);

impl Web {
    /// The web face of this engine.
    ///
    /// Without a [durable](crate::engine::EngineBuilder::durable) queue it has no jobs to show or take
    /// in: they answer 409, `not_durable`, and the dashboard shows workers, videos and verdicts only. It
    /// shows pictures if the engine [keeps](crate::engine::EngineBuilder::keep_pictures) them.
    ///
    /// # Errors
    /// When the options would let everybody in.
    pub fn new(engine: &EngineHandle, options: Options) -> Result<Self, OptionsError> {
        let config = engine.config();
        let facts = Facts {
            database: config.database.path.clone(),
            socket: std::path::PathBuf::new(),
            began: Instant::now(),
        };
        // Nobody stops or configures a host's engine from a page.
        let (control, _) = mpsc::unbounded_channel();
        let site = Site::new(engine.clone(), facts, control);
        Self::over(Arc::new(site), options)
    }

    /// The web face of a daemon.
    pub(in crate::face) fn over(site: Arc<Site>, options: Options) -> Result<Self, OptionsError> {
        let entrance = Entrance::new(options)?;
        let metrics = Arc::new(metrics::registry(&site.engine));
        Ok(Self(Arc::new(Shared {
            cookie: cookie_of(&site.engine.config().database.path),
            entrance,
            site,
            metrics,
            strangers: Strangers::default(),
            streams: api::event_places(),
            counted: api::AllCounted::default(),
            unready: health::Unready::default(),
            closing: watch::Sender::new(false),
        })))
    }

    /// Lets in by these options from now on. Whoever is in by a token that is not among them is out:
    /// its sessions at once, its streams of events within 15 s.
    ///
    /// # Errors
    /// When the options would let everybody in; then nothing has changed.
    pub fn set_options(&self, options: Options) -> Result<(), OptionsError> {
        self.0.entrance.set(options)
    }

    /// Ends the streams of events and the requests that wait for an end, now and from now on, and
    /// `/readyz` says no. A host calls it when it begins to stop: the stop of a server lets open
    /// requests end, and a page in somebody's browser keeps a stream open for as long as it is looked
    /// at.
    pub fn close(&self) {
        self.0.closing.send_replace(true);
    }

    /// All of it, under this path; `""` is the whole of a server.
    #[must_use]
    pub fn scope(&self, path: &str) -> impl HttpServiceFactory + use<> {
        let shared = Arc::clone(&self.0);
        web::scope(path)
            .wrap(from_fn(move |request, next| {
                let shared = Arc::clone(&shared);
                async move { guard::guard(&shared, request, next).await }
            }))
            .app_data(web::Data::from(Arc::clone(&self.0)))
            .service(resource("/healthz", [get(health::healthz)]))
            .service(resource("/readyz", [get(health::readyz)]))
            .service(resource("/metrics", [get(metrics::metrics)]))
            .service(api::scope("/api/v1"))
            .service(web::scope("/api").default_service(web::to(api::nothing_here)))
            .service(pages::scope())
    }
}

/// A browser does not tell ports apart, so two dashboards of one machine would take each other's.
fn cookie_of(database: &Path) -> String {
    let database = absolute(database).unwrap_or_else(|_| database.to_owned());
    let name = hash_of(&database.to_string_lossy());
    format!("vvv_session_{}", name.get(..8).unwrap_or(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_database_has_a_cookie_of_its_own() {
        let name = cookie_of(Path::new("/srv/vault.db"));
        assert_ne!(name, cookie_of(Path::new("/srv/other.db")));
        assert!(
            name.starts_with("vvv_session_") && name.len() == 20,
            "{name}"
        );
    }
}
