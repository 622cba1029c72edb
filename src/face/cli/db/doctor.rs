//! `db doctor`: one line a finding.

use std::fmt::Write as _;

use clap::Args;
use serde_json::json;

use super::super::waiting::notice;
use super::super::{Console, Format, Global};
use super::{LONGEST_LINE, json_line, print};
use crate::config::Config;
use crate::engine::database::{self, Diagnosis, DoctorRequest, Now};
use crate::face::exit::{Code, Failure};
use crate::face::text::plain;

/// Arguments of `db doctor`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct DoctorArgs {
    /// Tell whether this system user can read and write the database; may be repeated
    #[arg(long = "as", value_name = "USER")]
    pub users: Vec<String>,
    /// Turn the file's journal mode to WAL, if all who must read it still could
    #[arg(long)]
    pub set_wal: bool,
    /// Create the indexes that lookups need, where they are missing
    #[arg(long)]
    pub create_index: bool,
    /// Ask the oEmbed endpoint about one well-known video, under a permit, for which our tables
    /// are made if they are missing
    #[arg(long)]
    pub online: bool,
}

pub(super) fn run(
    arguments: &DoctorArgs,
    global: &Global,
    config: &Config,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let online = if arguments.online {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(Code::Unusable, error))?;
        Some(runtime.block_on(database::ask_endpoint(config)))
    } else {
        None
    };
    let request = DoctorRequest {
        users: arguments.users.clone(),
        set_wal: arguments.set_wal,
        create_index: arguments.create_index,
        online,
    };
    let mut waiting = notice(&config.database.path, global, console.stderr);
    let diagnosis = database::doctor(config, &request, &Now::read(), &mut waiting)?;
    drop(waiting);
    // A line a finding suits programs too, so only who asks for JSON gets it.
    let text = match global.format {
        Some(Format::Json) => json_line(&json!({
            "needs_doing": diagnosis.needs_doing(),
            "findings": diagnosis.findings,
        })),
        Some(Format::Human) | None => findings(&diagnosis),
    };
    print(&text, console)?;
    Ok(if diagnosis.needs_doing() {
        Code::Failed
    } else {
        Code::Success
    })
}

fn findings(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    for finding in &diagnosis.findings {
        let level = finding.level.name();
        let _ = writeln!(text, "{level:<4}  {}", plain(finding, LONGEST_LINE));
    }
    text
}
