//! `[http]`: the API and the dashboard.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::units;

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where the daemon serves the API and the dashboard: an address with a port, or the path of a
    /// Unix socket. Empty: nowhere.
    pub listen: String,
    /// Further names it answers to.
    pub hosts: Vec<String>,
    /// Hashes of tokens that let one look.
    pub read_tokens: Vec<String>,
    /// Hashes of tokens that let one change things.
    pub write_tokens: Vec<String>,
    /// The most that cached pictures may take, bytes; 0: none are cached.
    #[serde(with = "units::bytes")]
    pub thumbnail_cache: u64,
    /// Where they lie. Empty: where the machine or the user keeps caches.
    pub thumbnail_cache_folder: PathBuf,
}

/// Where the web face is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// On this address.
    Address(SocketAddr),
    /// On a Unix socket.
    Socket(PathBuf),
}

impl Http {
    /// Where it is served; none if the value cannot be read.
    #[must_use]
    pub fn place(&self) -> Option<Listen> {
        match self.listen.as_str() {
            "" => Some(Listen::Off),
            path if path.starts_with('/') => Some(Listen::Socket(path.into())),
            address => address.parse().ok().map(Listen::Address),
        }
    }

    /// This with what may change while it is served taken from another: who is let in. The last
    /// token stays while it is served where it must not be without one.
    pub(super) fn reloaded(&self, new: &Self) -> Self {
        if !new.has_tokens() && self.listen != new.listen {
            return self.clone();
        }
        Self {
            hosts: new.hosts.clone(),
            read_tokens: new.read_tokens.clone(),
            write_tokens: new.write_tokens.clone(),
            ..self.clone()
        }
    }

    /// Whether anybody has a token.
    #[must_use]
    pub const fn has_tokens(&self) -> bool {
        !self.read_tokens.is_empty() || !self.write_tokens.is_empty()
    }
}
