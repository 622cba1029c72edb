//! The client against real servers on loopback.

mod answers;
mod bodies;
mod connections;
mod deadlines;
mod guarding;
mod redirects;
mod server;
mod sharing;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::RootCertStore;

use self::server::{LONG, Server};
use super::connector::Resolve;
use super::*;

/// Settings without an exception.
pub(super) fn settings() -> Settings {
    allowing(&[])
}

/// Settings that allow these servers and nothing else.
fn allowing(servers: &[&Server]) -> Settings {
    Settings {
        allow: servers
            .iter()
            .map(|server| AllowRule::Address(server.address()))
            .collect(),
        max_per_host: 16,
        max_redirects: 3,
        user_agent: "vvv-actors/test (+https://site.example)".to_owned(),
        clock: || "2026-11-01T00:00:00Z".parse().unwrap(),
    }
}

fn client(settings: &Settings) -> Client {
    Client::new(settings, Shared::new(settings)).unwrap()
}

/// A client for these servers and nothing else.
fn client_for(servers: &[&Server]) -> Client {
    client(&allowing(servers))
}

/// A client with a resolver of its own.
fn client_resolving(
    settings: &Settings,
    resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
) -> Client {
    let resolve: Resolve = Arc::new(resolve);
    let roots = RootCertStore::empty();
    Client::with(settings, Shared::new(settings), roots, &resolve).unwrap()
}

/// A request that no cap and no deadline should cut.
fn request(url: &str) -> Request<'_> {
    Request {
        url,
        accept: "image/*",
        max_bytes: 1024 * 1024,
        timeout: LONG,
        redirects: Redirects::Follow,
        sniff: None,
        endpoint: false,
        not_after_ms: None,
    }
}

/// What a server's only answer becomes.
async fn fetched(server: &Server) -> Result<Answer, FetchError> {
    client_for(&[server]).get(request(&server.url("/"))).await
}

fn refusal(result: Result<Answer, FetchError>) -> String {
    match result {
        Err(FetchError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}
