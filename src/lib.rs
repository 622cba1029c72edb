//! Background work for a video site as supervised actors over its own SQLite file.

pub mod actors;
pub mod config;
pub mod domain;
pub mod engine;
pub mod face;
pub mod fetch;
pub mod store;
