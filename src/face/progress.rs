//! Shows how far a run has come: bars on a terminal, log lines otherwise.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::report::{Collector, Counted};
use super::retries::Retries;
use crate::engine::{EngineHandle, Kind};

/// How often a run without a terminal logs how far it is.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// A lock held longer than this is shown.
const NOTABLE_WAIT_S: u64 = 1;

/// Where progress is shown.
pub enum Progress {
    /// Bars, one a kind of work.
    Bars(Bars),
    /// Lines in the log.
    Lines(Lines),
    /// Nowhere.
    Quiet,
}

/// One bar a kind of work, and a line below them for what else there is to say.
pub struct Bars {
    all: MultiProgress,
    bars: Vec<(&'static str, ProgressBar)>,
    below: Option<ProgressBar>,
    last_look: Instant,
}

/// When the last line was logged.
pub struct Lines {
    last: Instant,
    /// Whether what is waited for is to be told with it.
    is_due: bool,
}

impl Progress {
    /// Bars on a terminal, lines otherwise, nothing if asked to be quiet.
    #[must_use]
    pub fn new(quiet: bool, on_terminal: bool) -> Self {
        match (quiet, on_terminal) {
            (true, _) => Self::Quiet,
            (false, true) => Self::Bars(Bars {
                all: MultiProgress::new(),
                bars: Vec::new(),
                below: None,
                last_look: Instant::now(),
            }),
            (false, false) => Self::Lines(Lines {
                last: Instant::now(),
                is_due: false,
            }),
        }
    }

    /// Shows how far the run has come, and what it waits for.
    pub async fn show(&mut self, collector: &Collector, engine: &EngineHandle) {
        self.count(collector);
        match self {
            Self::Bars(bars) => bars.show_wait(engine).await,
            Self::Lines(lines) => lines.show_wait(engine).await,
            Self::Quiet => {}
        }
    }

    /// Shows how far the run has come.
    pub fn count(&mut self, collector: &Collector) {
        let counts = Kind::ALL.into_iter().filter_map(|kind| {
            let progress = collector.progress(kind)?;
            Some((kind.section(), progress))
        });
        self.count_each(counts);
    }

    /// Shows how many jobs have ended.
    pub fn count_jobs(&mut self, done: usize, of: usize) {
        self.count_each(std::iter::once(("jobs", Counted { done, of })));
    }

    fn count_each(&mut self, counts: impl Iterator<Item = (&'static str, Counted)>) {
        match self {
            Self::Bars(bars) => counts.for_each(|(of, progress)| bars.count(of, progress)),
            Self::Lines(lines) => lines.count(counts),
            Self::Quiet => {}
        }
    }

    /// Says which jobs wait for their next try: nobody waits gladly for minutes without knowing why.
    pub fn tell_retries(&mut self, retries: &mut Retries) {
        match self {
            Self::Bars(bars) => bars.say_below(retries.told()),
            Self::Lines(_) => {
                if let Some(text) = retries.to_log() {
                    tracing::warn!("{text}");
                }
            }
            Self::Quiet => {}
        }
    }

    /// Says something to whoever watches.
    pub fn say(&self, text: &str) {
        match self {
            Self::Bars(bars) => {
                // A terminal that is gone hears nothing.
                let _ = bars.all.println(text);
            }
            Self::Lines(_) | Self::Quiet => tracing::warn!("{text}"),
        }
    }

    /// Takes the bars away: the report follows.
    pub fn finish(&mut self) {
        if let Self::Bars(bars) = self {
            let bars = bars.bars.iter().map(|(_, bar)| bar).chain(&bars.below);
            bars.for_each(ProgressBar::finish_and_clear);
        }
    }
}

impl Bars {
    fn count(&mut self, what: &'static str, progress: Counted) {
        let length = u64::try_from(progress.of).unwrap_or(u64::MAX);
        let done = u64::try_from(progress.done).unwrap_or(u64::MAX);
        let bar = self.bar(what, length);
        bar.set_position(done);
        if done == length {
            bar.abandon();
        }
    }

    fn say_below(&mut self, text: Option<String>) {
        match (&self.below, text) {
            (Some(below), Some(text)) => below.set_message(text),
            (None, Some(text)) => {
                let below = self.all.add(ProgressBar::new_spinner());
                // Cut to the terminal's width.
                if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                    below.set_style(style);
                }
                below.set_message(text);
                self.below = Some(below);
            }
            (_, None) => {
                if let Some(below) = self.below.take() {
                    below.finish_and_clear();
                    self.all.remove(&below);
                }
            }
        }
    }

    async fn show_wait(&mut self, engine: &EngineHandle) {
        if self.last_look.elapsed() >= Duration::from_secs(1) {
            self.last_look = Instant::now();
            let waits = lock_wait(engine).await;
            for (_, bar) in &self.bars {
                bar.set_message(waits.map_or_else(String::new, |waited| {
                    format!("waiting for a lock, {waited} s")
                }));
            }
        }
    }

    fn bar(&mut self, what: &'static str, length: u64) -> ProgressBar {
        if let Some((_, bar)) = self.bars.iter().find(|(of, _)| *of == what) {
            return bar.clone();
        }
        let bar = self.all.add(ProgressBar::new(length));
        let template = "{prefix:>10} {bar:30} {pos}/{len} {per_sec} {eta_precise} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        self.bars.push((what, bar.clone()));
        bar
    }
}

impl Lines {
    fn count(&mut self, counts: impl Iterator<Item = (&'static str, Counted)>) {
        if self.last.elapsed() < LOG_EVERY {
            return;
        }
        self.last = Instant::now();
        self.is_due = true;
        for (section, Counted { done, of }) in counts {
            tracing::info!(section, done, of, "progress");
        }
    }

    async fn show_wait(&mut self, engine: &EngineHandle) {
        if !std::mem::take(&mut self.is_due) {
            return;
        }
        if let Some(waited) = lock_wait(engine).await {
            tracing::warn!("waiting for a lock, {waited} s: another process holds the database");
        }
    }
}

/// Seconds another process has held the lock we wait for, if worth a word.
async fn lock_wait(engine: &EngineHandle) -> Option<u64> {
    let status = engine.status().await.ok()?;
    status
        .waiting_for_lock_s
        .filter(|waited| *waited >= NOTABLE_WAIT_S)
}
