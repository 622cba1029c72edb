//! The end of a daemon: running jobs may finish, unless somebody says they may not.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use super::manager::Manager;
use crate::engine::EngineHandle;
use crate::face::exit::Code;
use crate::face::protocol::{ErrorCode, RpcError};
use crate::face::site::Control;

/// Drains the engine and stops it; none if it was lost on the way.
pub(super) async fn stop(
    engine: &EngineHandle,
    drain: Duration,
    controls: &mut UnboundedReceiver<Control>,
    manager: &Manager,
) -> Option<Code> {
    let mut stopping = std::pin::pin!(engine.shutdown(drain));
    let mut pulse = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            biased;
            () = &mut stopping => break,
            Some(control) = controls.recv() => match control {
                Control::Stop { now: true } => {
                    tracing::warn!("told to stop at once: running jobs are left to the next start");
                    return Some(Code::Terminated);
                }
                Control::Stop { now: false } => {}
                Control::Reload(answer) => {
                    let error = RpcError::new(ErrorCode::Stopping, "the daemon is stopping");
                    let _ = answer.send(Err(error));
                }
            },
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
