//! The Unix socket of the daemon: who may connect, how lines are read and answers written, and what
//! each method does. One connection is one task; none waits for another.

mod answer;
mod connection;
mod events;
mod lines;
mod listen;
mod peer;
mod server;
mod writer;

pub use self::listen::{Bound, Reserved, SocketError, bind, path_of, reserve};
pub use self::peer::Doorman;
pub use self::server::serve;
