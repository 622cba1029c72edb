//! How a host gets an engine's metrics into its own registry, and which those are.

use prometheus_client::registry::Registry;

use crate::engine::EngineHandle;

impl EngineHandle {
    /// Shows in a registry what the engine counts and times, and what is looked up whenever that
    /// registry is encoded. All names begin with `vvv_`, after the registry's own prefix; engines
    /// that share a registry each need one.
    ///
    /// Encoding it then looks into the database, which blocks for a moment, or for up to a second
    /// while another process holds it: do it where blocking disturbs nobody. What cannot be read is
    /// left out, and counted in `vvv_scrape_errors_total`.
    ///
    /// ```no_run
    /// # fn example(engine: &vvv_actors::EngineHandle) -> Result<(), std::fmt::Error> {
    /// use vvv_actors::prometheus_client::encoding::text::encode;
    /// use vvv_actors::prometheus_client::registry::Registry;
    ///
    /// let mut registry = Registry::default();
    /// engine.register_metrics(&mut registry);
    /// let mut text = String::new();
    /// encode(&mut text, &registry)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Times are seconds and sizes bytes, as the names say; what ends in `_total` only grows.
    ///
    /// | name and labels | what it is |
    /// |---|---|
    /// | `vvv_jobs_claimed_total{queue}` | jobs taken from the queue |
    /// | `vvv_job_outcomes_total{kind,outcome}` | succeeded, failed, cancelled, retried, released |
    /// | `vvv_jobs_refused_total` | jobs inserted by plain SQL that could not be read |
    /// | `vvv_job_wait_seconds{kind}` | histogram: from a job being due to its claim |
    /// | `vvv_job_duration_seconds{kind}` | histogram: from its claim to the commit of its outcome |
    /// | `vvv_job_attempts{kind}` | histogram: attempts of jobs that have ended |
    /// | `vvv_items_total{kind,verdict}` | items by what was found of them |
    /// | `vvv_queue_jobs{queue,state}` | jobs that have not ended (durable) |
    /// | `vvv_queue_oldest_seconds{queue}` | how long the oldest has been due (durable) |
    /// | `vvv_queue_paused{queue}` | 1 while it is paused (durable) |
    /// | `vvv_jobs_open{queue}` | jobs that have not ended (temporary) |
    /// | `vvv_workers{queue}` | workers that live |
    /// | `vvv_workers_busy{queue}` | those at work |
    /// | `vvv_jobs_ready{queue}` | jobs claimed and not begun |
    /// | `vvv_outcomes_uncommitted{queue}` | outcomes on their way to the database |
    /// | `vvv_restarts_total{who}` | workers and actors that died |
    /// | `vvv_alarm{alarm}` | 1 while it is raised (durable) |
    /// | `vvv_fetches_total{lane,outcome}` | fetches by status class, or why there is none |
    /// | `vvv_fetch_duration_seconds{lane}` | histogram: whole fetches |
    /// | `vvv_fetched_bytes_total{lane}` | decoded bodies |
    /// | `vvv_permits_granted_total` | permits to call the rate-limited upstream |
    /// | `vvv_permit_wait_seconds` | histogram: waits for one |
    /// | `vvv_permits_waiting` | calls that wait for one now |
    /// | `vvv_rate_window_used{upstream}` | calls in the window, of every process on the file |
    /// | `vvv_rate_window_limit{upstream}` | calls that fit it |
    /// | `vvv_rate_window_seconds{upstream}` | how long it is |
    /// | `vvv_upstream_parked_seconds_total` | time it asked to be left alone for |
    /// | `vvv_upstream_parked_for_seconds{upstream}` | how much longer it is left alone |
    /// | `vvv_commit_operations` | histogram: operations committed together |
    /// | `vvv_commit_duration_seconds` | histogram: how long a commit held the write lock |
    /// | `vvv_database_lock_wait_seconds_total` | waits for another process's lock |
    /// | `vvv_writes_waiting` | operations that wait to be written |
    /// | `vvv_database_file_bytes{file}` | sizes of the database and its WAL |
    /// | `vvv_scrape_errors_total{part}` | parts left out of a scrape |
    /// | `vvv_build_info{version}` | what runs |
    ///
    /// Those marked as durable are there only with [`durable`](crate::EngineBuilder::durable): a
    /// temporary queue is no table that others can look into, and nobody looks for alarms. The one
    /// marked as temporary is there only without: it is what tickets wait for, whether at work or not.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.sight.register(registry);
    }

    /// Shows in a registry how the process fares: `process_resident_memory_bytes` and the like.
    /// Only on Linux; elsewhere there is nothing to show.
    pub fn register_process_metrics(&self, registry: &mut Registry) {
        self.sight.register_process(registry);
    }
}
