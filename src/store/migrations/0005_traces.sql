-- The trace a job belongs to, as its submitter named it (W3C traceparent).
ALTER TABLE main.vvv_jobs ADD COLUMN traceparent TEXT;
