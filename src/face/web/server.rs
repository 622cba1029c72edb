//! The daemon's own web server.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpServer};
use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};

use super::Web;
use crate::config::{Http, Listen};
use crate::face::socket::{Bound, Reserved, SocketError, reserve};

/// Requests wait for the engine and the file, not for a processor: two threads are plenty.
const WORKERS: usize = 2;
/// Connections at once, of all threads; the rest wait.
const CONNECTIONS: usize = 256;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
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
        source: io::Error,
    },
    /// The socket cannot be had.
    #[error("serve HTTP: {0}")]
    Socket(#[from] SocketError),
    /// The socket was had, and cannot be used.
    #[error("serve HTTP: {0}")]
    Unusable(io::Error),
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

/// A place that is ours, and not yet listened on.
pub enum Taken {
    /// An address.
    Address(SocketAddr, OwnedFd),
    /// A Unix socket.
    Socket(Reserved),
}

/// Takes the place that the configuration names; none if it names none. A Unix socket lets in whom
/// the daemon's own lets in: its user, and `group` if one is given.
///
/// # Errors
/// When the address or the path is taken or may not be used.
pub fn take(http: &Http, group: Option<u32>) -> Result<Option<Taken>, ServeError> {
    match http.place() {
        None | Some(Listen::Off) => Ok(None),
        Some(Listen::Address(address)) => {
            let refused = |source| ServeError::Address { address, source };
            let socket = bound(address).map_err(refused)?;
            Ok(Some(Taken::Address(address, socket)))
        }
        Some(Listen::Socket(path)) => Ok(Some(Taken::Socket(reserve(&path, group)?))),
    }
}

fn bound(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    // Connections of the process before may still be closing.
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    Ok(socket)
}

/// Serves the web face in a place that was taken.
///
/// # Errors
/// When the system refuses, or somebody listens there meanwhile.
pub fn serve(web: Web, place: Taken) -> Result<Served, ServeError> {
    let server = HttpServer::new(move || App::new().service(web.scope("")))
        .workers(WORKERS)
        .max_connections(CONNECTIONS / WORKERS)
        .shutdown_timeout(TO_END)
        .disable_signals();
    let (server, socket) = match place {
        Taken::Address(address, socket) => {
            let refused = |source| ServeError::Address { address, source };
            listen(&socket, BACKLOG).map_err(|error| refused(error.into()))?;
            (server.listen(socket.into()).map_err(refused)?, None)
        }
        Taken::Socket(reserved) => {
            let (listener, socket) = reserved.listen()?;
            let server = server.listen_uds(listener).map_err(ServeError::Unusable)?;
            (server, Some(socket))
        }
    };
    let addresses = server.addrs();
    let server = server.run();
    Ok(Served {
        handle: server.handle(),
        server,
        addresses,
        socket,
    })
}
