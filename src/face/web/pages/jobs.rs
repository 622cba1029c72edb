//! Jobs: found by state, kind, queue and text; cancelled and done again, many at once.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::format::{Moment, count, cut, span};
use super::frame::{Frame, Tab};
use super::page;
use crate::engine::{JobState, Kind, Queue};
use crate::face::protocol::{Job, KindName, List, QueueName, State, States};
use crate::face::web::Shared;
use crate::face::web::asked::Query;
use crate::face::web::problem::Problem;

const JOBS_A_PAGE: usize = 50;
/// The most of an error that a list shows, in characters.
const LONGEST_ERROR: usize = 160;

/// Which jobs are looked for, as the form has it.
#[derive(Debug, Default)]
pub(super) struct Filter {
    state: Option<State>,
    kind: Option<KindName>,
    queue: Option<QueueName>,
    group: Option<i64>,
    text: Option<String>,
}

impl Filter {
    /// Takes its keys out of a query.
    pub(super) fn read(query: &mut Query) -> Result<Self, Problem> {
        Ok(Self {
            state: query.value("state")?,
            kind: query.value("kind")?,
            queue: query.value("queue")?,
            group: query.number("group")?,
            text: query.text("text"),
        })
    }

    /// What it asks for.
    pub(super) fn list(&self, before: Option<i64>, limit: usize) -> Result<List, Problem> {
        Ok(List {
            state: States(self.state.into_iter().collect()),
            queue: self.queue,
            kind: self.kind,
            group: self.group,
            unique_key: None,
            text: self.text.clone(),
            before,
            limit,
        })
    }

    /// The same as a query.
    fn query(&self, before: Option<i64>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let pairs = [
            ("state", self.state.map(|state| state.0.name().to_owned())),
            ("kind", self.kind.map(|kind| kind.0.name().to_owned())),
            ("queue", self.queue.map(|queue| queue.0.name().to_owned())),
            ("group", self.group.map(|group| group.to_string())),
            ("text", self.text.clone()),
            ("before", before.map(|before| before.to_string())),
        ];
        for (key, value) in pairs {
            if let Some(value) = value {
                query.append_pair(key, &value);
            }
        }
        query.finish()
    }
}

/// One of the things one may choose.
pub(super) struct Choice {
    pub(super) name: &'static str,
    pub(super) chosen: bool,
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct Jobs {
    frame: Frame,
    states: Vec<Choice>,
    kinds: Vec<Choice>,
    queues: Vec<Choice>,
    group: Option<i64>,
    text: String,
    filtered: bool,
    query: String,
    rows: Vec<Row>,
    is_first: bool,
    older: Option<String>,
}

/// A job in the list.
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) kind: String,
    pub(super) state: &'static str,
    pub(super) items: String,
    pub(super) attempts: u32,
    pub(super) crashes: u32,
    pub(super) group: Option<i64>,
    pub(super) queued: Option<Moment>,
    pub(super) took: Option<String>,
    pub(super) error: Option<String>,
}

/// Lists jobs, newest first.
pub(super) async fn jobs(
    shared: Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let mut frame = Frame::live(&request, Tab::Jobs, "Jobs", &mut query);
    let filter = Filter::read(&mut query)?;
    // A text is sought in every job, which is too much for each second that something moves.
    frame.live = filter.text.is_none();
    let before = query.number("before")?;
    query.end()?;
    let listed = shared.site.list(filter.list(before, JOBS_A_PAGE)?).await?;
    let asked = filter.query(None);
    page(&Jobs {
        frame,
        states: choices(
            JobState::ALL.map(JobState::name),
            filter.state.map(|s| s.0.name()),
        ),
        kinds: choices(Kind::ALL.map(Kind::name), filter.kind.map(|k| k.0.name())),
        queues: choices(
            Queue::ALL.map(Queue::name),
            filter.queue.map(|q| q.0.name()),
        ),
        group: filter.group,
        filtered: !asked.is_empty(),
        older: listed.next.map(|next| filter.query(Some(next))),
        text: filter.text.unwrap_or_default(),
        query: asked,
        rows: listed.jobs.into_iter().map(row).collect(),
        is_first: before.is_none(),
    })
}

/// Names to choose from, and which one is chosen.
pub(super) fn choices<const N: usize>(
    names: [&'static str; N],
    chosen: Option<&str>,
) -> Vec<Choice> {
    let choice = |name| Choice {
        name,
        chosen: chosen == Some(name),
    };
    names.map(choice).into()
}

fn row(job: Job) -> Row {
    Row {
        id: job.id,
        took: took(&job),
        kind: job
            .kind
            .map_or_else(|| "–".to_owned(), |kind| cut(&kind, 64)),
        state: job.state.0.name(),
        items: count(job.items),
        attempts: job.attempts,
        crashes: job.crashes,
        group: job.group,
        queued: job.queued_at.map(Moment::of),
        error: job.error.map(|error| cut(&error, LONGEST_ERROR)),
    }
}

/// How long its last attempt took.
pub(super) fn took(job: &Job) -> Option<String> {
    let (began, ended) = (job.started_at?, job.ended_at?);
    Some(span(ended.0.saturating_sub(began.0)))
}
