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
        let withdrawn = self.tickets.withdraw(ticket);
        let origins = withdrawn.iter().map(|job| job.origin).collect();
        let (db, withdraw) = (self.deps.db.clone(), WithdrawJobs { origins });
        let write = async move { db.write(withdraw).await };
        Box::pin(write.into_actor(self).map(move |written, actor, _| {
            actor.tickets.close(ticket);
            // Those whose end was on its way had no row any more.
            let cancelled = match written {
                Ok(ids) => {
                    let cancelled = ids.len();
                    actor.abandon(&ids.into());
                    cancelled
                }
                // The rows are gone with their connection.
                Err(StoreError::Unknown(_)) => withdrawn.len(),
                Err(error) => return Err(error.into()),
            };
            for job in withdrawn.iter().take(cancelled) {
                actor.deps.meters.jobs.cancelled(job.kind);
            }
            Ok(withdrawn.len())
        }))
    }
}
