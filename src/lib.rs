//! Background work for a video site as supervised actors over its own SQLite file.

pub mod config;
pub mod domain;
pub mod face;
