//! Cells of the site's as they are, for people, and as the formula reads times in them.

use rusqlite::types::ValueRef;
use serde::{Serialize, Serializer};

use crate::config::FetchedAt;

/// A cell of the site's, which may hold anything whatever its column is declared as.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Cell {
    /// NULL.
    #[default]
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

impl Cell {
    /// As SQLite hands cells out; of a blob only that it is one.
    fn as_value(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Real(real) => ValueRef::Real(*real),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(_) => ValueRef::Blob(&[]),
        }
    }
}

/// Unix seconds as the formula reads them from a time in this form; none where it holds none.
/// Of [`FetchedAt::Text`] the cell is what SQLite's date functions made of it.
#[must_use]
pub fn seconds(cell: &Cell, form: FetchedAt) -> Option<i64> {
    seconds_of(cell.as_value(), form)
}

/// The same of a cell that is still SQLite's.
pub(super) fn seconds_of(cell: ValueRef<'_>, form: FetchedAt) -> Option<i64> {
    let whole = match cell {
        ValueRef::Integer(integer) => integer,
        ValueRef::Real(real) => whole(real)?,
        // A column declared as text turns numbers into it.
        ValueRef::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok()?,
        ValueRef::Null | ValueRef::Blob(_) => return None,
    };
    Some(match form {
        FetchedAt::Text | FetchedAt::Unix => whole,
        FetchedAt::UnixMs => whole.div_euclid(1000),
    })
}

/// The integer part; none where no `i64` holds it.
fn whole(real: f64) -> Option<i64> {
    // 2^63, the first double past the integers.
    const END: f64 = 9_223_372_036_854_775_808.0;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    (-END..END).contains(&real).then_some(real as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_a_place_among_the_integers_are_no_time() {
        assert_eq!(whole(-1.9), Some(-1));
        assert_eq!(
            whole(9_223_372_036_854_774_784.0),
            Some(9_223_372_036_854_774_784)
        );
        assert_eq!(whole(9_223_372_036_854_775_808.0), None);
        assert_eq!(whole(f64::NAN), None);
        assert_eq!(whole(f64::NEG_INFINITY), None);
    }
}
