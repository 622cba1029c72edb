//! Accepts connections, so many at a time, from those who may.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connection::converse;
use super::peer::Doorman;
use super::site::Site;
use crate::face::protocol::{ErrorCode, Reply, RpcError};

/// Connections at once.
const CONNECTIONS: usize = 64;
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
    let places = Arc::new(Semaphore::new(CONNECTIONS));
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
        if !may_enter(&stream, &doorman) {
            continue;
        }
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                let (site, heard) = (Arc::clone(&site), heard.clone());
                connections.spawn(async move {
                    converse(stream, site, heard).await;
                    drop(place);
                });
            }
            Err(_) => refuse(stream),
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    // Whoever does not read its last answer by then does not get it.
    let _ = timeout(TO_CLOSE, all).await;
}

fn may_enter(stream: &UnixStream, doorman: &Doorman) -> bool {
    match stream.peer_cred() {
        Ok(peer) if doorman.admits(peer.uid(), peer.gid()) => true,
        Ok(peer) => {
            tracing::warn!(
                uid = peer.uid(),
                gid = peer.gid(),
                "turned a client of the socket away: neither ours nor in daemon.socket_group"
            );
            false
        }
        Err(error) => {
            tracing::warn!(%error, "turned a client of the socket away: who it is cannot be told");
            false
        }
    }
}

/// Tells a client that there is no place, if it can be told at once.
fn refuse(stream: UnixStream) {
    let message = format!("{CONNECTIONS} connections are open, and no more are taken");
    let error = RpcError::new(ErrorCode::Busy, message);
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write_all(&Reply::failure(Value::Null, error));
    }
}
