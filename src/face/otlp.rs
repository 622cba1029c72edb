//! The daemon's spans, exported by OTLP over HTTP as JSON (feature `otlp`).
//!
//! By hand, over the HTTP client that is there: `opentelemetry-otlp` knows no client but reqwest,
//! which may not come in, or one of our own, and brings tonic and prost for what is a few objects of
//! JSON here.

mod layer;
mod sender;
mod wire;

use std::ffi::OsString;

use anyhow::Context;
use awc::http::header::{HeaderMap, HeaderName, HeaderValue};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use self::layer::Spans;
pub use self::sender::FlushSpans;
use self::sender::{Collector, start};

/// Where spans are sent, as every exporter of OpenTelemetry reads it: the collector's root.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// The very address traces are sent to; it goes before the other.
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// Headers to send along, such as an API's key: `name=value,name=value`, percent-encoded.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// A layer that exports our spans, if the environment names a collector, and what sends the last of
/// them when it goes.
///
/// # Errors
/// When the collector's address is none, a header is none, or there is no thread to be had.
pub fn from_environment<S>(
    environment: &[(OsString, OsString)],
) -> anyhow::Result<Option<(impl Layer<S> + Send + Sync + use<S>, FlushSpans)>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let named = |wanted| {
        let named = environment.iter().find(|(name, _)| name == wanted);
        let value = named.map(|(_, value)| value.to_string_lossy());
        value.filter(|value| !value.is_empty())
    };
    let url = match (named(TRACES_ENDPOINT), named(ENDPOINT)) {
        (Some(whole), _) => address(&whole).context(TRACES_ENDPOINT)?,
        (None, Some(root)) => traces_of(&root).context(ENDPOINT)?,
        (None, None) => return Ok(None),
    };
    let headers = headers_of(&named(HEADERS).unwrap_or_default()).context(HEADERS)?;
    let collector = Collector { url, headers };
    let (queue, flush) = start(collector).context("start the export of spans")?;
    // Ours alone: what sends them has spans of its own.
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::DEBUG);
    Ok(Some((Spans::new(queue).with_filter(ours), flush)))
}

/// Where a collector takes traces.
fn traces_of(root: &str) -> anyhow::Result<Url> {
    address(&format!("{}/v1/traces", root.trim_end_matches('/')))
}

fn address(text: &str) -> anyhow::Result<Url> {
    let url: Url = text.parse()?;
    anyhow::ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        "must be an address such as http://localhost:4318"
    );
    Ok(url)
}

/// The headers that a list names. What is wrong with one is told without its value, a secret.
fn headers_of(list: &str) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for pair in list
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
    {
        let (name, value) = pair
            .split_once('=')
            .context("must be name=value,name=value")?;
        let name = name.trim();
        let value = HeaderValue::from_bytes(&decoded(value.trim()));
        let value = value.with_context(|| format!("the value of {name} is no header's"))?;
        headers.append(
            HeaderName::try_from(name).context("no header's name")?,
            value,
        );
    }
    Ok(headers)
}

/// A text's bytes, each `%` and two hexadecimal digits for the byte they name.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let named = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match named.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_its_root() {
        for root in ["http://localhost:4318", "http://localhost:4318/"] {
            let url = traces_of(root).unwrap();
            assert_eq!(url.as_str(), "http://localhost:4318/v1/traces");
        }
        for wrong in ["localhost:4318", "grpc://localhost", "", "unix:/run/x"] {
            assert!(traces_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_are_a_list_and_no_secret_is_told() {
        let read = headers_of(" api-key=s%20e%2Ccret%3D , x-scope=a=b%zz,").unwrap();
        let value = |name: &str| read.get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            (value("api-key"), value("x-scope")),
            ("s e,cret=".into(), "a=b%zz".into())
        );
        assert!(headers_of("").unwrap().is_empty());
        for wrong in ["s3cret", "a b=s3cret", "a=s3cret%0a"] {
            let error = format!("{:#}", headers_of(wrong).unwrap_err());
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
