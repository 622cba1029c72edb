//! Commands about jobs by their numbers: cancelled, or done again; and why some were not.

use serde::{Deserialize, Serialize};

use super::{Command, Method, State};
use crate::engine::{self, JobId, JobState, Steered};

/// Cancels jobs that have not ended, running ones too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// The jobs, 1,000 at most.
    #[cfg_attr(test, schemars(length(max = 1000)))]
    pub ids: Vec<i64>,
}

/// What [`Cancel`] did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cancelled {
    /// Those that had not ended.
    pub cancelled: Vec<i64>,
    /// The others that were named.
    #[serde(default)]
    pub not_cancelled: Vec<LeftAlone>,
}

/// A job that was named and left as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeftAlone {
    /// Its number.
    pub id: i64,
    /// Where it was in its life; null: there is no such job.
    pub state: Option<State>,
    /// Why, for people.
    pub reason: String,
}

impl Command for Cancel {
    const METHOD: Method = Method::JobsCancel;
    type Answer = Cancelled;
}

/// Has failed and cancelled jobs done again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// The jobs, 1,000 at most.
    #[cfg_attr(test, schemars(length(max = 1000)))]
    pub ids: Vec<i64>,
}

/// What [`Retry`] did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Retried {
    /// Those that will be done again.
    pub retried: Vec<i64>,
    /// The others that were named.
    #[serde(default)]
    pub not_retried: Vec<LeftAlone>,
}

impl Command for Retry {
    const METHOD: Method = Method::JobsRetry;
    type Answer = Retried;
}

impl From<Steered> for Cancelled {
    fn from(steered: Steered) -> Self {
        Self {
            cancelled: numbers(steered.done),
            not_cancelled: left_alone(steered.left, |_| "it has ended"),
        }
    }
}

impl From<Steered> for Retried {
    fn from(steered: Steered) -> Self {
        Self {
            retried: numbers(steered.done),
            not_retried: left_alone(steered.left, |state| {
                if state.is_ended() {
                    "it has succeeded"
                } else {
                    "it has not ended"
                }
            }),
        }
    }
}

fn numbers(ids: Vec<JobId>) -> Vec<i64> {
    ids.into_iter().map(|id| id.0).collect()
}

/// `why` is asked for jobs that are there.
fn left_alone(left: Vec<engine::LeftAlone>, why: fn(JobState) -> &'static str) -> Vec<LeftAlone> {
    let told = left
        .into_iter()
        .map(|engine::LeftAlone { id, state }| LeftAlone {
            id: id.0,
            state: state.map(State),
            reason: state.map_or("there is no such job", why).to_owned(),
        });
    told.collect()
}
