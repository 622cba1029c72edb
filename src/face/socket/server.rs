//! Accepts connections, so many at a time, from those who may.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connection::{Stay, converse};
use super::peer::Doorman;
use crate::face::protocol::{ErrorCode, NO_PLACE, Reply, RpcError};
use crate::face::site::Site;

/// Connections at once.
const CONNECTIONS: usize = 64;
/// Of these the last are for our own user and root, and of those the last for root alone: whoever
/// takes all places cannot keep an operator from looking and stopping.
const KEPT: usize = 8;
/// Beyond all of these, for our own user and root: whoever fills his places, be it with clients that
/// wait, can look and steer all the same. Visits are short and do nothing that lasts.
const VISITS: usize = 4;
const TO_VISIT: Duration = Duration::from_secs(10);
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
    let visits = Arc::new(Semaphore::new(VISITS));
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
        let open = connections.len() - (VISITS - visits.available_permits());
        let (site, heard) = (Arc::clone(&site), heard.clone());
        if open < places(uid, &doorman) {
            connections.spawn(converse(stream, site, heard, Stay::Long));
        } else if let Some(place) = visit(uid, &doorman, &visits) {
            connections.spawn(async move {
                let visit = converse(stream, site, heard, Stay::Visit);
                let _ = timeout(TO_VISIT, visit).await;
                drop(place);
            });
        } else {
            refuse(stream, open);
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

/// A place beyond, if there is one for this user.
fn visit(uid: u32, doorman: &Doorman, visits: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    let may = uid == 0 || doorman.is_own(uid);
    may.then(|| Arc::clone(visits).try_acquire_owned().ok())
        .flatten()
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
    let error = RpcError::new(ErrorCode::Busy, message).with(NO_PLACE, open);
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
