//! The doctor on the site's tables: what they lack, and what hangs on them.

use std::path::Path;
use std::time::Duration;

use super::doctor::failed;
use super::finding::Finding;
use crate::config::Schema;
use crate::store::{Inspector, Intent, KnownSite, NeededIndex, Patience, StoreError};

const INDEX: &str = "index";
const TRIGGERS: &str = "triggers";

/// All that is needed is there.
pub(super) fn present(site: &KnownSite, schema: &Schema) -> Finding {
    let (videos, snapshots) = (&schema.videos.table, &schema.snapshots.table);
    let thumbnails = if site.has_thumbnail_url() {
        String::new()
    } else {
        let column = &schema.videos.thumbnail_url;
        format!("; {videos} has no {column}, so thumbnails come from batch files only")
    };
    let text = format!("{videos} and {snapshots} have all columns needed{thumbnails}");
    Finding::ok("tables", text)
}

/// Tells whether an index is there, and what makes it.
pub(super) fn index(index: &NeededIndex) -> Finding {
    let (table, columns) = (&index.table, index.columns.join(", "));
    if index.is_there {
        return Finding::ok(INDEX, format!("{table} is found by ({columns})"));
    }
    let text = format!("{table} has no index on ({columns}): each lookup reads all of it");
    let statement = &index.statement;
    Finding::warn(INDEX, text).todo(format!(
        "run `{statement};`, or `vvv-actors db doctor --create-index`; the site's own writers \
         wait meanwhile"
    ))
}

/// Makes an index that is not there.
pub(super) fn make(
    needed: &NeededIndex,
    path: &Path,
    waiting: &mut dyn FnMut(Duration),
) -> Finding {
    if needed.is_there {
        return index(needed);
    }
    let statement = &needed.statement;
    let mut patience = Patience::endless(waiting);
    let made = Inspector::open(path, Intent::Mend, &mut patience)
        .and_then(|inspector| inspector.make_index(statement, &mut patience));
    match made {
        Ok(()) => Finding::ok(INDEX, format!("made now: {statement}")),
        Err(error) => {
            let text = format!("failed to {error}, while running {statement}");
            Finding::bad(INDEX, text)
        }
    }
}

/// Tells what writing a score to `column` fires.
pub(super) fn triggers(fired: Result<Vec<String>, StoreError>, column: &str) -> Finding {
    match fired {
        Ok(names) if names.is_empty() => {
            Finding::ok(TRIGGERS, format!("none is fired by writing {column}"))
        }
        Ok(names) => {
            let text = format!("writing {column} fires {}", names.join(", "));
            Finding::warn(TRIGGERS, text)
                .advice("they run in our transactions, once for each score that changes")
        }
        Err(StoreError::Sqlite(error)) => {
            let text = format!("{column} cannot be written: {error}");
            Finding::bad(TRIGGERS, text)
                .todo("see which trigger needs what only the site's own program has")
        }
        Err(error) => failed(TRIGGERS, &error),
    }
}
