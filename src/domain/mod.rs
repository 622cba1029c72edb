//! What the project knows, as pure functions over values: no actor, I/O, clock or randomness.

pub mod alarm;
pub mod backoff;
pub mod cut;
pub mod finding;
pub mod job;
pub mod kind;
pub mod liveness;
pub mod picture;
pub mod rate_window;
pub mod restart_budget;
pub mod schedule;
pub mod score;
pub mod thumbnail;
pub mod trace;
pub mod trend;
