-- For pages that list checks newest first, all or those of one status, and count them.
CREATE INDEX vvv_thumbnail_checks_by_status ON vvv_thumbnail_checks (status, checked_at);
CREATE INDEX vvv_liveness_checks_by_verdict ON vvv_liveness_checks (verdict, checked_at);

-- The same index with two more columns, so that the jobs that ended of late are told by queue and
-- state without a look at their rows. The program before uses it as it used the other.
DROP INDEX IF EXISTS vvv_jobs_ended;
CREATE INDEX vvv_jobs_ended ON vvv_jobs (ended_ms, queue, state) WHERE ended_ms IS NOT NULL;
