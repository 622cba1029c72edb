//! The configuration: typed sections, layers and checks that name the key.

pub mod sections;
pub mod units;

pub use sections::*;
