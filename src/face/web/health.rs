//! Whether we live, and whether we are of use: for whoever restarts us, and whoever sends us work.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::json;
use tokio::time::timeout;

use super::Shared;
use super::problem::Problem;

/// Actors that have not answered by then are stuck.
const TO_ANSWER: Duration = Duration::from_secs(2);

/// The process answers.
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// All actors answer, and work is taken.
pub(super) async fn readyz(shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    let unready = |detail: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unready", detail);
    if shared.site.is_draining() {
        return Err(unready("it is about to stop"));
    }
    match timeout(TO_ANSWER, shared.site.engine.status()).await {
        Ok(Ok(_)) => Ok(HttpResponse::Ok().json(json!({"status": "ready"}))),
        Ok(Err(error)) => Err(unready(&error.to_string())),
        Err(_) => Err(unready("the actors do not answer")),
    }
}
