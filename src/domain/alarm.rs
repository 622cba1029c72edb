//! Alarms: what is wrong until it is right again. Each is raised once and cleared once.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// A queue grows and nothing is taken from it.
    Backlog,
    /// Workers died too often; their queue rests.
    RestartsSpent,
    /// No room is left on the disk.
    StorageFull,
    /// The disk answers with errors.
    StorageFailing,
    /// The database is damaged.
    DatabaseDamaged,
    /// The database's file was replaced or removed.
    DatabaseReplaced,
    /// An upstream wants to be left alone.
    UpstreamParked,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// What.
    pub kind: AlarmKind,
    /// Of what: a queue, an upstream, the database.
    pub subject: String,
    /// The same for people.
    pub text: String,
    /// Since when, Unix milliseconds.
    #[serde(rename = "since", serialize_with = "as_time")]
    pub since_ms: i64,
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.text)
    }
}

fn as_time<S: Serializer>(unix_ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    match Timestamp::from_millisecond(*unix_ms) {
        Ok(time) => serializer.collect_str(&time),
        Err(_) => serializer.serialize_i64(*unix_ms),
    }
}

/// An alarm that was raised or cleared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Whether it was raised.
    pub raised: bool,
    /// The alarm.
    #[serde(flatten)]
    pub alarm: Alarm,
}

/// The alarms of an engine.
#[derive(Debug, Default)]
pub struct Alarms(BTreeMap<(AlarmKind, String), Alarm>);

impl Alarms {
    /// Takes note of how something stands: wrong, and how, or right. Whether that is news.
    pub fn note(
        &mut self,
        kind: AlarmKind,
        subject: &str,
        wrong: Option<String>,
        now_ms: i64,
    ) -> Option<Change> {
        let key = (kind, subject.to_owned());
        match (self.0.get_mut(&key), wrong) {
            (Some(alarm), Some(text)) => {
                alarm.text = text;
                None
            }
            (None, Some(text)) => {
                let alarm = Alarm {
                    kind,
                    subject: subject.to_owned(),
                    text,
                    since_ms: now_ms,
                };
                self.0.insert(key, alarm.clone());
                Some(Change {
                    raised: true,
                    alarm,
                })
            }
            (Some(_), None) => self.0.remove(&key).map(|alarm| Change {
                raised: false,
                alarm,
            }),
            (None, None) => None,
        }
    }

    /// Whether one of this kind is raised.
    #[must_use]
    pub fn is_raised(&self, kind: AlarmKind) -> bool {
        self.0.keys().any(|(raised, _)| *raised == kind)
    }

    /// Those that are raised.
    #[must_use]
    pub fn raised(&self) -> Vec<Alarm> {
        self.0.values().cloned().collect()
    }
}

/// Whether a queue grows while nothing is taken from it.
#[derive(Debug, Default)]
pub struct Backlog {
    /// When something was last taken, and how much waited then.
    quiet: Option<(Duration, u64)>,
    taken: u64,
}

impl Backlog {
    /// Looks at a queue: how many jobs wait, how many were ever taken, now by a clock that nobody
    /// sets. How many more wait if nothing was taken for as long as `after`.
    pub fn look(
        &mut self,
        waiting: u64,
        taken: u64,
        now: Duration,
        after: Duration,
    ) -> Option<u64> {
        let (since, waited) = match self.quiet {
            Some(quiet) if taken == self.taken && waiting >= quiet.1 => quiet,
            // What shrinks without being taken was cancelled; that is no sign of life.
            Some((since, _)) if taken == self.taken => (since, waiting),
            Some(_) | None => (now, waiting),
        };
        (self.quiet, self.taken) = (Some((since, waited)), taken);
        let quiet = now.saturating_sub(since) >= after;
        (quiet && waiting > waited).then_some(waiting - waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_raised_once_and_cleared_once() {
        let mut alarms = Alarms::default();
        let mut note = |subject: &str, wrong: Option<&str>, now_ms| {
            let wrong = wrong.map(str::to_owned);
            let change = alarms.note(AlarmKind::Backlog, subject, wrong, now_ms);
            change.map(|change| (change.raised, change.alarm.text, change.alarm.since_ms))
        };
        assert_eq!(note("scoring", None, 1), None);
        let raised = Some((true, "3 more".to_owned(), 2));
        assert_eq!(note("scoring", Some("3 more"), 2), raised);
        assert_eq!(note("scoring", Some("4 more"), 3), None);
        assert!(note("cleanup", Some("1 more"), 3).is_some());
        let cleared = Some((false, "4 more".to_owned(), 2));
        assert_eq!(note("scoring", None, 4), cleared);
        assert_eq!(note("scoring", None, 5), None);
        let left: Vec<_> = alarms.raised().into_iter().map(|of| of.subject).collect();
        assert_eq!(left, ["cleanup"]);
    }

    #[test]
    fn an_alarm_is_written_with_a_time_that_people_read() {
        let change = Alarms::default()
            .note(
                AlarmKind::StorageFull,
                "database",
                Some("full".to_owned()),
                1_000,
            )
            .unwrap();
        assert_eq!(
            serde_json::to_value(change).unwrap(),
            serde_json::json!({
                "raised": true, "kind": "storage_full", "subject": "database", "text": "full",
                "since": "1970-01-01T00:00:01Z",
            })
        );
    }

    #[test]
    fn a_backlog_is_one_that_grows_while_nothing_is_taken() {
        let minute = |n: u64| Duration::from_secs(60 * n);
        let mut backlog = Backlog::default();
        let mut look = |waiting, taken, now| backlog.look(waiting, taken, minute(now), minute(10));
        assert_eq!(look(5, 0, 0), None);
        assert_eq!(look(5, 0, 20), None, "it does not grow");
        assert_eq!(look(7, 0, 21), Some(2));
        assert_eq!(look(9, 1, 22), None, "one was taken");
        assert_eq!(look(12, 1, 31), None, "not for long enough");
        assert_eq!(look(4, 1, 33), None, "others were cancelled");
        assert_eq!(look(6, 1, 34), Some(2));
    }
}
