//! What other tests trust: the site misbehaves as it promises, pictures and vaults are what
//! their names say, and `article.py` reads dates as the bundled SQLite does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test stops at the first surprise"
)]

#[path = "site/answers.rs"]
mod answers;
#[path = "site/client.rs"]
mod client;
#[path = "site/judge.rs"]
mod judge;
#[path = "site/misbehaviour.rs"]
mod misbehaviour;
#[path = "site/pictures.rs"]
mod pictures;
#[path = "site/record.rs"]
mod record;
#[path = "site/runs.rs"]
mod runs;
mod support;
#[path = "site/vaults.rs"]
mod vaults;
