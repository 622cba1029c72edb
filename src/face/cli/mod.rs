//! The command line: one file a subcommand, and here what they share: the global flags, the
//! configuration they are read into, and the way from arguments to an exit code.

pub mod batch;
pub mod completions;
pub mod config;
pub mod daemon;
mod daemon_link;
pub mod db;
mod global;
mod ids;
pub mod job;
pub mod liveness;
mod numbers;
pub mod queue;
pub mod reload;
pub mod schedule;
pub mod score;
pub mod selection;
pub mod status;
pub mod stop;
pub mod submit;
pub mod thumbnails;
pub mod token;
pub mod unit;
pub mod video;
mod waiting;
pub mod watch;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};

use clap::{CommandFactory, Parser, Subcommand};

pub use self::global::{Format, Global};
use super::exit::{Code, Failure};
use super::logging;
use crate::config::{Loaded, Origin};
use crate::face::protocol::Trace;

const AFTER_HELP: &str = "\
Examples:
  vvv-actors batch new.json                       score, check and report one batch file
  pipeline | vvv-actors batch - --format json     the same from a pipe, as JSON
  vvv-actors liveness --stale 7d --limit 500      ask about the 500 longest unchecked videos
  vvv-actors score -- -Bg3w_kVyPQ                 an id that begins with a dash
  vvv-actors daemon --db vault.db                 work a durable queue off until told to stop
  vvv-actors submit batch new.json --wait         the same batch by the daemon's durable queue
  vvv-actors job list --state failed              what went wrong there, and why
  vvv-actors config show                          what is in force, and where it was set

Configuration: --config FILE, else $XDG_CONFIG_HOME/vvv-actors/config.toml, else
/etc/vvv-actors/config.toml; above it variables such as VVV_QUEUES__SCORING__WORKERS=2, above
those the flags.

Exit codes:
    0  every job finished, whatever the verdicts
    1  some job failed, or a verdict that --fail-on names was given
    2  bad usage or bad input
    3  the database or the configuration cannot be used
   70  the engine was lost
  130  interrupted (143: terminated); finished work is kept";

/// Scores videos, checks their thumbnails and finds dead ones, over the site's own SQLite file.
#[derive(Debug, Parser)]
#[command(
    name = "vvv-actors",
    version,
    after_help = AFTER_HELP,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Flags every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Score, check and ask about what one batch file names, and report
    Batch(batch::BatchArgs),
    /// Score videos from their latest snapshots
    Score(score::ScoreArgs),
    /// Check thumbnails: valid, placeholder, broken
    Thumbnails(thumbnails::ThumbnailsArgs),
    /// Ask which videos are gone, at most 20 calls a minute
    Liveness(liveness::LivenessArgs),
    /// Work the durable queue off, fed over a Unix socket, until told to stop
    Daemon(daemon::DaemonArgs),
    /// Hand work to the daemon's durable queue, and wait for it or not
    Submit(submit::SubmitArgs),
    /// Look at queued jobs, wait for them, cancel them or have them done again
    Job(job::JobArgs),
    /// Show the queues, or pause, resume and empty them
    Queue(queue::QueueArgs),
    /// Show how the daemon fares, or check it for a monitor
    Status(status::StatusArgs),
    /// Watch the daemon at work; without a terminal, a line an event
    Watch,
    /// Stop the daemon
    Stop(stop::StopArgs),
    /// Have the daemon read its configuration again, and say what needs a restart
    Reload,
    /// Show all that is known about one video
    Video(video::VideoArgs),
    /// Show what the daemon does by itself: task, line, last and next tick
    Schedule(schedule::ScheduleArgs),
    /// Look after the database: doctor, size, backup, uninstall
    Db(db::DbArgs),
    /// Show the configuration in force, or check one
    Config(config::ConfigArgs),
    /// Print a systemd unit for the daemon
    Unit(unit::UnitArgs),
    /// Make a token for the API and the dashboard
    Token(token::TokenArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

/// Where a command prints. Progress and logs go to standard error only.
pub struct Console<'a> {
    /// Standard output: results.
    pub stdout: &'a mut dyn Write,
    /// Standard error: the error that ends a run.
    pub stderr: &'a mut dyn Write,
    /// Whether people read standard output.
    pub stdout_is_terminal: bool,
    /// Whether people read standard error.
    pub stderr_is_terminal: bool,
}

/// Runs the program: arguments and environment in, an exit code out.
pub fn main(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Code {
    let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
    let (stdout_is_terminal, stderr_is_terminal) = (stdout.is_terminal(), stderr.is_terminal());
    let mut console = Console {
        stdout: &mut stdout,
        stderr: &mut stderr,
        stdout_is_terminal,
        stderr_is_terminal,
    };
    let arguments = arguments.into_iter().collect();
    run(arguments, environment.into_iter().collect(), &mut console)
}

/// The same with its streams given.
pub fn run(
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    console: &mut Console<'_>,
) -> Code {
    let arguments = ids::protect(arguments, &Cli::command());
    let colours = may_colour(&environment);
    match Cli::try_parse_from(arguments) {
        Ok(cli) => dispatch(&cli, environment, console)
            .unwrap_or_else(|failure| failure.report(console.stderr)),
        Err(error) => explain(&error, colours, console),
    }
}

fn dispatch(
    cli: &Cli,
    environment: Vec<(OsString, OsString)>,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let global = &cli.global;
    let load = |console: &Console<'_>| prepare(global, environment.clone(), console);
    match &cli.command {
        Command::Batch(arguments) => batch::run(arguments, global, &load(console)?, console),
        Command::Score(arguments) => score::run(arguments, global, &load(console)?, console),
        Command::Thumbnails(arguments) => {
            thumbnails::run(arguments, global, &load(console)?, console)
        }
        Command::Liveness(arguments) => liveness::run(arguments, global, &load(console)?, console),
        Command::Daemon(arguments) => daemon::run(arguments, global, environment, console),
        Command::Submit(arguments) => {
            let trace = trace_of(&environment);
            submit::run(arguments, global, &load(console)?, trace, console)
        }
        Command::Job(arguments) => job::run(arguments, global, &load(console)?, console),
        Command::Queue(arguments) => queue::run(arguments, global, &load(console)?, console),
        Command::Status(arguments) => status::run(*arguments, global, &load(console)?, console),
        Command::Watch => watch::run(global, &load(console)?, console),
        Command::Stop(arguments) => stop::run(*arguments, global, &load(console)?, console),
        Command::Reload => reload::run(global, &load(console)?, console),
        Command::Schedule(_) => schedule::run(global, &load(console)?, console),
        Command::Video(arguments) => video::run(arguments, global, &load(console)?, console),
        Command::Db(arguments) => db::run(arguments, global, &load(console)?, console),
        Command::Config(arguments) => config::run(arguments, global, &load(console)?, console),
        Command::Unit(arguments) => unit::run(arguments, global, console),
        Command::Token(arguments) => token::run(*arguments, global, console),
        Command::Completions(arguments) => completions::run(arguments, console),
    }
}

/// What every command that does work begins with: the configuration, and logs as it wants them.
fn prepare(
    global: &Global,
    environment: Vec<(OsString, OsString)>,
    console: &Console<'_>,
) -> Result<Loaded, Failure> {
    let colours = may_colour(&environment);
    let loaded = global.load(environment)?;
    let level_is_chosen = loaded.origins.get("log.level") != Some(&Origin::Default);
    let settings = logging::Settings::one_shot(
        &loaded.config.log,
        level_is_chosen,
        global.quiet,
        console.stderr_is_terminal,
    );
    logging::install(&settings.with_colours(colours))
        .map_err(|error| Failure::new(Code::Unusable, error))?;
    Ok(loaded)
}

/// The trace this run is a part of, by the variable that tools pass it on in.
fn trace_of(environment: &[(OsString, OsString)]) -> Option<Trace> {
    let (_, named) = environment.iter().find(|(name, _)| name == "TRACEPARENT")?;
    named.to_str()?.parse().map(Trace).ok()
}

/// Whether a terminal may be sent colours, by the convention of no-color.org.
fn may_colour(environment: &[(OsString, OsString)]) -> bool {
    !environment
        .iter()
        .any(|(name, value)| name == "NO_COLOR" && !value.is_empty())
}

/// Prints clap's message: help and version to standard output, bad usage to standard error.
fn explain(error: &clap::Error, colours: bool, console: &mut Console<'_>) -> Code {
    let message = error.render();
    let (stream, is_terminal, code) = if error.use_stderr() {
        (
            &mut *console.stderr,
            console.stderr_is_terminal,
            Code::Usage,
        )
    } else {
        (
            &mut *console.stdout,
            console.stdout_is_terminal,
            Code::Success,
        )
    };
    // A reader that left early has seen what it wanted.
    let _ = if is_terminal && colours {
        write!(stream, "{}", message.ansi())
    } else {
        write!(stream, "{message}")
    };
    let _ = stream.flush();
    code
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::engine::Kind;
    use clap::error::ErrorKind;
    use selection::FailOn;
    use std::path::PathBuf;
    use std::time::Duration;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        let arguments = std::iter::once("vvv-actors")
            .chain(line.split_whitespace())
            .map(OsString::from)
            .collect();
        Cli::try_parse_from(ids::protect(arguments, &Cli::command()))
    }

    fn scored(line: &str) -> (score::ScoreArgs, Global) {
        match parse(line).unwrap() {
            Cli {
                command: Command::Score(arguments),
                global,
            } => (arguments, global),
            other => panic!("{other:?}"),
        }
    }

    fn refused(line: &str) -> ErrorKind {
        parse(line).unwrap_err().kind()
    }

    #[test]
    fn the_tree_of_commands_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_id_may_begin_with_a_dash() {
        let (arguments, global) = scored("score abc -Bg3w_kVyPQ --dry-run -qabcdefghI --db x -q");
        assert_eq!(
            arguments.selection.ids,
            ["abc", "-Bg3w_kVyPQ", "-qabcdefghI"]
        );
        assert!(arguments.run.dry_run && global.quiet);
        assert_eq!(global.db, Some("x".into()));
        let (arguments, _) = scored("score -q a -- --log-level -x -Bg3w_kVyPQ");
        assert_eq!(
            arguments.selection.ids,
            ["a", "--log-level", "-x", "-Bg3w_kVyPQ"]
        );
        let shown = parse("video show -Bg3w_kVyPQ").unwrap().command;
        let Command::Video(video::VideoArgs {
            action: video::VideoAction::Show(shown),
        }) = shown
        else {
            panic!("{shown:?}");
        };
        assert_eq!(shown.id, "-Bg3w_kVyPQ");
    }

    #[test]
    fn a_misspelt_flag_is_never_an_id() {
        assert_eq!(refused("score a --limti 5"), ErrorKind::UnknownArgument);
        assert_eq!(
            refused("score -Bg3w_kVyPQ --log-levle x"),
            ErrorKind::UnknownArgument
        );
        assert_eq!(refused("score -abc"), ErrorKind::UnknownArgument);
        // Not where no id can stand.
        assert_eq!(refused("batch -Bg3w_kVyPQ"), ErrorKind::UnknownArgument);
        assert_eq!(refused("-Bg3w_kVyPQ score a"), ErrorKind::UnknownArgument);
    }

    #[test]
    fn a_flags_value_is_never_marked_as_an_id() {
        let (_, global) = scored("score a --db=-Bg3w_kVyPQ");
        assert_eq!(global.db, Some("-Bg3w_kVyPQ".into()));
        assert!(parse("score a --db -Bg3w_kVyPQ").is_err());
        // A flag's value that is named like a command opens no place for ids.
        assert_eq!(
            refused("--db score batch -Bg3w_kVyPQ"),
            ErrorKind::UnknownArgument
        );
    }

    #[test]
    fn an_id_survives_whatever_it_begins_with() {
        let odd = "score \u{2060}abc";
        assert_eq!(scored(odd).0.selection.ids, ["\u{2060}abc"]);
        let arguments = ["vvv-actors", "score", ""].map(OsString::from).to_vec();
        let empty = Cli::try_parse_from(ids::protect(arguments, &Cli::command()));
        assert_eq!(empty.unwrap_err().kind(), ErrorKind::ValueValidation);
    }

    #[test]
    fn videos_come_from_arguments_or_from_the_database_never_both() {
        let (arguments, _) = scored("score --stale 7d --region PL --limit 3");
        assert_eq!(
            arguments.selection.stale,
            Some(Duration::from_secs(7 * 86_400))
        );
        assert_eq!(arguments.selection.region.as_deref(), Some("PL"));
        assert_eq!(
            arguments.selection.limit.map(std::num::NonZeroUsize::get),
            Some(3)
        );
        assert!(scored("score --all").0.selection.all);
        assert!(parse("liveness --region PL").is_ok());
        assert_eq!(refused("score"), ErrorKind::MissingRequiredArgument);
        assert_eq!(refused("score a --all"), ErrorKind::ArgumentConflict);
        assert_eq!(refused("score a --limit 3"), ErrorKind::ArgumentConflict);
        assert_eq!(
            refused("score --all --stale 7d"),
            ErrorKind::ArgumentConflict
        );
        assert_eq!(refused("score --all --limit 0"), ErrorKind::ValueValidation);
        assert_eq!(refused("score --stale 7"), ErrorKind::ValueValidation);
    }

    #[test]
    fn a_batch_takes_its_limits_and_its_parts_by_any_name() {
        let line = "batch - --only scoring,tasks.validate_thumbnails --only cleanup --deadline 4m \
                    --max-calls 0 --dry-run --fresh --fail-on dead,broken --format json -q \
                    --db v.db --config c.toml";
        let Cli {
            command: Command::Batch(batch),
            global,
        } = parse(line).unwrap()
        else {
            panic!("no batch");
        };
        assert_eq!(batch.file, PathBuf::from("-"));
        assert_eq!(batch.only, [Kind::Score, Kind::Thumbnails, Kind::Liveness]);
        assert_eq!(batch.run.deadline, Some(Duration::from_secs(240)));
        assert_eq!(batch.max_calls, Some(0));
        assert_eq!(batch.fail_on, [FailOn::Dead, FailOn::Broken]);
        assert!(batch.fresh && batch.run.dry_run);
        assert_eq!(global.format, Some(Format::Json));
        assert_eq!(global.config, Some("c.toml".into()));
        let error = parse("batch f --only everything").unwrap_err().to_string();
        assert!(
            error.contains("cleanup") && error.contains("tasks."),
            "{error}"
        );
        assert_eq!(refused("batch"), ErrorKind::MissingRequiredArgument);
    }

    #[test]
    fn the_database_has_its_commands() {
        for line in [
            "db doctor --create-index --set-wal",
            "db size",
            "db backup copy.db",
            "db uninstall --yes",
        ] {
            assert!(
                matches!(parse(line).unwrap().command, Command::Db(_)),
                "{line}"
            );
        }
        assert_eq!(refused("db backup"), ErrorKind::MissingRequiredArgument);
    }

    #[test]
    fn results_are_human_on_a_terminal_and_json_elsewhere_unless_a_format_is_asked_for() {
        let asked = |format, terminal| {
            let global = Global {
                format,
                ..Global::default()
            };
            global.format(terminal)
        };
        assert_eq!(asked(None, true), Format::Human);
        assert_eq!(asked(None, false), Format::Json);
        assert_eq!(asked(Some(Format::Human), false), Format::Human);
    }

    /// Runs the program with nothing in its environment but `variables`.
    fn program(line: &str, variables: &[(&str, &str)]) -> (Code, String, String) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut console = Console {
            stdout: &mut stdout,
            stderr: &mut stderr,
            stdout_is_terminal: false,
            stderr_is_terminal: false,
        };
        let code = run(
            std::iter::once("vvv-actors")
                .chain(line.split_whitespace())
                .map(OsString::from)
                .collect(),
            variables
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            &mut console,
        );
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (code, text(stdout), text(stderr))
    }

    #[test]
    fn help_teaches_examples_and_exit_codes() {
        let (code, stdout, stderr) = program("--help", &[]);
        assert_eq!((code, stderr.as_str()), (Code::Success, ""));
        for taught in [
            "Examples:",
            "Exit codes:",
            "VVV_QUEUES__",
            "143",
            "--config <FILE>",
        ] {
            assert!(stdout.contains(taught), "{taught}: {stdout}");
        }
        let (code, stdout, _) = program("config show --help", &[]);
        assert_eq!(code, Code::Success);
        assert!(stdout.contains("as TOML"), "{stdout}");
    }

    #[test]
    fn bad_usage_exits_with_2_and_prints_nothing_on_stdout() {
        for line in [
            "",
            "frobnicate",
            "config",
            "config show --colour",
            "completions klingon",
        ] {
            let (code, stdout, stderr) = program(line, &[]);
            assert_eq!((code, stdout.as_str()), (Code::Usage, ""), "{line}");
            assert!(!stderr.is_empty(), "{line}");
        }
        let (code, _, stderr) = program("config check --log-level loud", &[]);
        assert_eq!(code, Code::Usage);
        assert!(
            stderr.starts_with("error: --log-level: `log.level` = \"loud\": "),
            "{stderr}"
        );
    }

    #[test]
    fn a_shells_script_knows_every_command() {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let (code, stdout, _) = program(&format!("completions {shell}"), &[]);
            assert_eq!(code, Code::Success);
            for command in Cli::command().get_subcommands() {
                assert!(stdout.contains(command.get_name()), "{shell}: {command}");
            }
        }
    }
}
