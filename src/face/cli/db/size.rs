//! `db size`: how large the file is and how much of it is ours.

use std::fmt::Write as _;

use super::super::waiting::notice;
use super::super::{Console, Format, Global};
use super::{LONGEST_LINE, bytes, json_line, print};
use crate::config::Config;
use crate::engine::database::{self, Patience, Rows, Sizes, TableSize};
use crate::face::exit::{Code, Failure};
use crate::face::text::plain;

pub(super) fn run(
    global: &Global,
    config: &Config,
    console: &mut Console<'_>,
) -> Result<Code, Failure> {
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
