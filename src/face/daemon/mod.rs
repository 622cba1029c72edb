//! The daemon: an engine over the durable queue, the socket that feeds it, and the life around
//! them: signals, the service manager, the log.
//!
//! Order of a stop: the engine refuses work and drains, while clients may still look; then the
//! socket answers what is open and goes; then the process.

mod journal;
mod manager;
mod place;
mod stop;
mod web;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::manager::Manager;
use self::place::Place;
use self::stop::{Told, stop};
use self::web::{WebServer, pictures};
use super::exit::{Code, Failure};
use super::logging::Level;
use super::one_shot::failure;
use super::protocol::{ErrorCode, Reloaded, RpcError};
use super::signals::Signals;
use super::site::{Control, Facts, Site};
use super::socket::{Bound, Doorman, serve};
use crate::config::Config;
use crate::engine::{Engine, EngineError, EngineHandle};

/// How often it is looked whether the engine lives.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Reads the configuration once more.
pub type ReadConfig = Box<dyn Fn() -> Result<Config, Failure>>;

/// What a daemon starts with.
pub struct Daemon {
    /// The settings.
    pub config: Config,
    /// How they are read again.
    pub reread: ReadConfig,
    /// How the level of the log is changed.
    pub level: Level,
}

/// A daemon that runs.
struct Running {
    config: Config,
    reread: ReadConfig,
    level: Level,
    engine: EngineHandle,
    site: Arc<Site>,
    manager: Manager,
    controls: mpsc::UnboundedReceiver<Control>,
    /// Told to the socket when it is to close.
    close: watch::Sender<bool>,
    server: JoinHandle<()>,
    web: Option<WebServer>,
    _socket: Option<Bound>,
}

impl Daemon {
    /// Runs until it is told to stop, or cannot go on.
    ///
    /// # Errors
    /// When the configuration, the database or the socket cannot be used, or the engine is lost.
    pub fn run(self) -> Result<Code, Failure> {
        let began = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(unstarted)?;
        let signals = Signals::watch_for_two().map_err(unstarted)?;
        // Until it is heard a SIGHUP ends the process, and a start may wait for a lock.
        let hangups = {
            let _inside = runtime.enter();
            signal(SignalKind::hangup()).map_err(unstarted)?
        };
        let ended = runtime.block_on(self.live(signals, hangups, began));
        // A look that waits for a lock holds nobody up.
        runtime.shutdown_background();
        ended
    }

    async fn live(
        self,
        mut signals: Signals,
        mut hangups: Signal,
        began: Instant,
    ) -> Result<Code, Failure> {
        // Whoever gets no socket changes no file.
        let doorman = Doorman::new(&self.config.daemon).map_err(unstarted)?;
        let place = Place::find(&self.config, &doorman)?;
        let start = Engine::builder()
            .config(self.config.clone())
            .pictures(pictures(&self.config))
            .durable();
        let starting = tokio::task::spawn_blocking(move || start.start());
        let engine = tokio::select! {
            biased;
            started = starting => started.map_err(|_| failure(EngineError::Lost))?.map_err(failure)?,
            // Another process may hold the database for any time.
            signal = signals.next() => {
                tracing::info!(signal = signal.name(), "told to stop before the start");
                return Ok(Code::Success);
            }
        };
        match self.open(engine.clone(), place, doorman, began) {
            Ok(mut running) => {
                let ended = running.work(&mut signals, &mut hangups).await;
                running.end(ended, &mut signals).await
            }
            Err(failure) => {
                engine.shutdown(Duration::ZERO).await;
                Err(failure)
            }
        }
    }

    /// Opens the socket of a daemon whose engine runs.
    fn open(
        self,
        engine: EngineHandle,
        mut place: Place,
        doorman: Doorman,
        began: Instant,
    ) -> Result<Running, Failure> {
        let config = self.config;
        let web = place.web.take();
        let (listener, socket, path) = place.listen()?;
        let (control, controls) = mpsc::unbounded_channel();
        let facts = Facts {
            // Whoever is told it may stand elsewhere.
            database: std::path::absolute(&config.database.path).map_err(unstarted)?,
            socket: path.clone(),
            began,
        };
        let site = Arc::new(Site::new(engine.clone(), facts, control));
        let (close, closing) = watch::channel(false);
        tokio::spawn(journal::keep(engine.moves(), Arc::clone(&site)));
        let web = web.map(|place| WebServer::start(&site, &config, place));
        let web = web.transpose()?;
        let server = tokio::spawn(serve(listener, Arc::clone(&site), doorman, closing));
        let manager = Manager::find();
        manager.ready();
        tracing::info!(
            database = %config.database.path.display(),
            socket = %path.display(),
            milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "ready"
        );
        Ok(Running {
            config,
            reread: self.reread,
            level: self.level,
            engine,
            site,
            manager,
            controls,
            close,
            server,
            web,
            _socket: socket,
        })
    }
}

/// How the work of a daemon ended.
enum Ended {
    /// It was told to stop, and may take so long to drain.
    Told(Duration),
    /// The engine died.
    Lost,
}

impl Running {
    /// Works until told to stop.
    async fn work(&mut self, signals: &mut Signals, hangups: &mut Signal) -> Ended {
        let drain = |running: &Self| running.config.daemon.drain_timeout;
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                signal = signals.next() => {
                    tracing::info!(signal = signal.name(), "told to stop");
                    return Ended::Told(drain(self));
                }
                Some(control) = self.controls.recv() => match control {
                    Control::Stop { now } => {
                        tracing::info!(now, "told to stop over the socket");
                        return Ended::Told(if now { Duration::ZERO } else { drain(self) });
                    }
                    Control::Reload(answer) => {
                        let _ = answer.send(self.reload().await);
                    }
                },
                _ = hangups.recv() => {
                    if let Err(error) = self.reload().await {
                        tracing::error!(%error, "the configuration stays as it was");
                    }
                }
                _ = look.tick() => {
                    if self.engine.is_lost() {
                        return Ended::Lost;
                    }
                    self.manager.feed(&self.engine).await;
                }
            }
        }
    }

    /// Takes a changed configuration over, as far as that is possible.
    async fn reload(&mut self) -> Result<Reloaded, RpcError> {
        let unusable = |error: &dyn std::fmt::Display| {
            let message = format!("read the configuration: {error}");
            RpcError::new(ErrorCode::Params, message)
        };
        let wanted = (self.reread)().map_err(|failure| unusable(&failure.error))?;
        let (config, _) = self
            .config
            .reloaded(&wanted)
            .map_err(|error| unusable(&error))?;
        // Whoever may refuse it comes first: it is taken over whole, or not at all.
        if let Some(web) = &self.web {
            web.reload(&config).map_err(|error| unusable(&error))?;
        }
        let reloaded = self.engine.reload(wanted).await?;
        self.level
            .set(&config.log.level)
            .map_err(|error| unusable(&error))?;
        self.config = config;
        tracing::info!(
            applied = reloaded.applied.join(" "),
            needs_restart = reloaded.needs_restart.join(" "),
            "read the configuration again"
        );
        Ok(reloaded.into())
    }

    /// Stops what still runs.
    async fn end(mut self, ended: Ended, signals: &mut Signals) -> Result<Code, Failure> {
        let code = match ended {
            Ended::Told(drain) => {
                self.site.set_draining();
                self.manager.stopping();
                let told = Told {
                    controls: &mut self.controls,
                    signals,
                };
                stop(&self.engine, drain, told, &self.manager).await
            }
            Ended::Lost => None,
        };
        if let Some(web) = self.web.take() {
            web.stop().await;
        }
        let _ = self.close.send(true);
        let _ = (&mut self.server).await;
        match code {
            Some(code) => Ok(code),
            None => {
                let lost = self.engine.lost();
                Err(failure(lost.map_or(EngineError::Lost, EngineError::from)))
            }
        }
    }
}

fn unstarted(error: std::io::Error) -> Failure {
    let error = anyhow::Error::new(error).context("start the daemon");
    Failure::new(Code::Unusable, error)
}
