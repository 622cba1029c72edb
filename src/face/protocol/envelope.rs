//! The object around each command and each answer.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::error::Category;

use super::{Command, ErrorCode, Method, RpcError};

const VERSION: &str = "2.0";

/// What names a request in its answer: text, a number or null.
pub type Id = Value;

/// A request as it was read, its parameters not looked at yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What names it; none: a notification, which gets no answer.
    pub id: Option<Id>,
    /// What is asked for, as named.
    pub method: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    jsonrpc: String,
    #[serde(default, deserialize_with = "given")]
    id: Option<Id>,
    method: String,
    #[serde(default, rename = "params")]
    _params: IgnoredAny,
}

/// Tells `"id": null` from no id.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Id>, D::Error> {
    Id::deserialize(deserializer).map(Some)
}

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    /// When the line is no JSON or no request. The id is then not known.
    pub fn read(line: &[u8]) -> Result<Self, RpcError> {
        let invalid = |reason: &str| RpcError::new(ErrorCode::Request, reason);
        if line.trim_ascii_start().first() == Some(&b'[') {
            return Err(invalid(
                "batches are not taken: send one object a line, and many lines at once",
            ));
        }
        let envelope: Envelope = serde_json::from_slice(line).map_err(|error| {
            let code = match error.classify() {
                Category::Data => ErrorCode::Request,
                Category::Syntax | Category::Eof | Category::Io => ErrorCode::Parse,
            };
            RpcError::new(code, format!("read the request: {error}"))
        })?;
        if envelope.jsonrpc != VERSION {
            return Err(invalid("jsonrpc: must be \"2.0\""));
        }
        match envelope.id {
            None | Some(Value::Null | Value::Number(_) | Value::String(_)) => Ok(Self {
                id: envelope.id,
                method: envelope.method,
            }),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
                Err(invalid("id: must be text, a number or null"))
            }
        }
    }
}

/// The parameters of a command, from the whole line: read as their own type at once, for a line
/// may hold thousands of videos.
///
/// # Errors
/// When they do not fit; the error names the key.
pub fn params<C: Command>(line: &[u8]) -> Result<C, RpcError> {
    #[derive(Deserialize)]
    #[serde(bound(deserialize = "C: Deserialize<'de>"))]
    struct Rest<C> {
        #[serde(deserialize_with = "named")]
        params: C,
    }
    // Keeping the path is paid for at every value, so it is found only where it is needed.
    if let Ok(rest) = serde_json::from_slice::<Rest<C>>(line) {
        return Ok(rest.params);
    }
    let mut json = serde_json::Deserializer::from_slice(line);
    match serde_path_to_error::deserialize::<_, Rest<C>>(&mut json) {
        Ok(rest) => Ok(rest.params),
        Err(error) => {
            let path = error.path().to_string();
            let key = path.strip_prefix("params").unwrap_or(&path);
            let key = key.trim_start_matches('.').to_owned();
            let reason = error.into_inner();
            // Where nothing is given, nothing may be needed.
            if path == "."
                && let Ok(nothing) = serde_json::from_str("{}")
            {
                return Ok(nothing);
            }
            Err(RpcError::params(
                if key.is_empty() { "params" } else { &key },
                reason,
            ))
        }
    }
}

/// Reads an object and nothing else: a list would be read by position.
fn named<'de, D: Deserializer<'de>, C: Deserialize<'de>>(deserializer: D) -> Result<C, D::Error> {
    struct Named<C>(PhantomData<C>);

    impl<'de, C: Deserialize<'de>> Visitor<'de> for Named<C> {
        type Value = C;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<C, A::Error> {
            C::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(Named(PhantomData))
}

/// A request on its way to the daemon.
#[derive(Debug, Serialize)]
pub struct Outgoing<'a, C> {
    jsonrpc: &'static str,
    id: u64,
    method: &'static str,
    params: &'a C,
}

impl Request {
    /// A command as a line, its end included.
    ///
    /// # Errors
    /// None in practice.
    pub fn line<C: Command>(id: u64, command: &C) -> serde_json::Result<Vec<u8>> {
        line(&Outgoing {
            jsonrpc: VERSION,
            id,
            method: C::METHOD.name(),
            params: command,
        })
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    jsonrpc: String,
    /// What names the request; null if it could not be read.
    pub id: Id,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RpcError>,
}

/// The same while it is written, so that no answer is built twice.
#[derive(Serialize)]
struct Success<'a, T> {
    jsonrpc: &'static str,
    id: &'a Id,
    result: &'a T,
}

#[derive(Serialize)]
struct Notification<'a, T> {
    jsonrpc: &'static str,
    method: &'a str,
    params: &'a T,
}

impl Reply {
    /// A result as a line, its end included.
    ///
    /// # Errors
    /// None in practice.
    pub fn success<T: Serialize>(id: &Id, result: &T) -> serde_json::Result<Vec<u8>> {
        line(&Success {
            jsonrpc: VERSION,
            id,
            result,
        })
    }

    /// An error as a line, its end included.
    #[must_use]
    pub fn failure(id: Id, error: RpcError) -> Vec<u8> {
        let reply = Self {
            jsonrpc: VERSION.to_owned(),
            id,
            result: None,
            error: Some(error),
        };
        line(&reply).unwrap_or_default()
    }

    /// News nobody asked for by an id, as a line.
    ///
    /// # Errors
    /// None in practice.
    pub fn news<T: Serialize>(method: &str, params: &T) -> serde_json::Result<Vec<u8>> {
        line(&Notification {
            jsonrpc: VERSION,
            method,
            params,
        })
    }
}

/// What a command's reply holds.
///
/// # Errors
/// The daemon's error, or one of ours if the reply is none.
pub fn result_of<C: Command>(reply: Reply) -> Result<C::Answer, RpcError> {
    if let Some(error) = reply.error {
        return Err(error);
    }
    serde_json::from_value(reply.result.unwrap_or_default()).map_err(|error| {
        let message = format!("read the answer to {}: {error}", method_of::<C>());
        RpcError::new(ErrorCode::Internal, message)
    })
}

const fn method_of<C: Command>() -> Method {
    C::METHOD
}

fn line<T: Serialize>(object: &T) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(object)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::super::{Get, Status, Submit};
    use super::*;
    use serde_json::json;

    fn refused(line: &str) -> (i32, String) {
        let error = Request::read(line.as_bytes()).unwrap_err();
        (error.code.number(), error.message)
    }

    #[test]
    fn a_request_is_told_from_what_is_none() {
        let read = |line: &str| Request::read(line.as_bytes()).unwrap();
        let request = read(r#"{"jsonrpc":"2.0","id":"x","method":"m","params":{"a":1}}"#);
        assert_eq!(request.id, Some(json!("x")));
        assert_eq!(request.method, "m");
        assert_eq!(read(r#"{"jsonrpc":"2.0","method":"m"}"#).id, None);
        let null = read(r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#);
        assert_eq!(null.id, Some(Value::Null));
        for (line, code, part) in [
            ("", -32700, "EOF"),
            ("{", -32700, "EOF"),
            ("nonsense", -32700, "expected"),
            ("{\"jsonrpc\":\"2.0\"}x", -32600, "method"),
            ("[]", -32600, "batches"),
            (" [{}", -32600, "batches"),
            ("7", -32600, "invalid type"),
            (r#"{"jsonrpc":"1.0","method":"m"}"#, -32600, "jsonrpc"),
            (
                r#"{"jsonrpc":"2.0","method":"m","extra":1}"#,
                -32600,
                "extra",
            ),
            (r#"{"jsonrpc":"2.0","method":7}"#, -32600, "invalid type"),
            (r#"{"jsonrpc":"2.0","method":"m","id":[]}"#, -32600, "id:"),
            (
                r#"{"jsonrpc":"2.0","method":"m","id":1e999}"#,
                -32700,
                "range",
            ),
        ] {
            let (number, message) = refused(line);
            assert_eq!(number, code, "{line}: {message}");
            assert!(message.contains(part), "{line}: {message}");
        }
    }

    fn bad_params<C: Command + fmt::Debug>(params: &str) -> RpcError {
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#);
        super::params::<C>(line.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_parameter_at_fault_is_named() {
        for (error, key) in [
            (bad_params::<Get>(r#"{"id":"x"}"#), "id"),
            (bad_params::<Get>(r#"{"id":1,"di":2}"#), "di"),
            (bad_params::<Get>("[]"), "params"),
            (bad_params::<Get>("[7]"), "params"),
            (bad_params::<Get>("{}"), "params"),
            (bad_params::<Submit>(r#"{"kind":"x","payload":{}}"#), "kind"),
            (
                bad_params::<Submit>(r#"{"kind":"score","payload":{},"delay":5}"#),
                "delay",
            ),
        ] {
            assert_eq!(error.code, ErrorCode::Params);
            assert_eq!(error.data["key"], key, "{error:?}");
        }
        let deep = format!(r#"{{"kind":"score","payload":{}"#, "[".repeat(5000));
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{deep}"#);
        assert!(Request::read(line.as_bytes()).is_err());
    }

    #[test]
    fn where_nothing_is_asked_nothing_need_be_given() {
        for line in [
            r#"{"jsonrpc":"2.0","id":1,"method":"daemon.status"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"daemon.status","params":{}}"#,
        ] {
            params::<Status>(line.as_bytes()).unwrap();
        }
        assert_eq!(bad_params::<Status>(r#"{"x":1}"#).data["key"], "x");
        let none = r#"{"jsonrpc":"2.0","id":1,"method":"jobs.get"}"#;
        let error = params::<Get>(none.as_bytes()).unwrap_err();
        assert_eq!(error.code, ErrorCode::Params);
    }

    #[test]
    fn a_command_and_its_answer_come_back() {
        let line = Request::line(7, &Get { id: 3 }).unwrap();
        assert_eq!(line.last(), Some(&b'\n'));
        let request = Request::read(&line).unwrap();
        assert_eq!(request.method, "jobs.get");
        assert_eq!(params::<Get>(&line).unwrap(), Get { id: 3 });
        let line = Reply::failure(json!(7), RpcError::not_found("job", 3));
        let reply: Reply = serde_json::from_slice(&line).unwrap();
        let error = result_of::<Get>(reply).unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound);
    }
}
