//! The article's virality score.

use serde::{Deserialize, Serialize};

/// What a region's ordinary success looks like.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Views an hour.
    pub velocity: f64,
    /// Engagement, percent.
    pub engagement: f64,
}
