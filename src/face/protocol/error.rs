//! Errors as they go over the wire: a code for programs, a message for people, data for both.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Method;
use crate::engine::{EngineError, StoreError, SubmitError};

/// The datum of a refusal for want of a place: nothing was done, and soon there may be one.
pub const NO_PLACE: &str = "no_place";

/// What kind of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "i32", try_from = "i32")]
pub enum ErrorCode {
    /// The line is no JSON.
    Parse,
    /// The line is JSON but no request.
    Request,
    /// There is no such method.
    Method,
    /// The parameters do not fit the method.
    Params,
    /// Our own fault.
    Internal,
    /// There is no place or no lock to be had now; try again.
    Busy,
    /// The disk is full; nothing was written.
    StorageFull,
    /// It may have happened: repeat it with the same `unique_key`.
    Unknown,
    /// There is no such job or group.
    NotFound,
    /// The daemon is stopping.
    Stopping,
    /// The line is longer than a line may be; the connection is closed.
    LineTooLong,
    /// The line was begun and not ended in time, and the connection is closed; or a look into the
    /// queue took too long.
    Timeout,
    /// The engine's queue is a temporary one: its jobs are known to their tickets alone.
    NotDurable,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::Parse,
        Self::Request,
        Self::Method,
        Self::Params,
        Self::Internal,
        Self::Busy,
        Self::StorageFull,
        Self::Unknown,
        Self::NotFound,
        Self::Stopping,
        Self::LineTooLong,
        Self::Timeout,
        Self::NotDurable,
    ];

    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Parse => -32700,
            Self::Request => -32600,
            Self::Method => -32601,
            Self::Params => -32602,
            Self::Internal => -32603,
            Self::Busy => -32001,
            Self::StorageFull => -32002,
            Self::Unknown => -32003,
            Self::NotFound => -32004,
            Self::Stopping => -32005,
            Self::LineTooLong => -32006,
            Self::Timeout => -32007,
            Self::NotDurable => -32008,
        }
    }

    /// Its name in an error's data.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Request => "request",
            Self::Method => "method",
            Self::Params => "params",
            Self::Internal => "internal",
            Self::Busy => "busy",
            Self::StorageFull => "storage_full",
            Self::Unknown => "unknown",
            Self::NotFound => "not_found",
            Self::Stopping => "stopping",
            Self::LineTooLong => "line_too_long",
            Self::Timeout => "timeout",
            Self::NotDurable => "not_durable",
        }
    }
}

impl From<ErrorCode> for i32 {
    fn from(code: ErrorCode) -> Self {
        code.number()
    }
}

impl TryFrom<i32> for ErrorCode {
    type Error = String;

    fn try_from(number: i32) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|code| code.number() == number);
        known.ok_or_else(|| format!("{number} is no error code of this protocol"))
    }
}

/// An error that answers a request.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[error("{message}")]
pub struct RpcError {
    /// What kind of error it is.
    #[cfg_attr(test, schemars(with = "i32"))]
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// For programs: at least `error`, the code's name.
    #[serde(default)]
    pub data: Map<String, Value>,
}

impl RpcError {
    /// An error of this kind.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let data = Map::from_iter([("error".to_owned(), json!(code.name()))]);
        Self {
            code,
            message: message.into(),
            data,
        }
    }

    /// The same with one more datum.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.data.insert(key.to_owned(), value.into());
        self
    }

    /// A parameter that cannot be used.
    #[must_use]
    pub fn params(key: &str, reason: impl std::fmt::Display) -> Self {
        let error = Self::new(ErrorCode::Params, format!("{key}: {reason}"));
        error.with("key", key)
    }

    /// A method nobody knows.
    #[must_use]
    pub fn method(name: &str) -> Self {
        // The name is the client's own, but it need not be echoed at any length.
        let shown: String = name.chars().take(64).collect();
        let known: Vec<&str> = Method::ALL.into_iter().map(Method::name).collect();
        Self::new(ErrorCode::Method, format!("{shown:?}: no such method")).with("methods", known)
    }

    /// A job or group that is not there.
    #[must_use]
    pub fn not_found(what: &str, id: i64) -> Self {
        let error = Self::new(ErrorCode::NotFound, format!("{what} {id}: there is none"));
        error.with(what, id)
    }
}

impl From<EngineError> for RpcError {
    fn from(error: EngineError) -> Self {
        let code = match &error {
            EngineError::Store(error) | EngineError::Submit(SubmitError::Store(error)) => {
                store_code(error)
            }
            EngineError::JobGone(_) => ErrorCode::NotFound,
            EngineError::Submit(SubmitError::Stopping) | EngineError::Stopped => {
                ErrorCode::Stopping
            }
            EngineError::Submit(SubmitError::NotDurable) => ErrorCode::NotDurable,
            EngineError::Submit(
                SubmitError::SwitchedOff(_) | SubmitError::Payload(_) | SubmitError::Thread(_),
            )
            | EngineError::PanicAborts
            | EngineError::NoDatabase
            | EngineError::QueueTaken { .. }
            | EngineError::LockFile { .. }
            | EngineError::NoQueue
            | EngineError::Fetch(_)
            | EngineError::Config(_)
            | EngineError::Defaults(_)
            | EngineError::Thread(_)
            | EngineError::Lost => ErrorCode::Internal,
        };
        Self::new(code, error.to_string())
    }
}

const fn store_code(error: &StoreError) -> ErrorCode {
    match error {
        StoreError::Locked | StoreError::Interrupted => ErrorCode::Busy,
        StoreError::StorageFull => ErrorCode::StorageFull,
        StoreError::Unknown(_) => ErrorCode::Unknown,
        StoreError::NoGroup(_) => ErrorCode::NotFound,
        StoreError::NoDatabase { .. }
        | StoreError::NotADatabase { .. }
        | StoreError::Unopenable { .. }
        | StoreError::Missing { .. }
        | StoreError::OldSqlite { .. }
        | StoreError::ReadOnly { .. }
        | StoreError::LeaseLost
        | StoreError::Panicked(_)
        | StoreError::Corrupt(_)
        | StoreError::Replaced
        | StoreError::Failing(_)
        | StoreError::Payload(_)
        | StoreError::Sqlite(_) => ErrorCode::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_code_message_and_data() {
        let error = RpcError::params("payload.video_ids", "missing");
        assert_eq!(
            serde_json::to_value(&error).unwrap(),
            json!({"code": -32602, "message": "payload.video_ids: missing",
                   "data": {"error": "params", "key": "payload.video_ids"}})
        );
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::try_from(code.number()), Ok(code));
        }
    }

    #[test]
    fn the_engines_errors_tell_a_client_what_to_do() {
        let code = |error: EngineError| RpcError::from(error).code;
        assert_eq!(code(StoreError::StorageFull.into()), ErrorCode::StorageFull);
        assert_eq!(code(StoreError::Locked.into()), ErrorCode::Busy);
        let unknown = SubmitError::Store(StoreError::Unknown("fsync".into()));
        assert_eq!(code(unknown.into()), ErrorCode::Unknown);
        assert_eq!(code(SubmitError::Stopping.into()), ErrorCode::Stopping);
        assert_eq!(code(EngineError::Lost), ErrorCode::Internal);
    }
}
