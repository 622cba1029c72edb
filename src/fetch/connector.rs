//! How awc gets its connections: resolved, checked, opened and checked again, all in one place.
//!
//! The check sits in the connector and not in a resolver, because actix-tls never asks a resolver
//! about an address literal. TLS is done here too, so that one [`Wire`] sees the plain bytes of
//! http and https alike; awc itself only ever sees `http://`.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::net::TcpStream;
use actix_service::Service;
use actix_tls::connect::rustls_0_23::TlsConnector;
use actix_tls::connect::rustls_0_23::reexports::{AsyncTlsStream, ClientConfig};
use actix_tls::connect::{ConnectError, ConnectInfo, Connection, Host};
use awc::http::Uri;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;

use super::aside::aside;
use super::error::{FetchError, Stage, short};
use super::failure::text;
use super::guard::Guard;
use super::wire::{Transport, Wire};

/// How long an address may keep the next one waiting (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses of a host that are tried.
const MAX_ADDRESSES: usize = 8;

/// Resolves a name and a port; may block.
pub(super) type Resolve = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The system's resolver.
pub(super) fn system_resolver() -> Resolve {
    Arc::new(|host, port| (host, port).to_socket_addrs().map(Iterator::collect))
}

/// Opens the connections of one awc client.
#[derive(Clone)]
pub(super) struct GuardedConnector {
    pub(super) guard: Rc<Guard>,
    pub(super) resolve: Resolve,
    /// Present for https.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// Counts connections.
    pub(super) opened: Rc<Cell<u32>>,
}

impl Service<ConnectInfo<Uri>> for GuardedConnector {
    type Response = Connection<Uri, Wire>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    actix_service::always_ready!();

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        let connector = self.clone();
        let uri = info.request().clone();
        Box::pin(async move {
            match connector.connect(&uri).await {
                Ok(wire) => Ok(Connection::new(uri, wire)),
                // awc panics on `InvalidInput`; an I/O error carries ours through unharmed.
                Err(error) => Err(ConnectError::Io(io::Error::other(error))),
            }
        })
    }
}

impl GuardedConnector {
    async fn connect(&self, uri: &Uri) -> Result<Wire, FetchError> {
        let host = bare(uri.host().unwrap_or_default());
        let port = uri.port_u16().unwrap_or(80);
        Stage::Resolve.enter();
        let addresses = self.resolve(host, port).await?;
        for address in &addresses {
            self.guard.check_address(host, *address)?;
        }
        Stage::Connect.enter();
        let tcp = connect_first(addresses)
            .await
            .map_err(|error| FetchError::Connect(text(&error)))?;
        let peer = tcp
            .peer_addr()
            .map_err(|error| FetchError::Connect(text(&error)))?;
        self.guard.check_address(host, peer)?;
        self.opened.set(self.opened.get().saturating_add(1));
        // A request is one small write: waiting for more to send only delays it.
        let _ = tcp.set_nodelay(true);
        let transport = match &self.tls {
            None => Transport::Plain(tcp),
            Some(config) => Transport::Tls(handshake(config, host, tcp).await?),
        };
        Stage::Head.enter();
        Ok(Wire::new(transport))
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, FetchError> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let resolve = Arc::clone(&self.resolve);
        let asked = host.to_owned();
        let found = aside(move || resolve(&asked, port)).await;
        let name = short(host);
        match found.and_then(|found| found) {
            Ok(addresses) if addresses.is_empty() => {
                Err(FetchError::Unresolved(format!("{name}: no address")))
            }
            Ok(addresses) => Ok(addresses),
            Err(error) => Err(FetchError::Unresolved(format!("{name}: {}", text(&error)))),
        }
    }
}

/// The first connection that comes about, trying addresses in the resolver's order.
async fn connect_first(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses.into_iter().take(MAX_ADDRESSES);
    let mut attempts = FuturesUnordered::new();
    let mut failure = None;
    loop {
        match addresses.next() {
            Some(address) => attempts.push(TcpStream::connect(address)),
            None if attempts.is_empty() => {
                return Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
            }
            None => {}
        }
        match actix_rt::time::timeout(STAGGER, attempts.next()).await {
            Ok(Some(Ok(stream))) => return Ok(stream),
            Ok(Some(Err(error))) => failure = Some(error),
            // Slow, so the next address is tried beside it.
            Ok(None) | Err(_) => {}
        }
    }
}

async fn handshake(
    config: &Arc<ClientConfig>,
    host: &str,
    tcp: TcpStream,
) -> Result<Box<AsyncTlsStream<TcpStream>>, FetchError> {
    Stage::Tls.enter();
    let connection = Connection::new(ServerName(host.to_owned()), tcp);
    match TlsConnector::service(Arc::clone(config))
        .call(connection)
        .await
    {
        Ok(connection) => Ok(Box::new(connection.into_parts().0)),
        Err(error) => Err(FetchError::Tls(error.to_string())),
    }
}

/// A host without brackets, as certificates name it.
struct ServerName(String);

impl Host for ServerName {
    fn hostname(&self) -> &str {
        &self.0
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}
