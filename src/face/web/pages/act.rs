//! What buttons do. Each answers with the page it was pressed on.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::back::back;
use super::form::{Form, base};
use super::jobs::Filter;
use super::see;
use crate::engine::{Kind, Queue};
use crate::face::protocol::{Cancel, KindName, MOST_IDS, QueueName, Retry, Submit};
use crate::face::web::Shared;
use crate::face::web::asked::Query;
use crate::face::web::problem::Problem;

/// Before everything that is waiting: a person looks on.
const FIRST: u8 = 0;

/// Reads a form that may change things.
async fn form(request: &HttpRequest, payload: Payload) -> Result<Form, Problem> {
    let form = Form::read(request, payload).await?;
    form.may_write(request)?;
    Ok(form)
}

fn go_back(request: &HttpRequest, form: &Form, done: &str) -> HttpResponse {
    see(&back(&base(request), form.one("back"), Some(done)))
}

/// Pauses a queue, or lets it go on.
pub(super) async fn queue(
    shared: Data<Shared>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let form = form(&request, payload).await?;
    let name = form.one("queue");
    let queue = Queue::from_name(name).ok_or_else(|| Problem::not_found("queue", name))?;
    let (pause, done) = match form.one("do") {
        "pause" => (true, "paused"),
        "resume" => (false, "resumed"),
        _ => return Err(Problem::params("do", "must be pause or resume")),
    };
    shared.site.pause(QueueName(queue), pause).await?;
    let done = format!("{done}.{}", queue.name());
    Ok(go_back(&request, &form, &done))
}

/// Cancels jobs or has them done again: those that were ticked, or all that a filter finds.
pub(super) async fn jobs(
    shared: Data<Shared>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let form = form(&request, payload).await?;
    let ids = match form.one("which") {
        "all" => matching(&shared, form.one("filter")).await?,
        _ => ticked(&form)?,
    };
    let done = match form.one("do") {
        "cancel" => {
            let cancelled = shared.site.cancel(Cancel { ids }).await?.cancelled;
            format!("cancelled.{}", cancelled.len())
        }
        "retry" => {
            let retried = shared.site.retry(Retry { ids }).await?.retried;
            format!("retried.{}", retried.len())
        }
        _ => return Err(Problem::params("do", "must be cancel or retry")),
    };
    Ok(go_back(&request, &form, &done))
}

fn ticked(form: &Form) -> Result<Vec<i64>, Problem> {
    let number = |id: &str| {
        let number = id.parse().ok();
        number.ok_or_else(|| Problem::params("id", "must be a whole number"))
    };
    form.all("id").map(number).collect()
}

/// The newest jobs that a filter finds, as many as one command may name.
async fn matching(shared: &Shared, filter: &str) -> Result<Vec<i64>, Problem> {
    let mut query = Query::read(filter)?;
    let filter = Filter::read(&mut query)?;
    query.end()?;
    let listed = shared.site.list(filter.list(None, MOST_IDS)?).await?;
    Ok(listed.jobs.iter().map(|job| job.id).collect())
}

/// Asks whether videos still exist: a job like any other, so it waits for the window.
pub(super) async fn ask(
    shared: Data<Shared>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let form = form(&request, payload).await?;
    let video_ids: Vec<&str> = form.all("video").filter(|id| !id.is_empty()).collect();
    if video_ids.is_empty() {
        return Err(Problem::params("video", "must name a video"));
    }
    let submit = Submit {
        kind: KindName(Kind::Liveness),
        payload: json!({"video_ids": video_ids, "fresh": true}),
        priority: FIRST,
        delay: None,
        run_at: None,
        unique_key: None,
        unique_for: None,
        traceparent: None,
    };
    let submitted = shared.site.submit(submit).await?;
    let job = submitted.ids.first().copied().unwrap_or_default();
    Ok(go_back(&request, &form, &format!("asked.{job}")))
}
