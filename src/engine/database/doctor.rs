//! `db doctor`: every matter looked into, one finding a matter. Nothing is written but what was
//! asked for, and a matter that cannot be looked into does not hide the others.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::access::AsWal;
use super::finding::{Finding, Level};
use super::locks::{Holder, Lock, lock_holders};
use super::{DatabaseError, Now, fetched_at, foreign, journal, options};
use crate::actors::rate_limiter::OEMBED;
use crate::config::Config;
use crate::domain::liveness::{Judgement, Verdict};
use crate::domain::rate_window::Limit;
use crate::store::{
    Inspector, Integrity, Intent, KnownSite, NeededIndex, Options, Patience, StoreError,
};

/// A video that has been there since 2005: YouTube's first. What the endpoint says about it tells
/// about the endpoint.
pub const KNOWN_GOOD_VIDEO: &str = "jNQXAC9IVRw";

/// A lock held throughout this time is worth a word.
const LOCK_WATCH: Duration = Duration::from_secs(1);

/// Between two looks at the locks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

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

/// What came of asking the endpoint about [`KNOWN_GOOD_VIDEO`], under a permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineCheck {
    /// The endpoint.
    pub endpoint: String,
    /// What its answer means by the careful policy, or why it was not asked.
    pub outcome: Result<Judgement, String>,
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
    let locks = options.path.exists().then(|| locks(&options.path));
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
    findings.extend(request.online.as_ref().map(endpoint));
    Ok(Diagnosis { findings })
}

fn failed(name: &'static str, error: &StoreError) -> Finding {
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
        if let Some(site) = &site {
            self.rate_window(site, waiting);
        }
        if is_wal {
            self.findings.extend(foreign_sqlite());
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
        let (videos, snapshots) = (&schema.videos.table, &schema.snapshots.table);
        let thumbnails = if site.has_thumbnail_url() {
            String::new()
        } else {
            let column = &schema.videos.thumbnail_url;
            format!("; {videos} has no {column}, so thumbnails come from batch files only")
        };
        let text = format!("{videos} and {snapshots} have all columns needed{thumbnails}");
        self.findings.push(Finding::ok("tables", text));

        let column = format!("{snapshots}.{}", schema.snapshots.fetched_at);
        let sample = self.look("fetched_at", waiting, |this| {
            this.inspector.sample_times(site)
        });
        if let Some(sample) = sample {
            let finding = fetched_at::judge(&sample, schema.fetched_at, &column, self.now.unix);
            self.findings.push(finding);
        }
        let needed = self.look("index", waiting, |this| this.inspector.needed_indexes(site));
        for index in needed.unwrap_or_default() {
            let finding = self.index(&index, waiting);
            self.findings.push(finding);
        }
        self.triggers(site, waiting);
    }

    fn index(&self, index: &NeededIndex, waiting: &mut dyn FnMut(Duration)) -> Finding {
        let NeededIndex {
            table,
            columns,
            is_there,
            statement,
        } = index;
        let columns = columns.join(", ");
        if *is_there {
            return Finding::ok("index", format!("{table} is found by ({columns})"));
        }
        if !self.request.create_index {
            let text = format!("{table} has no index on ({columns}): each lookup reads all of it");
            let todo = format!(
                "run `{statement};`, or `vvv-actors db doctor --create-index`; the site's own \
                 writers wait meanwhile"
            );
            return Finding::warn("index", text).todo(todo);
        }
        let mut patience = Patience::endless(waiting);
        let made = Inspector::open(&self.options.path, Intent::Mend, &mut patience)
            .and_then(|inspector| inspector.make_index(statement, &mut patience));
        match made {
            Ok(()) => Finding::ok("index", format!("made now: {statement}")),
            Err(error) => Finding::bad(
                "index",
                format!("failed to {error}, while running {statement}"),
            ),
        }
    }

    fn triggers(&mut self, site: &KnownSite, waiting: &mut dyn FnMut(Duration)) {
        let videos = &self.options.schema.videos;
        let column = format!("{}.{}", videos.table, videos.virality_score);
        let mut patience = Patience::limited(LOCK_PATIENCE, waiting);
        let fired = patience.wait(|| self.inspector.triggers_on_score(site));
        let finding = match fired {
            Ok(names) if names.is_empty() => {
                Finding::ok("triggers", format!("none is fired by writing {column}"))
            }
            Ok(names) => {
                let text = format!("writing {column} fires {}", names.join(", "));
                Finding::warn("triggers", text)
                    .advice("they run in our transactions, once for each score that changes")
            }
            Err(StoreError::Sqlite(error)) => {
                let text = format!("{column} cannot be written: {error}");
                Finding::bad("triggers", text)
                    .todo("see which trigger needs what only the site's own program has")
            }
            Err(error) => failed("triggers", &error),
        };
        self.findings.push(finding);
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

    fn rate_window(&mut self, site: &KnownSite, waiting: &mut dyn FnMut(Duration)) {
        let rate = self.config.rate_limits.oembed;
        let limit = Limit {
            calls: rate.calls,
            window_ms: i64::try_from(rate.per.as_millis()).unwrap_or(i64::MAX),
        };
        let boot = &self.now.boot;
        let window = self.look("rate_window", waiting, |this| {
            this.inspector.window(site, OEMBED, boot, limit)
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

/// Watches the locks for as long as one is in the way of writers, up to a second.
fn locks(path: &Path) -> Finding {
    let begun = Instant::now();
    let mut seen: Option<Vec<Holder>> = None;
    loop {
        let holders = match lock_holders(path) {
            Ok(holders) => holders,
            Err(error) => {
                let text = format!("failed to read who holds locks: {error}");
                return Finding::warn("locks", text);
            }
        };
        let blocking: Vec<Holder> = holders
            .iter()
            .filter(|holder| holder.strongest().blocks_writers())
            .cloned()
            .collect();
        // Only who was there at every look has held on all the time.
        let stayed: Vec<Holder> = match seen {
            None => blocking,
            Some(before) => blocking
                .into_iter()
                .filter(|holder| before.iter().any(|earlier| earlier.pid == holder.pid))
                .collect(),
        };
        if stayed.is_empty() {
            return free(&holders);
        }
        if begun.elapsed() >= LOCK_WATCH {
            return held(&stayed);
        }
        seen = Some(stayed);
        thread::sleep(LOOK_EVERY);
    }
}

fn free(holders: &[Holder]) -> Finding {
    let others: Vec<String> = holders
        .iter()
        .map(|holder| match holder.strongest() {
            Lock::Open => holder.to_string().replace(", open lock", " has it open"),
            _ => holder.to_string(),
        })
        .collect();
    let others = if others.is_empty() {
        String::new()
    } else {
        format!("; {}", others.join("; "))
    };
    Finding::ok("locks", format!("no one keeps writers waiting{others}"))
}

fn held(holders: &[Holder]) -> Finding {
    let names: Vec<String> = holders.iter().map(ToString::to_string).collect();
    let text = format!("held for over a second by {}", names.join("; "));
    Finding::warn("locks", text).todo("let it finish, or stop it; we wait as long as it takes")
}

fn foreign_sqlite() -> Vec<Finding> {
    foreign::versions()
        .into_iter()
        .map(|(program, version)| {
            let text = format!("{program} here uses SQLite {version}");
            if !version.has_wal_reset_bug() {
                return Finding::ok("site_sqlite", text);
            }
            let text = format!("{text}, which can lose others' commits when it folds a WAL back");
            let advice = "where the site writes with it: update to 3.51.3 or newer, else run \
                          PRAGMA wal_autocheckpoint=0 after each connect and never wal_checkpoint, \
                          VACUUM or journal_mode";
            Finding::warn("site_sqlite", text).advice(advice)
        })
        .collect()
}

fn endpoint(check: &OnlineCheck) -> Finding {
    let OnlineCheck { endpoint, outcome } = check;
    match outcome {
        Err(reason) => Finding::warn("endpoint", format!("{endpoint} was not asked: {reason}")),
        Ok(judgement) => {
            let Judgement {
                verdict, reason, ..
            } = judgement;
            let said = format!("{endpoint} about {KNOWN_GOOD_VIDEO}: {reason}");
            match verdict {
                Verdict::Alive => Finding::ok("endpoint", said),
                Verdict::Dead | Verdict::Invalid => {
                    let text = format!("{said}, though the video is there");
                    Finding::bad("endpoint", text)
                        .todo("check liveness.endpoint: every video would be judged dead")
                }
                Verdict::Unknown => Finding::warn("endpoint", said)
                    .todo("see whether this machine gets through, then ask again"),
            }
        }
    }
}
