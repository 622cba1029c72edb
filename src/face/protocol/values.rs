//! Values as they are written on the wire: names, times, durations, one state or many.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::units;
use crate::engine::{JobState, Kind, Queue, TraceParent};

/// A kind of job, read by its name, its queue's or its task's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KindName(#[cfg_attr(test, schemars(with = "String"))] pub Kind);

impl Serialize for KindName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for KindName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let kind = Kind::from_name(&name).map(Self);
        kind.ok_or_else(|| unknown::<D::Error>(Kind::ALL.map(Kind::name)))
    }
}

/// A queue, read by its name or its kind's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct QueueName(#[cfg_attr(test, schemars(with = "String"))] pub Queue);

impl Serialize for QueueName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for QueueName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let queue = Queue::from_name(&name).map(Self);
        queue.ok_or_else(|| unknown::<D::Error>(Queue::ALL.map(Queue::name)))
    }
}

/// The value itself is a stranger's and is not repeated.
fn unknown<E: de::Error>(names: impl IntoIterator<Item = &'static str>) -> E {
    let names: Vec<&str> = names.into_iter().collect();
    E::custom(format!("must be one of {}", names.join(", ")))
}

/// A length of time, as text such as `90s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Span(
    #[serde(with = "units::duration")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub Duration,
);

impl Span {
    /// In whole milliseconds.
    #[must_use]
    pub fn millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A moment, in Unix milliseconds here and RFC 3339 with `Z` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Time(#[cfg_attr(test, schemars(with = "String"))] pub i64);

impl Time {
    /// Now, by the wall clock.
    #[must_use]
    pub fn now() -> Self {
        Self(Timestamp::now().as_millisecond())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What no calendar reaches was written by no clock.
        let time = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::MAX);
        write!(f, "{time}")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: Timestamp = text
            .parse()
            .map_err(|_| de::Error::custom("must be a time such as \"2026-01-31T12:00:00Z\""))?;
        Ok(Self(time.as_millisecond()))
    }
}

/// The trace that work belongs to: W3C's `traceparent`, version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Trace(#[cfg_attr(test, schemars(with = "String"))] pub TraceParent);

impl Serialize for Trace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Trace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct State(pub JobState);

/// Any number of states: one as text, or a list. Empty: any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct States(#[cfg_attr(test, schemars(with = "super::schema::StateNames"))] pub Vec<State>);

impl States {
    /// Whether a job in this state is meant.
    #[must_use]
    pub fn holds(&self, state: JobState) -> bool {
        self.0.is_empty() || self.0.contains(&State(state))
    }
}

impl<'de> Deserialize<'de> for States {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = States;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a state or a list of states")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<States, E> {
                let state = JobState::from_name(name).map(|state| States(vec![State(state)]));
                state.ok_or_else(|| unknown(JobState::ALL.map(JobState::name)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<States, A::Error> {
                let mut states = Vec::new();
                while let Some(state) = list.next_element()? {
                    if !states.contains(&state) {
                        states.push(state);
                    }
                }
                Ok(States(states))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json, to_value};

    #[test]
    fn times_are_rfc_3339_with_z() {
        let time = Time(1_769_860_800_250);
        assert_eq!(to_value(time).unwrap(), json!("2026-01-31T12:00:00.25Z"));
        let back: Time = from_value(json!("2026-01-31T13:00:00.25+01:00")).unwrap();
        assert_eq!(back, time);
        assert!(from_value::<Time>(json!("yesterday")).is_err());
        assert!(from_value::<Time>(json!(7)).is_err());
        // A row may hold any number.
        assert!(Time(i64::MAX).to_string().ends_with('Z'));
    }

    #[test]
    fn kinds_and_queues_are_known_by_any_of_their_names() {
        let kind: KindName = from_value(json!("tasks.validate_thumbnails")).unwrap();
        assert_eq!(kind.0, Kind::Thumbnails);
        assert_eq!(to_value(kind).unwrap(), json!("thumbnails"));
        let queue: QueueName = from_value(json!("liveness")).unwrap();
        assert_eq!(to_value(queue).unwrap(), json!("cleanup"));
        let error = from_value::<QueueName>(json!("x")).unwrap_err().to_string();
        assert!(error.contains("scoring, thumbnails, cleanup"), "{error}");
    }

    #[test]
    fn states_are_one_or_many() {
        let one: States = from_value(json!("failed")).unwrap();
        assert!(one.holds(JobState::Failed) && !one.holds(JobState::Running));
        let two: States = from_value(json!(["failed", "running", "failed"])).unwrap();
        assert_eq!(two.0.len(), 2);
        assert!(States::default().holds(JobState::Running));
        assert!(from_value::<States>(json!("dead")).is_err());
        assert!(from_value::<States>(json!(["dead"])).is_err());
    }
}
