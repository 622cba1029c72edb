//! Says on standard error what a command waits for, once waiting begins to be felt.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::Global;
use crate::engine::who_blocks;
use crate::face::text::plain;

/// A shorter wait is nobody's business.
const FELT: Duration = Duration::from_secs(1);

/// Between two words about the same wait.
const AGAIN: Duration = Duration::from_secs(10);

/// The most of a line that is printed, in bytes.
const LONGEST_LINE: usize = 1024;

/// Hears how long a lock on `database` has been waited for, and tells people who holds it.
pub(super) fn notice<'a>(
    database: &'a Path,
    global: &'a Global,
    stderr: &'a mut dyn Write,
) -> impl FnMut(Duration) + 'a {
    let mut next = FELT;
    let mut last = Duration::ZERO;
    move |waited| {
        // A shorter time than before: another wait.
        if waited < last {
            next = FELT;
        }
        last = waited;
        if global.quiet || waited < next {
            return;
        }
        next = waited + AGAIN;
        let line = format!(
            "waiting for a lock on {}, {} s{}",
            database.display(),
            waited.as_secs(),
            who_blocks(database)
        );
        // If standard error is closed there is nobody to tell.
        let _ = writeln!(stderr, "{}", plain(line, LONGEST_LINE));
        let _ = stderr.flush();
    }
}
