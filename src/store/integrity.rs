//! A check of the whole file beside the work on it.

use std::path::Path;
use std::time::Duration;

use super::doctor::{Integrity, quick_check};
use super::error::StoreError;
use super::inspect::{Inspector, Intent};
use super::patience::Patience;

/// So long a lock is waited for before it begins.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a check beside the work found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Background {
    /// Nothing wrong.
    Sound,
    /// What is wrong, in SQLite's words.
    Damaged(Vec<String>),
    /// It was stopped.
    Unfinished,
    /// The file's journal is no WAL: a long read would keep every writer out.
    Skipped,
}

/// Lets SQLite check a file that is worked on, until `stop` says so.
///
/// # Errors
/// When the file is locked or cannot be read.
pub fn check_in_background(
    path: &Path,
    stop: impl FnMut() -> bool + Send + 'static,
) -> Result<Background, StoreError> {
    let mut nobody = |_| {};
    let mut patience = Patience::limited(PATIENCE, &mut nobody);
    let mut inspector = Inspector::open(path, Intent::Look, &mut patience)?;
    if !inspector.journal_mode()?.eq_ignore_ascii_case("wal") {
        return Ok(Background::Skipped);
    }
    match inspector.unless(stop, quick_check) {
        Ok(Some(Integrity::Sound)) => Ok(Background::Sound),
        Ok(Some(Integrity::Damaged(found))) => Ok(Background::Damaged(found)),
        Ok(Some(Integrity::Unfinished) | None) => Ok(Background::Unfinished),
        Err(StoreError::Corrupt(found)) => Ok(Background::Damaged(vec![found])),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn a_sound_file_is_found_so_and_a_stop_is_heeded() {
        let fixture = Fixture::new("wal");
        fixture.sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
             INSERT INTO videos (video_id) SELECT i FROM n",
        );
        let path = &fixture.options.path;
        let found = check_in_background(path, || false).unwrap();
        assert_eq!(found, Background::Sound);
        let stopped = check_in_background(path, || true).unwrap();
        assert_eq!(stopped, Background::Unfinished);
        let fixture = Fixture::new("delete");
        let found = check_in_background(&fixture.options.path, || false).unwrap();
        assert_eq!(found, Background::Skipped);
    }
}
