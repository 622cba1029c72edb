//! A stage for runs of the program: a folder, a site, a vault, and the settings that lead the
//! program to that site.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::batch_file::BatchFile;
use super::run::{Output, Run};
use super::site::Site;
use super::vault::{Journal, Vault, VaultSpec};

/// Everything a run needs; it ends when dropped.
#[derive(Debug)]
pub struct Scene {
    /// Where the vault lies, for files of the test's own.
    pub folder: TempDir,
    /// What the program takes for YouTube.
    pub site: Site,
    /// The site's database.
    pub vault: Vault,
    program: PathBuf,
    settings: BTreeMap<String, String>,
}

impl Scene {
    /// A vault of ordinary videos whose thumbnails are on the site.
    #[must_use]
    pub fn new(program: impl AsRef<Path>, videos: usize) -> Self {
        Self::of(program, VaultSpec::new(videos))
    }

    /// A vault as described, its thumbnails on the site.
    #[must_use]
    pub fn of(program: impl AsRef<Path>, spec: VaultSpec) -> Self {
        Self::with(program, spec.journal, |site, path| {
            spec.on(site).create(path)
        })
    }

    /// A vault made by `make(site, path)`.
    #[must_use]
    pub fn with(
        program: impl AsRef<Path>,
        journal: Journal,
        make: impl FnOnce(&Site, &Path) -> Vault,
    ) -> Self {
        let folder = TempDir::new().expect("make a folder");
        let site = Site::start();
        let vault = make(&site, &folder.path().join("vault.db"));
        vault
            .connect()
            .pragma_update(None, "journal_mode", journal.name())
            .expect("set the journal mode");
        let mut scene = Self {
            folder,
            site,
            vault,
            program: program.as_ref().to_owned(),
            settings: BTreeMap::new(),
        };
        scene.set("VVV_FETCH__ALLOW", scene.site.authority());
        scene.set("VVV_LIVENESS__ENDPOINT", scene.site.oembed_endpoint());
        scene.set("VVV_RATE_LIMITS__OEMBED", "1000/s");
        for queue in ["SCORING", "THUMBNAILS", "CLEANUP"] {
            scene.set(&format!("VVV_QUEUES__{queue}__RETRY_DELAY"), "20ms");
        }
        scene
    }

    /// Sets a variable for every run from now on.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.settings.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a variable to the configuration file from now on.
    pub fn unset(&mut self, name: &str) -> &mut Self {
        self.settings.remove(name);
        self
    }

    /// A path in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A batch file on the vault, without a list yet.
    #[must_use]
    pub fn batch(&self) -> BatchFile {
        BatchFile::new().db(&self.vault.path)
    }

    /// A run with the scene's settings and these arguments.
    #[must_use]
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        let run = Run::new(&self.program).args(args);
        self.settings
            .iter()
            .fold(run, |run, (name, value)| run.env(name, value))
    }

    /// A run of `batch` on standard input, with more arguments.
    #[must_use]
    pub fn run_batch(&self, file: &BatchFile, args: &[&str]) -> Run {
        self.run([&["batch", "-"], args].concat())
            .stdin(file.text())
    }

    /// Runs a batch that must end with 0 and answers its report.
    #[must_use]
    pub fn report(&self, file: &BatchFile, args: &[&str]) -> Value {
        report(&self.run_batch(file, args).output())
    }
}

/// The report of a run that ended well.
#[must_use]
pub fn report(output: &Output) -> Value {
    assert_eq!(output.code, Some(0), "{output:?}");
    any_report(output)
}

/// The report of a run, whatever its exit code.
#[must_use]
pub fn any_report(output: &Output) -> Value {
    assert!(!output.timed_out, "timed out: {output:?}");
    serde_json::from_str(&output.stdout)
        .unwrap_or_else(|error| panic!("the report is no JSON: {error}: {output:?}"))
}

/// The strings of a list in a report.
#[must_use]
pub fn strings(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    list.iter()
        .map(|item| item.as_str().expect("a list of strings"))
        .collect()
}

/// The details of a section by id.
#[must_use]
pub fn details(section: &Value) -> BTreeMap<&str, &Value> {
    let list = section["details"].as_array().expect("a list of details");
    list.iter()
        .map(|detail| (detail["id"].as_str().expect("an id"), detail))
        .collect()
}
