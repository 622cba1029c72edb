//! A new configuration, taken over while jobs run.

use std::sync::Arc;

use actix::{Handler, Message};

use super::Supervisor;
use crate::actors::pool::Reconfigure;
use crate::actors::rate_limiter::{ChangeLimit, oembed_limit};
use crate::config::{Config, ConfigError, Reloaded};
use crate::domain::score::Baselines;

/// Takes over what of a new configuration can be; answers what that was.
#[derive(Message)]
#[rtype(result = "Result<Reloaded, ConfigError>")]
pub struct Reload(pub Box<Config>);

impl Handler<Reload> for Supervisor {
    type Result = Result<Reloaded, ConfigError>;

    fn handle(&mut self, Reload(new): Reload, _: &mut Self::Context) -> Self::Result {
        let (config, reloaded) = self.deps.config.reloaded(&new)?;
        config.validate()?;
        self.deps.baselines = Arc::new(Baselines::new(&config.scoring.baselines));
        self.deps.config = Arc::new(config);
        for (_, seat) in &self.pools {
            seat.slot.get().do_send(Reconfigure(self.deps.clone()));
        }
        self.reconfigure_upkeep();
        let limit = oembed_limit(&self.deps.config);
        self.deps.limiter.get().do_send(ChangeLimit(limit));
        Ok(reloaded)
    }
}
