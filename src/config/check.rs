//! What a value must be beyond its type. Each rule names its key, so that a message can name the
//! file and line that set it.

mod upkeep;
mod web;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use tracing_subscriber::EnvFilter;
use url::{Host, Url};

use super::error;
use super::layers::Origin;
use super::{Config, ConfigError, Problem, QueueSettings};
use crate::domain::job::Queue;

/// What fits a `sockaddr_un`, with the zero that ends it.
const LONGEST_SOCKET_PATH: usize = 107;
const HOUR: Duration = Duration::from_secs(3600);
const LONGEST_WINDOW: Duration = Duration::from_secs(31 * 24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Config {
    /// Checks a configuration made or changed by hand; [`Layers::load`](super::Layers::load)
    /// has checked its own.
    ///
    /// # Errors
    /// Names every key whose value cannot be used, and what would be right.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let problems = problems(self, &BTreeMap::new())?;
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::Invalid(problems))
        }
    }
}

/// Every value that cannot be used, with where it was set as far as `origins` know.
pub(super) fn problems(
    config: &Config,
    origins: &BTreeMap<String, Origin>,
) -> Result<Vec<Problem>, ConfigError> {
    let mut rules = Rules::default();
    database_and_names(config, &mut rules);
    engine_and_queues(config, &mut rules);
    scoring(config, &mut rules);
    upstreams(config, &mut rules);
    upkeep::schedule(config, &mut rules);
    upkeep::upkeep(config, &mut rules);
    daemon(config, &mut rules);
    web::http(&config.http, &mut rules);
    if rules.broken.is_empty() {
        return Ok(Vec::new());
    }
    let values: BTreeMap<_, _> = config.values()?.into_iter().collect();
    let problem = |(key, reason): (String, String)| Problem {
        origin: origins.get(&key).cloned(),
        value: values.get(&key).map(error::shown),
        key: Some(key),
        reason,
    };
    Ok(rules.broken.into_iter().map(problem).collect())
}

#[derive(Default)]
struct Rules {
    broken: Vec<(String, String)>,
}

impl Rules {
    fn demand(&mut self, holds: bool, key: impl Into<String>, reason: impl Into<String>) {
        if !holds {
            self.broken.push((key.into(), reason.into()));
        }
    }
}

fn database_and_names(config: &Config, rules: &mut Rules) {
    rules.demand(
        (Duration::from_millis(1)..=Duration::from_secs(10))
            .contains(&config.database.max_write_hold),
        "database.max_write_hold",
        "must be 1ms to 10s",
    );
    let (videos, snapshots) = (&config.schema.videos, &config.schema.snapshots);
    for (key, name) in [
        ("videos.table", &videos.table),
        ("videos.video_id", &videos.video_id),
        ("videos.virality_score", &videos.virality_score),
        ("videos.thumbnail_url", &videos.thumbnail_url),
        ("snapshots.table", &snapshots.table),
        ("snapshots.video_id", &snapshots.video_id),
        ("snapshots.view_count", &snapshots.view_count),
        ("snapshots.likes", &snapshots.likes),
        ("snapshots.comments", &snapshots.comments),
        ("snapshots.region", &snapshots.region),
        ("snapshots.fetched_at", &snapshots.fetched_at),
    ] {
        rules.demand(
            !name.is_empty() && !name.contains('\0'),
            format!("schema.{key}"),
            "must be a name, not empty",
        );
    }
}

fn engine_and_queues(config: &Config, rules: &mut Rules) {
    rules.demand(config.engine.nice <= 19, "engine.nice", "must be 0 to 19");
    rules.demand(
        !config.engine.restart_window.is_zero(),
        "engine.restart_window",
        "must be longer than 0s",
    );
    for queue in Queue::ALL {
        let settings = config.queues.get(queue);
        let mut demand = |holds, name: &str, reason: &str| {
            rules.demand(holds, format!("queues.{queue}.{name}"), reason);
        };
        let QueueSettings {
            workers, in_flight, ..
        } = *settings;
        demand(workers <= 256, "workers", "must be 0 to 256");
        demand(
            (1..=256).contains(&in_flight),
            "in_flight",
            "must be 1 to 256",
        );
        demand(settings.chunk >= 1, "chunk", "must be 1 or more");
        demand(
            settings.max_crashes >= 1,
            "max_crashes",
            "must be 1 or more",
        );
        demand(
            !settings.soft_limit.is_zero(),
            "soft_limit",
            "must be longer than 0s",
        );
        demand(
            settings.soft_limit <= settings.hard_limit,
            "hard_limit",
            "must not be below `soft_limit`",
        );
        demand(
            settings.hard_limit <= YEAR,
            "hard_limit",
            "must be 365d at most",
        );
    }
}

fn scoring(config: &Config, rules: &mut Rules) {
    for (region, baseline) in &config.scoring.baselines {
        for (name, value) in [
            ("velocity", baseline.velocity),
            ("engagement", baseline.engagement),
        ] {
            rules.demand(
                value.is_finite() && value > 0.0,
                format!("scoring.baselines.{region}.{name}"),
                "must be a number above 0",
            );
        }
    }
}

fn upstreams(config: &Config, rules: &mut Rules) {
    let (thumbnails, liveness, fetch) = (&config.thumbnails, &config.liveness, &config.fetch);
    for (key, value) in [
        ("thumbnails.min_width", u64::from(thumbnails.min_width)),
        ("thumbnails.min_height", u64::from(thumbnails.min_height)),
        ("thumbnails.max_bytes", thumbnails.max_bytes),
        ("thumbnails.max_pixels", thumbnails.max_pixels),
        ("liveness.max_bytes", liveness.max_bytes),
    ] {
        rules.demand(value >= 1, key, "must be 1 or more");
    }
    for (key, value) in [
        ("thumbnails.timeout", thumbnails.timeout),
        ("liveness.timeout", liveness.timeout),
    ] {
        rules.demand(
            (Duration::from_millis(1)..=HOUR).contains(&value),
            key,
            "must be 1ms to 1h",
        );
    }
    let rate = config.rate_limits.oembed;
    rules.demand(
        rate.calls >= 1 && (Duration::from_millis(1)..=LONGEST_WINDOW).contains(&rate.per),
        "rate_limits.oembed",
        "must be 1 call or more in 1ms to 31d, such as \"20/m\"",
    );
    let in_range = (1..=1024).contains(&fetch.max_per_host);
    rules.demand(in_range, "fetch.max_per_host", "must be 1 to 1024");
    let in_range = fetch.max_redirects <= 20;
    rules.demand(in_range, "fetch.max_redirects", "must be 0 to 20");
    let printable = |c: char| c.is_ascii_graphic() || c == ' ';
    rules.demand(
        !fetch.contact.trim().is_empty() && fetch.contact.chars().all(printable),
        "fetch.contact",
        "must be printable ASCII, not empty",
    );
    let reasons = [
        (endpoint(&liveness.endpoint), "liveness.endpoint"),
        (allowed(&fetch.allow), "fetch.allow"),
        (level(&config.log.level), "log.level"),
    ];
    for (result, key) in reasons {
        if let Err(reason) = result {
            rules.demand(false, key, reason);
        }
    }
}

fn daemon(config: &Config, rules: &mut Rules) {
    let daemon = &config.daemon;
    let length = daemon.socket.as_os_str().len();
    rules.demand(
        length <= LONGEST_SOCKET_PATH,
        "daemon.socket",
        format!("must be {LONGEST_SOCKET_PATH} bytes at most, for the system takes no more"),
    );
    let for_group = match daemon.socket_mode.as_str() {
        "0600" => false,
        "0660" => true,
        _ => {
            let reason = "must be \"0600\", or \"0660\" with daemon.socket_group";
            return rules.demand(false, "daemon.socket_mode", reason);
        }
    };
    rules.demand(
        !for_group || !daemon.socket_group.is_empty(),
        "daemon.socket_mode",
        "needs daemon.socket_group: a group's members are let in, never everybody",
    );
    rules.demand(
        for_group || daemon.socket_group.is_empty(),
        "daemon.socket_group",
        "needs daemon.socket_mode = \"0660\": \"0600\" lets no group in",
    );
}

fn endpoint(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("must be an http or https URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("must be an http or https URL".to_owned());
    }
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    plain
        .then_some(())
        .ok_or_else(|| "must have no user, password or fragment".to_owned())
}

fn allowed(entries: &[String]) -> Result<(), String> {
    for entry in entries {
        if IpNet::from_str(entry).is_ok() || is_host_and_port(entry) {
            continue;
        }
        let hint = match IpAddr::from_str(entry) {
            Ok(IpAddr::V4(_)) => format!(": write \"{entry}:PORT\" or \"{entry}/32\""),
            Ok(IpAddr::V6(_)) => format!(": write \"[{entry}]:PORT\" or \"{entry}/128\""),
            Err(_) => " such as \"127.0.0.1:8123\" or \"10.0.0.0/8\"".to_owned(),
        };
        return Err(format!(
            "{entry:?} must be a host with its port, or a network{hint}"
        ));
    }
    Ok(())
}

fn is_host_and_port(entry: &str) -> bool {
    entry.rsplit_once(':').is_some_and(|(host, port)| {
        Host::parse(host).is_ok() && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

/// The filter's own parser takes any word for a module's name and would log nothing else.
fn level(text: &str) -> Result<(), String> {
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let bare = |word: &&str| !word.contains(['=', '[', ']', '{', '}']);
    if let Some(word) = text.split(',').filter(bare).find(|word| !is_level(word)) {
        return Err(format!(
            "{word:?} must be one of {}, or a filter such as \"info,vvv_actors=debug\"",
            LEVELS.join(", ")
        ));
    }
    EnvFilter::try_new(text)
        .map(drop)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::defaults().unwrap();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    }

    fn accepted(change: impl FnOnce(&mut Config)) {
        let mut config = Config::defaults().unwrap();
        change(&mut config);
        config.validate().unwrap();
    }

    type Case = (fn(&mut Config), &'static str);

    fn each_is_told(cases: &[Case]) {
        for (change, expected) in cases {
            let error = broken(change);
            assert!(error.starts_with(expected), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_socket_is_never_open_to_everybody() {
        each_is_told(&[
            (
                |c| c.daemon.socket_mode = "0666".into(),
                "`daemon.socket_mode` = \"0666\": must be \"0600\"",
            ),
            (
                |c| c.daemon.socket_mode = "0660".into(),
                "`daemon.socket_mode` = \"0660\": needs daemon.socket_group",
            ),
            (
                |c| c.daemon.socket_group = "www-data".into(),
                "`daemon.socket_group` = \"www-data\": needs daemon.socket_mode",
            ),
            (
                |c| c.daemon.socket = "x".repeat(108).into(),
                "`daemon.socket` = ",
            ),
        ]);
        accepted(|c| {
            c.daemon.socket = "x".repeat(107).into();
            c.daemon.socket_mode = "0660".into();
            c.daemon.socket_group = "33".into();
        });
    }

    #[test]
    fn a_rule_about_the_database_names_its_key_and_the_value() {
        each_is_told(&[
            (
                |c| c.database.max_write_hold = Duration::ZERO,
                "`database.max_write_hold` = \"0s\": must be 1ms to 10s",
            ),
            (
                |c| c.database.max_write_hold = Duration::from_secs(11),
                "`database.max_write_hold` = \"11s\": must be",
            ),
            (
                |c| c.schema.videos.table.clear(),
                "`schema.videos.table` = \"\": must be a name",
            ),
            (
                |c| c.schema.snapshots.likes = "a\0b".into(),
                "`schema.snapshots.likes` = \"a\\0b\": must be a name",
            ),
        ]);
    }

    #[test]
    fn a_rule_about_the_engine_and_its_queues_names_its_key_and_the_value() {
        each_is_told(&[
            (
                |c| c.queues.scoring.workers = 257,
                "`queues.scoring.workers` = 257: must be 0 to 256",
            ),
            (
                |c| c.queues.cleanup.in_flight = 0,
                "`queues.cleanup.in_flight` = 0: must be 1 to 256",
            ),
            (
                |c| c.queues.thumbnails.in_flight = 257,
                "`queues.thumbnails.in_flight` = 257: must be",
            ),
            (
                |c| c.queues.scoring.chunk = 0,
                "`queues.scoring.chunk` = 0: must be 1 or more",
            ),
            (
                |c| c.queues.scoring.hard_limit = Duration::from_secs(9),
                "`queues.scoring.hard_limit` = \"9s\": must not be below",
            ),
            (
                |c| c.queues.scoring.soft_limit = Duration::ZERO,
                "`queues.scoring.soft_limit` = \"0s\": must be longer",
            ),
            (
                |c| c.queues.scoring.hard_limit = Duration::MAX,
                "`queues.scoring.hard_limit` = \"18446744073709551615999999999ns\": must be 365d",
            ),
            (
                |c| c.engine.nice = 20,
                "`engine.nice` = 20: must be 0 to 19",
            ),
            (
                |c| c.engine.restart_window = Duration::ZERO,
                "`engine.restart_window` = \"0s\": must be longer",
            ),
        ]);
    }

    #[test]
    fn a_rule_about_requests_names_its_key_and_the_value() {
        each_is_told(&[
            (
                |c| c.thumbnails.min_width = 0,
                "`thumbnails.min_width` = 0: must be 1 or more",
            ),
            (
                |c| c.thumbnails.max_bytes = 0,
                "`thumbnails.max_bytes` = \"0B\": must be 1 or more",
            ),
            (
                |c| c.thumbnails.timeout = Duration::ZERO,
                "`thumbnails.timeout` = \"0s\": must be 1ms to 1h",
            ),
            (
                |c| c.liveness.timeout = 2 * HOUR,
                "`liveness.timeout` = \"2h\": must be",
            ),
            (
                |c| c.rate_limits.oembed.calls = 0,
                "`rate_limits.oembed` = \"0/m\": must be 1 call",
            ),
            (
                |c| c.rate_limits.oembed.per = 2 * LONGEST_WINDOW,
                "`rate_limits.oembed` = \"20/62d\": must be",
            ),
            (
                |c| c.fetch.max_per_host = 0,
                "`fetch.max_per_host` = 0: must be 1 to 1024",
            ),
            (
                |c| c.fetch.max_redirects = 21,
                "`fetch.max_redirects` = 21: must be 0 to 20",
            ),
            (
                |c| c.fetch.contact = "a\r\nX: b".into(),
                "`fetch.contact` = \"a\\r\\nX: b\": must be printable",
            ),
        ]);
    }

    #[test]
    fn a_rule_about_the_daemons_own_work_names_its_key_and_the_value() {
        each_is_told(&[
            (
                |c| c.schedule.timezone = "Mars/Base".into(),
                "`schedule.timezone` = \"Mars/Base\": must be a zone such as",
            ),
            (
                |c| c.schedule.rescore = "at night".into(),
                "`schedule.rescore` = \"at night\": must be five fields",
            ),
            (
                |c| c.schedule.liveness = "@every 0s".into(),
                "`schedule.liveness` = \"@every 0s\": must be at least a second",
            ),
            (
                |c| c.retention.jobs_max_rows = 0,
                "`retention.jobs_max_rows` = 0: must be 1 or more",
            ),
            (
                |c| c.alerts.command = vec![String::new()],
                "`alerts.command` = [\"\"]: must begin with a program",
            ),
            (
                |c| c.alerts.timeout = HOUR,
                "`alerts.timeout` = \"1h\": must be 1s to 10m",
            ),
        ]);
        accepted(|c| c.schedule.thumbnails = "@every 15m".into());
        accepted(|c| c.schedule.prune = String::new());
    }

    #[test]
    fn a_baseline_must_be_finite() {
        for value in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            let error = broken(|c| {
                c.scoring.baselines.get_mut("GB").unwrap().engagement = value;
            });
            assert!(
                error.starts_with("`scoring.baselines.GB.engagement` = "),
                "{error}"
            );
        }
    }

    #[test]
    fn the_endpoint_must_be_a_web_address() {
        for wrong in [
            "",
            "www.youtube.com/oembed",
            "ftp://example.org/",
            "http://",
            "http://user:secret@example.org/",
            "http://example.org/#x",
        ] {
            let error = broken(|c| c.liveness.endpoint = wrong.into());
            assert!(error.starts_with("`liveness.endpoint` = "), "{error}");
        }
        accepted(|c| c.liveness.endpoint = "http://127.0.0.1:8123/oembed?key=1".into());
    }

    #[test]
    fn an_exception_is_a_host_with_its_port_or_a_network() {
        let right = [
            "127.0.0.1:8123",
            "[::1]:80",
            "cdn.local:8080",
            "10.0.0.0/8",
            "fd00::/8",
        ];
        accepted(|c| c.fetch.allow = right.map(str::to_owned).to_vec());
        for (wrong, hint) in [
            ("127.0.0.1", "\"127.0.0.1/32\""),
            ("::1", "\"[::1]:PORT\""),
            ("cdn.local", "such as"),
            ("cdn.local:0", "such as"),
            ("cdn.local:99999", "such as"),
            (":80", "such as"),
            ("10.0.0.0/33", "such as"),
            ("http://cdn.local:80", "such as"),
            ("", "such as"),
        ] {
            let error = broken(|c| c.fetch.allow = vec!["10.0.0.0/8".into(), wrong.into()]);
            assert!(
                error.starts_with("`fetch.allow` = ") && error.contains(hint),
                "{error}"
            );
        }
    }

    #[test]
    fn a_level_is_a_level_or_a_filter() {
        for right in [
            "info",
            "WARN",
            "off",
            "info,vvv_actors=debug",
            "warn,[job{id=7}]=trace",
        ] {
            accepted(|c| c.log.level = right.into());
        }
        for wrong in ["", "loud", "info,loud", "vvv_actors=loud", "info,,debug"] {
            let error = broken(|c| c.log.level = wrong.into());
            assert!(error.starts_with("`log.level` = "), "{error}");
        }
    }

    #[test]
    fn a_queue_may_be_switched_off_and_limits_may_be_equal() {
        accepted(|c| {
            c.queues.scoring.workers = 0;
            c.queues.scoring.soft_limit = c.queues.scoring.hard_limit;
            c.engine.max_restarts = 0;
            c.engine.drain_timeout = Duration::ZERO;
            c.thumbnails.fresh_for = Duration::ZERO;
            c.liveness.give_up_after = Duration::ZERO;
        });
    }
}
