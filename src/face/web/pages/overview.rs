//! The overview: what waits, what works, and what somebody should look at.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::format::{Moment, cut, span};
use super::frame::{Frame, Tab};
use super::page;
use super::tiles::{Crew, Gauge, Slot, Tile, crews, tiles};
use crate::face::protocol::{Activity, Job, StatusReport, Time};
use crate::face::web::Shared;
use crate::face::web::asked::Query;
use crate::face::web::problem::Problem;

/// Events shown before any has come.
const EVENTS: usize = 12;
/// The most of an error that an event shows, in characters.
const LONGEST_ERROR: usize = 160;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    status: StatusReport,
    up: String,
    draining: bool,
    tiles: Vec<Tile>,
    gauge: Option<Gauge>,
    crews: Vec<Crew>,
    /// What somebody should look at, and what could not be read.
    alarms: Vec<String>,
    /// None: they could not be read.
    events: Option<Vec<Event>>,
    /// Whether there is a queue to look into.
    has_queue: bool,
}

/// Where a job was last seen.
struct Event {
    id: i64,
    queue: &'static str,
    state: &'static str,
    error: Option<String>,
    at: Option<Moment>,
}

/// Shows how everything fares.
pub(super) async fn overview(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let frame = Frame::live(&request, Tab::Overview, "Overview", &mut query);
    query.end()?;
    let site = &shared.site;
    let now = Time::now().0;
    let (status, rates, newest) = tokio::join!(
        site.status(),
        site.videos.glance(move |view| view.job_rates(now)),
        site.newest(EVENTS),
    );
    let status = status?;
    let mut alarms = status.alarms.clone();
    let has_queue = site.engine.is_durable();
    if has_queue {
        alarms.extend(unread("the queues", status.queue_error.as_ref()));
        // The rest may be slow on a large file; how everything fares is shown all the same.
        let no_rates = rates.as_ref().err().map(|error| &error.message);
        alarms.extend(unread("what the queues got done", no_rates));
        let no_events = newest.as_ref().err().map(|error| &error.message);
        alarms.extend(unread("the last events", no_events));
    }
    let rates = rates.unwrap_or_default();
    let events = if has_queue {
        newest.ok()
    } else {
        Some(Vec::new())
    };
    page(&Overview {
        frame,
        up: up(status.uptime_s),
        draining: status.state == Activity::Draining,
        tiles: tiles(&status, &rates),
        gauge: status.rate.as_ref().map(Gauge::of),
        crews: crews(&status),
        alarms,
        events: events.map(|jobs| jobs.into_iter().map(event).collect()),
        has_queue,
        status,
    })
}

fn unread(what: &str, why: Option<&String>) -> Option<String> {
    Some(format!("{what} cannot be read: {}", why?))
}

fn up(seconds: u64) -> String {
    span(i64::try_from(seconds).unwrap_or(i64::MAX / 1_000) * 1_000)
}

fn event(job: Job) -> Event {
    let at = job.ended_at.or(job.started_at).or(job.queued_at);
    Event {
        id: job.id,
        queue: job.queue.map(|queue| queue.0.name()).unwrap_or_default(),
        state: job.state.0.name(),
        error: job.error.map(|error| cut(&error, LONGEST_ERROR)),
        at: at.map(Moment::of),
    }
}
