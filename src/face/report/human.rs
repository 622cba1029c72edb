//! The report for people.

use std::io::{self, Write};

use comfy_table::Table;

use super::found::by_reason;
use super::{Report, ScoreEntry};
use crate::engine::{Label, Score, ThumbnailStatus, Verdict};
use crate::face::tables::{cell, number, table};
use crate::face::text::plain;

/// Rows of a table before the rest is only counted: a terminal holds no more.
const MOST_ROWS: usize = 20;
/// Bytes of a cell.
const LONGEST_CELL: usize = 200;

/// Prints the report as tables.
///
/// # Errors
/// When the output cannot be written.
pub fn print_tables(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    print_scoring(report, out)?;
    print_thumbnails(report, out)?;
    print_liveness(report, out)?;
    print_summary(report, out)
}

fn print_scoring(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let Some(scoring) = &report.scoring else {
        return Ok(());
    };
    let mut best: Vec<_> = scoring
        .entries()
        .filter_map(|(id, entry)| match entry {
            ScoreEntry::Score(Score::Scored(scored)) => Some((id, scored)),
            ScoreEntry::Score(Score::Unscored(_)) | ScoreEntry::Failed(_) => None,
        })
        .collect();
    let labelled = |label| {
        best.iter()
            .filter(|(_, scored)| scored.label == label)
            .count()
    };
    writeln!(
        out,
        "Scoring: {} viral, {} trending, {} normal, {} without a score",
        labelled(Label::Viral),
        labelled(Label::Trending),
        labelled(Label::Normal),
        scoring.entries().count() - best.len(),
    )?;
    best.sort_by(|(_, one), (_, other)| other.score.total_cmp(&one.score));
    let mut table = table(&[
        "video",
        "score",
        "label",
        "region",
        "views/h",
        "engagement %",
    ]);
    for (id, scored) in best.iter().take(MOST_ROWS) {
        table.add_row(vec![
            cell(id),
            number(format!("{:.1}", scored.score)),
            cell(scored.label.name()),
            cell(scored.region.as_deref().unwrap_or("-")),
            number(scored.velocity.to_string()),
            number(format!("{:.2}", scored.engagement)),
        ]);
    }
    print_rows(&table, best.len(), out)?;
    let without: Vec<(&str, String)> = scoring
        .entries()
        .filter_map(|(id, entry)| match entry {
            ScoreEntry::Score(Score::Scored(_)) => None,
            ScoreEntry::Score(Score::Unscored(reason)) => Some((id.as_str(), reason.to_string())),
            ScoreEntry::Failed(error) => Some((id.as_str(), format!("failed: {error}"))),
        })
        .collect();
    let without = without.iter().map(|(id, reason)| (*id, reason.as_str()));
    print_reasons("Without a score", without, out)
}

fn print_thumbnails(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let Some(thumbnails) = &report.thumbnails else {
        return Ok(());
    };
    let (unknown, known): (Vec<_>, Vec<_>) = thumbnails
        .details
        .iter()
        .partition(|detail| detail.status == ThumbnailStatus::Unknown.name());
    // The very words of the verdicts, whatever counts as broken elsewhere.
    let of = |status: ThumbnailStatus| {
        let named = known.iter().filter(|one| one.status == status.name());
        named.count()
    };
    writeln!(
        out,
        "Thumbnails: {} valid, {} broken, {} error, {} placeholder, {} unknown",
        thumbnails.valid,
        of(ThumbnailStatus::Broken),
        of(ThumbnailStatus::Error),
        of(ThumbnailStatus::Placeholder),
        unknown.len(),
    )?;
    let mut table = table(&["video", "status", "size", "why"]);
    for detail in known.iter().take(MOST_ROWS) {
        table.add_row(vec![
            cell(&detail.id),
            cell(detail.status),
            cell(detail.size.as_deref().unwrap_or("-")),
            cell(detail.msg.as_deref().unwrap_or("-")),
        ]);
    }
    print_rows(&table, known.len(), out)?;
    // As in the article, if the configuration says so.
    let title = match thumbnails.unknown {
        0 => "Unknown, counted as broken",
        _ => "Unknown",
    };
    let unknown = unknown
        .iter()
        .map(|one| (&*one.id, one.msg.as_deref().unwrap_or("-")));
    print_reasons(title, unknown, out)
}

fn print_liveness(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let Some(liveness) = &report.liveness else {
        return Ok(());
    };
    writeln!(
        out,
        "Liveness: {} alive, {} dead, {} unknown, {} invalid",
        liveness.alive, liveness.dead, liveness.unknown, liveness.invalid,
    )?;
    let (unknown, known): (Vec<_>, Vec<_>) = liveness
        .details
        .iter()
        .partition(|detail| detail.verdict == Verdict::Unknown.name());
    let mut table = table(&["video", "verdict", "answer", "why"]);
    for detail in known.iter().take(MOST_ROWS) {
        table.add_row(vec![
            cell(&detail.id),
            cell(detail.verdict),
            cell(
                detail
                    .http_status
                    .map_or_else(|| "-".to_owned(), |code| code.to_string()),
            ),
            cell(&detail.reason),
        ]);
    }
    print_rows(&table, known.len(), out)?;
    let unknown = unknown.iter().map(|detail| (&*detail.id, &*detail.reason));
    print_reasons("Unknown", unknown, out)
}

fn print_summary(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let summary = &report.summary;
    for failure in &summary.failures {
        writeln!(
            out,
            "failed: {} of {} videos: {}",
            failure.kind,
            failure.ids.len(),
            printable(&failure.error)
        )?;
    }
    if !summary.not_done.is_empty() {
        let left = &summary.not_done;
        writeln!(
            out,
            "left to do: {} to score, {} thumbnails, {} to ask for; {}",
            left.scoring.len(),
            left.thumbnails.len(),
            left.liveness.len(),
            summary
                .enqueued
                .as_ref()
                .map_or_else(|| "run it again to go on".to_owned(), ToString::to_string),
        )?;
    }
    if let Some(reason) = &summary.ended_by {
        writeln!(out, "ended early: {reason}")?;
    }
    let seconds = std::time::Duration::from_millis(summary.elapsed_ms).as_secs_f64();
    writeln!(
        out,
        "{} jobs in {seconds:.1} s, {} oEmbed calls, {} verdicts reused, database {}{}",
        summary.jobs,
        summary.oembed_calls,
        summary.cached.thumbnails + summary.cached.liveness,
        summary.db,
        if summary.dry_run {
            " (dry run: nothing was written)"
        } else {
            ""
        },
    )
}

fn print_rows(table: &Table, rows: usize, out: &mut dyn Write) -> io::Result<()> {
    if rows > 0 {
        writeln!(out, "{table}")?;
    }
    if rows > MOST_ROWS {
        writeln!(
            out,
            "  … and {} more (--format json lists all)",
            rows - MOST_ROWS
        )?;
    }
    writeln!(out)
}

/// Items without an answer, apart from the table: there its end would cut them off.
fn print_reasons<'a>(
    title: &str,
    items: impl IntoIterator<Item = (&'a str, &'a str)>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let lines = by_reason(items);
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "{title}:")?;
    for line in lines {
        writeln!(out, "  {line}")?;
    }
    writeln!(out)
}

/// Text from outside, without what a terminal would obey.
fn printable(text: &str) -> String {
    plain(text, LONGEST_CELL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{ThumbnailItem, ThumbnailVerdict, TicketEvent};
    use crate::face::batch_file::Plan;
    use crate::face::report::{Collector, Summary};

    fn printed(statuses: &[ThumbnailStatus], unknown_is_broken: bool) -> String {
        let item = |place: usize| ThumbnailItem {
            video_id: format!("v{place}"),
            thumbnail_url: "u".to_owned(),
        };
        let plan = Plan {
            thumbnails: Some((0..statuses.len()).map(item).collect()),
            ..Plan::default()
        };
        let mut collector = Collector::new(&plan, unknown_is_broken);
        for (place, status) in statuses.iter().copied().enumerate() {
            collector.note(TicketEvent::Thumbnail {
                item: item(place),
                verdict: ThumbnailVerdict {
                    status,
                    reason: Some(format!("why {status}")),
                    size: None,
                },
                cached: false,
            });
        }
        let report = collector.into_report(|gathered| Summary::of(gathered, String::new()));
        let mut out = Vec::new();
        print_tables(&report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn thumbnails_are_counted_by_the_words_of_their_verdicts() {
        let statuses = ThumbnailStatus::ALL;
        let counts = "Thumbnails: 1 valid, 1 broken, 1 error, 1 placeholder, 1 unknown\n";
        for (unknown_is_broken, title) in [
            (false, "\nUnknown:\n"),
            (true, "\nUnknown, counted as broken:\n"),
        ] {
            let text = printed(&statuses, unknown_is_broken);
            assert!(text.starts_with(counts), "{text}");
            assert!(
                text.contains(&format!("{title}  1 × why unknown: v4\n")),
                "{text}"
            );
        }
    }

    #[test]
    fn the_end_of_a_long_table_hides_no_unknown_one() {
        let mut statuses = vec![ThumbnailStatus::Broken; MOST_ROWS + 1];
        statuses.push(ThumbnailStatus::Unknown);
        let text = printed(&statuses, false);
        assert!(text.contains("… and 1 more"), "{text}");
        assert!(text.contains("  1 × why unknown: v21\n"), "{text}");
    }
}
