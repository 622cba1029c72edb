//! Why a fetch has no answer. Each reason is a variant, because the callers' rules tell a peer
//! that did not answer from one that answered badly.

use std::fmt;

use thiserror::Error;

use crate::domain::cut::cut;

/// Why a fetch has no answer. Texts come from peers in part: escape them before a log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The deadline of the whole fetch passed.
    #[error("timed out while {stage}")]
    TimedOut {
        /// What was being waited for.
        stage: Stage,
    },
    /// The name has no address, or the resolver failed.
    #[error("failed to resolve {0}")]
    Unresolved(String),
    /// No connection to any of the host's addresses.
    #[error("failed to connect: {0}")]
    Connect(String),
    /// The connection was reset or closed before the answer.
    #[error("connection lost: {0}")]
    Broken(String),
    /// No trusted TLS session.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// What arrived is no HTTP/1 answer.
    #[error("answer is not HTTP: {0}")]
    Protocol(String),
    /// The guard refused the scheme, the port, the userinfo or the address.
    #[error("refused: {0}")]
    Refused(String),
    /// Not an absolute URL.
    #[error("not a URL: {0}")]
    BadUrl(String),
    /// A redirect without an end, without a target, or from https to http.
    #[error("redirect leads nowhere: {0}")]
    BadRedirect(String),
    /// The body is larger than asked for.
    #[error("body is larger than {max} bytes")]
    TooLarge {
        /// The cap, decoded bytes.
        max: u64,
    },
    /// The body ended before the length or the last chunk that was announced.
    #[error("body ends early")]
    Incomplete,
    /// The connection was lost within the body, or the body's framing is broken.
    #[error("body breaks off: {0}")]
    BrokenOff(String),
    /// The body's content coding is unknown or its bytes do not decode.
    #[error("body does not decode: {0}")]
    Corrupt(String),
    /// The sniff function refused the body's first bytes.
    #[error("body is not of the expected kind")]
    Unrecognised,
    /// The settings, or the request's `accept`, are wrong: a fault on our side.
    #[error("invalid fetch settings: {0}")]
    Setup(String),
}

impl FetchError {
    /// The status that was received, where only the body failed: no other body is read.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::TooLarge { .. }
            | Self::Incomplete
            | Self::BrokenOff(_)
            | Self::Corrupt(_)
            | Self::Unrecognised
            | Self::TimedOut { stage: Stage::Body } => Some(200),
            Self::TimedOut { .. }
            | Self::Unresolved(_)
            | Self::Connect(_)
            | Self::Broken(_)
            | Self::Tls(_)
            | Self::Protocol(_)
            | Self::Refused(_)
            | Self::BadUrl(_)
            | Self::BadRedirect(_)
            | Self::Setup(_) => None,
        }
    }

    /// Whether the same fetch may well succeed later: nobody gave a definitive answer.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::TimedOut { .. }
            | Self::Unresolved(_)
            | Self::Connect(_)
            | Self::Broken(_)
            | Self::Tls(_)
            | Self::Protocol(_)
            | Self::BrokenOff(_) => true,
            Self::Refused(_)
            | Self::BadUrl(_)
            | Self::BadRedirect(_)
            | Self::TooLarge { .. }
            | Self::Incomplete
            | Self::Corrupt(_)
            | Self::Unrecognised
            | Self::Setup(_) => false,
        }
    }
}

/// A stranger's text, cut to what a reason needs of it.
pub(super) fn short(text: &str) -> String {
    cut(text, 80)
}

/// What a fetch was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Waiting for one of the host's places or a large-body place.
    Place,
    /// Asking the resolver.
    Resolve,
    /// Opening the TCP connection.
    Connect,
    /// In the TLS handshake.
    Tls,
    /// Sending the request and waiting for the head of the answer.
    Head,
    /// Reading the body.
    Body,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Place => "waiting for a free place",
            Self::Resolve => "resolving the name",
            Self::Connect => "connecting",
            Self::Tls => "shaking hands for TLS",
            Self::Head => "waiting for the answer",
            Self::Body => "reading the body",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_of_strangers_are_cut() {
        assert_eq!(short("gopher"), "gopher");
        assert_eq!(short(&"é".repeat(80)), "é".repeat(80));
        assert_eq!(short(&"é".repeat(81)), format!("{}…", "é".repeat(80)));
    }

    #[test]
    fn a_time_out_says_what_was_waited_for() {
        let error = FetchError::TimedOut {
            stage: Stage::Resolve,
        };
        assert_eq!(error.to_string(), "timed out while resolving the name");
    }
}
