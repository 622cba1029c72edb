//! Queues: looked at, paused, resumed and emptied.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::super::Shared;
use super::super::asked::Query;
use super::super::problem::Problem;
use super::super::seen::{done, seen};
use crate::engine::Queue;
use crate::face::protocol::QueueName;

/// All queues.
pub(super) async fn list(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.end()?;
    seen(&request, &shared.site.queues().await?)
}

/// Pauses a queue.
pub(super) async fn pause(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    done(&shared.site.pause(queue(&request)?, true).await?)
}

/// Lets a queue go on.
pub(super) async fn resume(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    done(&shared.site.pause(queue(&request)?, false).await?)
}

/// Cancels every job of a queue that waits.
pub(super) async fn purge(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    done(&shared.site.purge(queue(&request)?).await?)
}

fn queue(request: &HttpRequest) -> Result<QueueName, Problem> {
    Query::of(request)?.end()?;
    let name = request.match_info().query("queue");
    let queue = Queue::from_name(name).map(QueueName);
    queue.ok_or_else(|| Problem::not_found("queue", name))
}
