//! Where an actor is reached, though it may have been replaced since.

use std::sync::{Arc, PoisonError, RwLock};

use actix::{Actor, Addr};

/// The current address of an actor that its supervisor may recreate.
pub struct Slot<A: Actor>(Arc<RwLock<Addr<A>>>);

impl<A: Actor> Slot<A> {
    /// A slot that starts with this address.
    #[must_use]
    pub fn new(address: Addr<A>) -> Self {
        Self(Arc::new(RwLock::new(address)))
    }

    /// The address as of now.
    #[must_use]
    pub fn get(&self) -> Addr<A> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts a successor in its place.
    pub fn replace(&self, address: Addr<A>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = address;
    }
}

impl<A: Actor> Clone for Slot<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
