//! What `batch`, `score`, `thumbnails` and `liveness` share: an engine for one run and its report.

use std::path::PathBuf;
use std::time::Instant;

use super::batch_file::{Plan, once_each};
use super::cli::selection::{FailOn, RunArgs, SelectionArgs};
use super::cli::{Console, Format, Global};
use super::exit::{Code, Failure, printed};
use super::progress::Progress;
use super::report::{Report, print_tables};
use super::run::{Choices, run};
use super::signals::Signals;
use crate::config::{Config, Loaded, ThumbnailPolicy};
use crate::engine::{self, Engine, EngineError, Kind, SelectedVideo, Selection, ThumbnailItem};

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
            plan: plan(kind, selection, config)?,
            database: config.database.path.clone(),
            run: run.clone(),
            fresh: false,
            max_calls: None,
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
        let config = &loaded.config;
        let choices = Choices {
            began: self.began,
            deadline: self.run.deadline,
            drain: config.engine.drain_timeout,
            fail_on: self.fail_on,
            dry_run: self.run.dry_run,
            database: self.database.display().to_string(),
            unknown_is_broken: config.thumbnails.policy == ThumbnailPolicy::Article,
        };
        let engine = Engine::builder(config.clone())
            .database(self.database)
            .fresh(self.fresh)
            .dry_run(self.run.dry_run)
            .max_calls(self.max_calls)
            .start()
            .map_err(failure)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(unstarted)?;
        let signals = Signals::watch().map_err(unstarted)?;
        let mut progress = Progress::new(global.quiet, console.stderr_is_terminal);
        let ended = runtime.block_on(run(&engine, self.plan, &choices, signals, &mut progress));
        let (report, code) = ended.map_err(failure)?;
        print(&report, global.format(console.stdout_is_terminal), console)?;
        Ok(code)
    }
}

fn unstarted(error: std::io::Error) -> Failure {
    let error = anyhow::Error::new(error).context("start the run");
    Failure::new(Code::Unusable, error)
}

fn print(report: &Report, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
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
        | EngineError::Thread(_)
        | EngineError::Submit(_) => Code::Unusable,
    };
    Failure::new(code, error)
}

fn plan(kind: Kind, selection: &SelectionArgs, config: &Config) -> Result<Plan, Failure> {
    let ids = once_each(selection.ids.clone());
    let mut plan = Plan::default();
    let from_database = ids.is_empty();
    match kind {
        Kind::Thumbnails => {
            let pictures = if from_database {
                engine::select(config, &selected(kind, selection)).map_err(failure)?
            } else {
                engine::thumbnail_urls(config, &ids).map_err(failure)?
            };
            if !from_database {
                warn_of_lacking(&ids, &pictures);
            }
            let with_url = pictures.into_iter().filter_map(|video| {
                let thumbnail_url = video.thumbnail_url?;
                Some(ThumbnailItem {
                    video_id: video.video_id,
                    thumbnail_url,
                })
            });
            plan.thumbnails = Some(with_url.collect());
        }
        Kind::Score | Kind::Liveness => {
            let ids = if from_database {
                let videos = engine::select(config, &selected(kind, selection)).map_err(failure)?;
                videos.into_iter().map(|video| video.video_id).collect()
            } else {
                ids
            };
            if kind == Kind::Score {
                plan.scoring = Some(ids);
            } else {
                plan.liveness = Some(ids);
            }
        }
    }
    Ok(plan)
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
    let stale = |age: std::time::Duration| {
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
