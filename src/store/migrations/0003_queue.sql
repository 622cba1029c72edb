-- The durable queue. A row needs no more than a kind and a payload: the site's pipeline inserts it
-- in the transaction that stores its videos. Nothing is checked then, or a mistake of ours would
-- cost the site its own transaction; what cannot be read becomes 'failed', with the reason.
CREATE TABLE vvv_jobs (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    -- score, thumbnails or liveness, or the name of the Celery task.
    kind         TEXT,
    -- {"video_ids": […]} or {"videos": [{"video_id": …, "thumbnail_url": …}]}.
    payload      TEXT,
    -- 0 (first) to 9.
    priority     INTEGER DEFAULT 5,
    -- Not before this, Unix milliseconds.
    run_at_ms    INTEGER DEFAULT 0,
    -- No two rows have the same.
    unique_key   TEXT,
    -- Seconds after it was queued from when on a job that has ended gives its key up; NULL: when
    -- its row goes (retention.results).
    unique_for   INTEGER,

    -- All below is written by us alone, anew when the row is taken in: then it has a queued_ms.
    queue        TEXT,
    state        TEXT NOT NULL DEFAULT 'available',
    group_id     INTEGER,
    attempts     INTEGER NOT NULL DEFAULT 0,
    crashes      INTEGER NOT NULL DEFAULT 0,
    -- 1: was claimed when the process died, and runs alone the next time. 2: does so now.
    suspect      INTEGER NOT NULL DEFAULT 0,
    lease        INTEGER,
    -- What of the payload is left after an attempt; NULL: all of it.
    remaining    TEXT,
    result       TEXT,
    error        TEXT,
    -- The wait run_at_ms was made of: a clock that is set back must not make it longer.
    delay_ms     INTEGER NOT NULL DEFAULT 0,
    items        INTEGER NOT NULL DEFAULT 0,
    queued_ms    INTEGER,
    started_ms   INTEGER,
    ended_ms     INTEGER
);
CREATE UNIQUE INDEX vvv_jobs_by_key ON vvv_jobs (unique_key) WHERE unique_key IS NOT NULL;
CREATE INDEX vvv_jobs_new ON vvv_jobs (id) WHERE queued_ms IS NULL;
CREATE INDEX vvv_jobs_available ON vvv_jobs (queue, priority, run_at_ms, id)
    WHERE state = 'available';
CREATE INDEX vvv_jobs_waiting ON vvv_jobs (queue, run_at_ms)
    WHERE state IN ('scheduled', 'retryable');
CREATE INDEX vvv_jobs_running ON vvv_jobs (queue) WHERE state = 'running';
CREATE INDEX vvv_jobs_suspect ON vvv_jobs (queue, id) WHERE suspect = 1;
CREATE INDEX vvv_jobs_ended ON vvv_jobs (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE INDEX vvv_jobs_by_group ON vvv_jobs (group_id) WHERE group_id IS NOT NULL;

-- Jobs that were handed in together. The counters go with the jobs' own ends.
CREATE TABLE vvv_groups (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    jobs       INTEGER NOT NULL,
    succeeded  INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0,
    cancelled  INTEGER NOT NULL DEFAULT 0,
    -- Jobs to queue once when the last has ended, {"kind": …, "payload": …}: if all succeeded, and
    -- in any case.
    on_success TEXT,
    on_finish  TEXT,
    followed   INTEGER NOT NULL DEFAULT 0,
    -- 1: more jobs are to come, so the end of the last is not the group's.
    held       INTEGER NOT NULL DEFAULT 0,
    queued_ms  INTEGER NOT NULL,
    ended_ms   INTEGER
);

CREATE INDEX vvv_groups_held ON vvv_groups (id) WHERE held = 1;

-- Queues that were told to pause, until they are told to go on.
CREATE TABLE vvv_paused_queues (
    queue     TEXT PRIMARY KEY NOT NULL,
    paused_ms INTEGER NOT NULL
);
