//! `db`: looks after the site's database file and our tables in it.

use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::waiting::notice;
use super::{Console, Format, Global};
use crate::config::{Config, Loaded};
use crate::engine::database::{
    self, Copied, DatabaseError, Diagnosis, DoctorRequest, Now, OwnObject, Patience, Rows, Sizes,
    TableSize,
};
use crate::face::exit::{Code, Failure, printed};
use crate::face::text::plain;

/// The most of one line that is printed, in bytes.
const LONGEST_LINE: usize = 4096;

/// Arguments of `db`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DbArgs {
    /// What to do with the database.
    #[command(subcommand)]
    pub action: DbAction,
}

/// What `db` does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum DbAction {
    /// Look for what makes the database slow or unsafe, and mend what flags name
    ///
    /// Prints one line a finding, `ok`, `warn` or `bad`, and exits with 1 if something needs
    /// doing. Writes nothing unless a flag says so.
    Doctor(DoctorArgs),
    /// Show how large the file is and how much room our tables take
    Size,
    /// Copy the database while others use it, and check the copy
    Backup(BackupArgs),
    /// Remove our tables, after showing them; what is the site's stays as it is
    Uninstall(UninstallArgs),
}

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
    /// Ask the oEmbed endpoint about one well-known video, under a permit
    #[arg(long)]
    pub online: bool,
}

/// Arguments of `db backup`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct BackupArgs {
    /// The copy to write; must not exist yet
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Arguments of `db uninstall`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct UninstallArgs {
    /// Do it without asking
    #[arg(long)]
    pub yes: bool,
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        let code = match &error {
            DatabaseError::BackupExists(_) => Code::Usage,
            DatabaseError::BackupUnwritable { .. } | DatabaseError::CopyDamaged { .. } => {
                Code::Failed
            }
            DatabaseError::NotNamed | DatabaseError::Store(_) => Code::Unusable,
        };
        let told = match &error {
            DatabaseError::NotNamed | DatabaseError::Store(_) => format!("failed to {error}"),
            _ => format!("did not {error}"),
        };
        Self::new(code, anyhow::Error::msg(told))
    }
}

/// Runs it.
///
/// # Errors
/// When the database cannot be used, or standard output cannot be written.
pub fn run(
    arguments: &DbArgs,
    global: &Global,
    loaded: &Loaded,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let config = &loaded.config;
    match &arguments.action {
        DbAction::Doctor(doctor) => run_doctor(doctor, global, config, console),
        DbAction::Size => run_size(global, config, console),
        DbAction::Backup(backup) => run_backup(backup, global, config, console),
        DbAction::Uninstall(uninstall) => run_uninstall(uninstall, global, config, console),
    }
}

fn run_doctor(
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

fn run_size(global: &Global, config: &Config, console: &mut Console<'_>) -> Result<Code, Failure> {
    let mut waiting = notice(&config.database.path, global, console.stderr);
    let sizes = database::size(config, &mut Patience::endless(&mut waiting))?;
    drop(waiting);
    let text = match global.format(console.stdout_is_terminal) {
        Format::Json => json_line(&sizes),
        Format::Human => size_lines(&sizes),
    };
    print(&text, console)
}

fn size_lines(sizes: &Sizes) -> String {
    let pages = &sizes.pages;
    let mut text = format!(
        "file  {}, {} pages of {}, {} of them free\n",
        bytes(sizes.file_bytes),
        pages.count,
        bytes(pages.size),
        pages.free
    );
    if let Some(wal) = sizes.wal_bytes {
        let _ = writeln!(text, "wal   {}", bytes(wal));
    }
    if sizes.ours.is_empty() {
        text.push_str("ours  nothing yet; the first run makes our tables\n");
    }
    let ours = sizes.ours.iter().map(|table| ("ours", table));
    let site = sizes.site.iter().map(|table| ("site", table));
    for (
        whose,
        TableSize {
            table,
            rows,
            bytes: taken,
        },
    ) in ours.chain(site)
    {
        let rows = match rows {
            Rows::Exact(count) => format!("{count} rows"),
            Rows::AtMost(count) => format!("at most {count} rows"),
            Rows::Unknown => "too many rows to count in passing".to_owned(),
        };
        let taken = taken.map_or_else(String::new, |taken| format!(", {}", bytes(taken)));
        let table = plain(table, LONGEST_LINE);
        let _ = writeln!(text, "{whose}  {table}: {rows}{taken}");
    }
    text
}

fn run_backup(
    arguments: &BackupArgs,
    global: &Global,
    config: &Config,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let shows = console.stderr_is_terminal && !global.quiet;
    let mut shown = None;
    let mut progress = |copied: Copied| {
        let percent = (copied.pages * 100).checked_div(copied.of);
        if shows && percent != shown {
            shown = percent;
            // Beside the notice's stream: both only ever append to standard error.
            let _ = write!(io::stderr(), "\rcopied {} %", percent.unwrap_or(100));
        }
    };
    let mut waiting = notice(&config.database.path, global, console.stderr);
    let patience = &mut Patience::endless(&mut waiting);
    let made = database::backup(config, &arguments.file, &mut progress, patience);
    drop(waiting);
    if shown.is_some() {
        let _ = writeln!(console.stderr);
    }
    let made = made?;
    let text = match global.format(console.stdout_is_terminal) {
        Format::Json => json_line(&made),
        Format::Human => format!(
            "{}: {}, checked\n",
            plain(made.file.display(), LONGEST_LINE),
            bytes(made.bytes)
        ),
    };
    print(&text, console)
}

fn run_uninstall(
    arguments: &UninstallArgs,
    global: &Global,
    config: &Config,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
    let path = config.database.path.as_path();
    let mut waiting = notice(path, global, console.stderr);
    let ours = database::what_is_ours(config, &mut Patience::endless(&mut waiting))?;
    drop(waiting);
    let format = global.format(console.stdout_is_terminal);
    if format == Format::Human {
        print(&own_lines(&ours), console)?;
    }
    let agreed = !ours.is_empty() && (arguments.yes || agrees(console));
    let mut removed = Vec::new();
    if agreed {
        let mut waiting = notice(path, global, console.stderr);
        removed = database::uninstall(config, &mut Patience::endless(&mut waiting))?;
    }
    let text = match format {
        Format::Json => json_line(&json!({
            "removed": agreed,
            "objects": if agreed { removed } else { ours },
        })),
        Format::Human if agreed => format!(
            "removed {}; the file keeps its size, the room is used again\n",
            counted(removed.len())
        ),
        Format::Human if ours.is_empty() => String::new(),
        Format::Human => "nothing was removed; --yes does it\n".to_owned(),
    };
    print(&text, console)
}

fn own_lines(objects: &[OwnObject]) -> String {
    if objects.is_empty() {
        return "nothing in this file is ours\n".to_owned();
    }
    let mut text = String::new();
    for OwnObject {
        kind, name, rows, ..
    } in objects
    {
        let rows = rows.map_or_else(String::new, |rows| format!(", {rows} rows"));
        let _ = writeln!(text, "{kind} {}{rows}", plain(name, LONGEST_LINE));
    }
    text
}

fn counted(objects: usize) -> String {
    match objects {
        1 => "1 object".to_owned(),
        more => format!("{more} objects"),
    }
}

/// Asks whoever sits at a terminal; nobody there is a no.
fn agrees(console: &mut Console<'_>) -> bool {
    let stdin = io::stdin();
    if !stdin.is_terminal() || !console.stderr_is_terminal {
        return false;
    }
    let asked = write!(console.stderr, "Remove all of this? [y/N] ").and_then(|()| {
        console.stderr.flush()?;
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer)?;
        Ok(answer)
    });
    asked.is_ok_and(|answer| matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Bytes in the unit people would choose, one decimal.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut scaled = count as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while scaled >= 1024.0 {
        let Some(next) = units.next() else { break };
        scaled /= 1024.0;
        unit = Some(next);
    }
    format!("{scaled:.1} {}", unit.unwrap_or(&"KiB"))
}

/// One object on one line.
pub(super) fn json_line(value: &impl Serialize) -> String {
    // Nothing printed here can fail to be written as JSON.
    serde_json::to_string(value).map_or_else(|_| String::new(), |text| text + "\n")
}

/// Prints a result.
pub(super) fn print(text: &str, console: &mut Console<'_>) -> Result<Code, Failure> {
    let stdout = &mut *console.stdout;
    printed(
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_the_unit_people_would_choose() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(115 << 20), "115.0 MiB");
        assert_eq!(bytes(u64::MAX), "16777216.0 TiB");
    }
}
