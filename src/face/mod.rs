//! The faces: how people and programs reach the engine. A face parses, calls and prints; it holds
//! no rule of its own.

pub mod batch_file;
pub mod cli;
pub mod client;
pub mod daemon;
pub mod exit;
pub mod follow;
pub mod hand_over;
pub mod log_writer;
pub mod logging;
pub mod one_shot;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod progress;
pub mod protocol;
pub mod report;
pub mod retries;
pub mod run;
pub mod signals;
pub mod site;
pub mod socket;
pub mod tables;
pub mod text;
pub mod web;
