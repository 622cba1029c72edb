//! The daemon's web server, where `http.listen` asks for one.

use std::sync::Arc;

use actix_web::dev::ServerHandle;
use tokio::task::JoinHandle;

use crate::config::{Config, Listen};
use crate::engine::{PictureCache, open_pictures};
use crate::face::exit::{Code, Failure};
use crate::face::site::Site;
use crate::face::socket::Bound;
use crate::face::web::{Options, OptionsError, Served, Taken, Web, serve};

/// Where pictures are kept for the pages, where pages are served.
pub(super) fn pictures(config: &Config) -> Option<Arc<PictureCache>> {
    match config.http.place() {
        Some(Listen::Address(_) | Listen::Socket(_)) => open_pictures(config),
        Some(Listen::Off) | None => None,
    }
}

/// A web server that runs.
pub(super) struct WebServer {
    web: Web,
    handle: ServerHandle,
    running: JoinHandle<()>,
    _socket: Option<Bound>,
}

impl WebServer {
    /// Starts it in the place that was taken for it.
    pub(super) fn start(site: &Arc<Site>, config: &Config, place: Taken) -> Result<Self, Failure> {
        let web = Options::of(&config.http)
            .and_then(|options| Web::over(Arc::clone(site), options))
            .map_err(|error| Failure::new(Code::Unusable, error))?;
        let served = serve(web.clone(), place);
        let served = served.map_err(|error| Failure::new(Code::Unusable, error))?;
        let Served {
            server,
            handle,
            addresses,
            socket,
        } = served;
        for address in &addresses {
            tracing::info!(%address, "serving HTTP");
        }
        if config.http.hosts.is_empty() && addresses.iter().any(|it| !it.ip().is_loopback()) {
            tracing::warn!(
                "http.hosts is empty: who asks for anything but localhost is refused; put the names \
                 there by which it is reached"
            );
        }
        let running = tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the web server ended");
            }
        });
        Ok(Self {
            web,
            handle,
            running,
            _socket: socket,
        })
    }

    /// Lets in whom the configuration lets in now.
    pub(super) fn reload(&self, config: &Config) -> Result<(), OptionsError> {
        self.web.set_options(Options::of(&config.http)?)
    }

    /// Lets open requests end, and ends it.
    pub(super) async fn stop(self) {
        self.web.close();
        self.handle.stop(true).await;
        let _ = self.running.await;
    }
}
