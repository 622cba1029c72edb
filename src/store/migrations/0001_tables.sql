-- The site's own SQLite parses these too, and one statement it cannot parse costs it the whole
-- database: so nothing here is newer than 3.8.0, and nothing touches a table of the site's.
-- Columns ending in _at are Unix seconds, in _ms milliseconds since boot.

-- For the site's pages: the last score of each video, with what it is made of. Written for every
-- video scored, so its checks are few, and none is an IN list: past two members SQLite builds a
-- table in memory for one, at each check.
CREATE TABLE vvv_scores (
    video_id   TEXT PRIMARY KEY NOT NULL,
    region     TEXT,
    score      REAL NOT NULL CHECK (typeof(score) = 'real'),
    label      TEXT NOT NULL CHECK (label = 'VIRAL' OR label = 'TRENDING' OR label = 'NORMAL'),
    velocity   NUMERIC NOT NULL,
    engagement REAL NOT NULL,
    scored_at  INTEGER NOT NULL CHECK (typeof(scored_at) = 'integer')
);
CREATE INDEX vvv_scores_by_region ON vvv_scores (region, score);

-- For the site's pages: the last definitive verdicts on each video; 'unknown' until there is one.
CREATE TABLE vvv_video_status (
    video_id             TEXT PRIMARY KEY NOT NULL,
    thumbnail            TEXT,
    thumbnail_reason     TEXT,
    thumbnail_checked_at INTEGER CHECK (typeof(thumbnail_checked_at) IN ('integer', 'null')),
    liveness             TEXT,
    liveness_reason      TEXT,
    liveness_checked_at  INTEGER CHECK (typeof(liveness_checked_at) IN ('integer', 'null'))
);

-- The latest check of each address of each video, definitive or not. The mark names the run
-- that made it, so that the run does not make it again.
CREATE TABLE vvv_thumbnail_checks (
    video_id   TEXT NOT NULL,
    url        TEXT NOT NULL,
    status     TEXT NOT NULL,
    reason     TEXT,
    width      INTEGER,
    height     INTEGER,
    checked_at INTEGER NOT NULL CHECK (typeof(checked_at) = 'integer'),
    mark       TEXT NOT NULL,
    UNIQUE (video_id, url)
);

-- The latest check of each video, likewise.
CREATE TABLE vvv_liveness_checks (
    video_id    TEXT PRIMARY KEY NOT NULL,
    verdict     TEXT NOT NULL,
    reason      TEXT NOT NULL,
    http_status INTEGER,
    checked_at  INTEGER NOT NULL CHECK (typeof(checked_at) = 'integer'),
    mark        TEXT NOT NULL
);

-- The right to call an upstream, taken before the call. Shared by every process on this file.
CREATE TABLE vvv_permits (
    id          INTEGER PRIMARY KEY,
    upstream    TEXT NOT NULL,
    boot_id     TEXT NOT NULL,
    taken_ms    INTEGER NOT NULL CHECK (typeof(taken_ms) = 'integer'),
    expires_ms  INTEGER NOT NULL CHECK (typeof(expires_ms) = 'integer'),
    released_ms INTEGER CHECK (typeof(released_ms) IN ('integer', 'null'))
);
CREATE INDEX vvv_permits_by_upstream ON vvv_permits (upstream);

-- An upstream that asked to be left alone, and how often in a row it did.
CREATE TABLE vvv_upstreams (
    upstream        TEXT PRIMARY KEY NOT NULL,
    boot_id         TEXT NOT NULL,
    parked_until_ms INTEGER NOT NULL CHECK (typeof(parked_until_ms) = 'integer'),
    strikes         INTEGER NOT NULL CHECK (typeof(strikes) = 'integer')
);
