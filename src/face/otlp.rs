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
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use self::layer::Spans;
pub use self::sender::FlushSpans;
use self::sender::start;

/// Where spans are sent, as every exporter of OpenTelemetry reads it: the collector's root.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// A layer that exports our spans, if the environment names a collector, and what sends the last of
/// them when it goes.
///
/// # Errors
/// When the collector's address is none, or there is no thread to be had.
pub fn from_environment<S>(
    environment: &[(OsString, OsString)],
) -> anyhow::Result<Option<(impl Layer<S> + Send + Sync + use<S>, FlushSpans)>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let named = environment.iter().find(|(name, _)| name == ENDPOINT);
    let Some((_, value)) = named.filter(|(_, value)| !value.is_empty()) else {
        return Ok(None);
    };
    let collector = traces_of(&value.to_string_lossy()).context(ENDPOINT)?;
    let (queue, flush) = start(&collector).context("start the export of spans")?;
    // Ours alone: what sends them has spans of its own.
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::DEBUG);
    Ok(Some((Spans::new(queue).with_filter(ours), flush)))
}

/// Where a collector takes traces.
fn traces_of(root: &str) -> anyhow::Result<Url> {
    let url: Url = format!("{}/v1/traces", root.trim_end_matches('/')).parse()?;
    anyhow::ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        "must be an address such as http://localhost:4318"
    );
    Ok(url)
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
}
