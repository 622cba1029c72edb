//! Drives a one-shot run: submits the plan, gathers the news, heeds signals and the deadline.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::{self, SelectAll};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::batch_file::Plan;
use super::cli::selection::FailOn;
use super::exit::Code;
use super::progress::Progress;
use super::report::{Collector, Report, Summary};
use crate::engine::{
    EngineError, EngineHandle, Job, LivenessJob, ScoreJob, SubmitError, ThumbnailsJob, Ticket,
    TicketEvent,
};

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
enum Early {
    Interrupted,
    Terminated,
    Deadline,
    Lost,
}

impl Early {
    const fn describe(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted by SIGINT",
            Self::Terminated => "interrupted by SIGTERM",
            Self::Deadline => "the deadline was reached",
            Self::Lost => "engine lost",
        }
    }

    const fn code(self) -> Option<Code> {
        match self {
            Self::Interrupted => Some(Code::Interrupted),
            Self::Terminated => Some(Code::Terminated),
            Self::Lost => Some(Code::Failed),
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
    progress: &mut Progress,
) -> Result<(Report, Code), EngineError> {
    let mut collector = Collector::new(&plan, choices.unknown_is_broken);
    let tickets = submit(engine, plan).await?;
    let jobs = tickets.iter().map(Ticket::jobs).sum();
    let early = follow(engine, tickets, choices, &mut collector, progress).await?;
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

fn conclude(
    collector: Collector,
    choices: &Choices,
    jobs: usize,
    oembed_calls: u64,
    early: Option<Early>,
) -> (Report, Code) {
    let report = collector.into_report(|gathered| Summary {
        version: env!("CARGO_PKG_VERSION"),
        db: choices.database.clone(),
        jobs,
        failures: gathered.failures,
        not_done: gathered.not_done,
        cached: gathered.cached,
        oembed_calls,
        elapsed_ms: u64::try_from(choices.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        dry_run: choices.dry_run,
        ended_by: early.map(|early| early.describe().to_owned()),
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

/// What takes longest goes first.
async fn submit(engine: &EngineHandle, plan: Plan) -> Result<Vec<Ticket>, EngineError> {
    let jobs = [
        plan.liveness
            .map(|video_ids| Job::Liveness(LivenessJob { video_ids })),
        plan.thumbnails
            .map(|videos| Job::Thumbnails(ThumbnailsJob { videos })),
        plan.scoring
            .map(|video_ids| Job::Score(ScoreJob { video_ids })),
    ];
    let mut tickets = Vec::new();
    for job in jobs.into_iter().flatten() {
        match engine.submit(job).await {
            Ok(ticket) => tickets.push(ticket),
            // What it would have done is listed as not done.
            Err(EngineError::Submit(error @ SubmitError::SwitchedOff(_))) => {
                tracing::warn!("{error}");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(tickets)
}

async fn follow(
    engine: &EngineHandle,
    tickets: Vec<Ticket>,
    choices: &Choices,
    collector: &mut Collector,
    progress: &mut Progress,
) -> Result<Option<Early>, EngineError> {
    let mut news = merge(tickets);
    let mut signals = Signals::listen().map_err(EngineError::Thread)?;
    let (stop_at, last_drain) = plan_deadline(choices);
    let mut show = tokio::time::interval(SHOW_EVERY);
    let mut early: Option<Early> = None;
    let mut stopping = None;
    loop {
        tokio::select! {
            biased;
            event = news.next() => match event {
                Some(event) => collector.note(event),
                None => break,
            },
            signal = signals.next() => {
                if matches!(early, Some(Early::Interrupted | Early::Terminated)) {
                    end_at_once(signal);
                }
                early = Some(signal);
                progress.say("stopping: running jobs finish; the same again ends at once");
                stopping.get_or_insert_with(|| stop(engine, choices.drain));
            }
            () = sleep_until(stop_at), if early.is_none() => {
                early = Some(Early::Deadline);
                stopping.get_or_insert_with(|| stop(engine, last_drain));
            }
            _ = show.tick() => progress.show(collector, engine).await,
        }
    }
    if engine.is_lost() {
        early = Some(Early::Lost);
    }
    let _ = stopping
        .unwrap_or_else(|| stop(engine, choices.drain))
        .await;
    Ok(early)
}

fn stop(engine: &EngineHandle, drain: Duration) -> tokio::task::JoinHandle<()> {
    let engine = engine.clone();
    tokio::spawn(async move { engine.shutdown(drain).await })
}

/// The news of all tickets in one stream, which ends with the last of them.
fn merge(tickets: Vec<Ticket>) -> SelectAll<stream::BoxStream<'static, TicketEvent>> {
    let streams = tickets.into_iter().map(|ticket| {
        stream::unfold(ticket, |mut ticket| async move {
            let event = ticket.next().await?;
            Some((event, ticket))
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

/// The signals that end a run.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate,
        })
    }

    async fn next(&mut self) -> Early {
        tokio::select! {
            _ = self.interrupt.recv() => Early::Interrupted,
            _ = self.terminate.recv() => Early::Terminated,
        }
    }
}

/// What was committed stays; the rest is given up without a report.
fn end_at_once(signal: Early) -> ! {
    std::process::exit(signal.code().unwrap_or(Code::Interrupted).number().into())
}
