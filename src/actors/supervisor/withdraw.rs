//! Work cancelled that does not outlive the engine: its rows go, and whoever works on them lets go.

use actix::{ActorFutureExt, Handler, Message, WrapFuture};

use super::durable::Answer;
use super::{SubmitError, Supervisor};
use crate::store::{StoreError, WithdrawJobs};

/// Cancels what has not ended of a ticket whose jobs do not outlive the engine; answers with how
/// many jobs that were. From then on they write nothing.
#[derive(Message)]
#[rtype(result = "Result<usize, SubmitError>")]
pub struct CancelTicket(pub u64);

impl Handler<CancelTicket> for Supervisor {
    type Result = Answer<usize>;

    fn handle(
        &mut self,
        CancelTicket(ticket): CancelTicket,
        _: &mut Self::Context,
    ) -> Self::Result {
        let origins = self.tickets.withdraw(ticket);
        let withdrawn = origins.len();
        let (db, withdraw) = (self.deps.db.clone(), WithdrawJobs { origins });
        let write = async move { db.write(withdraw).await };
        Box::pin(write.into_actor(self).map(move |written, actor, _| {
            actor.tickets.close(ticket);
            match written {
                Ok(ids) => actor.abandon(&ids.into()),
                // The rows are gone with their connection.
                Err(StoreError::Unknown(_)) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(withdrawn)
        }))
    }
}
