//! Jobs: submitted, listed, looked at, waited for, cancelled and done again.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use std::time::Duration;

use super::super::Shared;
use super::super::asked::{Query, body, traceparent};
use super::super::problem::Problem;
use super::super::seen::{accepted, done, seen};
use super::number;
use crate::face::protocol::{ErrorCode, Get, List, RpcError, Span, States, Submit, Wait, Waited};

/// How long a request waits for an end if it does not say.
const WAITS: Duration = Duration::from_secs(30);
/// The longest it may: what stands between drops a connection that is silent for long.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Queues work.
pub(super) async fn submit(
    shared: Data<Shared>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let mut submit: Submit = body(&request, payload).await?;
    submit.traceparent = submit.traceparent.or_else(|| traceparent(&request));
    let submitted = shared.site.submit(submit).await?;
    let first = submitted.ids.first().copied().unwrap_or_default();
    let at = format!("{}/{first}", request.path());
    accepted(&submitted, &at)
}

/// Lists jobs, newest first.
pub(super) async fn list(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let list = list_of(&request)?;
    seen(&request, &shared.site.list(list).await?)
}

/// Which jobs a query asks for.
pub(in super::super) fn list_of(request: &HttpRequest) -> Result<List, Problem> {
    let mut query = Query::of(request)?;
    let mut list = List {
        state: States(query.values("state")?),
        queue: query.value("queue")?,
        kind: query.value("kind")?,
        group: query.number("group")?,
        unique_key: query.text("unique_key"),
        text: query.text("text"),
        before: query.number("before")?,
        ..List::default()
    };
    if let Some(limit) = query.number("limit")? {
        list.limit = limit;
    }
    query.end()?;
    Ok(list)
}

/// Everything of one job.
pub(super) async fn get(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    let id = number(&request, "job")?;
    seen(&request, &shared.site.get(Get { id }).await?.job)
}

/// Waits for a job's end, or for so long.
pub(super) async fn wait(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let timeout = timeout(&request)?;
    let wait = Wait {
        ids: vec![number(&request, "job")?],
        timeout: Some(timeout),
        ..Wait::default()
    };
    seen(&request, &waited(&shared, wait).await?)
}

/// Waits, unless the server closes meanwhile.
pub(super) async fn waited(shared: &Shared, wait: Wait) -> Result<Waited, Problem> {
    let mut closing = shared.closing.subscribe();
    tokio::select! {
        waited = shared.site.wait(wait) => Ok(waited?),
        _ = closing.wait_for(|closing| *closing) => {
            Err(RpcError::new(ErrorCode::Stopping, "the server is closing").into())
        }
    }
}

/// How long a request waits.
pub(super) fn timeout(request: &HttpRequest) -> Result<Span, Problem> {
    let mut query = Query::of(request)?;
    let timeout: Option<Span> = query.value("timeout")?;
    query.end()?;
    let timeout = timeout.unwrap_or(Span(WAITS));
    if timeout.0 > LONGEST_WAIT {
        return Err(Problem::params(
            "timeout",
            "must be 60s at most: ask again then",
        ));
    }
    Ok(timeout)
}

/// Cancels jobs that have not ended.
pub(super) async fn cancel(
    shared: Data<Shared>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    done(&shared.site.cancel(body(&request, payload).await?).await?)
}

/// Has failed and cancelled jobs done again.
pub(super) async fn retry(
    shared: Data<Shared>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    done(&shared.site.retry(body(&request, payload).await?).await?)
}
