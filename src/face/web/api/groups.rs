//! Groups: a batch handed in at once, and how far it is.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::super::Shared;
use super::super::asked::{Query, body, traceparent};
use super::super::problem::Problem;
use super::super::seen::{accepted, seen, seen_large};
use super::jobs::{timeout, waited};
use super::number;
use crate::face::protocol::{SubmitBatch, Wait};

/// Queues all that a batch file asks for.
pub(super) async fn submit(
    shared: Data<Shared>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let mut batch: SubmitBatch = body(&request, payload).await?;
    batch.traceparent = batch.traceparent.or_else(|| traceparent(&request));
    let batch = shared.site.submit_batch(batch).await?;
    let path = request.path();
    let at = path.strip_suffix("batches").unwrap_or(path);
    let at = format!("{at}groups/{}", batch.group);
    accepted(&batch, &at)
}

/// How far a group is.
pub(super) async fn get(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let id = number(&request, "group")?;
    seen(&request, &shared.site.group(id).await?)
}

/// Waits for a group's end, or for so long.
pub(super) async fn wait(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let wait = Wait {
        group: Some(number(&request, "group")?),
        timeout: Some(timeout(&request)?),
        ..Wait::default()
    };
    seen_large(&request, waited(&shared, wait).await?).await
}

/// What its jobs found: the very report of `vvv-actors batch`.
pub(super) async fn report(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let id = number(&request, "group")?;
    seen_large(&request, shared.site.report(id).await?).await
}
