//! The awc clients under a [`super::Client`], and the TLS they are given.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_tls::connect::rustls_0_23::reexports::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::ring;
use url::Url;

use super::connector::{GuardedConnector, Resolve};
use super::error::FetchError;
use super::guard::Guard;

/// Connections opened before idle ones are dropped. awc's pool looks after a host's idle
/// connections only when that host is asked again: over many hosts it would keep a socket each.
const GENERATION: u32 = 32;

/// awc's own time-outs are switched off by this: ours covers more.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// The clients of one guard. Connections that one guard let through serve no other.
pub(super) struct Lanes {
    pub(super) guard: Rc<Guard>,
    http: Lane,
    https: Lane,
}

impl Lanes {
    pub(super) fn new(guard: Guard, tls: &Arc<ClientConfig>, resolve: &Resolve) -> Self {
        let guard = Rc::new(guard);
        let connector = |tls| GuardedConnector {
            guard: Rc::clone(&guard),
            resolve: Arc::clone(resolve),
            tls,
            opened: Rc::new(Cell::new(0)),
        };
        Self {
            http: Lane::new(connector(None)),
            https: Lane::new(connector(Some(Arc::clone(tls)))),
            guard,
        }
    }

    pub(super) fn of(&self, url: &Url) -> &Lane {
        if url.scheme() == "https" {
            &self.https
        } else {
            &self.http
        }
    }
}

/// One awc client after another.
pub(super) struct Lane {
    connector: GuardedConnector,
    client: RefCell<awc::Client>,
}

impl Lane {
    fn new(connector: GuardedConnector) -> Self {
        Self {
            client: RefCell::new(awc_client(&connector)),
            connector,
        }
    }

    pub(super) fn client(&self) -> awc::Client {
        if self.connector.opened.get() >= GENERATION {
            self.renew();
        }
        self.client.borrow().clone()
    }

    /// Drops idle connections; those in use end with their fetches.
    pub(super) fn renew(&self) {
        self.connector.opened.set(0);
        self.client.replace(awc_client(&self.connector));
    }
}

fn awc_client(connector: &GuardedConnector) -> awc::Client {
    let connector = awc::Connector::new()
        .connector(connector.clone())
        .timeout(NEVER)
        .limit(0);
    awc::Client::builder()
        .connector(connector)
        .disable_timeout()
        .disable_redirects()
        .finish()
}

/// TLS by rustls and ring with these roots; nothing process-wide is installed or asked.
pub(super) fn tls_config(roots: RootCertStore) -> Result<Arc<ClientConfig>, FetchError> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Setup(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // No h2: awc would use a version of it with a known hole (RUSTSEC-2026-0258).
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
