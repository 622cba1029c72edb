//! `video`: what is known about one video.

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use super::db::{json_line, print};
use super::waiting::notice;
use super::{Console, Format, Global, ids};
use crate::config::Loaded;
use crate::engine::Score;
use crate::engine::database::{
    self, Check, Evidence, Number, Patience, ScoreCard, ShownSnapshot, StoredScoreCard, VideoCard,
};
use crate::face::exit::{Code, Failure};
use crate::face::text::plain;

/// The most of one line that is printed, in bytes.
const LONGEST_LINE: usize = 4096;

/// Arguments of `video`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct VideoArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: VideoAction,
}

/// What `video` does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum VideoAction {
    /// Show the score, the verdicts and when they were made
    Show(VideoShowArgs),
}

/// Arguments of `video show`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct VideoShowArgs {
    /// The video's id; one that begins with a dash may need `--` before it
    #[arg(value_name = "ID", value_parser = ids::parse)]
    pub id: String,
}

/// Runs it.
///
/// # Errors
/// When nobody knows the video, the database cannot be used, or standard output cannot be
/// written.
pub fn run(
    arguments: &VideoArgs,
    global: &Global,
    loaded: &Loaded,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let VideoAction::Show(VideoShowArgs { id }) = &arguments.action;
    let config = &loaded.config;
    let mut waiting = notice(&config.database.path, global, console.stderr);
    let card = database::show_video(config, id, &mut Patience::endless(&mut waiting))?;
    drop(waiting);
    let Some(card) = card else {
        let unknown = format!(
            "show video {id}: it is in no table of {}",
            config.database.path.display()
        );
        return Err(Failure::new(Code::Failed, anyhow::Error::msg(unknown)));
    };
    let text = match global.format(console.stdout_is_terminal) {
        Format::Json => json_line(&card),
        Format::Human => lines(&card),
    };
    print(&text, console)
}

fn lines(card: &VideoCard) -> String {
    let mut text = Lines(String::new());
    text.add("video", &card.video_id);
    if card.in_site {
        text.add("score on pages", &card.virality_score);
        text.add("thumbnail_url", &card.thumbnail_url);
    } else {
        text.add("site", "has no such video");
    }
    score(&mut text, &card.score);
    for snapshot in &card.snapshots {
        text.add("snapshot", self::snapshot(snapshot));
    }
    if card.snapshots.is_empty() {
        text.add("snapshot", "none");
    }
    text.add("thumbnail", verdict(card.thumbnail.verdict.as_ref()));
    for check in &card.thumbnail.checks {
        text.add("  checked", evidence(check));
    }
    text.add("liveness", verdict(card.liveness.verdict.as_ref()));
    if let Some(latest) = &card.liveness.latest {
        text.add("  checked", evidence(latest));
    }
    text.0
}

/// Lines of a name and a value.
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name:<15} {}", plain(value, LONGEST_LINE));
    }
}

fn score(text: &mut Lines, card: &ScoreCard) {
    match &card.now {
        Some(Score::Scored(scored)) => text.add(
            "score now",
            format!(
                "{} {}, {} views/h, engagement {} %: {}",
                scored.score,
                scored.label.name(),
                scored.velocity,
                scored.engagement,
                card.note
            ),
        ),
        Some(Score::Unscored(_)) | None => text.add("score now", &card.note),
    }
    let baseline = &card.baseline;
    let region = baseline.region.as_deref().unwrap_or("no region");
    let whose = if baseline.is_own {
        region.to_owned()
    } else {
        format!("GB, for {region} has none")
    };
    text.add(
        "  baseline",
        format!(
            "{} views/h, engagement {} % ({whose})",
            baseline.velocity, baseline.engagement
        ),
    );
    if let Some(stored) = &card.stored {
        let StoredScoreCard {
            score,
            velocity,
            engagement,
            region,
            label,
            scored_at,
        } = stored;
        let region = region.as_deref().unwrap_or("no region");
        text.add(
            "  written",
            format!(
                "{scored_at}: {score} {label}, {velocity} views/h, engagement {engagement} %, \
                 {region}"
            ),
        );
    }
}

fn snapshot(snapshot: &ShownSnapshot) -> String {
    let ShownSnapshot {
        fetched_at,
        time,
        views,
        likes,
        comments,
        region,
        seconds,
        velocity,
    } = snapshot;
    let time = time
        .clone()
        .unwrap_or_else(|| format!("unreadable time {fetched_at}"));
    let region = region.as_deref().unwrap_or("no region");
    let mut line = format!(
        "{time} {region}: {} views, {} likes, {} comments",
        number(*views),
        number(*likes),
        number(*comments)
    );
    if let Some(seconds) = seconds {
        let _ = write!(line, "; {seconds} s after the one before");
    }
    if let Some(velocity) = velocity {
        let _ = write!(line, ", {velocity:.0} views/h");
    }
    line
}

fn number(number: Option<Number>) -> String {
    match number {
        None => "no".to_owned(),
        Some(Number::Integer(integer)) => integer.to_string(),
        Some(Number::Real(real)) => real.to_string(),
    }
}

fn verdict(check: Option<&Check>) -> String {
    check.map_or_else(|| "never checked".to_owned(), self::check)
}

fn check(check: &Check) -> String {
    let Check {
        verdict,
        reason,
        checked_at,
    } = check;
    let reason = reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(": {reason}"));
    let time = checked_at
        .as_ref()
        .map_or_else(String::new, |time| format!(" ({time})"));
    format!("{verdict}{reason}{time}")
}

fn evidence(evidence: &Evidence) -> String {
    let Evidence {
        found,
        url,
        size,
        http_status,
    } = evidence;
    let mut line = check(found);
    if let Some(size) = size {
        let _ = write!(line, ", {size}");
    }
    if let Some(status) = http_status {
        let _ = write!(line, ", http {status}");
    }
    if let Some(url) = url {
        let _ = write!(line, ", {url}");
    }
    line
}
