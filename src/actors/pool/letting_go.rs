//! What a pool lets go of: claims given back, work that was cancelled.

use std::sync::Arc;

use actix::{Context, Handler, Message};

use super::Pool;
use super::workers::WorkerSlot;
use crate::store::{Claim, ClaimedJob, JobId, ReleaseJobs};

impl Pool {
    pub(super) fn let_go(&mut self, context: &mut Context<Self>) {
        let claims = self.ready.drain(..).map(|claimed| claimed.claim).collect();
        self.release(claims, context);
    }

    fn release(&mut self, claims: Vec<Claim>, context: &mut Context<Self>) {
        if claims.is_empty() {
            return;
        }
        let release = ReleaseJobs { claims };
        self.write_surely(release, context, |pool, released, context| match released {
            Ok(0) => {}
            Ok(_) => pool.look_again_at_once(context),
            Err(error) => {
                tracing::warn!(queue = %pool.queue, %error, "failed to release jobs");
            }
        });
    }

    /// Lets go of those of these jobs that were cancelled.
    pub(super) fn give_up(
        &mut self,
        jobs: &mut Vec<ClaimedJob>,
        cancelled: &[JobId],
        context: &mut Context<Self>,
    ) {
        let named = jobs.extract_if(.., |job| cancelled.contains(&job.claim.job));
        let claims: Vec<Claim> = named.map(|job| job.claim).collect();
        // One may have been tried again meanwhile, and claimed anew: it goes back, and is due.
        self.release(claims, context);
    }
}

/// Forgets every claim: the queue's rows went with their connection.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ForgetClaims;

impl Handler<ForgetClaims> for Pool {
    type Result = ();

    fn handle(&mut self, _: ForgetClaims, _: &mut Self::Context) {
        self.ready.clear();
        self.slots.iter().for_each(WorkerSlot::drop_work);
    }
}

/// Lets go of jobs that were cancelled: their claims are lost already.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub struct Abandon(pub Arc<[JobId]>);

impl Handler<Abandon> for Pool {
    type Result = ();

    fn handle(&mut self, Abandon(ids): Abandon, context: &mut Self::Context) {
        let mut ready = std::mem::take(&mut self.ready).into();
        self.give_up(&mut ready, &ids, context);
        self.ready = ready.into();
        if self.claiming {
            self.abandoned.extend_from_slice(&ids);
        }
        for slot in &self.slots {
            slot.drop_work_of(&ids);
        }
        self.go_on(context);
    }
}

/// Gives back what was claimed and not begun: the queue pauses, or nobody works it off any more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LetGo;

impl Handler<LetGo> for Pool {
    type Result = ();

    fn handle(&mut self, _: LetGo, context: &mut Self::Context) {
        self.let_go(context);
    }
}
