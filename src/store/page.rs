//! Pages of long lists: some rows, and the place where the next ones begin.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// The most rows of a page.
pub const ROWS_A_PAGE: usize = 1_000;
/// Where a page ended: the next one begins after it. As text it may stand in an address.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct PageCursor {
    pub(super) key: f64,
    pub(super) rowid: i64,
}

/// A text is no place where a page could have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read where a page begins: no such place")]
pub struct NoSuchPlace;

/// Some rows in their order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; none: there is none.
    pub next: Option<PageCursor>,
}

impl PageCursor {
    /// Before all rows with this key or a lower one.
    pub(super) const fn before(key: f64) -> Self {
        Self {
            key,
            rowid: i64::MAX,
        }
    }
}

impl Eq for PageCursor {}

impl Ord for PageCursor {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = self.key.total_cmp(&other.key);
        by_key.then(self.rowid.cmp(&other.rowid))
    }
}

impl PartialOrd for PageCursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for PageCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.key, self.rowid)
    }
}

impl FromStr for PageCursor {
    type Err = NoSuchPlace;

    fn from_str(text: &str) -> Result<Self, NoSuchPlace> {
        let (key, rowid) = text.split_once('_').ok_or(NoSuchPlace)?;
        let key: f64 = key.parse().map_err(|_| NoSuchPlace)?;
        let rowid = rowid.parse().map_err(|_| NoSuchPlace)?;
        key.is_finite()
            .then_some(Self { key, rowid })
            .ok_or(NoSuchPlace)
    }
}

impl TryFrom<String> for PageCursor {
    type Error = NoSuchPlace;

    fn try_from(text: String) -> Result<Self, NoSuchPlace> {
        text.parse()
    }
}

impl Serialize for PageCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_text_and_other_texts_are_no_place() {
        let place: PageCursor = serde_json::from_str("\"-87.3_1234\"").unwrap();
        assert_eq!(place.to_string(), "-87.3_1234");
        for text in [
            "", "_", "1", "1_", "nan_1", "inf_1", "1_1.5", "1_2_3", "a_1",
        ] {
            assert_eq!(text.parse::<PageCursor>(), Err(NoSuchPlace), "{text}");
        }
    }
}
