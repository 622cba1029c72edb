//! Named steps at which a test may make things go wrong. Production passes none.

use std::fmt;
use std::sync::Arc;

use actix::ActorContext;

/// A place in the life of a job where a fault can strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A scoring actor received a job.
    ScoringReceives,
    /// A scoring actor is at work, inside the panic boundary.
    ScoringWorks,
    /// A thumbnail actor received a job.
    ThumbnailReceives,
    /// A picture is being judged, inside the panic boundary.
    ThumbnailWorks,
    /// A liveness actor received a job.
    LivenessReceives,
    /// A video is being asked for, inside the panic boundary.
    LivenessWorks,
    /// The database actor is about to write a group.
    DbWrites,
    /// The rate limiter was asked for a permit.
    LimiterAcquires,
    /// A pool is about to hand out work.
    PoolDispatches,
    /// The supervisor looks after its actors.
    SupervisorTicks,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A panic.
    Panic,
    /// The arbiter (the thread) ends under the actor.
    EndArbiter,
}

/// Decides at each step whether a fault strikes.
pub type Decide = dyn Fn(Step) -> Option<Fault> + Send + Sync;

/// The faults of a run: none, unless a test brings some.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<Decide>>);

impl Faults {
    /// Faults decided by a function.
    pub fn new(decide: impl Fn(Step) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(decide)))
    }

    /// Lets a fault strike here, if one is due.
    pub fn strike(&self, step: Step) {
        let Some(decide) = &self.0 else { return };
        match decide(step) {
            None => {}
            Some(Fault::Panic) => panic_at(step),
            Some(Fault::EndArbiter) => {
                if let Some(arbiter) = actix_rt::Arbiter::try_current() {
                    arbiter.stop();
                }
            }
        }
    }

    /// The same inside a handler: an ended arbiter does not go on with the message.
    pub fn strike_in<C: ActorContext>(&self, step: Step, context: &mut C) -> bool {
        let Some(decide) = &self.0 else { return false };
        match decide(step) {
            None => false,
            Some(Fault::Panic) => panic_at(step),
            Some(Fault::EndArbiter) => {
                if let Some(arbiter) = actix_rt::Arbiter::try_current() {
                    arbiter.stop();
                }
                context.terminate();
                true
            }
        }
    }
}

#[expect(clippy::panic, reason = "a fault that a test asked for is a panic")]
fn panic_at(step: Step) -> ! {
    std::panic::panic_any(format!("injected at {step:?}"))
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Faults(injected)"
        } else {
            "Faults(none)"
        })
    }
}
