//! The layers of the configuration, lowest first: the embedded defaults, one file, environment
//! variables, flags. Whatever ends up in force can name where it was set.
//!
//! Not by the crate `config`: it loses the lines of a file, takes `true` and `2.7` for whole
//! numbers, and lowers the case of regions in variables.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::catalog::{self, Catalog};
use super::check;
use super::document::{self, Node};
use super::error;
use super::files::{self, find_file, settle};
use super::{Config, ConfigError, Problem};

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In the embedded defaults.
    Default,
    /// In a file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// In this environment variable.
    Environment(String),
    /// By this flag, with its dashes.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value set by a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The key with its sections, such as `database.path`.
    pub key: &'static str,
    /// The value as typed; read as the key's type.
    pub value: String,
    /// The flag with its dashes, such as `--db`.
    pub flag: &'static str,
}

/// The configuration in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Its values, checked.
    pub config: Config,
    /// Where each was set, by dotted key.
    pub origins: BTreeMap<String, Origin>,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
}

/// Values piled up layer by layer, and what was wrong with them on the way.
pub struct Layers {
    catalog: Catalog,
    values: BTreeMap<String, (toml::Value, Origin)>,
    problems: Vec<Problem>,
}

impl Layers {
    /// Reads all layers. `flag_file` is what `--config` names; without it the environment's
    /// `XDG_CONFIG_HOME` and `HOME` say where the user's file would be. Nothing is read from the
    /// process itself, and never anything in the current folder that was not named.
    ///
    /// # Errors
    /// When a named file is missing, a file cannot be read or is no TOML, or any layer has a key
    /// or value that cannot be used; then all of them are told.
    pub fn load<N, V>(
        flag_file: Option<&Path>,
        environment: impl IntoIterator<Item = (N, V)>,
        overrides: &[Override],
    ) -> Result<Loaded, ConfigError>
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let environment: Vec<(OsString, OsString)> = environment
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let file = find_file(flag_file, &environment, Path::new(files::SYSTEM))?;
        let mut layers = Self::new()?;
        if let Some((path, text)) = &file {
            layers.add_file(path, text)?;
        }
        layers.add_environment(&environment);
        layers.add_overrides(overrides);
        layers.finish(file.map(|(path, _)| path))
    }

    /// The embedded defaults alone.
    pub(super) fn defaults() -> Result<Loaded, ConfigError> {
        Self::new()?.finish(None)
    }

    fn new() -> Result<Self, ConfigError> {
        let catalog = Catalog::new()?;
        let values = catalog
            .values()
            .iter()
            .map(|(key, value)| (key.clone(), (value.clone(), Origin::Default)))
            .collect();
        Ok(Self {
            catalog,
            values,
            problems: Vec::new(),
        })
    }

    fn add_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let entries = document::entries(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: error.line,
            message: error.message,
        })?;
        let mut unknown_section: Option<String> = None;
        for entry in entries {
            let inside = unknown_section
                .as_ref()
                .is_some_and(|section| entry.key.starts_with(section));
            if inside {
                continue;
            }
            let origin = Origin::File {
                path: path.to_owned(),
                line: entry.line,
            };
            match entry.node {
                Node::Value(value) => self.set(entry.key, value, origin),
                Node::Section if self.catalog.has_section(&entry.key) => {}
                Node::Section => {
                    unknown_section = Some(format!("{}.", entry.key));
                    self.refuse_key(entry.key, origin);
                }
            }
        }
        Ok(())
    }

    fn add_environment(&mut self, environment: &[(OsString, OsString)]) {
        for (name, value) in environment {
            let name = name.to_string_lossy();
            if !catalog::is_ours(&name) {
                continue;
            }
            let origin = Origin::Environment(name.clone().into_owned());
            match (self.catalog.key_of(&name), value.to_str()) {
                (Some(key), Some(text)) => self.set_text(&key, text, origin),
                (Some(key), None) => self.problem(Some(key), None, "is not UTF-8", origin),
                (None, _) => {
                    let meant = self.catalog.suggest_variable(&name);
                    let reason = did_you_mean("unknown variable", meant.as_deref());
                    self.problem(None, None, &reason, origin);
                }
            }
        }
    }

    fn add_overrides(&mut self, overrides: &[Override]) {
        for Override { key, value, flag } in overrides {
            self.set_text(key, value, Origin::Flag((*flag).to_owned()));
        }
    }

    fn set_text(&mut self, key: &str, text: &str, origin: Origin) {
        match self.catalog.read(key, text) {
            Ok(value) => self.set(key.to_owned(), value, origin),
            Err(reason) => {
                let value = toml::Value::String(text.to_owned());
                self.problem(Some(key.to_owned()), Some(&value), &reason, origin);
            }
        }
    }

    fn set(&mut self, key: String, value: toml::Value, origin: Origin) {
        if !self.catalog.has(&key) {
            return self.refuse_key(key, origin);
        }
        match self.catalog.accepts(&key, &value) {
            Ok(()) => {
                self.values.insert(key, (value, origin));
            }
            Err(reason) => self.problem(Some(key), Some(&value), &reason, origin),
        }
    }

    fn refuse_key(&mut self, key: String, origin: Origin) {
        let reason = if self.catalog.has_section(&key) {
            "is a section, not a value".to_owned()
        } else if self.catalog.has(&key) {
            "takes a value, not a section".to_owned()
        } else {
            did_you_mean("unknown key", self.catalog.suggest(&key))
        };
        self.problem(Some(key), None, &reason, origin);
    }

    fn problem(
        &mut self,
        key: Option<String>,
        value: Option<&toml::Value>,
        reason: &str,
        origin: Origin,
    ) {
        self.problems.push(Problem {
            origin: Some(origin),
            key,
            value: value.map(error::shown),
            reason: reason.to_owned(),
        });
    }

    /// A region set above the defaults needs both of its keys.
    fn check_baselines(&mut self) {
        let halves: Vec<(String, Origin, &str)> = self
            .values
            .iter()
            .filter_map(|(key, (_, origin))| {
                let (_, name) = catalog::baseline(key)?;
                let (other, stem) = match name {
                    "velocity" => ("engagement", key.strip_suffix("velocity")?),
                    _ => ("velocity", key.strip_suffix("engagement")?),
                };
                let missing = !self.values.contains_key(&format!("{stem}{other}"));
                let section = stem.trim_end_matches('.').to_owned();
                missing.then(|| (section, origin.clone(), other))
            })
            .collect();
        for (section, origin, other) in halves {
            let reason = format!("needs `{other}` too");
            self.problem(Some(section), None, &reason, origin);
        }
    }

    /// Values that were refused are not among `values`, so whatever else is wrong is found too.
    fn finish(mut self, file: Option<PathBuf>) -> Result<Loaded, ConfigError> {
        self.check_baselines();
        let mut problems = self.problems;
        let (values, origins): (BTreeMap<_, _>, BTreeMap<_, _>) = self
            .values
            .into_iter()
            .map(|(key, (value, origin))| ((key.clone(), value), (key, origin)))
            .unzip();
        match Config::deserialize(catalog::nest(&values)) {
            Ok(mut config) => {
                settle(&mut config, &origins);
                problems.extend(check::problems(&config, &origins)?);
                if problems.is_empty() {
                    return Ok(Loaded {
                        config,
                        origins,
                        file,
                    });
                }
            }
            // Every value was accepted alone; all that can be missing is half a region, told above.
            Err(error) if problems.is_empty() => problems.push(Problem {
                origin: None,
                key: None,
                value: None,
                reason: error.message().to_owned(),
            }),
            Err(_) => {}
        }
        problems.sort_by(|one, other| one.origin.cmp(&other.origin));
        Err(ConfigError::Invalid(problems))
    }
}

fn did_you_mean(what: &str, meant: Option<&str>) -> String {
    meant.map_or_else(
        || what.to_owned(),
        |meant| format!("{what}, did you mean `{meant}`?"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;
    use std::time::Duration;

    /// Loads a file's text under an environment and flags; the path stands for `{FILE}`.
    fn load(
        text: &str,
        environment: &[(&str, &str)],
        overrides: &[Override],
    ) -> Result<Loaded, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.toml");
        std::fs::write(&path, text).unwrap();
        let result = Layers::load(Some(&path), environment.iter().copied(), overrides);
        result.map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
    }

    fn refused(text: &str) -> String {
        load(text, &[], &[]).unwrap_err()
    }

    fn flag(key: &'static str, value: &str, flag: &'static str) -> Override {
        Override {
            key,
            value: value.to_owned(),
            flag,
        }
    }

    #[test]
    fn the_defaults_are_the_articles() {
        let config = Config::defaults().unwrap();
        let queue = |queue: &super::super::QueueSettings| {
            (
                queue.workers,
                queue.in_flight,
                queue.chunk,
                queue.max_retries,
                queue.retry_delay.as_secs(),
            )
        };
        assert_eq!(queue(&config.queues.scoring), (4, 1, 50, 2, 1));
        assert_eq!(queue(&config.queues.thumbnails), (8, 8, 25, 3, 30));
        assert_eq!(queue(&config.queues.cleanup), (2, 1, 10, 3, 5));
        assert_eq!(config.rate_limits.oembed.to_string(), "20/m");
        assert_eq!(config.thumbnails.max_bytes, 10 * 1024 * 1024);
        assert_eq!(config.database.max_write_hold, Duration::from_millis(50));
        let baselines: Vec<_> = config
            .scoring
            .baselines
            .iter()
            .map(|(region, base)| (region.as_str(), base.velocity, base.engagement))
            .collect();
        assert_eq!(
            baselines,
            [
                ("AT", 6000.0, 5.0),
                ("GB", 20000.0, 4.5),
                ("NL", 8000.0, 5.5),
                ("NO", 4000.0, 5.0),
                ("PL", 10000.0, 6.0),
                ("SE", 5000.0, 5.0),
                ("US", 50000.0, 5.0),
            ]
        );
    }

    #[test]
    fn each_layer_stands_above_the_one_before_and_says_where_a_value_was_set() {
        let text = "[queues.scoring]\nworkers = 1\nchunk = 10\nmax_retries = 7\n";
        let env = [
            ("VVV_QUEUES__SCORING__CHUNK", "20"),
            ("VVV_QUEUES__SCORING__MAX_RETRIES", "8"),
            ("PATH", "/bin"),
        ];
        let flags = [flag("queues.scoring.max_retries", "9", "--max-retries")];
        let loaded = load(text, &env, &flags).unwrap();
        let scoring = &loaded.config.queues.scoring;
        assert_eq!(
            (
                scoring.in_flight,
                scoring.workers,
                scoring.chunk,
                scoring.max_retries
            ),
            (1, 1, 20, 9)
        );
        let origin = |key: &str| loaded.origins[&format!("queues.scoring.{key}")].to_string();
        assert_eq!(origin("in_flight"), "default");
        assert!(
            origin("workers").ends_with("my.toml:2"),
            "{}",
            origin("workers")
        );
        assert_eq!(origin("chunk"), "VVV_QUEUES__SCORING__CHUNK");
        assert_eq!(origin("max_retries"), "--max-retries");
        assert_eq!(
            loaded.origins.len(),
            loaded.config.values().unwrap().len(),
            "every value has its origin"
        );
    }

    #[test]
    fn a_misspelt_key_is_refused_with_its_line_and_what_was_meant() {
        assert_eq!(
            refused("# mine\n[queues.scoring]\nworker = 1\n"),
            "FILE:3: `queues.scoring.worker`: unknown key, did you mean `queues.scoring.workers`?"
        );
        assert_eq!(refused("colour = 1\n"), "FILE:1: `colour`: unknown key");
        // Said once for the section, not again for each of its keys.
        assert_eq!(
            refused("[queue.scoring]\nworkers = 1\nchunk = 3\n"),
            "FILE:1: `queue`: unknown key, did you mean `queues`?"
        );
        assert_eq!(refused("[empty]\n"), "FILE:1: `empty`: unknown key");
        assert_eq!(
            refused("queues = 1\n"),
            "FILE:1: `queues`: is a section, not a value"
        );
        assert_eq!(
            refused("[database.path]\nx = 1\n"),
            "FILE:1: `database.path`: takes a value, not a section"
        );
        assert_eq!(
            refused("[scoring.baselines.'a.b']\nvelocity = 1\nengagement = 1\n"),
            "FILE:1: `scoring.baselines.\"a.b\"`: unknown key"
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_and_never_bent() {
        for (line, reason) in [
            ("queues.scoring.workers = true", "must be a whole number"),
            ("queues.scoring.workers = 2.7", "must be a whole number"),
            ("queues.scoring.workers = '2'", "must be a whole number"),
            ("queues.scoring.workers = -1", "must not be negative"),
            ("engine.nice = 300", "is too large"),
            ("scoring.keep_details = 1", "must be true or false"),
            ("scoring.baselines.PL.velocity = '9'", "must be a number"),
            ("fetch.allow = '10.0.0.0/8'", "must be a list of strings"),
            ("log.level = 3", "expected a string"),
            ("database.journal_mode = 'WAL'", "expected `keep` or `wal`"),
            ("thumbnails.timeout = 8", "a duration with its unit"),
            ("thumbnails.timeout = '8 bananas'", "not a duration such as"),
            ("thumbnails.max_bytes = '10M'", "not a size such as"),
            ("rate_limits.oembed = '20'", "not a rate such as"),
        ] {
            let (key, value) = line.split_once(" = ").unwrap();
            let error = refused(&format!("\n{line}\n"));
            let value = value.replace('\'', "\"");
            let start = format!("FILE:2: `{key}` = {value}: ");
            assert!(
                error.starts_with(&start) && error.contains(reason),
                "{error}"
            );
        }
        let sized = load("thumbnails.max_bytes = 4096\n", &[], &[]).unwrap();
        assert_eq!(sized.config.thumbnails.max_bytes, 4096);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let text = "[log]\nlevel = 'loud'\n[queue]\n[database]\nfoo = 1\njournal_mode = 'x'\n";
        let error = load(text, &[("VVV_ENGINE__NICE", "20")], &[]).unwrap_err();
        let places: Vec<_> = error
            .lines()
            .map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            places,
            [
                "FILE:2 `log.level` = \"loud\"",
                "FILE:3 `queue`",
                "FILE:5 `database.foo`",
                "FILE:6 `database.journal_mode` = \"x\"",
                "VVV_ENGINE__NICE `engine.nice` = 20",
            ]
        );
    }

    #[test]
    fn a_file_that_is_no_toml_is_refused_with_its_line() {
        let error = refused("[log]\nlevel = \n");
        assert!(error.starts_with("FILE:2: "), "{error}");
    }

    #[test]
    fn an_unknown_or_unreadable_variable_is_refused() {
        assert_eq!(
            load("", &[("VVV_DATABASE_PATH", "x")], &[]).unwrap_err(),
            "VVV_DATABASE_PATH: unknown variable, did you mean `VVV_DATABASE__PATH`?"
        );
        assert_eq!(
            load("", &[("VVV_QUEUES__SCORING__WORKERS", "many")], &[]).unwrap_err(),
            "VVV_QUEUES__SCORING__WORKERS: `queues.scoring.workers` = \"many\": \
             must be a whole number"
        );
        let bytes = OsString::from_vec(vec![0xff]);
        let error = Layers::load(
            Some(Path::new("/dev/null")),
            [("VVV_LOG__LEVEL".to_owned(), bytes)],
            &[],
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "VVV_LOG__LEVEL: `log.level`: is not UTF-8"
        );
    }

    #[test]
    fn a_flag_alone_to_blame_is_bad_usage() {
        let blame = |text: &str, level: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("my.toml");
            std::fs::write(&path, text).unwrap();
            let none: [(&str, &str); 0] = [];
            Layers::load(
                Some(&path),
                none,
                &[flag("log.level", level, "--log-level")],
            )
            .unwrap_err()
            .is_usage()
        };
        assert!(blame("", "loud"));
        assert!(!blame("engine.nice = 20\n", "loud"));
        assert!(!blame("engine.nice = 20\n", "info"));
    }

    #[test]
    fn a_region_of_the_sites_own_needs_both_keys() {
        let both = "[scoring.baselines.FI]\nvelocity = 3000\nengagement = 5\n";
        let config = load(both, &[], &[]).unwrap().config;
        assert_eq!(
            config.scoring.baselines["FI"].velocity.to_bits(),
            3000_f64.to_bits()
        );
        assert_eq!(config.scoring.baselines.len(), 8);
        assert_eq!(
            refused("[scoring.baselines.FI]\nvelocity = 3000\n"),
            "FILE:2: `scoring.baselines.FI`: needs `engagement` too"
        );
        // The other half may come from another layer.
        let half = "[scoring.baselines.FI]\nengagement = 5\n";
        let env = [("VVV_SCORING__BASELINES__FI__VELOCITY", "3000")];
        assert!(load(half, &env, &[]).is_ok());
    }

    #[test]
    fn a_database_named_in_a_file_lies_beside_it_and_elsewhere_is_taken_as_it_is() {
        let from_file = load("database.path = 'site/vault.db'\n", &[], &[]).unwrap();
        assert!(from_file.config.database.path.is_absolute());
        assert!(from_file.config.database.path.ends_with("site/vault.db"));
        let from_env = load("", &[("VVV_DATABASE__PATH", "vault.db")], &[]).unwrap();
        assert_eq!(from_env.config.database.path, Path::new("vault.db"));
        let unset = load("", &[], &[]).unwrap();
        assert_eq!(unset.config.database.path, Path::new(""));
    }

    #[test]
    fn a_long_value_is_cut_in_the_message() {
        let error = refused(&format!("log.format = '{}'\n", "é".repeat(5000)));
        assert!(error.contains('…'), "{error}");
    }
}
