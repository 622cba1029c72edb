//! `kill -9` at random moments of a batch: the file stays whole, what was committed stays, what is
//! left is done by running the batch again, and nothing committed is fetched or asked twice.
//!
//! `VVV_KILLS` sets how many kills (100 is the full run), `VVV_SEED` repeats a run's moments.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use support::article;
use support::batch_file::BatchFile;
use support::run::Run;
use support::site::{Endpoint, Site, oembed};
use support::vault::{Journal, Vault, VaultSpec};

const VIDEOS: usize = 5_000;
const ASKED: usize = 400;
/// Videos with a picture, for a short run and a full one: they are what takes time.
const PICTURES: [usize; 2] = [800, VIDEOS];
/// From so many kills on a run is a full one.
const FULL: usize = 50;
/// Kills of one batch before it may finish: later ones would find little left to do.
const KILLS_A_BATCH: usize = 25;
/// How long a process may live before it is killed, milliseconds.
const LIFE: u64 = 1_500;

/// What a file holds for good: by key, all that a run must not lose or change.
type Rows = BTreeMap<String, String>;

/// Everything committed so far.
#[derive(Debug, Default, Clone, PartialEq)]
struct Committed {
    /// Definitive verdicts by video and address.
    thumbnails: Rows,
    /// Definitive verdicts by video.
    liveness: Rows,
    /// Both, as the site's pages see them.
    status: Rows,
    /// Details of scores by video.
    scores: Rows,
    /// The scores themselves.
    videos: Rows,
}

impl Committed {
    fn read(vault: &Vault) -> Self {
        let connection = vault.connect();
        // One transaction, so that the parts are of one moment.
        connection.execute_batch("BEGIN").unwrap();
        Self {
            videos: rows(
                &connection,
                "videos",
                "SELECT video_id, virality_score FROM videos WHERE virality_score IS NOT NULL",
            ),
            thumbnails: rows(
                &connection,
                "vvv_thumbnail_checks",
                "SELECT video_id || ' ' || url, status || ' ' || ifnull(reason, '') \
                 FROM vvv_thumbnail_checks WHERE status <> 'unknown'",
            ),
            liveness: rows(
                &connection,
                "vvv_liveness_checks",
                "SELECT video_id, verdict || ' ' || reason \
                 FROM vvv_liveness_checks WHERE verdict <> 'unknown'",
            ),
            status: rows(
                &connection,
                "vvv_video_status",
                "SELECT video_id, ifnull(thumbnail, '') || ' ' || ifnull(thumbnail_reason, '') \
                 || ' ' || ifnull(liveness, '') || ' ' || ifnull(liveness_reason, '') \
                 FROM vvv_video_status",
            ),
            scores: rows(
                &connection,
                "vvv_scores",
                "SELECT video_id, region || score || label || velocity || ' ' || engagement \
                 FROM vvv_scores",
            ),
        }
    }

    /// Nothing of `self` may be missing or another in `later`.
    fn assert_kept_in(&self, later: &Self, what: &str) {
        for (name, before, after) in [
            ("thumbnails", &self.thumbnails, &later.thumbnails),
            ("liveness", &self.liveness, &later.liveness),
            ("status", &self.status, &later.status),
            ("scores", &self.scores, &later.scores),
        ] {
            for (key, value) in before {
                assert_eq!(after.get(key), Some(value), "{what}: {name} of {key}");
            }
        }
    }

    /// Each of our rows agrees with the others of its transaction.
    fn assert_consistent(&self, what: &str) {
        for (id, verdict) in &self.liveness {
            let verdict = verdict.split(' ').next().unwrap();
            assert!(self.status[id].contains(verdict), "{what}: {id}");
        }
        for pair in self.thumbnails.keys() {
            let id = pair.split(' ').next().unwrap();
            assert!(self.status.contains_key(id), "{what}: {id}");
        }
        for (id, details) in &self.scores {
            // A score of 12.0 is told as 12.0 in both.
            assert!(details.contains(&self.videos[id]), "{what}: {id}");
        }
    }

    fn len(&self) -> usize {
        self.thumbnails.len() + self.liveness.len() + self.scores.len()
    }
}

/// Key and value of each row; none while the table is not there yet.
fn rows(connection: &Connection, table: &str, query: &str) -> Rows {
    let there = connection
        .table_exists(None, table)
        .expect("look for a table");
    if !there {
        return Rows::new();
    }
    let mut query = connection.prepare(query).unwrap();
    let text = |value: rusqlite::types::Value| match value {
        rusqlite::types::Value::Text(text) => text,
        rusqlite::types::Value::Real(real) => format!("{real:?}"),
        other => format!("{other:?}"),
    };
    query
        .query_map([], |row| Ok((row.get(0)?, text(row.get(1)?))))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

struct Scene {
    folder: tempfile::TempDir,
    site: Site,
    stale: Vec<String>,
    dice: fastrand::Rng,
    kills: usize,
    figures: Figures,
}

/// What the whole test has seen.
#[derive(Debug, Default)]
struct Figures {
    batches: usize,
    runs: usize,
    /// Killed with a rollback journal or a WAL left behind.
    hot: usize,
    /// Killed before our tables were there.
    before_tables: usize,
    /// Committed rows seen just before a kill, and looked for after it.
    watched: usize,
    /// Requests about what had been asked before and was not committed at the kill.
    repeated: usize,
    requests: usize,
}

impl Scene {
    fn new() -> Self {
        let number = |name: &str| {
            let value = std::env::var(name).ok()?;
            Some(value.parse::<u64>().expect("a number"))
        };
        let seed = number("VVV_SEED").unwrap_or_else(|| fastrand::u64(..));
        println!("VVV_SEED={seed}");
        let fates = [
            "alive", "dead_", "alive", "embed", "r400_", "flaky", "s503_",
        ];
        let fate = |n: usize| if n < 350 { fates[n % 6] } else { fates[n % 7] };
        Self {
            folder: tempfile::tempdir().unwrap(),
            site: Site::start(),
            stale: (0..ASKED).map(|n| oembed::id(fate(n), n)).collect(),
            dice: fastrand::Rng::with_seed(seed),
            kills: usize::try_from(number("VVV_KILLS").unwrap_or(15)).unwrap(),
            figures: Figures::default(),
        }
    }

    fn vault(&self, journal: Journal) -> Vault {
        let files = [
            "hqdefault.jpg",
            "default.jpg",
            "mqdefault.jpg",
            "nothing.jpg",
            "hqdefault.jpg",
            "truncated-50.jpg",
            "good.webp",
            "flaky-2.jpg",
            "html.jpg",
        ];
        let spec = VaultSpec {
            journal,
            thumbnails: self.site.url(""),
            files: files.map(str::to_owned).into(),
            ..VaultSpec::new(VIDEOS)
        };
        let vault = spec.create(&self.path(&format!("{}.db", journal.name())));
        vault
            .connect()
            .execute(
                "UPDATE videos SET thumbnail_url = NULL WHERE rowid > ?1",
                [i64::try_from(self.pictures()).unwrap()],
            )
            .unwrap();
        vault
    }

    const fn pictures(&self) -> usize {
        PICTURES[(self.kills >= FULL) as usize]
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn batch(&self, vault: &Vault) -> Run {
        let file = vault.path.with_extension("json");
        if !file.exists() {
            BatchFile::of_vault(vault).stale(&self.stale).write(&file);
        }
        Run::new(env!("CARGO_BIN_EXE_vvv-actors"))
            .args(["batch", "--format", "json"])
            .args([file])
            .env("VVV_LIVENESS__ENDPOINT", self.site.oembed_endpoint())
            .env("VVV_FETCH__ALLOW", self.site.authority())
            .env("VVV_RATE_LIMITS__OEMBED", "100000/s")
            .env("VVV_QUEUES__THUMBNAILS__RETRY_DELAY", "20ms")
            .env("VVV_QUEUES__CLEANUP__RETRY_DELAY", "20ms")
            .timeout(Duration::from_secs(180))
    }

    /// Waits until every request of a process that is gone has arrived in the log.
    fn settle(&self) {
        // Accepted after all of the dead process's connections.
        let mut last = TcpStream::connect(self.site.authority()).unwrap();
        last.write_all(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .unwrap();
        last.read_to_end(&mut Vec::new()).unwrap();
        drop(last);
        assert!(self.site.wait_until_alone(Duration::from_secs(20)));
    }

    /// Holds what was asked for since the log was cleared against what was committed before.
    fn assert_not_asked_again(&mut self, known: &Committed, asked: &mut BTreeSet<String>) {
        for call in self.site.calls() {
            let Some(id) = call.id() else { continue };
            let (is_known, key) = match call.request.endpoint {
                Endpoint::Oembed => (known.liveness.contains_key(id), format!("oembed {id}")),
                Endpoint::Thumbnail => {
                    let url = self.site.url(call.request.path());
                    let key = format!("{id} {url}");
                    (known.thumbnails.contains_key(&key), key)
                }
                Endpoint::Other => continue,
            };
            assert!(!is_known, "asked again although committed: {key}");
            self.figures.requests += 1;
            self.figures.repeated += usize::from(!asked.insert(key));
        }
        self.site.clear_log();
    }

    /// Lets one process work on the file for a random while, then kills it. Answers what is
    /// committed then; `None` if the process ended before.
    fn kill_once(&mut self, vault: &Vault, known: &Committed) -> Option<Committed> {
        let started = Instant::now();
        let process = self.batch(vault).start();
        // A fifth of the kills strike at the start, where tables are made and jobs read.
        let most = if self.dice.u8(..5) == 0 {
            LIFE / 8
        } else {
            LIFE
        };
        let life = Duration::from_micros(self.dice.u64(..most * 1_000));
        let seen = if self.dice.bool() {
            thread::sleep(life.saturating_sub(started.elapsed()));
            // What another connection can see is committed.
            Committed::read(vault)
        } else {
            thread::sleep(life.saturating_sub(started.elapsed()));
            Committed::default()
        };
        let ended = process.kill();
        self.figures.runs += 1;
        if ended.signal != Some(9) {
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            return None;
        }
        let leftover = |suffix: &str| {
            let file = format!("{}{suffix}", vault.path.display());
            Path::new(&file).metadata().is_ok_and(|file| file.len() > 0)
        };
        self.figures.hot += usize::from(leftover("-journal") || leftover("-wal"));
        let what = format!("after a life of {life:?}");
        assert_eq!(vault.integrity(), "ok", "{what}");
        let committed = Committed::read(vault);
        known.assert_kept_in(&committed, &what);
        seen.assert_kept_in(&committed, &what);
        committed.assert_consistent(&what);
        self.figures.watched += seen.len();
        self.figures.before_tables += usize::from(committed.len() == 0);
        Some(committed)
    }

    /// Kills a batch up to `kills` times, then lets it finish; answers the kills and what the
    /// file then holds.
    fn batch_with_kills(
        &mut self,
        vault: &Vault,
        before: &Vault,
        kills: usize,
    ) -> (usize, Committed) {
        let mut known = Committed::default();
        let mut asked = BTreeSet::new();
        let mut killed = 0;
        while killed < kills {
            let Some(committed) = self.kill_once(vault, &known) else {
                break;
            };
            killed += 1;
            self.settle();
            self.assert_not_asked_again(&known, &mut asked);
            known = committed;
        }
        self.settle();
        self.assert_not_asked_again(&known, &mut asked);
        known = Committed::read(vault);
        let report = self.finish(vault, before);
        self.settle();
        self.assert_not_asked_again(&known, &mut asked);
        let end = Committed::read(vault);
        known.assert_kept_in(&end, "at the end");
        assert_eq!(vault.integrity(), "ok");
        let cached = &report["summary"]["cached"];
        assert_eq!(cached["thumbnails"], known.thumbnails.len());
        assert_eq!(cached["liveness"], known.liveness.len());
        self.figures.batches += 1;
        (killed, end)
    }

    /// Runs a batch to its end and holds its report against the article.
    fn finish(&self, vault: &Vault, before: &Vault) -> serde_json::Value {
        let ended = self.batch(vault).output();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let compared = article::compare(&before.path, &vault.path, &ended.stdout);
        assert_eq!(compared, Ok(VIDEOS));
        let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(report["summary"]["failures"], serde_json::json!([]));
        report
    }
}

#[test]
fn killed_at_random_moments_a_batch_loses_nothing_and_repeats_nothing() {
    let mut scene = Scene::new();
    let bases = Journal::ALL.map(|journal| scene.vault(journal));
    // What comes of it all if nobody kills.
    let undisturbed = bases[0].copy_to(&scene.path("undisturbed.db"));
    scene.finish(&undisturbed, &bases[0]);
    let expected = Committed::read(&undisturbed);
    assert_eq!(expected.thumbnails.len(), scene.pictures());
    scene.site.clear_log();

    let mut left = scene.kills;
    while left > 0 {
        let base = &bases[scene.figures.batches % 2];
        let name = format!("{}-{left}.db", scene.figures.batches);
        let vault = base.copy_to(&scene.path(&name));
        let share = KILLS_A_BATCH.min(left).min(scene.kills.div_ceil(2));
        let (killed, end) = scene.batch_with_kills(&vault, base, share);
        assert!(end == expected, "another end than undisturbed");
        left -= killed;
        println!("{left} kills left: {:?}", scene.figures);
    }
    // Else every kill came before the first commit, and nothing was shown.
    assert!(scene.figures.watched > 0, "{:?}", scene.figures);
    assert!(scene.figures.hot > 0, "{:?}", scene.figures);
}
