//! The guarded HTTP client: GET over awc for URLs that strangers wrote.
//!
//! What a fetch keeps to, whatever the peer does: public addresses and web ports only, unless an
//! [`AllowRule`] or the request's `endpoint` says otherwise; one deadline for everything from the
//! first connection to the last byte of the body; a cap on decoded bytes; few redirects, each of
//! them checked; few fetches a host and few large bodies at once, over all threads ([`Shared`]).
//!
//! It knows no rule of what an answer means; that is `domain`'s. It never reads a proxy variable,
//! installs nothing process-wide and sends no cookie or referrer.
//!
//! awc traps met here, so that nobody removes what looks superfluous: its time-out ends at the
//! head of the answer; its resolver hook is skipped for address literals; it counts an HTTP/1.1
//! body without a length as empty and a broken-off chunked one as complete; its pool keeps idle
//! connections of hosts that are not asked again for ever.

mod aside;
mod body;
mod client;
mod connector;
mod error;
mod failure;
mod guard;
mod head;
mod lanes;
mod picture_cache;
mod places;
mod progress;
mod retry_after;
mod settings;
#[cfg(test)]
mod tests;
mod wire;

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

pub use aside::aside;
pub use client::Client;
pub use error::{FetchError, Stage};
pub use guard::AllowRule;
pub use picture_cache::{LARGEST_CACHED, PictureCache, digest};
pub use places::Shared;
pub use progress::boot_ms;
pub use settings::Settings;

/// One GET.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// An absolute http or https URL.
    pub url: &'a str,
    /// The Accept header.
    pub accept: &'a str,
    /// The largest body read, decoded bytes.
    pub max_bytes: u64,
    /// The whole fetch: DNS, connecting, TLS, redirects and body included. Waiting for a place of
    /// [`Shared`] counts for an `endpoint` only; otherwise it ends with the fetch that is dropped.
    pub timeout: Duration,
    /// What a redirect is.
    pub redirects: Redirects,
    /// Ends a body early whose first decoded bytes are not what is wanted.
    pub sniff: Option<fn(&[u8]) -> Sniff>,
    /// Whether this is the operator's own endpoint, whose host and port need no other permission.
    /// Such a request has a connection to itself and is sent at most once, so that a call that was
    /// counted is one call; and its deadline leaves nothing out, so that the permit covers it.
    pub endpoint: bool,
    /// From then on nothing is sent, in milliseconds of [`boot_ms`]. A process that was stopped or a
    /// machine that slept may go on with a fetch whose `timeout` has not seen the time pass.
    pub not_after_ms: Option<i64>,
}

/// What a redirect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// A way to the answer.
    Follow,
    /// The answer.
    Refuse,
}

/// What a body's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniff {
    /// Read the rest; the function is not asked again.
    Accept,
    /// Ask again with more bytes. A body that ends here is answered as it is.
    NeedMore,
    /// Drop it.
    Drop,
}

/// An answer with its final status.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Where it came from, redirects followed.
    pub final_url: String,
    /// The Content-Type header.
    pub content_type: Option<String>,
    /// The Retry-After header, as a wait from now of 30 days at most.
    pub retry_after: Option<Duration>,
    /// The decoded body of a 200; empty otherwise, since such bodies are not read.
    pub body: Vec<u8>,
    /// A large body keeps its place until the answer is dropped, which is what bounds memory:
    /// keep the answer as long as the body, and no longer.
    large: Option<OwnedSemaphorePermit>,
}

impl Answer {
    /// Whether the body is a large one that keeps a place.
    #[must_use]
    pub const fn is_large(&self) -> bool {
        self.large.is_some()
    }
}
