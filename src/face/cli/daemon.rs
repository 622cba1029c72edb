//! `daemon`: works the durable queue off and listens on the socket, until it is told to stop.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::{Console, Global, may_colour};
use crate::config::{Config, ConfigError};
use crate::engine::Queue;
use crate::face::daemon::Daemon;
use crate::face::exit::{Code, Failure};
use crate::face::logging;

/// Arguments of `daemon`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DaemonArgs {
    /// Work off only these queues; the others' jobs wait. Comma-separated
    #[arg(long, value_name = "QUEUE", value_delimiter = ',', value_parser = parse_queue)]
    pub queues: Vec<Queue>,
    /// Listen on this Unix socket, whatever the configuration names
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// When the configuration, the database or the socket cannot be used, or the engine is lost.
pub fn run(
    arguments: &DaemonArgs,
    global: &Global,
    environment: Vec<(OsString, OsString)>,
    console: &Console<'_>,
) -> Result<Code, Failure> {
    let (again, chosen) = (global.clone(), arguments.clone());
    let colours = may_colour(&environment);
    let named = environment.clone();
    let read = move || {
        let mut config = again.load(environment.clone())?.config;
        chosen.apply(&mut config)?;
        Ok(config)
    };
    let config: Config = read()?;
    let settings = logging::Settings::daemon(&config.log, console.stderr_is_terminal);
    let (level, _outgoing) = logging::install_apart(&settings.with_colours(colours), &named)
        .map_err(|error| Failure::new(Code::Unusable, error))?;
    let daemon = Daemon {
        config,
        reread: Box::new(read),
        level,
    };
    daemon.run()
}

impl DaemonArgs {
    fn apply(&self, config: &mut Config) -> Result<(), ConfigError> {
        if let Some(socket) = &self.socket {
            config.daemon.socket.clone_from(socket);
        }
        if !self.queues.is_empty() {
            for queue in Queue::ALL {
                if !self.queues.contains(&queue) {
                    config.queues.get_mut(queue).workers = 0;
                }
            }
        }
        config.validate()
    }
}

fn parse_queue(text: &str) -> Result<Queue, String> {
    Queue::from_name(text.trim()).ok_or_else(|| {
        let names = Queue::ALL.map(Queue::name);
        format!("must be one of {}", names.join(", "))
    })
}
