//! Which jobs to list, and how they are found without reading the others: by an index of each state,
//! or newest first where nothing is asked for that only few have.

use rusqlite::types::Value;

use super::groups::GroupId;
use super::queue::{JobId, JobState};
use crate::domain::job::Queue;

/// Which jobs to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFilter {
    /// Only in these states; any if empty.
    pub states: Vec<JobState>,
    /// Only of this queue.
    pub queue: Option<Queue>,
    /// Only of this group.
    pub group: Option<GroupId>,
    /// Only the one with this key.
    pub unique_key: Option<String>,
    /// Only those whose payload, key or error holds this.
    pub text: Option<String>,
    /// Only those before this one: where the last page ended.
    pub before: Option<JobId>,
    /// How many at most.
    pub limit: usize,
}

impl Default for JobFilter {
    fn default() -> Self {
        Self {
            states: Vec::new(),
            queue: None,
            group: None,
            unique_key: None,
            text: None,
            before: None,
            limit: 50,
        }
    }
}

impl JobFilter {
    /// The condition that a job's row has to meet, and what is bound: first before which job, then
    /// how many.
    pub(super) fn condition(&self) -> (String, Vec<Value>) {
        let (rest, bound) = self.rest();
        let is_narrow = self.group.is_some() || self.unique_key.is_some();
        if is_narrow || self.states.is_empty() && self.queue.is_none() {
            let states = self.states();
            let queue = self.queue.map_or_else(String::new, |queue| {
                let (of, new) = (of_queue(queue), new_of_queue(queue));
                format!(" AND ({of} OR queued_ms IS NULL AND {new})")
            });
            return (format!("id < ?1{rest}{states}{queue}"), bound);
        }
        let arms = self.arms().into_iter().map(|Arm { rows, id }| {
            format!(
                "SELECT id FROM (SELECT id FROM main.vvv_jobs WHERE {rows} AND {id} < ?1{rest} \
                 ORDER BY {id} DESC LIMIT ?2)"
            )
        });
        let arms: Vec<String> = arms.collect();
        (format!("id IN ({})", arms.join(" UNION ALL ")), bound)
    }

    /// What is asked of every job that is found.
    fn rest(&self) -> (String, Vec<Value>) {
        let before = self.before.map_or(i64::MAX, |id| id.0);
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX);
        let mut bound = vec![Value::Integer(before), Value::Integer(limit)];
        let mut sql = String::new();
        if let Some(group) = self.group {
            bound.push(Value::Integer(group.0));
            sql += &format!(" AND group_id = ?{}", bound.len());
        }
        if let Some(key) = &self.unique_key {
            bound.push(Value::Text(key.clone()));
            sql += &format!(" AND unique_key = ?{}", bound.len());
        }
        if let Some(text) = &self.text {
            bound.push(Value::Text(format!("%{}%", escaped(text))));
            let n = bound.len();
            sql += &format!(
                " AND (payload LIKE ?{n} ESCAPE '\\' OR unique_key LIKE ?{n} ESCAPE '\\' \
                 OR error LIKE ?{n} ESCAPE '\\')"
            );
        }
        (sql, bound)
    }

    fn states(&self) -> String {
        if self.states.is_empty() {
            return String::new();
        }
        let name = |state: &JobState| format!("'{}'", state.name());
        let names: Vec<String> = self.states.iter().map(name).collect();
        format!(" AND state IN ({})", names.join(", "))
    }

    /// The jobs of one index each; every job that is wanted is in one of them.
    fn arms(&self) -> Vec<Arm> {
        let and = |term| format!(" AND {term}");
        let queue = self.queue.map(of_queue).map_or_else(String::new, and);
        let new = self.queue.map(new_of_queue).map_or_else(String::new, and);
        let mut arms = vec![Arm::newest_first(format!(
            "queued_ms IS NULL{new}{}",
            self.states()
        ))];
        for state in JobState::ALL {
            if !self.states.is_empty() && !self.states.contains(&state) {
                continue;
            }
            let name = state.name();
            match state {
                JobState::Available | JobState::Running => {
                    arms.push(Arm::unsorted(format!("state = '{name}'{queue}")));
                }
                JobState::Scheduled | JobState::Retryable => arms.push(Arm::unsorted(format!(
                    "state IN ('scheduled', 'retryable') AND state = '{name}'{queue}"
                ))),
                JobState::Succeeded | JobState::Failed | JobState::Cancelled => {
                    let ended = format!("ended_ms IS NOT NULL AND state = '{name}'");
                    let of = |queue: Queue| {
                        Arm::newest_first(format!("{ended} AND {}", of_queue(queue)))
                    };
                    match self.queue {
                        Some(queue) => arms.push(of(queue)),
                        None => {
                            arms.extend(Queue::ALL.map(of));
                            // What could not be read, or was cancelled before it was.
                            for none in ["queue = ''", "queue IS NULL"] {
                                arms.push(Arm::newest_first(format!("{ended} AND {none}")));
                            }
                        }
                    }
                }
            }
        }
        arms
    }
}

/// Some of the jobs.
struct Arm {
    rows: String,
    /// Their number, with a plus where the index to use is not the one by number.
    id: &'static str,
}

impl Arm {
    fn newest_first(rows: String) -> Self {
        Self { rows, id: "id" }
    }

    fn unsorted(rows: String) -> Self {
        Self { rows, id: "+id" }
    }
}

fn of_queue(queue: Queue) -> String {
    format!("queue = '{}'", queue.name())
}

/// Whatever a row of the site's may call work of this queue.
fn new_of_queue(queue: Queue) -> String {
    let kind = queue.kind();
    let names = [kind.name(), kind.alias(), kind.section(), queue.name()];
    format!(
        "kind IN ({})",
        names.map(|name| format!("'{name}'")).join(", ")
    )
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::super::{QueueHome, Reader};
    use super::*;

    /// Jobs in every state of every queue, those that nobody could read and rows of the site's own.
    fn furnished() -> Fixture {
        let mut fixture = Fixture::new("wal");
        fixture.options.queue = QueueHome::File;
        fixture.writer().close();
        fixture.sql(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2999) \
             INSERT INTO vvv_jobs (kind, payload, queue, state, group_id, unique_key, error, \
               queued_ms, ended_ms) \
             SELECT 'score', '{}', CASE i % 3 WHEN 0 THEN 'scoring' WHEN 1 THEN 'thumbnails' \
                 ELSE 'cleanup' END, state, i % 7, 'k' || i, CASE i % 11 WHEN 0 THEN '50%' END, 1, \
               CASE WHEN state IN ('succeeded', 'failed', 'cancelled') THEN i END \
             FROM (SELECT i, CASE WHEN i % 97 = 0 THEN 'failed' WHEN i % 89 = 0 THEN 'cancelled' \
               WHEN i % 83 = 0 THEN 'running' WHEN i % 79 = 0 THEN 'available' \
               WHEN i % 73 = 0 THEN 'scheduled' WHEN i % 71 = 0 THEN 'retryable' \
               ELSE 'succeeded' END AS state FROM n); \
             INSERT INTO vvv_jobs (kind, queue, state, queued_ms, ended_ms, error) \
               VALUES ('bogus', '', 'failed', 1, 2, 'no such kind'), \
                 ('bogus', NULL, 'cancelled', 1, 2, NULL); \
             INSERT INTO vvv_jobs (kind, payload) VALUES ('tasks.detect_dead_videos', '{}'), \
               ('score', '{}'); \
             INSERT INTO vvv_jobs (kind, payload, state) VALUES ('cleanup', '{}', 'failed'), \
               (7, NULL, 'nonsense');",
        );
        fixture
    }

    fn filters() -> Vec<JobFilter> {
        let every = || JobFilter {
            limit: 40,
            ..JobFilter::default()
        };
        let mut queues = vec![None];
        queues.extend(Queue::ALL.map(Some));
        let mut filters = Vec::new();
        for queue in queues {
            filters.push(JobFilter { queue, ..every() });
            for state in JobState::ALL {
                let states = vec![state];
                filters.push(JobFilter {
                    states,
                    queue,
                    ..every()
                });
            }
            let states = vec![JobState::Failed, JobState::Retryable];
            filters.push(JobFilter {
                states,
                queue,
                ..every()
            });
        }
        filters
    }

    fn found(reader: &Reader, filter: &JobFilter) -> Vec<i64> {
        let jobs = reader.jobs(filter).unwrap();
        jobs.into_iter().map(|job| job.id.0).collect()
    }

    /// The same from a look at every row.
    fn sought(reader: &Reader, filter: &JobFilter) -> Vec<i64> {
        let all = JobFilter {
            limit: usize::MAX,
            before: filter.before,
            ..JobFilter::default()
        };
        let is_of = |job: &super::super::JobSummary, raw: &str| {
            let new = job.queued_ms.is_none();
            let kind = job
                .kind
                .as_deref()
                .and_then(crate::domain::kind::Kind::from_name);
            let state =
                filter.states.is_empty() || filter.states.iter().any(|state| state.name() == raw);
            let queue = filter.queue.is_none_or(|queue| {
                job.queue == Some(queue) || new && kind.is_some_and(|kind| kind.queue() == queue)
            });
            let group = filter.group.is_none_or(|group| job.group == Some(group));
            let holds = |text: &String| job.error.as_ref().is_some_and(|e| e.contains(text));
            state && queue && group && filter.text.as_ref().is_none_or(holds)
        };
        let jobs = reader.jobs(&all).unwrap().into_iter().filter(|job| {
            let sql = "SELECT state FROM vvv_jobs WHERE id = ?1";
            let raw: String = reader
                .connection
                .query_row(sql, [job.id.0], |row| row.get(0))
                .unwrap();
            is_of(job, &raw)
        });
        jobs.map(|job| job.id.0).take(filter.limit).collect()
    }

    #[test]
    fn what_an_index_finds_is_what_a_look_at_every_row_finds() {
        let fixture = furnished();
        let reader = fixture.reader();
        for filter in filters() {
            for (before, group, text) in [
                (None, None, None),
                (Some(JobId(1_500)), None, None),
                (None, Some(GroupId(3)), None),
                (None, None, Some("50%".to_owned())),
            ] {
                let filter = JobFilter {
                    before,
                    group,
                    text,
                    ..filter.clone()
                };
                assert_eq!(
                    found(&reader, &filter),
                    sought(&reader, &filter),
                    "{filter:?}"
                );
            }
        }
        let all = JobFilter {
            limit: 5_000,
            ..JobFilter::default()
        };
        assert_eq!(found(&reader, &all).len(), 3_006);
    }

    #[test]
    fn no_filter_reads_every_job() {
        let fixture = furnished();
        for statistics in ["", "ANALYZE"] {
            fixture.sql(statistics);
            let reader = fixture.reader();
            for filter in filters() {
                if filter
                    == (JobFilter {
                        limit: 40,
                        ..JobFilter::default()
                    })
                {
                    continue;
                }
                let sql = super::super::listing::listing(&filter.condition().0);
                for step in steps(&reader, &sql) {
                    let reads_all = step.contains("vvv_jobs")
                        && !step.contains(" INDEX vvv_jobs")
                        && !step.ends_with("(rowid=?)");
                    assert!(!reads_all, "{filter:?}: {step}");
                }
            }
        }
    }

    fn steps(reader: &Reader, sql: &str) -> Vec<String> {
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = reader.connection.prepare(&explain).unwrap();
        let mut rows = statement.raw_query();
        let mut steps = Vec::new();
        while let Some(step) = rows.next().unwrap() {
            steps.push(step.get(3).unwrap());
        }
        steps
    }
}
