//! What queries of Prometheus ask for, as far as ours go: metrics, the labels they are told apart by,
//! and the values these are compared with.

use std::collections::{BTreeMap, BTreeSet};

/// The values of each label of a metric.
pub type Labels = BTreeMap<String, BTreeSet<String>>;

/// What Prometheus itself puts to every sample.
const ITS_OWN: [&str; 2] = ["job", "instance"];

/// Checks a query, and the texts beside it that name labels of its result.
#[derive(Debug)]
pub struct Checked {
    /// The metrics it asks for.
    pub metrics: BTreeSet<String>,
    /// What it asks for and is not shown.
    pub wrong: Vec<String>,
}

/// What a text with queries asks for that is not shown.
pub fn check(text: &str, shown: &BTreeMap<String, Labels>) -> Checked {
    let mut checked = Checked {
        metrics: BTreeSet::new(),
        wrong: Vec::new(),
    };
    let mut known: BTreeSet<&str> = ITS_OWN.into();
    let mut rest = text;
    while let Some((name, after)) = next_metric(rest) {
        rest = after;
        checked.metrics.insert(name.to_owned());
        let Some(labels) = shown.get(name) else {
            checked.wrong.push(name.to_owned());
            continue;
        };
        known.extend(labels.keys().map(String::as_str));
        if let Some((matchers, _)) = after
            .strip_prefix('{')
            .and_then(|in_it| in_it.split_once('}'))
        {
            let wrong = matchers.split(',').filter(|matcher| !fits(matcher, labels));
            checked
                .wrong
                .extend(wrong.map(|matcher| format!("{name}{{{matcher}}}")));
        }
    }
    let named = grouped_by(text).into_iter().chain(shown_by(text));
    let unknown = named.filter(|label| !known.contains(label));
    checked
        .wrong
        .extend(unknown.map(|label| format!("label {label}")));
    checked
}

/// The next metric of ours, and the text after it.
fn next_metric(text: &str) -> Option<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut from = 0;
    loop {
        let begin = from + text[from..].find(is_name)?;
        let word = text[begin..].split(|c| !is_name(c)).next()?;
        from = begin + word.len();
        if word.starts_with("vvv_") || word.starts_with("process_") {
            return Some((word, &text[from..]));
        }
    }
}

/// Whether `label="value"`, or a regular expression of alternatives, can be.
fn fits(matcher: &str, labels: &Labels) -> bool {
    let Some((label, value)) = matcher.split_once(['=', '!']) else {
        return false;
    };
    let value = value.trim_start_matches(['=', '~']).trim_matches('"');
    if ITS_OWN.contains(&label) {
        return true;
    }
    let can_be = |values: &BTreeSet<String>| value.split('|').all(|value| values.contains(value));
    labels.get(label).is_some_and(can_be)
}

/// The labels in `by (…)` and `on (…)`.
fn grouped_by(text: &str) -> Vec<&str> {
    let lists = [" by (", " on ("].into_iter().flat_map(|clause| {
        let after = text.split(clause).skip(1);
        after.filter_map(|after| after.split(')').next())
    });
    lists
        .flat_map(|list| list.split(',').map(str::trim))
        .collect()
}

/// The labels in `{{…}}`, with or without `$labels.` before them.
fn shown_by(text: &str) -> Vec<&str> {
    let after = text.split("{{").skip(1);
    let within = after.filter_map(|after| after.split("}}").next());
    let labels = within
        .map(str::trim)
        .filter(|within| !within.starts_with("$value"));
    labels
        .map(|label| label.trim_start_matches("$labels."))
        .collect()
}

#[test]
fn what_is_not_shown_is_found_out() {
    let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    let labels = Labels::from([
        ("queue".to_owned(), values(&["scoring", "cleanup"])),
        ("state".to_owned(), values(&["available"])),
    ]);
    let shown = BTreeMap::from([("vvv_queue_jobs".to_owned(), labels)]);
    for right in [
        "sum by (queue, instance) (vvv_queue_jobs{state=\"available\",job=~\"$job\"})",
        "vvv_queue_jobs{queue=~\"scoring|cleanup\",queue!=\"scoring\"} {{ $labels.queue }} {{ $value }}",
    ] {
        let checked = check(right, &shown);
        assert!(checked.wrong.is_empty(), "{checked:?}");
        assert_eq!(checked.metrics.len(), 1);
    }
    for wrong in [
        "vvv_queue_job",
        "vvv_queue_jobs{state=\"waiting\"}",
        "vvv_queue_jobs{kind=\"score\"}",
        "vvv_queue_jobs{queue=~\"scoring|thumbs\"}",
        "sum by (kind) (vvv_queue_jobs)",
        "vvv_queue_jobs and on (who) vvv_queue_jobs",
        "vvv_queue_jobs {{kind}}",
    ] {
        assert_eq!(check(wrong, &shown).wrong.len(), 1, "{wrong}");
    }
}
