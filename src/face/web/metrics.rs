//! What Prometheus scrapes.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::Shared;
use super::problem::Problem;
use crate::engine::EngineHandle;

/// The format, as Prometheus asks for it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is shown of an engine and its process.
pub(super) fn registry(engine: &EngineHandle) -> Registry {
    let mut registry = Registry::default();
    // First: what it cannot see is counted among the engine's.
    engine.register_process_metrics(&mut registry);
    engine.register_metrics(&mut registry);
    registry
}

/// Everything that is counted, and what is looked up now. Looking may block.
pub(super) async fn metrics(shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    let failed = |error: &dyn std::fmt::Display| {
        let detail = format!("write the metrics: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    };
    let registry = Arc::clone(&shared.metrics);
    let written = web::block(move || {
        let mut text = String::new();
        encode(&mut text, &registry).map(|()| text)
    });
    let text = written.await.map_err(|error| failed(&error))?;
    let text = text.map_err(|error| failed(&error))?;
    Ok(HttpResponse::Ok().content_type(OPEN_METRICS).body(text))
}
