//! The keys there are, known from the embedded defaults: which names and types are right, what a
//! misspelt one was meant to be, and which environment variable sets which key.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::document::{self, Node, is_bare};
use super::{Config, ConfigError};

/// The embedded defaults, the lowest layer; they document every key.
pub const DEFAULT_TOML: &str = include_str!("../../conf/default.toml");

const PREFIX: &str = "VVV_";
const BASELINES: &str = "scoring.baselines.";
/// The region whose keys stand for those of every region.
const KNOWN_REGION: &str = "GB";

/// Every key with its default.
pub(super) struct Catalog {
    values: BTreeMap<String, toml::Value>,
    defaults: toml::Table,
}

impl Catalog {
    pub(super) fn new() -> Result<Self, ConfigError> {
        let entries = document::entries(DEFAULT_TOML).map_err(|error| ConfigError::Syntax {
            path: PathBuf::from("conf/default.toml (embedded)"),
            line: error.line,
            message: error.message,
        })?;
        let values: BTreeMap<_, _> = entries
            .into_iter()
            .filter_map(|entry| match entry.node {
                Node::Section => None,
                Node::Value(value) => Some((entry.key, value)),
            })
            .collect();
        let defaults = nest(&values);
        Ok(Self { values, defaults })
    }

    /// Every key of the defaults with its value.
    pub(super) const fn values(&self) -> &BTreeMap<String, toml::Value> {
        &self.values
    }

    /// The key whose default shows the type of `key`: itself, or for a region's baseline GB's.
    /// `None` if there is no such key.
    fn model(&self, key: &str) -> Option<String> {
        if self.values.contains_key(key) {
            return Some(key.to_owned());
        }
        let (region, name) = baseline(key)?;
        let model = format!("{BASELINES}{KNOWN_REGION}.{name}");
        (is_bare(region) && self.values.contains_key(&model)).then_some(model)
    }

    /// Whether there is such a key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.model(key).is_some()
    }

    /// Whether there is such a section.
    pub(super) fn has_section(&self, section: &str) -> bool {
        let start = format!("{section}.");
        self.values.keys().any(|key| key.starts_with(&start))
            || section.strip_prefix(BASELINES).is_some_and(is_bare)
    }

    /// The key or section that was probably meant.
    pub(super) fn suggest(&self, wrong: &str) -> Option<&str> {
        let sections = self.values.keys().flat_map(|key| {
            key.match_indices('.')
                .filter_map(|(at, _)| key.get(..at))
                .chain([key.as_str()])
        });
        let quoted = wrong.contains('"');
        nearest(wrong, sections, '.').filter(|_| !quoted)
    }

    /// The key an environment variable sets; `None` if it sets none.
    pub(super) fn key_of(&self, variable: &str) -> Option<String> {
        if let Some(key) = self.values.keys().find(|key| variable_of(key) == variable) {
            return Some(key.clone());
        }
        let rest = variable.strip_prefix(&variable_of(BASELINES))?;
        let (region, name) = rest.rsplit_once("__")?;
        let key = format!("{BASELINES}{region}.{}", name.to_ascii_lowercase());
        (name == name.to_ascii_uppercase() && self.has(&key)).then_some(key)
    }

    /// The variable that was probably meant.
    pub(super) fn suggest_variable(&self, wrong: &str) -> Option<String> {
        let variables: Vec<String> = self.values.keys().map(|key| variable_of(key)).collect();
        let wrong = wrong.to_ascii_uppercase();
        nearest(&wrong, variables.iter().map(String::as_str), '\0').map(str::to_owned)
    }

    /// Reads a variable's or flag's text as the key's type; lists are comma-separated.
    pub(super) fn read(&self, key: &str, text: &str) -> Result<toml::Value, String> {
        let model = self.model(key).and_then(|model| self.values.get(&model));
        let trimmed = text.trim();
        match model {
            Some(toml::Value::Integer(_)) => trimmed.parse().map(toml::Value::Integer).ok(),
            Some(toml::Value::Float(_)) => trimmed.parse().map(toml::Value::Float).ok(),
            Some(toml::Value::Boolean(_)) => trimmed.parse().map(toml::Value::Boolean).ok(),
            Some(toml::Value::Array(_)) => Some(toml::Value::Array(
                trimmed
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(|item| toml::Value::String(item.to_owned()))
                    .collect(),
            )),
            _ => Some(toml::Value::String(text.to_owned())),
        }
        .ok_or_else(|| expected(model).to_owned())
    }

    /// Tries one value alone, all others at their defaults, so that whatever is refused is this
    /// key's fault.
    pub(super) fn accepts(&self, key: &str, value: &toml::Value) -> Result<(), String> {
        let model = self.model(key).unwrap_or_else(|| key.to_owned());
        let mut table = self.defaults.clone();
        set(&mut table, &model, value.clone());
        let Err(error) = table.try_into::<Config>() else {
            return Ok(());
        };
        match self.values.get(&model) {
            // Units and choices say themselves what would be right.
            Some(toml::Value::String(_)) | None => Err(error.message().trim().to_owned()),
            Some(toml::Value::Integer(_)) if value.is_integer() => {
                let negative = value.as_integer().is_some_and(|value| value < 0);
                Err(if negative {
                    "must not be negative"
                } else {
                    "is too large"
                }
                .to_owned())
            }
            typed => Err(expected(typed).to_owned()),
        }
    }
}

/// The environment variable that sets a key: `VVV_QUEUES__SCORING__WORKERS`.
fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// Whether a variable is meant for us.
pub(super) fn is_ours(variable: &str) -> bool {
    variable.starts_with(PREFIX)
}

/// The region and the name of a baseline's key.
pub(super) fn baseline(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix(BASELINES)?.split_once('.')
}

/// Puts flat keys back into their sections.
pub(super) fn nest(values: &BTreeMap<String, toml::Value>) -> toml::Table {
    let mut table = toml::Table::new();
    for (key, value) in values {
        set(&mut table, key, value.clone());
    }
    table
}

fn set(table: &mut toml::Table, key: &str, value: toml::Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table
                .entry(section)
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let toml::Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

const fn expected(model: Option<&toml::Value>) -> &'static str {
    match model {
        Some(toml::Value::Integer(_)) => "must be a whole number",
        Some(toml::Value::Float(_)) => "must be a number",
        Some(toml::Value::Boolean(_)) => "must be true or false",
        Some(toml::Value::Array(_)) => "must be a list of strings",
        _ => "must be a string",
    }
}

/// The candidate closest to `wrong`, if any is close. Beside candidates of the same parent only
/// the last part is compared, for a long common beginning makes any two names look alike.
fn nearest<'a>(
    wrong: &str,
    candidates: impl Iterator<Item = &'a str>,
    separator: char,
) -> Option<&'a str> {
    let parts = |name: &str| {
        name.rsplit_once(separator)
            .map(|(parent, last)| (parent.to_owned(), last.to_owned()))
    };
    let wrong_parts = parts(wrong);
    candidates
        .filter_map(|candidate| {
            let likeness = match (&wrong_parts, parts(candidate)) {
                (Some((parent, last)), Some((its_parent, its_last))) if *parent == its_parent => {
                    (strsim::normalized_damerau_levenshtein(last, &its_last), 0.5)
                }
                _ => (
                    strsim::normalized_damerau_levenshtein(wrong, candidate),
                    0.75,
                ),
            };
            (likeness.0 >= likeness.1).then_some((likeness.0, candidate))
        })
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        Catalog::new().unwrap()
    }

    #[test]
    fn every_key_of_the_types_is_in_the_file_and_the_other_way_round() {
        // Deserialising refuses a key the types lack, and misses one the file lacks.
        let config: Config = toml::from_str(DEFAULT_TOML).unwrap();
        let values = config.values().unwrap();
        let mut written: Vec<String> = values.into_iter().map(|(key, _)| key).collect();
        written.sort();
        let documented: Vec<String> = catalog().values.into_keys().collect();
        assert_eq!(written, documented);
    }

    #[test]
    fn every_key_and_section_stands_under_a_comment_of_its_own() {
        let mut before = "";
        for line in DEFAULT_TOML.lines() {
            let is_key = line.contains('=') && !line.starts_with('#');
            assert!(!is_key || before.starts_with('#'), "no comment: {line}");
            assert!(line.len() <= 100, "too wide: {line}");
            before = line;
        }
    }

    #[test]
    fn every_key_has_a_variable_that_sets_it() {
        let catalog = catalog();
        for key in catalog.values.keys() {
            assert_eq!(catalog.key_of(&variable_of(key)).as_ref(), Some(key));
        }
        assert_eq!(
            catalog.key_of("VVV_QUEUES__SCORING__WORKERS").as_deref(),
            Some("queues.scoring.workers")
        );
        assert_eq!(
            catalog
                .key_of("VVV_SCORING__BASELINES__FI__VELOCITY")
                .as_deref(),
            Some("scoring.baselines.FI.velocity")
        );
        for wrong in [
            "VVV_",
            "VVV_QUEUES",
            "VVV_SCORING__BASELINES__FI",
            "VVV_SCORING__BASELINES____VELOCITY",
            "VVV_SCORING__BASELINES__FI__velocity",
            "VVV_SCORING__BASELINES__FI__SPEED",
        ] {
            assert_eq!(catalog.key_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_misspelt_key_is_told_what_was_meant() {
        let catalog = catalog();
        for (wrong, meant) in [
            ("queues.scoring.worker", Some("queues.scoring.workers")),
            (
                "queues.scoring.max_retry",
                Some("queues.scoring.max_retries"),
            ),
            ("thumbnail", Some("thumbnails")),
            ("queue.scoring", Some("queues.scoring")),
            ("database.file", None),
            ("queues.scoring.colour", None),
            ("everything", None),
        ] {
            assert_eq!(catalog.suggest(wrong), meant, "{wrong}");
        }
        assert_eq!(
            catalog.suggest_variable("VVV_DATABASE_PATH").as_deref(),
            Some("VVV_DATABASE__PATH")
        );
        assert_eq!(catalog.suggest_variable("VVV_HOME"), None);
    }

    #[test]
    fn text_is_read_as_the_keys_type() {
        let catalog = catalog();
        let read = |key, text| catalog.read(key, text).map(|value| value.to_string());
        assert_eq!(read("queues.scoring.workers", " 2 "), Ok("2".into()));
        assert_eq!(read("scoring.keep_details", "false"), Ok("false".into()));
        assert_eq!(read("scoring.baselines.FI.velocity", "7"), Ok("7.0".into()));
        assert_eq!(read("log.level", "7"), Ok("\"7\"".into()));
        assert_eq!(
            read("fetch.allow", "127.0.0.1:1, 10.0.0.0/8,"),
            Ok("[\"127.0.0.1:1\", \"10.0.0.0/8\"]".into())
        );
        assert_eq!(read("fetch.allow", ""), Ok("[]".into()));
        assert!(read("queues.scoring.workers", "2.5").is_err());
        assert!(read("scoring.keep_details", "yes").is_err());
    }
}
