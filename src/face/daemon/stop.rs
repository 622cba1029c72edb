//! The end of a daemon: running jobs may finish, unless somebody says they may not. Then they are
//! let go of, as at any stop: nobody who was told to end is taken for dead.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use super::manager::Manager;
use crate::engine::EngineHandle;
use crate::face::exit::Code;
use crate::face::protocol::{ErrorCode, RpcError};
use crate::face::signals::Signals;
use crate::face::site::Control;

/// What a daemon that stops still listens to.
pub(super) struct Told<'a> {
    pub(super) controls: &'a mut UnboundedReceiver<Control>,
    pub(super) signals: &'a mut Signals,
}

/// Drains the engine and stops it; none if it was lost on the way.
pub(super) async fn stop(
    engine: &EngineHandle,
    drain: Duration,
    told: Told<'_>,
    manager: &Manager,
) -> Option<Code> {
    let mut stopping = std::pin::pin!(engine.shutdown(drain));
    let mut hurried = std::pin::pin!(hurry(engine, told));
    let mut pulse = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            biased;
            () = &mut stopping => break,
            () = &mut hurried => break,
            // A drain has its own limit; until then the service manager is to be patient.
            _ = pulse.tick() => manager.alive(),
        }
    }
    if engine.is_lost() {
        return None;
    }
    tracing::info!("stopped");
    Some(Code::Success)
}

/// Once somebody will not wait, stops without; jobs that run are released.
async fn hurry(engine: &EngineHandle, told: Told<'_>) {
    loop {
        tokio::select! {
            _ = told.signals.next() => break,
            Some(control) = told.controls.recv() => match control {
                Control::Stop { now: true } => break,
                Control::Stop { now: false } => {}
                Control::Reload(answer) => {
                    let error = RpcError::new(ErrorCode::Stopping, "the daemon is stopping");
                    let _ = answer.send(Err(error));
                }
            },
        }
    }
    tracing::warn!("told to stop at once: running jobs are left to the next start");
    engine.shutdown(Duration::ZERO).await;
}
