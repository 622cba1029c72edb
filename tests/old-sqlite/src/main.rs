//! The site's side of a shared file, with an SQLite of 2016: `old-sqlite FILE` reads our tables as
//! the site's pages do and writes the site's own as its pipeline does.
//!
//! One statement in the schema that this SQLite cannot parse and every one of these fails with
//! "malformed database schema". Prints `name value` lines for the test that runs it.

use std::process::ExitCode;

use sqlite::{Connection, State};

/// What the site's pages ask.
const READS: [(&str, &str); 7] = [
    ("version", "SELECT sqlite_version()"),
    ("health", "PRAGMA integrity_check"),
    (
        "scores",
        "SELECT count(*) FROM vvv_scores WHERE region IN ('PL', 'GB') OR score >= 0 OR label = 'VIRAL'",
    ),
    (
        "best",
        "SELECT video_id FROM vvv_scores WHERE region = 'PL' ORDER BY score DESC, video_id LIMIT 1",
    ),
    (
        "agree",
        "SELECT count(*) FROM videos JOIN vvv_scores USING (video_id) \
         WHERE videos.virality_score = vvv_scores.score",
    ),
    (
        "thumbnails",
        "SELECT count(*) FROM vvv_video_status WHERE thumbnail = 'valid' AND thumbnail_checked_at > 0",
    ),
    (
        "dead",
        "SELECT count(*) FROM vvv_video_status WHERE liveness = 'dead' AND liveness_reason <> ''",
    ),
];

/// What the site's pipeline writes.
const WRITES: &str = "
    BEGIN IMMEDIATE;
    UPDATE videos SET title = 'renamed by an old SQLite' WHERE rowid % 2 = 0;
    INSERT INTO videos (video_id, title) VALUES ('old-sqlite0', 'new');
    INSERT INTO video_snapshots (video_id, view_count, likes, comments, region, fetched_at)
        VALUES ('old-sqlite0', 1000, 10, 1, 'PL', '2026-08-20 06:00:00'),
               ('old-sqlite0', 9000, 400, 90, 'PL', '2026-08-20 12:00:00');
    INSERT INTO vvv_jobs (kind, payload, unique_key)
        VALUES ('tasks.score_virality_batch', '{\"video_ids\": [\"old-sqlite0\"]}', 'once');
    INSERT OR IGNORE INTO vvv_jobs (kind, payload, unique_key) VALUES ('score', '{}', 'once');
    COMMIT;
    PRAGMA optimize;
    REINDEX;
    ANALYZE;
    VACUUM;
";

fn main() -> ExitCode {
    let Some(file) = std::env::args().nth(1) else {
        eprintln!("usage: old-sqlite FILE");
        return ExitCode::from(2);
    };
    match work(&file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("old-sqlite: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work(file: &str) -> sqlite::Result<()> {
    let mut connection = sqlite::open(file)?;
    connection.set_busy_timeout(5_000)?;
    for (name, query) in READS {
        println!("{name} {}", ask(&connection, query)?);
    }
    // Every column of every table and index, whatever they come to be.
    let tables = "SELECT group_concat(name) FROM (SELECT name FROM sqlite_master \
                  WHERE type = 'table' AND name LIKE 'vvv\\_%' ESCAPE '\\' ORDER BY name)";
    let tables = ask(&connection, tables)?;
    println!("tables {tables}");
    for table in tables.split(',') {
        let mut statement = connection.prepare(format!("SELECT * FROM {table}"))?;
        while statement.next()? == State::Row {}
    }
    connection.execute(WRITES)?;
    println!(
        "health_after {}",
        ask(&connection, "PRAGMA integrity_check")?
    );
    Ok(())
}

/// The first column of the first row.
fn ask(connection: &Connection, query: &str) -> sqlite::Result<String> {
    let mut statement = connection.prepare(query)?;
    statement.next()?;
    statement.read::<String>(0)
}
