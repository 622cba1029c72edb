//! Cells of the site's as they are, for people, and as the formula reads them.

use std::str::Utf8Error;

use rusqlite::types::ValueRef;
use serde::{Serialize, Serializer};

use crate::config::FetchedAt;
use crate::domain::score::Count;

/// A cell of the site's, which may hold anything whatever its column is declared as.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// An INTEGER.
    Integer(i64),
    /// A REAL.
    Real(f64),
    /// A TEXT; what is no UTF-8 in it is replaced.
    Text(String),
    /// A BLOB of so many bytes.
    Blob(usize),
}

impl From<ValueRef<'_>> for Cell {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(integer) => Self::Integer(integer),
            ValueRef::Real(real) => Self::Real(real),
            ValueRef::Text(text) => Self::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.len()),
        }
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Integer(integer) => write!(f, "{integer}"),
            Self::Real(real) => write!(f, "{real}"),
            Self::Text(text) => f.write_str(text),
            Self::Blob(bytes) => write!(f, "a blob of {bytes} bytes"),
        }
    }
}

impl Serialize for Cell {
    /// As JSON has it; a blob as a text that says so.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Integer(integer) => serializer.serialize_i64(*integer),
            Self::Real(real) => serializer.serialize_f64(*real),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Blob(_) => serializer.collect_str(self),
        }
    }
}

/// The formula's count.
pub(super) const fn count(cell: ValueRef<'_>) -> Count {
    match cell {
        ValueRef::Null => Count::Missing,
        ValueRef::Integer(integer) => Count::Integer(integer),
        ValueRef::Real(real) => Count::Real(real),
        ValueRef::Text(_) | ValueRef::Blob(_) => Count::Unreadable,
    }
}

/// The formula's region; an error where text is no UTF-8, to be guessed at by nobody.
pub(super) fn region(cell: ValueRef<'_>) -> Result<Option<String>, Utf8Error> {
    Ok(match cell {
        ValueRef::Text(text) => Some(std::str::from_utf8(text)?.to_owned()),
        ValueRef::Integer(integer) => Some(integer.to_string()),
        ValueRef::Real(real) => Some(real.to_string()),
        ValueRef::Null | ValueRef::Blob(_) => None,
    })
}

/// Unix seconds as the formula reads them from a time in this form; none where it holds none.
/// Of [`FetchedAt::Text`] the cell is what SQLite's date functions made of it.
#[must_use]
pub fn seconds(cell: &Cell, form: FetchedAt) -> Option<i64> {
    let whole = match cell {
        Cell::Integer(integer) => *integer,
        Cell::Real(real) => whole(*real)?,
        // A column declared as text turns numbers into it.
        Cell::Text(text) => text.trim().parse().ok()?,
        Cell::Null | Cell::Blob(_) => return None,
    };
    Some(match form {
        FetchedAt::Text | FetchedAt::Unix => whole,
        FetchedAt::UnixMs => whole.div_euclid(1000),
    })
}

/// The integer part; none where no `i64` holds it.
pub(super) fn whole(real: f64) -> Option<i64> {
    // 2^63, the first double past the integers.
    const END: f64 = 9_223_372_036_854_775_808.0;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    (-END..END).contains(&real).then_some(real as i64)
}
