//! A strict reader of the OpenMetrics text format, as far as we use it.

use std::collections::{BTreeMap, BTreeSet};

use super::queries::Labels;

/// What a scrape shows.
#[derive(Debug, Default)]
pub struct Exposition {
    /// The values by name and labels, as they are written.
    samples: BTreeMap<String, f64>,
}

/// The family whose lines are read.
#[derive(Debug, Default)]
struct Family {
    name: String,
    kind: String,
    unit: Option<String>,
    samples: Vec<(String, String, f64)>,
}

impl Exposition {
    /// Reads a scrape; whatever is wrong with it ends the test.
    pub fn read(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").expect("it ends in # EOF");
        let mut read = Self::default();
        let mut families = BTreeSet::new();
        let mut family = Family::default();
        for line in body.lines() {
            if let Some(meta) = line.strip_prefix("# ") {
                let (word, rest) = meta.split_once(' ').expect("a word");
                let (name, value) = rest.split_once(' ').expect("a name");
                if name != family.name {
                    read.take(std::mem::take(&mut family));
                    assert!(families.insert(name.to_owned()), "{name} comes twice");
                    assert!(is_name(name), "{line}");
                    name.clone_into(&mut family.name);
                }
                assert!(family.samples.is_empty(), "{line} after a sample");
                match word {
                    "HELP" => assert!(value.ends_with('.') && !value.ends_with(".."), "{line}"),
                    "TYPE" => value.clone_into(&mut family.kind),
                    "UNIT" => family.unit = Some(value.to_owned()),
                    _ => panic!("{line}"),
                }
            } else {
                family.samples.push(sample(line));
            }
        }
        read.take(family);
        read
    }

    fn take(&mut self, family: Family) {
        if family.name.is_empty() {
            return;
        }
        family.check();
        for (name, labels, value) in family.samples {
            let before = self.samples.insert(format!("{name}{labels}"), value);
            assert_eq!(before, None, "{name}{labels} comes twice");
        }
    }

    /// The value of a name with its labels, as they are written.
    #[track_caller]
    pub fn value(&self, sample: &str) -> f64 {
        let value = self.samples.get(sample);
        *value.unwrap_or_else(|| panic!("there is no {sample}"))
    }

    /// The values of every label, by the name of the samples.
    pub fn labels(&self) -> BTreeMap<String, Labels> {
        let mut shown: BTreeMap<String, Labels> = BTreeMap::new();
        for sample in self.samples.keys() {
            let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
            let of_name = shown.entry(name.to_owned()).or_default();
            let labels = labels.trim_end_matches('}').split(',');
            for (label, value) in labels.filter_map(|label| label.split_once('=')) {
                let values = of_name.entry(label.to_owned()).or_default();
                values.insert(value.trim_matches('"').to_owned());
            }
        }
        shown
    }

    /// The names of all samples.
    pub fn names(&self) -> BTreeSet<String> {
        let names = self.samples.keys();
        names
            .map(|sample| sample.split('{').next().unwrap().to_owned())
            .collect()
    }
}

impl Family {
    fn check(&self) {
        if let Some(unit) = &self.unit {
            assert!(self.name.ends_with(&format!("_{unit}")), "{self:?}");
            assert!(["seconds", "bytes"].contains(&&**unit), "{self:?}");
        }
        let suffixes: &[&str] = match &*self.kind {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => panic!("{self:?}"),
        };
        for (name, _, value) in &self.samples {
            let suffix = name.strip_prefix(&self.name);
            let suffix = suffix.unwrap_or_else(|| panic!("{name} in {}", self.name));
            assert!(suffixes.contains(&suffix), "{name}");
            assert!(value.is_finite() && *value >= 0.0, "{name} {value}");
        }
        if self.kind == "histogram" {
            self.check_buckets();
        }
    }

    /// Buckets grow, and the last is all of them.
    fn check_buckets(&self) {
        let mut last: Option<(f64, f64)> = None;
        for (name, labels, value) in &self.samples {
            if name.ends_with("_bucket") {
                let (_, edge) = labels.split_once("le=\"").expect("an edge");
                let edge = edge.split('"').next().unwrap().replace("+Inf", "inf");
                let edge: f64 = edge.parse().unwrap();
                if let Some((before, count)) = last {
                    assert!(before < edge && count <= *value, "{name}{labels}");
                }
                last = Some((edge, *value));
            } else if let Some((edge, _)) = last.take() {
                assert_eq!(edge, f64::INFINITY, "{name}{labels}");
            }
        }
        let is_whole = last.is_none_or(|(edge, _)| edge == f64::INFINITY);
        assert!(is_whole, "{} ends early", self.name);
    }
}

fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_part)
}

/// A line's name, labels and value.
fn sample(line: &str) -> (String, String, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
    let (name, labels) = match series.find('{') {
        Some(at) => series.split_at(at),
        None => (series, ""),
    };
    assert!(is_name(name), "{line}");
    if let Some(labels) = labels.strip_prefix('{') {
        let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
        for label in labels.split(',') {
            let (key, value) = label.split_once('=').unwrap_or_else(|| panic!("{line}"));
            let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
            let inner = inner.unwrap_or_else(|| panic!("{line}"));
            // None of ours needs an escape, for no label is a stranger's text.
            assert!(is_name(key) && !inner.contains(['"', '\\']), "{line}");
        }
    }
    (name.to_owned(), labels.to_owned(), value)
}
