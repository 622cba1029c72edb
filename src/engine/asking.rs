//! How a handle asks the supervisor.

use actix::dev::ToEnvelope;
use actix::{Actor, Handler, Message};

use super::{EngineError, EngineHandle};
use crate::actors::supervisor::{SubmitError, Supervisor};

impl EngineHandle {
    pub(super) async fn ask<M, T>(&self, message: M) -> Result<T, EngineError>
    where
        M: Message<Result = Result<T, SubmitError>> + Send + 'static,
        T: Send + 'static,
        Supervisor: Handler<M>,
        <Supervisor as Actor>::Context: ToEnvelope<Supervisor, M>,
    {
        match self.supervisor.send(message).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(self.phase.borrow().gone()),
        }
    }
}
