//! What `db doctor` asks of the file: facts only, judged elsewhere.

use std::sync::mpsc;
use std::time::Duration;

use rusqlite::hooks::{AuthContext, Authorization};
use rusqlite::{Connection, OptionalExtension};

use super::Options;
use super::error::StoreError;
use super::inspect::{Inspector, quote};
use super::site::Site;
use super::window::rate_window;
use crate::domain::rate_window::{BootTime, Limit};

/// What SQLite's own check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    /// Nothing wrong.
    Sound,
    /// What is wrong, in SQLite's words.
    Damaged(Vec<String>),
    /// The file is too large to check in passing; no damage found until then.
    Unfinished,
}

/// The site's tables, found by the mapping.
pub struct KnownSite {
    pub(super) site: Site,
    pub(super) options: Options,
}

impl KnownSite {
    /// Whether the site keeps the addresses of thumbnails.
    #[must_use]
    pub const fn has_thumbnail_url(&self) -> bool {
        self.site.names.thumbnail_url.is_ok()
    }
}

/// An index without which a statement of ours reads a whole table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededIndex {
    /// The table, as the site calls it.
    pub table: String,
    /// The columns it must begin with.
    pub columns: Vec<String>,
    /// Whether the site has it.
    pub is_there: bool,
    /// The statement that makes it.
    pub statement: String,
}

/// An upstream's rate window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Permits that count now.
    pub used: u32,
    /// How much longer it is to be left alone.
    pub parked_for: Option<Duration>,
}

impl Inspector {
    /// Lets SQLite check the file, for at most `limit`.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn quick_check(&mut self, limit: Duration) -> Result<Integrity, StoreError> {
        Ok(self
            .within(limit, quick_check)?
            .unwrap_or(Integrity::Unfinished))
    }

    /// Finds the site's tables and columns.
    ///
    /// # Errors
    /// [`StoreError::Missing`] names all that are not there, at once.
    pub fn site(&self, options: &Options) -> Result<KnownSite, StoreError> {
        let site = Site::inspect(&self.connection, options)?;
        Ok(KnownSite {
            site,
            options: options.clone(),
        })
    }

    /// The indexes our statements need.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn needed_indexes(&self, known: &KnownSite) -> Result<Vec<NeededIndex>, StoreError> {
        let (videos, snapshots) = (
            &known.options.schema.videos,
            &known.options.schema.snapshots,
        );
        let scans_videos = self.scans(&known.site.update_score)?;
        let needed = [
            (
                &snapshots.table,
                vec![snapshots.video_id.clone(), snapshots.fetched_at.clone()],
                known.site.has_snapshot_index,
            ),
            (&videos.table, vec![videos.video_id.clone()], !scans_videos),
        ];
        needed
            .into_iter()
            .map(|(table, columns, is_there)| {
                Ok(NeededIndex {
                    statement: self.create_index(table, &columns)?,
                    table: table.clone(),
                    columns,
                    is_there,
                })
            })
            .collect()
    }

    /// Whether a statement reads a whole table.
    fn scans(&self, sql: &str) -> Result<bool, StoreError> {
        let explained = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = match self.connection.prepare(&explained) {
            Ok(statement) => statement,
            Err(error) => match StoreError::from(error) {
                // A trigger in its way is a finding of its own.
                StoreError::Sqlite(_) => return Ok(false),
                other => return Err(other),
            },
        };
        // Parameters without a value count as NULL; the plan is the same.
        let mut steps = statement.raw_query();
        while let Some(step) = steps.next()? {
            if step.get::<_, String>("detail")?.starts_with("SCAN") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The statement for an index, under a name that is free.
    fn create_index(&self, table: &str, columns: &[String]) -> Result<String, StoreError> {
        let base = format!("{table}_by_{}", columns.join("_and_"));
        let mut taken = self.connection.prepare(
            "SELECT EXISTS (SELECT 1 FROM main.sqlite_master WHERE name = ?1 COLLATE NOCASE)",
        )?;
        let mut name = base.clone();
        for number in 2_u32.. {
            if !taken.query_row([&name], |row| row.get::<_, bool>(0))? {
                break;
            }
            name = format!("{base}_{number}");
        }
        let statement = |quote: fn(&str) -> String| {
            let columns: Vec<String> = columns.iter().map(|column| quote(column)).collect();
            let columns = columns.join(", ");
            format!(
                "CREATE INDEX {} ON {} ({columns})",
                quote(&name),
                quote(table)
            )
        };
        // Without quotes where SQLite understands it: people will read and paste it.
        let bare = statement(str::to_owned);
        Ok(match self.connection.prepare(&bare) {
            Ok(_) => bare,
            Err(_) => statement(quote),
        })
    }

    /// The triggers that writing a score fires, those that they fire too.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`] when SQLite cannot even prepare the write: a trigger of theirs
    /// needs what only their program has.
    pub fn triggers_on_score(&mut self, known: &KnownSite) -> Result<Vec<String>, StoreError> {
        // The engine's own setting, which decides what a trigger may call.
        self.connection
            .pragma_update(None, "trusted_schema", known.site.needs_trust)?;
        let (found, seen) = mpsc::channel();
        let note = move |context: AuthContext<'_>| {
            if let Some(name) = context.accessor {
                // The receiver outlives the statement.
                let _ = found.send(name.to_owned());
            }
            Authorization::Allow
        };
        self.connection.authorizer(Some(note))?;
        let prepared = self.connection.prepare(&known.site.update_score).map(drop);
        self.connection
            .authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
        prepared?;
        let mut names: Vec<String> = seen.try_iter().collect();
        names.sort();
        names.dedup();
        // A view has a name in the same place.
        names.retain(|name| self.is_trigger(name));
        Ok(names)
    }

    fn is_trigger(&self, name: &str) -> bool {
        let sql = "SELECT 1 FROM main.sqlite_master WHERE type = 'trigger' AND name = ?1";
        let found = self.connection.query_row(sql, [name], |_| Ok(()));
        found.is_ok()
    }

    /// The version of our tables; none: the first run makes them.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn own_version(&self) -> Result<Option<i64>, StoreError> {
        if !self.has_table("vvv_meta")? {
            return Ok(None);
        }
        let sql = "SELECT CAST(value AS INTEGER) FROM main.vvv_meta WHERE key = 'schema_version'";
        let version = self.connection.query_row(sql, [], |row| row.get(0));
        Ok(version.optional()?)
    }

    /// How full an upstream's window is.
    ///
    /// # Errors
    /// When the file is locked or cannot be read.
    pub fn window(
        &self,
        upstream: &str,
        now: &BootTime,
        limit: Limit,
    ) -> Result<Window, StoreError> {
        if !self.has_table("vvv_permits")? {
            return Ok(Window {
                used: 0,
                parked_for: None,
            });
        }
        let window = rate_window(&self.connection, upstream, limit, now)?;
        Ok(Window {
            used: window.used,
            parked_for: window
                .parked_until_ms
                .map(|until| until.saturating_sub(now.ms))
                .and_then(|left| u64::try_from(left).ok())
                .map(Duration::from_millis),
        })
    }
}

/// Checks a whole file.
pub(super) fn quick_check(connection: &Connection) -> Result<Integrity, StoreError> {
    let mut check = connection.prepare("PRAGMA main.quick_check(10)")?;
    let lines: Vec<String> = check
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(match lines.as_slice() {
        [only] if only == "ok" => Integrity::Sound,
        _ => Integrity::Damaged(lines),
    })
}
