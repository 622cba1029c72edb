//! What goes wrong between us and the daemon, in words that say what to do.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::face::exit::{Code, Failure};
use crate::face::protocol::{ErrorCode, Method, NO_PLACE, RpcError};

/// Why the daemon could not be asked, or did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon at {}; start one by vvv-actors daemon, or name its socket by daemon.socket", socket.display())]
    NoDaemon {
        /// Where.
        socket: PathBuf,
    },
    /// We may not.
    #[error(
        "connect to the daemon at {}: permission denied; it lets in its own user and root, and a \
         group if daemon.socket_group names one and daemon.socket_mode is \"0660\"",
        socket.display()
    )]
    Denied {
        /// Where.
        socket: PathBuf,
    },
    /// It closed the connection.
    #[error(
        "the daemon at {} hung up without an answer; it does so when it stops, and to users that \
         daemon.socket_group does not let in",
        socket.display()
    )]
    HungUp {
        /// Where.
        socket: PathBuf,
    },
    /// It took too long.
    #[error(
        "the daemon at {} did not answer in {} s; what was asked may be done all the same",
        socket.display(),
        patience.as_secs()
    )]
    NoAnswer {
        /// Where.
        socket: PathBuf,
        /// How long.
        patience: Duration,
    },
    /// The connection broke.
    #[error("talk to the daemon at {}: {source}", socket.display())]
    Broken {
        /// Where.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is of an older version.
    #[error("the daemon does not know {method}: it runs an older version; restart it")]
    TooOld {
        /// What was asked.
        method: Method,
    },
    /// It will not.
    #[error("{method}: {error}")]
    Refused {
        /// What was asked.
        method: Method,
        /// Why.
        error: RpcError,
    },
    /// It speaks otherwise than we do.
    #[error("read the daemon's answer to {method}: {source}; is it of another version?")]
    NotUnderstood {
        /// What was asked.
        method: Method,
        /// Where the reading ended.
        source: serde_json::Error,
    },
    /// It took a part of a batch and not the rest, and would not give the part back.
    #[error("{error}; {jobs} jobs of group {group} stay queued")]
    HalfTaken {
        /// The group.
        group: i64,
        /// How many jobs of it were queued.
        jobs: usize,
        /// Why the rest was not taken.
        error: Box<ClientError>,
    },
    /// We were too slow to hear everything.
    #[error("too slow for the daemon's events: {missed} missed")]
    Lagged {
        /// How many events were missed.
        missed: u64,
    },
}

impl ClientError {
    pub(super) fn connecting(socket: &Path, source: io::Error) -> Self {
        let socket = socket.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Self::NoDaemon { socket },
            io::ErrorKind::PermissionDenied => Self::Denied { socket },
            _ => Self::Broken { socket, source },
        }
    }

    pub(super) fn refused(method: Method, error: RpcError) -> Self {
        if error.code == ErrorCode::Method {
            return Self::TooOld { method };
        }
        Self::Refused { method, error }
    }

    /// Whether there is nothing of this number.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if error.code == ErrorCode::NotFound)
    }

    /// Whether it stops, so that nothing was done: the next one will answer.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if error.code == ErrorCode::Stopping)
    }

    /// Whether it had no place for us, or no lock, just now.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if error.code == ErrorCode::Busy)
    }

    /// Whether it had no place for us: nothing was done, and soon there may be one.
    #[must_use]
    pub fn is_no_place(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if error.data.contains_key(NO_PLACE))
    }

    /// Whether nobody answers, so that one may look elsewhere.
    #[must_use]
    pub const fn is_silence(&self) -> bool {
        match self {
            Self::NoDaemon { .. }
            | Self::Denied { .. }
            | Self::HungUp { .. }
            | Self::NoAnswer { .. }
            | Self::Broken { .. } => true,
            Self::TooOld { .. }
            | Self::Refused { .. }
            | Self::NotUnderstood { .. }
            | Self::HalfTaken { .. }
            | Self::Lagged { .. } => false,
        }
    }

    /// Whether what was asked may be done all the same.
    #[must_use]
    pub const fn may_be_done(&self) -> bool {
        match self {
            Self::NoDaemon { .. } | Self::Denied { .. } | Self::TooOld { .. } => false,
            // An engine that is lost may have committed before.
            Self::Refused { error, .. } => {
                matches!(error.code, ErrorCode::Unknown | ErrorCode::Internal)
            }
            Self::HungUp { .. }
            | Self::NoAnswer { .. }
            | Self::Broken { .. }
            | Self::NotUnderstood { .. }
            | Self::HalfTaken { .. }
            | Self::Lagged { .. } => true,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::Refused { error, .. } => match error.code {
                ErrorCode::Params => Code::Usage,
                ErrorCode::NotFound => Code::Failed,
                _ => Code::Unusable,
            },
            _ => Code::Unusable,
        };
        Self::new(code, error)
    }
}
