-- The queue of a one-shot run: of this connection alone, gone with it. Its columns are those of
-- the durable one that the same statements use.
CREATE TEMP TABLE vvv_jobs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT NOT NULL,
    queue      TEXT NOT NULL,
    payload    TEXT NOT NULL,
    -- No IN list: SQLite would build a table in memory for it at each check.
    state      TEXT NOT NULL CHECK (
        state = 'scheduled' OR state = 'available' OR state = 'running' OR state = 'retryable'
        OR state = 'succeeded' OR state = 'failed' OR state = 'cancelled'
    ),
    priority   INTEGER NOT NULL,
    run_at_ms  INTEGER NOT NULL,
    delay_ms   INTEGER NOT NULL DEFAULT 0,
    attempts   INTEGER NOT NULL DEFAULT 0,
    suspect    INTEGER NOT NULL DEFAULT 0,
    lease      INTEGER,
    remaining  TEXT,
    result     TEXT,
    error      TEXT,
    origin     INTEGER NOT NULL,
    started_ms INTEGER,
    traceparent TEXT
);
-- What is claimed next.
CREATE INDEX temp.vvv_jobs_by_priority ON vvv_jobs (queue, state, priority, run_at_ms, id);
-- What becomes due next.
CREATE INDEX temp.vvv_jobs_by_time ON vvv_jobs (queue, state, run_at_ms);
