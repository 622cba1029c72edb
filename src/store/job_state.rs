//! Where a job is in its life.

use serde::{Deserialize, Serialize};

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits for its time.
    Scheduled,
    /// Waits for a worker.
    Available,
    /// Claimed.
    Running,
    /// Waits for its next attempt.
    Retryable,
    /// Done.
    Succeeded,
    /// Given up, with a reason.
    Failed,
    /// Not wanted any more.
    Cancelled,
}

impl JobState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Available,
        Self::Running,
        Self::Retryable,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Its name in status and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Available => "available",
            Self::Running => "running",
            Self::Retryable => "retryable",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads a state by its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing more is done.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
            Self::Scheduled | Self::Available | Self::Running | Self::Retryable => false,
        }
    }

    /// Whether it can be told to begin anew.
    #[must_use]
    pub const fn may_be_done_again(self) -> bool {
        match self {
            Self::Failed | Self::Cancelled => true,
            Self::Scheduled
            | Self::Available
            | Self::Running
            | Self::Retryable
            | Self::Succeeded => false,
        }
    }
}
