//! Accepts connections, so many at a time, from those who may.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connection::converse;
use super::peer::Doorman;
use crate::face::protocol::{ErrorCode, Reply, RpcError};
use crate::face::site::Site;

/// Connections at once.
const CONNECTIONS: usize = 64;
/// Of these the last are for our own user and root, and of those the last for root alone: whoever
/// takes all places cannot keep an operator from looking and stopping.
const KEPT: usize = 8;
/// After a failure to accept: it is likely that of descriptors there are none left.
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// How long open connections may take to send their last answers.
const TO_CLOSE: Duration = Duration::from_secs(1);

/// Serves until told to close; then answers what is open and returns.
pub async fn serve(
    listener: UnixListener,
    site: Arc<Site>,
    doorman: Doorman,
    mut closing: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let heard = closing.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => break,
            // Their ends are no news, but they are to be forgotten.
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(TRY_AGAIN).await;
                continue;
            }
        };
        let Some(uid) = enters(&stream, &doorman) else {
            continue;
        };
        // Those that have ended were forgotten above, before this one was accepted.
        if connections.len() < places(uid, &doorman) {
            connections.spawn(converse(stream, Arc::clone(&site), heard.clone()));
        } else {
            refuse(stream, connections.len());
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    // Whoever does not read its last answer by then does not get it.
    let _ = timeout(TO_CLOSE, all).await;
}

/// How many connections may be open, this user's among them.
fn places(uid: u32, doorman: &Doorman) -> usize {
    if uid == 0 {
        CONNECTIONS
    } else if doorman.is_own(uid) {
        CONNECTIONS - KEPT
    } else {
        CONNECTIONS - 2 * KEPT
    }
}

/// The user who connects; none if he may not.
fn enters(stream: &UnixStream, doorman: &Doorman) -> Option<u32> {
    match stream.peer_cred() {
        Ok(peer) if doorman.admits(peer.uid(), peer.gid()) => Some(peer.uid()),
        Ok(peer) => {
            tracing::warn!(
                uid = peer.uid(),
                gid = peer.gid(),
                "turned a client of the socket away: neither ours nor in daemon.socket_group"
            );
            None
        }
        Err(error) => {
            tracing::warn!(%error, "turned a client of the socket away: who it is cannot be told");
            None
        }
    }
}

/// Tells a client that there is no place, if it can be told at once.
fn refuse(stream: UnixStream, open: usize) {
    let message = format!("{open} connections are open, and no more are taken of this user");
    let error = RpcError::new(ErrorCode::Busy, message);
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write_all(&Reply::failure(Value::Null, error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn no_other_user_takes_the_last_places() {
        let doorman = Doorman::new(&Config::defaults().unwrap().daemon).unwrap();
        let own = rustix::process::geteuid().as_raw();
        let stranger = own + 1;
        assert_eq!(places(0, &doorman), 64);
        assert_eq!(places(own, &doorman), if own == 0 { 64 } else { 56 });
        assert_eq!(places(stranger, &doorman), 48);
    }
}
