//! awc's errors in our words. awc nests them deep, and its kinds are about its own layers, while
//! ours are about what the peer did.

use std::error::Error;
use std::io;

use awc::error::{ConnectError, PayloadError, SendRequestError};

use super::error::FetchError;
use super::wire::Stale;

/// Whether a kept connection was closed before it answered.
pub(super) fn is_stale(error: &SendRequestError) -> bool {
    io_cause(error).is_some_and(|io| {
        io.get_ref()
            .is_some_and(<dyn Error + Send + Sync>::is::<Stale>)
    })
}

/// The I/O error under a failed request.
fn io_cause(error: &SendRequestError) -> Option<&io::Error> {
    match error {
        SendRequestError::Send(io) | SendRequestError::Connect(ConnectError::Io(io)) => Some(io),
        SendRequestError::Response(parse) => {
            Error::source(parse).and_then(|source| source.downcast_ref())
        }
        _ => None,
    }
}

/// A request without an answer.
pub(super) fn from_send(error: SendRequestError) -> FetchError {
    if let Some(io) = io_cause(&error) {
        let ours = io
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<FetchError>());
        return match ours {
            Some(ours) => ours.clone(),
            None if io.kind() == io::ErrorKind::InvalidData => FetchError::Protocol(text(io)),
            None => FetchError::Broken(text(io)),
        };
    }
    match error {
        SendRequestError::Url(error) => FetchError::BadUrl(error.to_string()),
        // The URL has been parsed by now: a header is wrong.
        SendRequestError::Http(error) => FetchError::Setup(error.to_string()),
        SendRequestError::Connect(ConnectError::Disconnected) => {
            FetchError::Broken("closed before an answer".to_owned())
        }
        SendRequestError::Connect(error) => FetchError::Connect(error.to_string()),
        SendRequestError::Response(error) => FetchError::Protocol(error.to_string()),
        other => FetchError::Protocol(other.to_string()),
    }
}

/// A body that broke off.
pub(super) fn from_payload(error: PayloadError) -> FetchError {
    match error {
        PayloadError::Incomplete(None) => FetchError::Incomplete,
        PayloadError::Incomplete(Some(error)) | PayloadError::Io(error) => match error.kind() {
            io::ErrorKind::UnexpectedEof => FetchError::Incomplete,
            _ => FetchError::BrokenOff(text(&error)),
        },
        other => FetchError::BrokenOff(other.to_string()),
    }
}

/// An I/O error as a lowercase fragment, without the system's number.
pub(super) fn text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}
