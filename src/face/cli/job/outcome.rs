//! What became of jobs that were named: those that it was done to, and those that it was not.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::json;

use super::super::db::{json_line, print};
use super::super::{Console, Format, Global};
use crate::face::exit::{Code, Failure};
use crate::face::protocol::LeftAlone;

/// Jobs that were named.
#[derive(Default)]
pub(super) struct Steered {
    pub(super) done: Vec<i64>,
    pub(super) left: Vec<LeftAlone>,
}

pub(super) fn tell(
    what: &'static str,
    Steered { done, left }: &Steered,
    global: &Global,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let text = match global.format(console.stdout_is_terminal) {
        Format::Json => json_line(&json!({ what: done, (format!("not_{what}")): left })),
        Format::Human => {
            let all = done.len() + left.len();
            let mut text = format!("{what}: {} of {all}\n", done.len());
            let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for job in left {
                let jobs = reasons.entry(&job.reason).or_default();
                jobs.push(job.id.to_string());
            }
            for (reason, jobs) in reasons {
                let _ = writeln!(text, "not {what}, {reason}: {}", jobs.join(", "));
            }
            text
        }
    };
    print(&text, console)?;
    // Whoever named a job wants to know that it was not so.
    Ok(if left.is_empty() {
        Code::Success
    } else {
        Code::Failed
    })
}
