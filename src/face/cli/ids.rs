//! Ids on the command line. One YouTube id in 64 begins with a dash, which clap takes for a flag;
//! and told to let dashes through, it takes every later flag, and every misspelt one, for an id.
//! So ids are marked before clap sees them, and the mark is taken off by [`parse`].

use std::ffi::{OsStr, OsString};

use clap::Command;

/// The commands whose arguments are ids.
const VERBS: [&str; 4] = ["score", "thumbnails", "liveness", "video"];
/// Stands before an id; no width, so that a message of clap's shows the id as it was typed.
const MARK: &str = "\u{2060}";
/// Characters of a YouTube id.
const LENGTH: usize = 11;

/// Marks what can only be an id: eleven characters of an id's alphabet after a command that takes
/// ids, one dash first. What begins with two is a flag unless it stands after `--`.
pub(super) fn protect(arguments: Vec<OsString>, command: &Command) -> Vec<OsString> {
    let mut with_value = Vec::new();
    collect_options_with_value(command, &mut with_value);
    let mut verb_seen = false;
    let mut flags_ended = false;
    let mut is_value = false;
    arguments
        .into_iter()
        .map(|argument| {
            let is_id = verb_seen
                && !is_value
                && (starts_with_mark(&argument) || (!flags_ended && is_dashed_id(&argument)));
            if !flags_ended && !is_value {
                verb_seen |= VERBS.iter().any(|verb| argument == *verb);
                flags_ended = argument == "--";
                is_value = with_value.iter().any(|option| argument == **option);
            } else {
                is_value = false;
            }
            if is_id {
                let mut marked = OsString::from(MARK);
                marked.push(argument);
                marked
            } else {
                argument
            }
        })
        .collect()
}

/// Reads an id from the command line.
pub(super) fn parse(argument: &str) -> Result<String, String> {
    let id = argument.strip_prefix(MARK).unwrap_or(argument);
    if id.is_empty() {
        return Err("an id is not empty".to_owned());
    }
    Ok(id.to_owned())
}

fn collect_options_with_value(command: &Command, names: &mut Vec<String>) {
    for argument in command.get_arguments() {
        if argument.get_action().takes_values() {
            names.extend(argument.get_long().map(|name| format!("--{name}")));
            names.extend(argument.get_short().map(|name| format!("-{name}")));
        }
    }
    for subcommand in command.get_subcommands() {
        collect_options_with_value(subcommand, names);
    }
}

fn is_dashed_id(argument: &OsStr) -> bool {
    argument.to_str().is_some_and(|text| {
        text.len() == LENGTH
            && text.starts_with('-')
            && !text.starts_with("--")
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    })
}

fn starts_with_mark(argument: &OsStr) -> bool {
    argument.to_str().is_some_and(|text| text.starts_with(MARK))
}
