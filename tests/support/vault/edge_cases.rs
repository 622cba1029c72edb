//! Videos with every edge case of the score that anybody thought of, 2,000 in all.
//!
//! Nothing here says what the result should be: `article.py` does.

mod dates;
mod numbers;
mod texts;

use std::path::Path;

use rusqlite::params;
use rusqlite::types::Value;

use super::{Journal, REGIONS, Vault};

/// How many videos [`edge_cases`] makes.
pub const EDGE_CASES: usize = 2_000;

/// One video: what is odd about it and its rows.
#[derive(Debug, Clone)]
pub struct EdgeCase {
    /// What is odd about it.
    pub name: String,
    /// Its id, which may be no possible id of YouTube's.
    pub id: String,
    /// Whether `videos` has it; snapshots may lie there all the same.
    pub listed: bool,
    /// `videos.virality_score` before the run.
    pub stored: Value,
    /// Its snapshots in order of rowid.
    pub snapshots: Vec<Row>,
}

/// The cells of one snapshot.
#[derive(Debug, Clone)]
pub struct Row {
    /// `view_count`.
    pub views: Value,
    /// `likes`.
    pub likes: Value,
    /// `comments`.
    pub comments: Value,
    /// `region`; a blob stands for text of these bytes, UTF-8 or not.
    pub region: Value,
    /// `fetched_at`.
    pub fetched_at: Value,
}

/// The edge cases, always the same ones. Ordinary videos fill what is left of the 2,000.
#[must_use]
pub fn edge_cases() -> Vec<EdgeCase> {
    let mut cases = Cases {
        list: Vec::with_capacity(EDGE_CASES),
        dice: fastrand::Rng::with_seed(2_000),
    };
    numbers::add(&mut cases);
    dates::add(&mut cases);
    texts::add(&mut cases);
    assert!(
        cases.list.len() < EDGE_CASES,
        "{} edge cases leave no room for ordinary videos",
        cases.list.len()
    );
    while cases.list.len() < EDGE_CASES {
        let rows = ordinary(&mut cases.dice);
        cases.add("ordinary", rows);
    }
    cases.list
}

impl Vault {
    /// Makes a vault of edge cases. Its columns of counts and dates have no type, so that cells
    /// stay what they are.
    #[must_use]
    pub fn of_edge_cases(path: &Path, journal: Journal, cases: &[EdgeCase]) -> Self {
        let vault = Self::empty(path, journal, false);
        let mut connection = vault.connect();
        connection
            .execute_batch(
                "DROP TABLE video_snapshots;
                 CREATE TABLE video_snapshots(id INTEGER PRIMARY KEY, video_id TEXT, view_count, \
                    likes, comments, region TEXT, fetched_at);
                 CREATE INDEX idx_snapshots_video ON video_snapshots(video_id, fetched_at);",
            )
            .expect("make the table of odd snapshots");
        let transaction = connection.transaction().expect("begin");
        for case in cases {
            if case.listed {
                transaction
                    .execute(
                        "INSERT INTO videos(video_id, title, virality_score) VALUES (?1, ?2, ?3)",
                        params![case.id, case.name, case.stored],
                    )
                    .expect("insert a video");
            }
            for row in &case.snapshots {
                transaction
                    .prepare_cached(
                        "INSERT INTO video_snapshots(video_id, view_count, likes, comments, \
                         region, fetched_at) VALUES (?1, ?2, ?3, ?4, \
                         iif(typeof(?5) = 'blob', CAST(?5 AS TEXT), ?5), ?6)",
                    )
                    .and_then(|mut insert| {
                        insert.execute(params![
                            case.id,
                            row.views,
                            row.likes,
                            row.comments,
                            row.region,
                            row.fetched_at
                        ])
                    })
                    .expect("insert a snapshot");
            }
        }
        transaction.commit().expect("commit the edge cases");
        let ids = cases.iter().map(|case| case.id.clone()).collect();
        Self { ids, ..vault }
    }
}

struct Cases {
    list: Vec<EdgeCase>,
    dice: fastrand::Rng,
}

impl Cases {
    /// Adds a video with an id of its own and these rows; answers it for changes.
    fn add(&mut self, name: impl Into<String>, snapshots: Vec<Row>) -> &mut EdgeCase {
        let id = format!("edge{:06}A", self.list.len());
        let stored = match self.list.len() % 3 {
            0 => Value::Null,
            1 => Value::Real(42.4),
            _ => Value::Real(0.0),
        };
        self.list.push(EdgeCase {
            name: name.into(),
            id,
            listed: true,
            stored,
            snapshots,
        });
        self.list.last_mut().expect("just pushed")
    }

    /// Adds a video of two ordinary snapshots after `change(latest, previous)`.
    fn pair(&mut self, name: impl Into<String>, change: impl FnOnce(&mut Row, &mut Row)) {
        let (mut latest, mut previous) = plain_pair();
        change(&mut latest, &mut previous);
        self.add(name, vec![previous, latest]);
    }
}

/// A snapshot of six hours ago and one of now: 1000 views an hour, 6 % engagement, Poland.
fn plain_pair() -> (Row, Row) {
    let row = |views: i64, time: &str| Row {
        views: views.into(),
        likes: 500.into(),
        comments: 50.into(),
        region: text("PL"),
        fetched_at: text(time),
    };
    (
        row(10_000, "2026-08-20 12:00:00"),
        row(4_000, "2026-08-20 06:00:00"),
    )
}

/// Two to six snapshots of a video that does well or badly somewhere.
fn ordinary(dice: &mut fastrand::Rng) -> Vec<Row> {
    let pace = 10f64.powf(dice.f64() * 6.5);
    let (likes, comments) = (dice.f64() * 0.1, dice.f64() * 0.03);
    let region = REGIONS[dice.usize(..REGIONS.len())];
    let mut views = dice.i64(0..3_000_000);
    let mut minute = dice.i64(0..60);
    (0..dice.usize(2..7))
        .map(|day| {
            let row = Row {
                views: views.into(),
                likes: ((views as f64 * likes) as i64).into(),
                comments: ((views as f64 * comments) as i64).into(),
                region: text(region),
                fetched_at: text(&format!(
                    "2026-08-{:02} 12:{minute:02}:{minute:02}",
                    10 + day
                )),
            };
            views += (pace * 24.0 * dice.f64()) as i64;
            minute = dice.i64(0..60);
            row
        })
        .collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}
