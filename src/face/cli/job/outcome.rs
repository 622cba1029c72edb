//! What became of jobs that were named: those that it was done to, and those that it was not.

use super::super::db::{json_line, print};
use super::super::{Console, Format, Global};
use crate::face::exit::{Code, Failure};

pub(super) fn tell(
    what: &'static str,
    ids: &[i64],
    asked: &[i64],
    global: &Global,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let text = match global.format(console.stdout_is_terminal) {
        Format::Json => json_line(&serde_json::json!({ what: ids })),
        Format::Human => {
            let others: Vec<String> = asked
                .iter()
                .filter(|id| !ids.contains(id))
                .map(i64::to_string)
                .collect();
            let mut text = format!("{what}: {} of {}\n", ids.len(), asked.len());
            if !others.is_empty() {
                let why = if what == "cancelled" {
                    "have ended, or are not there"
                } else {
                    "have not failed or been cancelled, or are not there"
                };
                text += &format!("not {what}, for they {why}: {}\n", others.join(", "));
            }
            text
        }
    };
    print(&text, console)?;
    // Whoever named a job wants to know that it was not so.
    Ok(if ids.len() < asked.len() {
        Code::Failed
    } else {
        Code::Success
    })
}
