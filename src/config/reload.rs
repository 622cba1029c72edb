//! What of a new configuration a running engine can take over.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Config, ConfigError};

/// What became of a new configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Reloaded {
    /// Keys whose new values are in force.
    pub applied: Vec<String>,
    /// Keys whose new values need a restart.
    pub needs_restart: Vec<String>,
}

impl Config {
    /// This configuration with what may change while it is in force taken from another.
    ///
    /// # Errors
    /// None in practice: both were written before.
    pub fn reloaded(&self, new: &Self) -> Result<(Self, Reloaded), ConfigError> {
        let taken_over = Self {
            http: self.http.reloaded(&new.http),
            queues: new.queues.clone(),
            scoring: new.scoring.clone(),
            thumbnails: super::Thumbnails {
                // Decoders are built for it.
                max_pixels: self.thumbnails.max_pixels,
                ..new.thumbnails.clone()
            },
            liveness: super::Liveness {
                // The guard lets its host pass.
                endpoint: self.liveness.endpoint.clone(),
                ..new.liveness.clone()
            },
            rate_limits: new.rate_limits.clone(),
            schedule: new.schedule.clone(),
            retention: new.retention.clone(),
            alerts: new.alerts.clone(),
            daemon: super::Daemon {
                drain_timeout: new.daemon.drain_timeout,
                ..self.daemon.clone()
            },
            log: super::Log {
                level: new.log.level.clone(),
                format: self.log.format,
            },
            ..self.clone()
        };
        let sorted = |config: &Self| -> Result<BTreeMap<String, toml::Value>, ConfigError> {
            Ok(config.values()?.into_iter().collect())
        };
        let (before, now) = (sorted(self)?, sorted(&taken_over)?);
        let mut reloaded = Reloaded::default();
        for (key, wanted) in sorted(new)? {
            if before.get(&key) == Some(&wanted) {
                continue;
            }
            if now.get(&key) == Some(&wanted) {
                reloaded.applied.push(key);
            } else {
                reloaded.needs_restart.push(key);
            }
        }
        Ok((taken_over, reloaded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_change_does_and_what_cannot_is_named() {
        let old = Config::defaults().unwrap();
        let mut new = old.clone();
        new.queues.scoring.workers = 9;
        new.liveness.endpoint = "https://example.org/oembed".to_owned();
        new.database.path = "elsewhere.db".into();
        new.thumbnails.max_pixels = 1;
        new.thumbnails.min_width = 1;
        new.log.level = "debug".to_owned();
        new.http.hosts = vec!["vault.example".to_owned()];
        let (taken_over, reloaded) = old.reloaded(&new).unwrap();
        let applied = [
            "http.hosts",
            "log.level",
            "queues.scoring.workers",
            "thumbnails.min_width",
        ];
        assert_eq!(reloaded.applied, applied);
        assert_eq!(
            reloaded.needs_restart,
            [
                "database.path",
                "liveness.endpoint",
                "thumbnails.max_pixels"
            ]
        );
        assert_eq!(taken_over.queues.scoring.workers, 9);
        assert_eq!(taken_over.database, old.database);
        assert_eq!(old.reloaded(&old).unwrap().1, Reloaded::default());
    }

    #[test]
    fn the_last_token_stays_while_another_address_waits_for_a_restart() {
        let mut old = Config::defaults().unwrap();
        old.http.listen = "0.0.0.0:8321".to_owned();
        old.http.write_tokens = vec!["0".repeat(64)];
        let mut new = old.clone();
        new.http.write_tokens = vec!["1".repeat(64)];
        assert_eq!(old.reloaded(&new).unwrap().0.http, new.http);
        new.http.write_tokens.clear();
        new.http.listen = "127.0.0.1:8321".to_owned();
        let (taken_over, reloaded) = old.reloaded(&new).unwrap();
        assert_eq!(taken_over.http, old.http);
        assert_eq!(reloaded.needs_restart, ["http.listen", "http.write_tokens"]);
    }
}
