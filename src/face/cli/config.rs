//! `config`: what is in force and where each value was set; whether a file can be used.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Console, Format, Global};
use crate::config::{ConfigError, Loaded};
use crate::face::exit::{Code, Failure, printed};

/// Arguments of `config`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: ConfigAction,
}

/// What `config` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum ConfigAction {
    /// Show every value in force and where it was set, as TOML (or with --format json)
    ///
    /// What it prints can be used as a configuration file.
    Show,
    /// Check the configuration: file, environment and flags together
    ///
    /// Names every file, line, key and value that cannot be used and exits with 3.
    Check,
}

/// Shows the configuration or tells that it can be used; that it cannot was told by whoever
/// loaded it.
///
/// # Errors
/// When a value cannot be written as TOML, or standard output cannot be written.
pub fn run(
    arguments: &ConfigArgs,
    global: &Global,
    loaded: &Loaded,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let text = match (arguments.action, global.format) {
        (ConfigAction::Show, Some(Format::Json)) => show_json(loaded)?,
        (ConfigAction::Show, Some(Format::Human) | None) => show_toml(loaded)?,
        (ConfigAction::Check, _) if global.quiet => String::new(),
        (ConfigAction::Check, _) => check(loaded, global.format(console.stdout_is_terminal)),
    };
    let stdout = &mut *console.stdout;
    printed(
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush()),
    )
}

fn check(loaded: &Loaded, format: Format) -> String {
    let file = loaded.file.as_ref().map(|path| path.display().to_string());
    match (format, file) {
        (Format::Json, file) => format!("{}\n", json!({"ok": true, "file": file})),
        (Format::Human, Some(file)) => format!("{file}: can be used\n"),
        (Format::Human, None) => "no configuration file; the defaults can be used\n".to_owned(),
    }
}

fn show_toml(loaded: &Loaded) -> Result<String, ConfigError> {
    let mut text = String::new();
    let mut current = "";
    let values = loaded.config.values()?;
    for (key, value) in &values {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        if section != current {
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}[{section}]");
            current = section;
        }
        let _ = writeln!(text, "{name} = {value}  # {}", origin(loaded, key));
    }
    Ok(text)
}

fn show_json(loaded: &Loaded) -> Result<String, ConfigError> {
    let values: serde_json::Map<String, serde_json::Value> = loaded
        .config
        .values()?
        .into_iter()
        .map(|(key, value)| {
            let shown = json!({"value": value, "origin": origin(loaded, &key)});
            (key, shown)
        })
        .collect();
    let file = loaded.file.as_ref().map(|path| path.display().to_string());
    Ok(format!("{:#}\n", json!({"file": file, "values": values})))
}

/// Where a value was set, on one line whatever the file is called.
fn origin(loaded: &Loaded, key: &str) -> String {
    loaded
        .origins
        .get(key)
        .map_or_else(String::new, |origin| crate::face::text::plain(origin, 4096))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::cli;
    use std::ffi::OsString;
    use std::fs;
    use std::path::{Path, PathBuf};

    struct Run {
        code: Code,
        stdout: String,
        stderr: String,
    }

    fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut console = Console {
            stdout: &mut stdout,
            stderr: &mut stderr,
            stdout_is_terminal: false,
            stderr_is_terminal: false,
        };
        let code = cli::run(
            std::iter::once(&"vvv-actors")
                .chain(arguments)
                .map(OsString::from)
                .collect(),
            variables
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            &mut console,
        );
        Run {
            code,
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    fn file(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("my.toml");
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn show_names_where_each_value_was_set() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "\n[queues.scoring]\nworkers = 2\n");
        let path = path.to_str().unwrap();
        let shown = run(
            &["config", "show", "--config", path, "--db", "/srv/v.db"],
            &[("VVV_ENGINE__NICE", "3")],
        );
        assert_eq!((shown.code, shown.stderr.as_str()), (Code::Success, ""));
        for line in [
            format!("workers = 2  # {path}:3"),
            "nice = 3  # VVV_ENGINE__NICE".to_owned(),
            "path = \"/srv/v.db\"  # --db".to_owned(),
            "allow = []  # default".to_owned(),
            "[scoring.baselines.US]".to_owned(),
        ] {
            assert!(
                shown.stdout.lines().any(|l| l == line),
                "{line}: {}",
                shown.stdout
            );
        }
    }

    #[test]
    fn what_show_prints_is_a_configuration_file_of_the_same_values() {
        let folder = tempfile::tempdir().unwrap();
        let variables = [
            ("VVV_LOG__LEVEL", "info,vvv_actors=debug"),
            ("VVV_DATABASE__PATH", "/srv/a\n\"b\".db"),
            ("VVV_FETCH__ALLOW", "127.0.0.1:1,10.0.0.0/8"),
        ];
        let first = run(&["config", "show"], &variables);
        assert_eq!(first.code, Code::Success, "{}", first.stderr);
        let path = file(folder.path(), &first.stdout);
        let json = |arguments: &[&str], variables: &[(&str, &str)]| {
            let arguments = [&["config", "show", "--format", "json"], arguments].concat();
            let shown = run(&arguments, variables);
            let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
            let values = shown["values"].as_object().unwrap().clone();
            values
                .into_iter()
                .map(|(key, shown)| (key, shown["value"].clone()))
                .collect::<Vec<_>>()
        };
        let again = json(&["--config", path.to_str().unwrap()], &[]);
        assert_eq!(again, json(&[], &variables));
    }

    #[test]
    fn json_holds_the_value_and_its_origin_by_key() {
        let shown = run(
            &["config", "show", "--format", "json"],
            &[("VVV_QUEUES__CLEANUP__WORKERS", "1")],
        );
        let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
        assert_eq!(shown["file"], serde_json::Value::Null);
        assert_eq!(
            shown["values"]["queues.cleanup.workers"],
            json!({"value": 1, "origin": "VVV_QUEUES__CLEANUP__WORKERS"})
        );
        assert_eq!(
            shown["values"]["thumbnails.max_bytes"],
            json!({"value": "10MiB", "origin": "default"})
        );
    }

    #[test]
    fn check_accepts_what_can_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "log.level = 'debug'\n");
        let path = path.to_str().unwrap();
        let checked = run(
            &["config", "check", "--config", path, "--format", "human"],
            &[],
        );
        assert_eq!(checked.stdout, format!("{path}: can be used\n"));
        let checked = run(&["config", "check"], &[]);
        assert_eq!(checked.stdout, "{\"file\":null,\"ok\":true}\n");
        let quiet = run(&["config", "check", "--quiet"], &[]);
        assert_eq!((quiet.code, quiet.stdout.as_str()), (Code::Success, ""));
    }

    #[test]
    fn check_names_file_line_key_and_value_and_exits_with_3() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "[queues.scoring]\nworkers = 300\n");
        let path = path.to_str().unwrap();
        let checked = run(&["config", "check", "--config", path], &[]);
        assert_eq!(checked.code, Code::Unusable);
        assert_eq!(
            checked.stderr,
            format!("error: {path}:2: `queues.scoring.workers` = 300: must be 0 to 256\n")
        );
        let missing = run(&["config", "check", "--config", "/nowhere/x.toml"], &[]);
        assert_eq!(missing.code, Code::Unusable);
        assert_eq!(
            missing.stderr,
            "error: read configuration file /nowhere/x.toml: \
             No such file or directory (os error 2)\n"
        );
    }
}
