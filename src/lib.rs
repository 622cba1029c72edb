//! Background work for a video site as supervised actors over its own SQLite file.

pub mod domain;
pub mod fetch;
