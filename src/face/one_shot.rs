//! What `batch`, `score`, `thumbnails` and `liveness` share: an engine for one run and its report.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::batch_file::Plan;
use super::cli::selection::{FailOn, RunArgs, SelectionArgs};
use super::cli::{Console, Format, Global};
use super::exit::{Code, Failure, printed};
use super::hand_over::hand_over;
use super::progress::Progress;
use super::report::{Report, print_tables};
use super::run::{Choices, nothing_done, run};
use super::signals::Signals;
use crate::config::{Config, Loaded, ThumbnailPolicy};
use crate::engine::{
    self, Engine, EngineError, EngineHandle, Kind, SelectedVideo, Selection, ThumbnailItem,
    once_each,
};

/// How long handing over what a deadline left may wait for the database.
const HAND_OVER: Duration = Duration::from_secs(5);

/// One run: what to do, where, and under which limits.
#[derive(Debug)]
pub struct OneShot {
    /// When the command began: looking for its work takes time too.
    pub began: Instant,
    /// The work.
    pub plan: Plan,
    /// The database.
    pub database: PathBuf,
    /// How long, and whether to write.
    pub run: RunArgs,
    /// Reuse no earlier verdict.
    pub fresh: bool,
    /// The most calls to the rate-limited upstream.
    pub max_calls: Option<u64>,
    /// Whether what is left goes to the durable queue.
    pub enqueue_rest: bool,
    /// Verdicts that make the run fail.
    pub fail_on: Vec<FailOn>,
}

impl OneShot {
    /// A verb's run on the ids named, or on those the database selects.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn chosen(
        kind: Kind,
        selection: &SelectionArgs,
        run: &RunArgs,
        loaded: &Loaded,
    ) -> Result<Self, Failure> {
        let began = Instant::now();
        let config = &loaded.config;
        Ok(Self {
            began,
            plan: plan(kind, selection, run.deadline, config)?,
            database: config.database.path.clone(),
            run: run.clone(),
            fresh: false,
            max_calls: None,
            enqueue_rest: false,
            fail_on: Vec::new(),
        })
    }

    /// Runs it and prints the report.
    ///
    /// # Errors
    /// When the database or the configuration cannot be used, or the report cannot be printed.
    pub fn run(
        self,
        global: &Global,
        loaded: &Loaded,
        console: &mut Console<'_>,
    ) -> Result<Code, Failure> {
        let mut config = loaded.config.clone();
        config.database.path.clone_from(&self.database);
        let choices = Choices {
            began: self.began,
            deadline: self.run.deadline,
            drain: config.engine.drain_timeout,
            fail_on: self.fail_on,
            dry_run: self.run.dry_run,
            database: self.database.display().to_string(),
            unknown_is_broken: config.thumbnails.policy == ThumbnailPolicy::Article,
        };
        let left = self
            .run
            .deadline
            .map(|deadline| deadline.saturating_sub(self.began.elapsed()));
        let rest_of = self.enqueue_rest.then(|| self.plan.clone());
        let start = Engine::builder()
            .config(config.clone())
            .fresh(self.fresh)
            .dry_run(self.run.dry_run)
            .max_calls(self.max_calls)
            .open_within(left);
        let (mut report, code) = if left == Some(Duration::ZERO) {
            nothing_done(&self.plan, &choices)
        } else {
            match start.start() {
                Ok(engine) => drive(&engine, self.plan, &choices, global, console)?,
                Err(error) if error.is_locked() => nothing_done(&self.plan, &choices),
                Err(error) => return Err(failure(error)),
            }
        };
        let is_interrupted = matches!(code, Code::Interrupted | Code::Terminated);
        let mut handed = Ok(());
        if let Some(plan) = rest_of.filter(|_| !is_interrupted) {
            let within = left.map(|_| HAND_OVER);
            handed = hand_over(&plan, &report.summary.not_done, &config, within)
                .map(|taken| report.summary.enqueued = taken);
        }
        print(&report, global.format(console.stdout_is_terminal), console)?;
        handed?;
        Ok(code)
    }
}

fn drive(
    engine: &EngineHandle,
    plan: Plan,
    choices: &Choices,
    global: &Global,
    console: &Console<'_>,
) -> Result<(Report, Code), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(unstarted)?;
    let signals = Signals::watch().map_err(unstarted)?;
    let mut progress = Progress::new(global.quiet, console.stderr_is_terminal);
    let ended = runtime.block_on(run(engine, plan, choices, signals, &mut progress));
    ended.map_err(failure)
}

fn unstarted(error: std::io::Error) -> Failure {
    let error = anyhow::Error::new(error).context("start the run");
    Failure::new(Code::Unusable, error)
}

/// Prints a report.
///
/// # Errors
/// When standard output cannot be written.
pub fn print(report: &Report, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let mut out = std::io::BufWriter::new(&mut *console.stdout);
    let written = match format {
        Format::Human => print_tables(report, &mut out),
        Format::Json => serde_json::to_writer(&mut out, report)
            .map_err(std::io::Error::from)
            .and_then(|()| std::io::Write::write_all(&mut out, b"\n")),
    };
    printed(written.and_then(|()| std::io::Write::flush(&mut out))).map(drop)
}

/// How an engine's error ends a run.
pub fn failure(error: EngineError) -> Failure {
    let code = match &error {
        EngineError::NoDatabase => Code::Usage,
        EngineError::Lost => Code::EngineLost,
        EngineError::PanicAborts
        | EngineError::Store(_)
        | EngineError::Fetch(_)
        | EngineError::Config(_)
        | EngineError::QueueTaken { .. }
        | EngineError::LockFile { .. }
        | EngineError::NoQueue
        | EngineError::Defaults(_)
        | EngineError::JobGone(_)
        | EngineError::Stopped
        | EngineError::Thread(_)
        | EngineError::Submit(_) => Code::Unusable,
    };
    Failure::new(code, error)
}

/// What is to be done with the videos that are named, or that the database selects.
///
/// # Errors
/// When the database cannot be read.
pub fn plan(
    kind: Kind,
    selection: &SelectionArgs,
    within: Option<Duration>,
    config: &Config,
) -> Result<Plan, Failure> {
    let ids = once_each(selection.ids.clone());
    match look_up(kind, selection, &ids, within, config) {
        // The deadline came while another process held the database: of the work that is not
        // done only what was named is known.
        Err(error) if error.is_locked() => Ok(plan_of(kind, named(&ids))),
        planned => planned.map_err(failure),
    }
}

fn look_up(
    kind: Kind,
    selection: &SelectionArgs,
    ids: &[String],
    within: Option<Duration>,
    config: &Config,
) -> Result<Plan, EngineError> {
    let videos = if ids.is_empty() {
        engine::select(config, &selected(kind, selection), within)?
    } else {
        match kind {
            Kind::Thumbnails => {
                let pictures = engine::thumbnail_urls(config, ids, within)?;
                warn_of_lacking(ids, &pictures);
                pictures
            }
            Kind::Score | Kind::Liveness => named(ids),
        }
    };
    Ok(plan_of(kind, videos))
}

/// Videos of which no more is known than the ids.
fn named(ids: &[String]) -> Vec<SelectedVideo> {
    let video = |id: &String| SelectedVideo {
        video_id: id.clone(),
        thumbnail_url: Some(String::new()),
    };
    ids.iter().map(video).collect()
}

fn plan_of(kind: Kind, videos: Vec<SelectedVideo>) -> Plan {
    let mut plan = Plan::default();
    match kind {
        Kind::Score => plan.scoring = Some(ids_of(videos)),
        Kind::Liveness => plan.liveness = Some(ids_of(videos)),
        Kind::Thumbnails => {
            let with_url = videos.into_iter().filter_map(|video| {
                Some(ThumbnailItem {
                    video_id: video.video_id,
                    thumbnail_url: video.thumbnail_url?,
                })
            });
            plan.thumbnails = Some(with_url.collect());
        }
    }
    plan
}

fn ids_of(videos: Vec<SelectedVideo>) -> Vec<String> {
    videos.into_iter().map(|video| video.video_id).collect()
}

/// Ids somebody typed are not passed over in silence.
fn warn_of_lacking(ids: &[String], found: &[SelectedVideo]) {
    let has_url = |id: &&String| {
        found
            .iter()
            .any(|video| video.video_id == **id && video.thumbnail_url.is_some())
    };
    let lacking: Vec<&str> = ids
        .iter()
        .filter(|id| !has_url(id))
        .map(String::as_str)
        .collect();
    if !lacking.is_empty() {
        tracing::warn!(
            count = lacking.len(),
            ids = lacking.join(" "),
            "the database has no thumbnail's address for some of the videos"
        );
    }
}

fn selected(kind: Kind, selection: &SelectionArgs) -> Selection {
    let stale = |age: Duration| {
        let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        engine::unix_now().saturating_sub(age)
    };
    Selection {
        kind,
        stale_before: selection.stale.map(stale),
        region: selection.region.clone(),
        limit: selection.limit.map(std::num::NonZeroUsize::get),
    }
}
