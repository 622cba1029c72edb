//! What jobs found, in words: how many of each answer, and which items have none, and why.

use indexmap::IndexMap;

use crate::engine::{Findings, ThumbnailStatus, Verdict};
use crate::face::text::plain;

/// Reasons that are named, and items of each.
const MOST_REASONS: usize = 10;
const MOST_ITEMS: usize = 5;
/// The most of a reason or of an id, in bytes.
const LONGEST: usize = 200;

/// How many of each answer.
#[must_use]
pub fn tally(found: &Findings) -> String {
    let count = |names: &[&str], answers: &[&str]| {
        let counts = names.iter().filter_map(|name| {
            let count = answers.iter().filter(|answer| *answer == name).count();
            (count > 0).then(|| format!("{count} {name}"))
        });
        counts.collect::<Vec<_>>().join(", ")
    };
    match found {
        Findings::Score(found) => {
            let word = |has: bool| if has { "scored" } else { "without a score" };
            let words: Vec<&str> = found.iter().map(|one| word(one.reason.is_none())).collect();
            count(&[word(true), word(false)], &words)
        }
        Findings::Thumbnails(found) => {
            let words: Vec<&str> = found.iter().map(|one| one.status.as_str()).collect();
            count(&ThumbnailStatus::ALL.map(ThumbnailStatus::name), &words)
        }
        Findings::Liveness(found) => {
            let words: Vec<&str> = found.iter().map(|one| one.verdict.as_str()).collect();
            count(&Verdict::ALL.map(Verdict::name), &words)
        }
    }
}

/// The items whose verdict is `unknown`, each with the reason.
#[must_use]
pub fn unknown(found: &Findings) -> Vec<(&str, &str)> {
    let (thumbnail, verdict) = (ThumbnailStatus::Unknown.name(), Verdict::Unknown.name());
    match found {
        Findings::Score(_) => Vec::new(),
        Findings::Thumbnails(found) => {
            let unknown = found.iter().filter(|found| found.status == thumbnail);
            let why =
                unknown.map(|found| (&*found.id, found.reason.as_deref().unwrap_or_default()));
            why.collect()
        }
        Findings::Liveness(found) => {
            let unknown = found.iter().filter(|found| found.verdict == verdict);
            unknown.map(|found| (&*found.id, &*found.reason)).collect()
        }
    }
}

/// The videos that have no score, each with the reason.
#[must_use]
pub fn unscored(found: &Findings) -> Vec<(&str, &str)> {
    let Findings::Score(found) = found else {
        return Vec::new();
    };
    found
        .iter()
        .filter_map(|found| Some((&*found.id, found.reason.as_deref()?)))
        .collect()
}

/// A line for each reason, the commonest first: how many items, why, and the first of them.
pub fn by_reason<'a>(items: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut reasons: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for (id, reason) in items {
        reasons.entry(reason).or_default().push(id);
    }
    reasons.sort_by(|_, one, _, other| other.len().cmp(&one.len()));
    let mut lines: Vec<String> = reasons
        .iter()
        .take(MOST_REASONS)
        .map(|(reason, ids)| {
            let named = ids.iter().take(MOST_ITEMS).map(|id| plain(id, LONGEST));
            let named = named.collect::<Vec<_>>().join(", ");
            let more = match ids.len().saturating_sub(MOST_ITEMS) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let reason = plain(reason, LONGEST);
            format!("{} × {reason}: {named}{more}", ids.len())
        })
        .collect();
    let left = || reasons.values().skip(MOST_REASONS).map(Vec::len);
    if left().count() > 0 {
        let items: usize = left().sum();
        lines.push(format!("{items} for {} other reasons", left().count()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_told_by_reason_and_bounded() {
        let ids: Vec<String> = (0..7).map(|n| format!("v{n}")).collect();
        let late = ids.iter().map(|id| (id.as_str(), "timed out"));
        let items = [("a\n", "http 503")].into_iter().chain(late);
        let lines = [
            "7 × timed out: v0, v1, v2, v3, v4 and 2 more",
            "1 × http 503: a\\n",
        ];
        assert_eq!(by_reason(items), lines);
        let reasons: Vec<String> = (0..12).map(|n| format!("http {n}")).collect();
        let many = reasons.iter().map(|reason| ("a", reason.as_str()));
        let lines = by_reason(many);
        assert_eq!(lines.len(), MOST_REASONS + 1);
        assert_eq!(lines[MOST_REASONS], "2 for 2 other reasons");
        assert!(by_reason([]).is_empty());
    }
}
