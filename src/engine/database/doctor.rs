//! `db doctor`: every matter looked into, one finding a matter. Nothing is written but what was
//! asked for, and a matter that cannot be looked into does not hide the others.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::access::AsWal;
use super::finding::{Finding, Level};
use super::online::OnlineCheck;
use super::{DatabaseError, Now, fetched_at, foreign, journal, lock_watch, options, tables};
use crate::actors::rate_limiter::{OEMBED, oembed_limit};
use crate::config::Config;
use crate::store::{Inspector, Integrity, Intent, KnownSite, Options, Patience, StoreError};

/// How long the doctor waits for a lock before it says so and leaves it at that.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// How long SQLite may check the file: a WAL is in no one's way …
const CHECK_WAL: Duration = Duration::from_secs(2);

/// … a rollback journal's readers keep the site from committing.
const CHECK_ROLLBACK: Duration = Duration::from_millis(200);

/// What the doctor is to do beside looking.
#[derive(Debug, Clone, Default)]
pub struct DoctorRequest {
    /// Users whose access is looked into, by name or number.
    pub users: Vec<String>,
    /// Turn the journal to a WAL.
    pub set_wal: bool,
    /// Create the indexes that are missing.
    pub create_index: bool,
    /// What the endpoint said, if it was asked.
    pub online: Option<OnlineCheck>,
}

/// Everything the doctor found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// In the order looked into.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Whether something needs doing.
    #[must_use]
    pub fn needs_doing(&self) -> bool {
        self.findings.iter().any(|finding| finding.needs_doing)
    }
}

/// Looks into everything. `waiting` hears how long a lock has been waited for.
///
/// # Errors
/// When no database is named; what is wrong with one is a finding.
pub fn doctor(
    config: &Config,
    request: &DoctorRequest,
    now: &Now,
    waiting: &mut dyn FnMut(Duration),
) -> Result<Diagnosis, DatabaseError> {
    let options = options(config)?;
    let mut findings = Vec::new();
    // Both before the file is opened: locks are what may keep the rest from being looked into,
    // and a WAL that lies there afterwards may be our own.
    let locks = options
        .path
        .exists()
        .then(|| lock_watch::watch(&options.path));
    let has_wal = journal::has_wal(&options.path);
    match open(&options.path, waiting) {
        Err(finding) => findings.push(finding),
        Ok(inspector) => {
            let file = format!("{} is an SQLite database", options.path.display());
            findings.push(Finding::ok("file", file));
            let mut examination = Examination {
                config,
                options: &options,
                request,
                now,
                has_wal,
                inspector,
                findings: Vec::new(),
            };
            examination.run(waiting);
            findings.append(&mut examination.findings);
        }
    }
    findings.extend(locks);
    findings.extend(request.online.as_ref().map(OnlineCheck::finding));
    Ok(Diagnosis { findings })
}

pub(super) fn failed(name: &'static str, error: &StoreError) -> Finding {
    let finding = Finding::bad(name, format!("failed to {error}"));
    match error {
        StoreError::NoDatabase { .. } => {
            finding.todo("name it with --db or database.path; it is never created")
        }
        StoreError::NotADatabase { .. } => finding.todo("name another file"),
        StoreError::Missing { .. } => finding.todo("map the names in [schema]"),
        StoreError::Locked => finding.todo("see locks, and try again"),
        _ => finding,
    }
}

fn open(path: &Path, waiting: &mut dyn FnMut(Duration)) -> Result<Inspector, Finding> {
    let mut patience = Patience::limited(LOCK_PATIENCE, waiting);
    Inspector::open(path, Intent::Look, &mut patience).map_err(|error| failed("file", &error))
}

struct Examination<'a> {
    config: &'a Config,
    options: &'a Options,
    request: &'a DoctorRequest,
    now: &'a Now,
    /// Whether a WAL lay beside the file before it was opened.
    has_wal: bool,
    inspector: Inspector,
    findings: Vec<Finding>,
}

impl Examination<'_> {
    fn run(&mut self, waiting: &mut dyn FnMut(Duration)) {
        let is_wal = self.journal(waiting);
        let as_wal = match (is_wal, self.has_wal) {
            (false, _) => AsWal::No,
            (true, true) => AsWal::Now,
            (true, false) => AsWal::Closed,
        };
        let users = &self.request.users;
        let accesses = journal::accesses(&self.options.path, users, as_wal);
        self.findings.extend(accesses);
        self.integrity(is_wal, waiting);
        let site = self.look("tables", waiting, |this| this.inspector.site(this.options));
        if let Some(site) = &site {
            self.site(site, waiting);
        }
        self.own_tables(waiting);
        if site.is_some() {
            self.rate_window(waiting);
        }
        if is_wal {
            self.findings.extend(foreign::findings());
        }
    }

    /// Takes one look, waiting for others' locks; what goes wrong with it becomes its finding.
    fn look<T>(
        &mut self,
        name: &'static str,
        waiting: &mut dyn FnMut(Duration),
        mut look: impl FnMut(&mut Self) -> Result<T, StoreError>,
    ) -> Option<T> {
        let seen = Patience::limited(LOCK_PATIENCE, waiting).wait(|| look(self));
        seen.map_err(|error| self.findings.push(failed(name, &error)))
            .ok()
    }

    /// Tells the journal, and turns it if asked to; whether it is a WAL then.
    fn journal(&mut self, waiting: &mut dyn FnMut(Duration)) -> bool {
        let Some(mode) = self.look("journal", waiting, |this| this.inspector.journal_mode()) else {
            return false;
        };
        if !self.request.set_wal || mode == "wal" {
            let finding = journal::describe(&mode, &self.options.path);
            self.findings.push(finding);
            return mode == "wal";
        }
        let path = &self.options.path;
        let mut patience = Patience::endless(waiting);
        let finding = journal::set_wal(path, &self.request.users, &mut patience)
            .unwrap_or_else(|error| failed("journal", &error));
        let is_wal = finding.level == Level::Ok;
        self.findings.push(finding);
        is_wal
    }

    fn integrity(&mut self, is_wal: bool, waiting: &mut dyn FnMut(Duration)) {
        let limit = if is_wal { CHECK_WAL } else { CHECK_ROLLBACK };
        let Some(found) = self.look("integrity", waiting, |this| {
            this.inspector.quick_check(limit)
        }) else {
            return;
        };
        self.findings.push(match found {
            Integrity::Sound => Finding::ok("integrity", "SQLite's quick check finds nothing"),
            Integrity::Damaged(lines) => Finding::bad("integrity", lines.join("; "))
                .todo("restore a backup, or recover with sqlite3's .recover"),
            Integrity::Unfinished => Finding::ok("integrity", "too large to be checked in passing")
                .advice("`vvv-actors db backup FILE` checks its copy"),
        });
    }

    fn site(&mut self, site: &KnownSite, waiting: &mut dyn FnMut(Duration)) {
        let schema = &self.options.schema;
        self.findings.push(tables::present(site, schema));
        let snapshots = &schema.snapshots;
        let column = format!("{}.{}", snapshots.table, snapshots.fetched_at);
        let sample = self.look("fetched_at", waiting, |this| {
            this.inspector.sample_times(site)
        });
        if let Some(sample) = sample {
            let finding = fetched_at::judge(&sample, schema.fetched_at, &column, self.now.unix);
            self.findings.push(finding);
        }
        let needed = self.look("index", waiting, |this| this.inspector.needed_indexes(site));
        for index in needed.unwrap_or_default() {
            self.findings.push(if self.request.create_index {
                tables::make(&index, &self.options.path, waiting)
            } else {
                tables::index(&index)
            });
        }
        let mut patience = Patience::limited(LOCK_PATIENCE, waiting);
        let fired = patience.wait(|| self.inspector.triggers_on_score(site));
        let videos = &schema.videos;
        let column = format!("{}.{}", videos.table, videos.virality_score);
        self.findings.push(tables::triggers(fired, &column));
    }

    fn own_tables(&mut self, waiting: &mut dyn FnMut(Duration)) {
        let Some(version) = self.look("own_tables", waiting, |this| this.inspector.own_version())
        else {
            return;
        };
        self.findings.push(match version {
            None => Finding::ok("own_tables", "not made yet; the first run makes them"),
            Some(version) => Finding::ok("own_tables", format!("vvv_* at version {version}")),
        });
    }

    fn rate_window(&mut self, waiting: &mut dyn FnMut(Duration)) {
        let rate = self.config.rate_limits.oembed;
        let limit = oembed_limit(self.config);
        let boot = &self.now.boot;
        let window = self.look("rate_window", waiting, |this| {
            this.inspector.window(OEMBED, boot, limit)
        });
        let Some(window) = window else { return };
        let used = format!("{} of {rate} calls to {OEMBED} used", window.used);
        self.findings.push(match window.parked_for {
            None => Finding::ok("rate_window", used),
            Some(left) => {
                let seconds = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
                let until = fetched_at::time(self.now.unix.saturating_add(seconds));
                let left = fetched_at::span(seconds);
                let text = format!("{used}; it asked to be left alone until {until}, {left} more");
                Finding::warn("rate_window", text).advice("liveness checks wait for it")
            }
        });
    }
}
