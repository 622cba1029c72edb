//! Drives a one-shot run: submits the plan, gathers the news, heeds signals and the deadline.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::{self, SelectAll};
use tokio::task::JoinHandle;

use super::batch_file::Plan;
use super::cli::selection::FailOn;
use super::exit::Code;
use super::progress::Progress;
use super::report::{Collector, Report, Summary};
use super::signals::{Signal, Signals};
use crate::engine::{EngineError, EngineHandle, JobEvents, Lost, SubmitError, TicketEvent};

/// How often progress is shown.
const SHOW_EVERY: Duration = Duration::from_millis(200);

/// Choices of a run that concern its face.
#[derive(Debug)]
pub struct Choices {
    /// When the program started.
    pub began: Instant,
    /// How long the run may take.
    pub deadline: Option<Duration>,
    /// How long running jobs may take to finish at a stop.
    pub drain: Duration,
    /// Verdicts that make the run fail.
    pub fail_on: Vec<FailOn>,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// The database, for the report.
    pub database: String,
    /// Whether an unjudged picture counts as broken.
    pub unknown_is_broken: bool,
}

/// What ended a run before its work did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Early {
    /// Somebody told it to end.
    Signal(Signal),
    /// Its time was up.
    Deadline,
    /// Jobs that somebody cancelled, or deleted before we heard of their end.
    Withdrawn(usize),
    /// The database's file was replaced or removed.
    Replaced,
    /// The engine died.
    Lost,
}

impl Early {
    fn describe(self) -> String {
        match self {
            Self::Signal(signal) => format!("interrupted by {}", signal.name()),
            Self::Deadline => "the deadline was reached".to_owned(),
            Self::Withdrawn(jobs) => format!("{jobs} of its jobs were cancelled or deleted"),
            Self::Replaced => Lost::DatabaseReplaced.to_string(),
            Self::Lost => "engine lost".to_owned(),
        }
    }

    const fn code(self) -> Option<Code> {
        match self {
            Self::Signal(signal) => Some(signal.code()),
            Self::Replaced => Some(Code::Unusable),
            Self::Lost | Self::Withdrawn(_) => Some(Code::Failed),
            Self::Deadline => None,
        }
    }
}

/// Runs the plan to its end, or until it is told to stop; the engine is stopped in any case.
///
/// # Errors
/// When the work was not taken.
pub async fn run(
    engine: &EngineHandle,
    plan: Plan,
    choices: &Choices,
    mut signals: Signals,
    progress: &mut Progress,
) -> Result<(Report, Code), EngineError> {
    let mut collector = Collector::new(&plan, choices.unknown_is_broken);
    let mut end = End::new(engine, choices.drain);
    let mut tickets = Vec::new();
    tokio::select! {
        submitted = submit(engine, plan, &mut tickets) => submitted?,
        signal = signals.next() => end.heed(signal, progress),
    }
    let jobs = tickets.iter().map(JobEvents::jobs).sum();
    let news = merge(tickets);
    let all_told = follow(
        news,
        choices,
        &mut end,
        &mut signals,
        &mut collector,
        progress,
    )
    .await;
    if let Some(signal) = signals.close() {
        end.heed(signal, progress);
    }
    let early = end.come(all_told).await;
    progress.finish();
    Ok(conclude(
        collector,
        choices,
        jobs,
        engine.calls_made(),
        early,
    ))
}

/// The report of a run whose deadline came while another process still held the database.
#[must_use]
pub fn nothing_done(plan: &Plan, choices: &Choices) -> (Report, Code) {
    let collector = Collector::new(plan, choices.unknown_is_broken);
    conclude(collector, choices, 0, 0, Some(Early::Deadline))
}

/// The report of a run that has ended, and the code it ends with.
#[must_use]
pub fn conclude(
    collector: Collector,
    choices: &Choices,
    jobs: usize,
    oembed_calls: u64,
    early: Option<Early>,
) -> (Report, Code) {
    let report = collector.into_report(|gathered| Summary {
        jobs,
        oembed_calls,
        elapsed_ms: u64::try_from(choices.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        dry_run: choices.dry_run,
        ended_by: early.map(Early::describe),
        ..Summary::of(gathered, choices.database.clone())
    });
    let code = code(&report, early, &choices.fail_on);
    (report, code)
}

fn code(report: &Report, early: Option<Early>, fail_on: &[FailOn]) -> Code {
    let failed =
        !report.summary.failures.is_empty() || fail_on.iter().any(|verdict| report.holds(*verdict));
    early
        .and_then(Early::code)
        .unwrap_or(if failed { Code::Failed } else { Code::Success })
}

/// What takes longest goes first. Each ticket is there as soon as it is to be had.
async fn submit(
    engine: &EngineHandle,
    plan: Plan,
    tickets: &mut Vec<JobEvents>,
) -> Result<(), EngineError> {
    for job in plan.into_jobs() {
        match engine.start_job(job).await {
            Ok(ticket) => tickets.push(ticket),
            // What it would have done is listed as not done.
            Err(EngineError::Submit(error @ SubmitError::SwitchedOff(_))) => {
                tracing::warn!("{error}");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gathers the news to its end; whether all jobs ended before it did.
async fn follow(
    mut news: News,
    choices: &Choices,
    end: &mut End<'_>,
    signals: &mut Signals,
    collector: &mut Collector,
    progress: &mut Progress,
) -> bool {
    let (stop_at, last_drain) = plan_deadline(choices);
    let mut show = tokio::time::interval(SHOW_EVERY);
    let mut all_told = true;
    loop {
        tokio::select! {
            biased;
            event = news.next() => match event {
                Some(Some(event)) => collector.note(event),
                Some(None) => all_told = false,
                None => return all_told,
            },
            signal = signals.next() => end.heed(signal, progress),
            () = sleep_until(stop_at), if end.early.is_none() => {
                end.begin(Early::Deadline, last_drain);
            }
            _ = show.tick() => progress.show(collector, end.engine).await,
        }
    }
}

/// How a run comes to its end.
struct End<'a> {
    engine: &'a EngineHandle,
    drain: Duration,
    early: Option<Early>,
    stopping: Option<JoinHandle<()>>,
}

impl<'a> End<'a> {
    const fn new(engine: &'a EngineHandle, drain: Duration) -> Self {
        Self {
            engine,
            drain,
            early: None,
            stopping: None,
        }
    }

    fn heed(&mut self, signal: Signal, progress: &Progress) {
        progress.say("stopping: running jobs finish; the same again ends at once");
        self.begin(Early::Signal(signal), self.drain);
    }

    fn begin(&mut self, early: Early, drain: Duration) {
        self.early = Some(early);
        self.stop(drain);
    }

    /// Tells the engine to stop, once.
    fn stop(&mut self, drain: Duration) -> &mut JoinHandle<()> {
        self.stopping.get_or_insert_with(|| {
            let engine = self.engine.clone();
            tokio::spawn(async move { engine.shutdown(drain).await })
        })
    }

    /// Waits until the engine has stopped; what ended the run before its work did.
    async fn come(mut self, all_told: bool) -> Option<Early> {
        let _ = self.stop(self.drain).await;
        // Its thread is joined, so it has said whether it was lost. One that could not even say
        // that has left work behind which nobody asked it to leave.
        match self.engine.lost() {
            Some(Lost::DatabaseReplaced) => Some(Early::Replaced),
            Some(Lost::Died) => Some(Early::Lost),
            None if !all_told && self.early.is_none() => Some(Early::Lost),
            None => self.early,
        }
    }
}

type News = SelectAll<stream::BoxStream<'static, Option<TicketEvent>>>;

/// The news of all tickets in one stream, which ends with the last of them. One that ends before
/// its jobs have ended says so by `None`.
fn merge(tickets: Vec<JobEvents>) -> News {
    let streams = tickets.into_iter().map(|ticket| {
        stream::unfold(Some(ticket), |ticket| async move {
            let mut ticket = ticket?;
            match ticket.next().await {
                Some(event) => Some((Some(event), Some(ticket))),
                None if ticket.has_ended() => None,
                None => Some((None, None)),
            }
        })
        .boxed()
    });
    stream::select_all(streams)
}

/// When to begin stopping so that the deadline holds, and how long running jobs then have.
fn plan_deadline(choices: &Choices) -> (Option<Instant>, Duration) {
    let Some(deadline) = choices.deadline else {
        return (None, choices.drain);
    };
    let drain = choices.drain.min(deadline / 4);
    (Some(choices.began + (deadline - drain)), drain)
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
