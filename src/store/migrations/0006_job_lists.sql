-- For lists of jobs by queue and state, newest first, among a million that ended. An entry is written
-- once, at a job's end, and behind the last one of its queue and state.
CREATE INDEX vvv_jobs_by_end ON vvv_jobs (queue, state) WHERE ended_ms IS NOT NULL;
