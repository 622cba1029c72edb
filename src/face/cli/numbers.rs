//! Numbers on the command line: what is no such number is refused in words that say what is.

use std::num::NonZeroUsize;

/// A job's number.
pub(super) fn parse_job(text: &str) -> Result<i64, String> {
    number(text).ok_or_else(|| "no job's number, such as 41; job list has them".to_owned())
}

/// A group's number.
pub(super) fn parse_group(text: &str) -> Result<i64, String> {
    number(text).ok_or_else(|| "no group's number, such as 12; job list has them".to_owned())
}

/// How soon a job is done.
pub(super) fn parse_priority(text: &str) -> Result<u8, String> {
    number(text)
        .filter(|priority| *priority <= 9)
        .ok_or_else(|| "must be a whole number, 0 (first) to 9 (last)".to_owned())
}

/// A number of calls.
pub(super) fn parse_calls(text: &str) -> Result<u32, String> {
    number(text).ok_or_else(|| format!("must be a whole number, 0 to {}", u32::MAX))
}

/// A number of things of which there is one at least.
pub(super) fn parse_limit(text: &str) -> Result<NonZeroUsize, String> {
    number(text).ok_or_else(|| "must be a whole number, 1 or more".to_owned())
}

fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use clap::Parser;

    #[test]
    fn what_is_no_such_number_is_refused_in_plain_words() {
        for (line, said) in [
            ("job show abc", "no job's number"),
            ("job wait 1 2x", "no job's number"),
            ("job wait --group x", "no group's number"),
            ("job cancel 99999999999999999999", "no job's number"),
            ("job retry abc", "no job's number"),
            ("job list --group abc", "no group's number"),
            ("job list --before abc", "no job's number"),
            ("job list --limit abc", "1 or more"),
            ("submit score a --priority abc", "0 (first) to 9 (last)"),
            ("submit score a --priority 10", "0 (first) to 9 (last)"),
            ("submit batch - --priority=-1", "0 (first) to 9 (last)"),
            ("submit batch - --on-success x", "no job such as {"),
            ("batch - --max-calls many", "a whole number, 0 to"),
            ("liveness a --max-calls 1.5", "a whole number, 0 to"),
        ] {
            let line = format!("vvv-actors {line}");
            let refused = Cli::try_parse_from(line.split_whitespace()).unwrap_err();
            let refused = refused.to_string();
            assert!(refused.contains(said), "{line}: {refused}");
            assert!(!refused.contains("invalid digit"), "{line}: {refused}");
        }
    }
}
