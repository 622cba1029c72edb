//! The actors: thin shells around `domain`, `store` and `fetch`. One actor, one file; a message
//! lives with the actor that handles it.

pub mod alarms;
pub mod arbiters;
pub mod breath;
pub mod call_budget;
pub mod clock;
pub mod control;
pub mod db;
pub mod decoder;
pub mod faults;
pub mod items;
pub mod job_log;
pub mod liveness;
pub mod meters;
pub mod pool;
pub mod rate_limiter;
pub mod scheduler;
pub mod scoring;
pub mod slot;
pub mod spans;
pub mod supervisor;
pub mod thumbnail;
pub mod tickets;
pub mod tools;
pub mod worker;
