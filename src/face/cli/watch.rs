//! `watch`: what the daemon does, as it does it: a picture on a terminal, a line an event elsewhere.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::daemon_link::{connect, connect_on, since};
use super::db::json_line;
use super::{Console, Format, Global, status};
use crate::config::{Config, Loaded};
use crate::engine::{JobState, QueueView};
use crate::face::client::{Client, ClientError, Events};
use crate::face::exit::{Code, Failure, printed};
use crate::face::protocol::{AtWork, Job, JobEvent, List, State, States, Status, Subscribe};
use crate::face::signals::Signals;
use crate::face::tables::{cell, number, table};
use crate::face::text::plain;

/// How often the picture is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(500);
/// How soon a signal is heard.
const TICK: Duration = Duration::from_millis(100);
/// Running jobs shown.
const MOST_RUNNING: usize = 8;
/// Events shown.
const MOST_EVENTS: usize = 8;
/// The most of one line, in bytes.
const LONGEST_LINE: usize = 160;

/// Another screen, no cursor, no line that wraps.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
/// As it was.
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";

/// Runs it until a signal ends it, or (not on a terminal) the daemon or the reader goes.
///
/// # Errors
/// When no daemon answers, and on a terminal the file cannot be read either.
pub fn run(global: &Global, loaded: &Loaded, console: &mut Console<'_>) -> Result<Code, Failure> {
    let signals = Signals::watch().map_err(|error| Failure::new(Code::Unusable, error))?;
    let config = &loaded.config;
    let format = global.format(console.stdout_is_terminal);
    if !console.stdout_is_terminal || format == Format::Json {
        return stream(format, config, signals, console);
    }
    // Who is not let in is told so at once, on the screen that stays.
    if connect(config).is_ok() {
        connect_on(config)?;
    }
    let mut view = View::new(config)?;
    say(ENTER, console)?;
    let watched = view.watch(signals, console);
    say(LEAVE, console)?;
    watched
}

fn say(text: &str, console: &mut Console<'_>) -> Result<(), Failure> {
    let out = &mut *console.stdout;
    printed(out.write_all(text.as_bytes()).and_then(|()| out.flush())).map(drop)
}

/// A line an event.
fn stream(
    format: Format,
    config: &Config,
    mut signals: Signals,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let mut events = connect_on(config)?.subscribe(&Subscribe::default())?;
    loop {
        if let Some(signal) = signals.heard() {
            return Ok(signal.code());
        }
        let Some(event) = events.next(TICK)? else {
            continue;
        };
        let line = match format {
            Format::Json => json_line(&event),
            Format::Human => format!("{}\n", told(&event)),
        };
        let out = &mut *console.stdout;
        // A reader that left has seen what it wanted.
        if let Err(error) = out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
            return printed(Err(error));
        }
    }
}

fn told(event: &JobEvent) -> String {
    let why = event
        .error
        .as_deref()
        .map_or_else(String::new, |error| format!(": {error}"));
    let line = format!(
        "{} {:<10} job {} {}{why}",
        event.at,
        event.queue.0.name(),
        event.id,
        event.state.0.name()
    );
    plain(line, LONGEST_LINE)
}

/// What is on the screen, and whom it is asked of.
struct View<'a> {
    config: &'a Config,
    link: Option<(Client, Events)>,
    last: VecDeque<String>,
}

impl<'a> View<'a> {
    fn new(config: &'a Config) -> Result<Self, ClientError> {
        let link = match link(config) {
            Err(error) if error.is_silence() && in_file(config).is_some() => None,
            link => Some(link?),
        };
        Ok(Self {
            config,
            link,
            last: VecDeque::new(),
        })
    }

    fn watch(&mut self, mut signals: Signals, console: &mut Console<'_>) -> Result<Code, Failure> {
        loop {
            let picture = self.picture().unwrap_or_else(|error| {
                self.link = None;
                let file = in_file(self.config).unwrap_or_default();
                format!("{error}\n\nwaiting for it …\n\n{file}")
            });
            say(&drawn(&picture), console)?;
            let until = Instant::now() + DRAW_EVERY;
            while Instant::now() < until {
                // Ctrl-C is how one leaves; there is nothing to be interrupted.
                if signals.heard().is_some() {
                    return Ok(Code::Success);
                }
                self.hear();
            }
        }
    }

    /// Takes in what happens within a tick.
    fn hear(&mut self) {
        let Some((_, events)) = &mut self.link else {
            std::thread::sleep(TICK);
            return;
        };
        let mut patience = TICK;
        // As many as fit on the screen: the picture is due soon.
        for _ in 0..1000 {
            match events.next(patience) {
                Ok(Some(event)) => self.last.push_front(told(&event)),
                Ok(None) => break,
                Err(error) => {
                    self.last.push_front(plain(error, LONGEST_LINE));
                    self.link = None;
                    break;
                }
            }
            patience = Duration::ZERO;
            self.last.truncate(MOST_EVENTS);
        }
    }

    fn picture(&mut self) -> Result<String, ClientError> {
        let (client, _) = match &mut self.link {
            Some(link) => link,
            none => none.insert(link(self.config)?),
        };
        let status = client.ask(&Status {})?;
        let mut text = status::lines(&status);
        // It would be waited for, and the picture with it.
        if status.queue_error.is_some() {
            return Ok(text);
        }
        let running = client.ask(&List {
            state: States(vec![State(JobState::Running)]),
            limit: MOST_RUNNING,
            ..List::default()
        })?;
        let progress: HashMap<i64, AtWork> = status
            .pools
            .into_iter()
            .flat_map(|pool| pool.running)
            .map(|job| (job.id, job))
            .collect();
        let _ = write!(text, "\n{}", at_work(&running.jobs, &progress));
        text.push_str("\nlast moves, newest first (Ctrl-C ends)\n");
        for line in &self.last {
            let _ = writeln!(text, "  {line}");
        }
        Ok(text)
    }
}

/// What the file tells of its queues; none if it cannot be read.
fn in_file(config: &Config) -> Option<String> {
    let view = QueueView::open(config).ok()?;
    status::from_file(&view, Format::Human, config).ok()
}

fn link(config: &Config) -> Result<(Client, Events), ClientError> {
    let events = connect(config)?.subscribe(&Subscribe::default())?;
    Ok((connect(config)?, events))
}

fn at_work(jobs: &[Job], progress: &HashMap<i64, AtWork>) -> String {
    if jobs.is_empty() {
        return "no job is running\n".to_owned();
    }
    let mut table = table(&["running", "kind", "done", "of", "attempt", "group", "since"]);
    for job in jobs {
        table.add_row(vec![
            number(job.id),
            cell(job.kind.as_deref().unwrap_or("-")),
            number(progress.get(&job.id).map_or(0, |at_work| at_work.done)),
            number(job.items),
            number(job.attempts),
            number(
                job.group
                    .map_or_else(|| "-".to_owned(), |id| id.to_string()),
            ),
            cell(since(job.started_at)),
        ]);
    }
    format!("{table}\n")
}

/// The picture over the one before: each line cleared to its end, then the rest of the screen.
fn drawn(picture: &str) -> String {
    let mut text = "\u{1b}[H".to_owned();
    for line in picture.lines() {
        let _ = write!(text, "{line}\u{1b}[K\r\n");
    }
    text.push_str("\u{1b}[J");
    text
}
