//! `db uninstall`: what is ours in the file, and taking it out.

use super::{DatabaseError, options};
use crate::config::Config;
use crate::store::{Inspector, Intent, OwnObject, Patience};

/// Everything of ours in the file: each `vvv_*` table with its rows, and what belongs to it.
///
/// # Errors
/// When the database cannot be opened or read.
pub fn what_is_ours(
    config: &Config,
    patience: &mut Patience<'_>,
) -> Result<Vec<OwnObject>, DatabaseError> {
    let inspector = Inspector::open(&options(config)?.path, Intent::Look, patience)?;
    Ok(patience.wait(|| inspector.own_objects())?)
}

/// Removes everything of ours, all or nothing; what was removed. The site's own tables, scores
/// and indexes stay as they are.
///
/// # Errors
/// When the database cannot be opened or written; then nothing was removed.
pub fn uninstall(
    config: &Config,
    patience: &mut Patience<'_>,
) -> Result<Vec<OwnObject>, DatabaseError> {
    let mut inspector = Inspector::open(&options(config)?.path, Intent::Mend, patience)?;
    Ok(inspector.drop_own(patience)?)
}
