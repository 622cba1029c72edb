//! A TOML file as a flat list of keys, each with its value and its line: what the layers need to
//! say where a value comes from.

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// One key of a file.
pub(super) struct Entry {
    /// With its sections, dotted; a part that is no bare key is quoted.
    pub(super) key: String,
    /// From 1.
    pub(super) line: usize,
    /// What stands there.
    pub(super) node: Node,
}

/// What a key holds.
pub(super) enum Node {
    /// A table; its keys follow as entries of their own.
    Section,
    /// Anything else.
    Value(toml::Value),
}

/// A text that is no TOML.
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) message: String,
}

/// Reads a file's text: every key, a section before what it holds, else in order of name.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, SyntaxError> {
    let root = DeTable::parse(text).map_err(|error| syntax_error(text, &error))?;
    let mut entries = Vec::new();
    walk(text, "", root.into_inner(), &mut entries)?;
    Ok(entries)
}

fn walk(
    text: &str,
    prefix: &str,
    table: DeTable<'_>,
    entries: &mut Vec<Entry>,
) -> Result<(), SyntaxError> {
    for (name, value) in table {
        let line = line_of(text, name.span().start);
        let key = join(prefix, name.get_ref());
        let node = match value.into_inner() {
            DeValue::Table(inner) => {
                entries.push(Entry {
                    key: key.clone(),
                    line,
                    node: Node::Section,
                });
                walk(text, &key, inner, entries)?;
                continue;
            }
            leaf => read(leaf).map_err(|error| SyntaxError {
                line,
                message: format!("`{key}`: {}", error.message()),
            })?,
        };
        entries.push(Entry {
            key,
            line,
            node: Node::Value(node),
        });
    }
    Ok(())
}

fn read(leaf: DeValue<'_>) -> Result<toml::Value, toml::de::Error> {
    toml::Value::deserialize(ValueDeserializer::from(Spanned::new(0..0, leaf)))
}

fn join(prefix: &str, name: &str) -> String {
    let name = if is_bare(name) {
        name.to_owned()
    } else {
        format!("{name:?}")
    };
    if prefix.is_empty() {
        name
    } else {
        format!("{prefix}.{name}")
    }
}

/// Whether TOML takes the name as a key without quotes.
pub(super) fn is_bare(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn syntax_error(text: &str, error: &toml::de::Error) -> SyntaxError {
    SyntaxError {
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_line() {
        let text = "[a]\n# note\nb = 1\n[a.c]\nd = [\n 1,\n]\n\n\"x.y\" = true\ne.f = 'g'\n";
        let found: Vec<String> = entries(text)
            .ok()
            .unwrap()
            .iter()
            .map(|entry| match &entry.node {
                Node::Section => format!("{}:{}", entry.key, entry.line),
                Node::Value(value) => format!("{}:{}={value}", entry.key, entry.line),
            })
            .collect();
        assert_eq!(
            found,
            [
                "a:1",
                "a.b:3=1",
                "a.c:4",
                "a.c.d:5=[1]",
                "a.c.e:10",
                "a.c.e.f:10=\"g\"",
                "a.c.\"x.y\":9=true",
            ]
        );
    }

    #[test]
    fn a_syntax_error_has_its_line() {
        for (text, line) in [
            ("a = 1\nb =\n", 2),
            ("a = 1\na = 2\n", 2),
            ("[a]\n\n[a\n", 3),
            ("a = 'x", 1),
            ("n = 99999999999999999999999999999999999999999999\n", 1),
        ] {
            let error = entries(text).err().unwrap();
            assert_eq!(error.line, line, "{text:?}: {}", error.message);
            assert!(!error.message.is_empty());
        }
    }
}
