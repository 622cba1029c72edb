//! The daemon's own web server.

use std::net::SocketAddr;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpServer};

use super::Web;
use crate::config::{Http, Listen};
use crate::face::socket::{Bound, SocketError, bind};

/// Requests wait for the engine and the file, not for a processor: two threads are plenty.
const WORKERS: usize = 2;
/// Connections at once, of all threads; the rest wait.
const CONNECTIONS: usize = 256;
/// Seconds that open requests may take to end at a stop.
const TO_END: u64 = 2;

/// Why the web face is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be had.
    #[error("serve HTTP on {address}: {source}")]
    Address {
        /// As configured.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The socket cannot be had.
    #[error("serve HTTP: {0}")]
    Socket(#[from] SocketError),
    /// The socket was had, and cannot be used.
    #[error("serve HTTP: {0}")]
    Unusable(std::io::Error),
}

/// A server that runs once it is awaited.
pub struct Served {
    /// What is to be run.
    pub server: Server,
    /// How it is stopped.
    pub handle: ServerHandle,
    /// Where it listens: the address with the port that was found for it.
    pub addresses: Vec<SocketAddr>,
    /// The file of a Unix socket, which goes with it.
    pub socket: Option<Bound>,
}

/// Serves the web face where the configuration says; none if nowhere. A Unix socket lets in whom
/// the daemon's own lets in: its user, and `group` if one is given.
///
/// # Errors
/// When the address or the path is taken or may not be used.
pub fn serve(web: Web, http: &Http, group: Option<u32>) -> Result<Option<Served>, ServeError> {
    let server = HttpServer::new(move || App::new().service(web.scope("")))
        .workers(WORKERS)
        .max_connections(CONNECTIONS / WORKERS)
        .shutdown_timeout(TO_END)
        .disable_signals();
    let (server, socket) = match http.place() {
        None | Some(Listen::Off) => return Ok(None),
        Some(Listen::Address(address)) => {
            let refused = |source| ServeError::Address { address, source };
            (server.bind(address).map_err(refused)?, None)
        }
        Some(Listen::Socket(path)) => {
            let (listener, socket) = bind(&path, group)?;
            let server = server.listen_uds(listener).map_err(ServeError::Unusable)?;
            (server, Some(socket))
        }
    };
    let addresses = server.addrs();
    let server = server.run();
    Ok(Some(Served {
        handle: server.handle(),
        server,
        addresses,
        socket,
    }))
}
