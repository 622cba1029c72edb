//! First contact: `cargo run --release --example demo`.
//!
//! Makes a small vault as a site's pipeline leaves it, starts on loopback the web site that the
//! tests use as their YouTube, runs the real `batch` on both and says where to go next. Nothing
//! leaves this machine.

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "it talks to whoever runs it, also when it cannot begin"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::ffi::OsString;
use std::fs;
use std::io::{IsTerminal, stderr, stdout};
use std::path::Path;
use std::process::ExitCode;

use support::batch_file::BatchFile;
use support::site::{Endpoint, Site, oembed};
use support::vault::{Vault, VaultSpec};
use vvv_actors::face::cli::{self, Console};

/// Videos the pipeline has just stored.
const NEW: usize = 280;
/// Names of their thumbnails, taken in turn: what the site serves under each is in its name.
const FILES: [&str; 12] = [
    "hqdefault.jpg",
    "maxresdefault.jpg",
    "good.webp",
    "good.png",
    "hqdefault.jpg",
    "default.jpg",
    "mqdefault.jpg",
    "truncated-60.jpg",
    "missing.jpg",
    "hqdefault.jpg",
    "flaky-1.jpg",
    "status-503.jpg",
];
/// How many stale videos meet which fate: what YouTube's oEmbed answers for them.
const FATES: [(&str, usize); 7] = [
    ("alive", 20),
    ("embed", 4), // 401: embedding is switched off, the video lives
    ("dead_", 6), // 404
    ("priv_", 2), // 403: ambiguous
    ("capt_", 1), // 200, but a captcha page
    ("busy_", 2), // 429 and "come back in a second"
    ("hang_", 2), // no answer at all
];

fn main() -> ExitCode {
    let folder = tempfile::Builder::new()
        .prefix("vvv-demo-")
        .tempdir()
        .expect("make a folder")
        .keep();
    let site = Site::start();
    let vault = prepare(&folder, &site);
    println!(
        "A vault of {} videos, and a YouTube of our own on {}: slow and broken here and there.\n\
         The limit of 20 oEmbed calls a minute is 50 a second for the demo, and retries wait\n\
         milliseconds; both are in demo.toml. Everything is kept in {}\n",
        vault.ids.len(),
        site.authority(),
        folder.display(),
    );
    let code = run(&folder);
    println!(
        "The site was asked for {} thumbnails and got {} oEmbed calls.\n",
        site.total(Endpoint::Thumbnail),
        site.total(Endpoint::Oembed),
    );
    next_steps(&folder, &vault.ids);
    code
}

/// Writes the vault, the batch file and the configuration.
fn prepare(folder: &Path, site: &Site) -> Vault {
    let mut spec = VaultSpec::new(NEW);
    spec.thumbnails = site.url("");
    spec.files = FILES.map(str::to_owned).to_vec();
    let mut vault = spec.create(&folder.join("vault.db"));
    // An address from a database is not trusted: this one is never connected to.
    let metadata = "http://169.254.169.254/latest/meta-data/x.jpg";
    vault
        .connect()
        .execute(
            "UPDATE videos SET thumbnail_url = ?1 WHERE rowid = 4",
            [metadata],
        )
        .expect("change an address");
    let mut batch = BatchFile::of_vault(&vault).key("db_path", "vault.db".into());
    for (fate, count) in FATES {
        for id in (0..count).map(|number| oembed::id(fate, number)) {
            vault.add(&id, "GB", &[(5_000, 80, 9, "2026-02-01 12:00:00")]);
            batch = batch.stale([id]);
        }
    }
    batch.write(&folder.join("batch.json"));
    let config = format!(
        "[database]\npath = \"vault.db\"\n\n\
         # The site on loopback: refused unless it is listed.\n\
         [fetch]\nallow = [\"{}\"]\n\n\
         [liveness]\nendpoint = \"{}\"\ntimeout = \"1s\"\n\n\
         [thumbnails]\ntimeout = \"1s\"\n\n\
         # The default is 20/m: the demo would take minutes.\n\
         [rate_limits]\noembed = \"50/s\"\n\n\
         [queues.thumbnails]\nretry_delay = \"100ms\"\n\n\
         [queues.cleanup]\nretry_delay = \"100ms\"\nmax_retries = 1\n",
        site.authority(),
        site.oembed_endpoint(),
    );
    fs::write(folder.join("demo.toml"), config).expect("write demo.toml");
    vault
}

/// Runs `vvv-actors batch` in this process: the same code as in the program.
fn run(folder: &Path) -> ExitCode {
    let mut arguments: Vec<OsString> = ["vvv-actors", "batch"].map(OsString::from).to_vec();
    arguments.push(folder.join("batch.json").into());
    arguments.extend(["--format", "human", "--config"].map(OsString::from));
    arguments.push(folder.join("demo.toml").into());
    let mut console = Console {
        stdout: &mut stdout(),
        stderr: &mut stderr(),
        stdout_is_terminal: stdout().is_terminal(),
        stderr_is_terminal: stderr().is_terminal(),
    };
    // No settings of the user's: everywhere the demo shows the same.
    let environment = std::env::vars_os().filter(|(name, _)| name == "NO_COLOR");
    cli::run(arguments, environment.collect(), &mut console).into()
}

fn next_steps(folder: &Path, ids: &[String]) {
    let folder = folder.display();
    // A truncated picture, which opens in a lazy reader.
    let truncated = ids.iter().zip(FILES.iter().cycle()).find(|(id, file)| {
        // A dash in front works as well, but looks like a flag to whoever reads it.
        file.starts_with("truncated") && !id.starts_with('-')
    });
    let id = truncated.map_or("ID", |(id, _)| id.as_str());
    println!(
        "Where to go next (the site on loopback is gone; what was learnt is in the vault):
  cargo run --release -- video show {id} --db {folder}/vault.db
  cargo run --release -- db doctor --db {folder}/vault.db
  cargo run --release -- score --all --db {folder}/vault.db --format json
  cargo run --release -- batch {folder}/batch.json --config {folder}/demo.toml
      (again: fresh verdicts are reused, only what is unknown is asked for)
  cargo run --release -- config show --config {folder}/demo.toml
README.md has the rest; rm -r {folder} when you are done."
    );
}
