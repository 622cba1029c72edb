-- What a site's pipeline leaves: videos, and snapshots of their counts.
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS videos (
    video_id       TEXT PRIMARY KEY,
    title          TEXT,
    thumbnail_url  TEXT,
    virality_score REAL
);
CREATE TABLE IF NOT EXISTS video_snapshots (
    video_id   TEXT,
    view_count INTEGER,
    likes      INTEGER,
    comments   INTEGER,
    region     TEXT,
    fetched_at TEXT
);
CREATE INDEX IF NOT EXISTS snapshots_by_video ON video_snapshots (video_id, fetched_at);
INSERT OR IGNORE INTO videos (video_id, title) VALUES
    ('dQw4w9WgXcQ', 'The one everybody knows'),
    ('-Bg3w_kVyPQ', 'A cat, of course'),
    ('aaaaaaaaaa0', 'Nobody watches this');
DELETE FROM video_snapshots;
INSERT INTO video_snapshots VALUES
    ('dQw4w9WgXcQ', 100000,  9000,  500, 'GB', datetime('now', '-2 hours')),
    ('dQw4w9WgXcQ', 140000, 12500,  900, 'GB', datetime('now', '-1 hours')),
    ('-Bg3w_kVyPQ',   4000,   200,   10, 'PL', datetime('now', '-2 hours')),
    ('-Bg3w_kVyPQ',   9000,   800,   60, 'PL', datetime('now', '-1 hours')),
    ('aaaaaaaaaa0',    100,     1,    0, 'SE', datetime('now', '-2 hours')),
    ('aaaaaaaaaa0',    101,     1,    0, 'SE', datetime('now', '-1 hours'));
