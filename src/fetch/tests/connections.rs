//! Connections that are kept, lost, and given up.

use super::server::{Server, ok};
use super::*;

#[actix_rt::test]
async fn a_connection_is_used_again() {
    let server = Server::answering(ok("again"));
    let client = client_for(&[&server]);
    for _ in 0..3 {
        client.get(request(&server.url("/"))).await.unwrap();
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 3));
}

/// Answers once on its first connection and closes it at the second request.
fn forgetful() -> Server {
    Server::start(|peer| {
        peer.request();
        peer.send(ok("fine"));
        peer.request();
        if peer.index > 0 {
            peer.send(ok("fine"));
            peer.hold();
        }
    })
}

#[actix_rt::test]
async fn a_request_that_met_a_closed_connection_is_sent_once_more() {
    let server = forgetful();
    let client = client_for(&[&server]);
    for _ in 0..2 {
        let answer = client.get(request(&server.url("/"))).await.unwrap();
        assert_eq!(answer.body, b"fine");
    }
    assert_eq!((server.connections(), server.requests().len()), (2, 3));
}

#[actix_rt::test]
async fn a_request_that_met_a_reset_connection_is_sent_once_more() {
    let server = Server::start(|peer| {
        peer.request();
        peer.send(ok("fine"));
        if peer.index == 0 {
            peer.send_and_reset("");
        } else {
            peer.hold();
        }
    });
    let client = client_for(&[&server]);
    for _ in 0..2 {
        client.get(request(&server.url("/"))).await.unwrap();
    }
    assert_eq!(server.connections(), 2);
}

#[actix_rt::test]
async fn a_new_connection_that_is_closed_is_not_tried_again() {
    let server = Server::start(|peer| {
        peer.request();
    });
    let error = fetched(&server).await.unwrap_err();
    assert!(matches!(error, FetchError::Broken(_)), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[actix_rt::test]
async fn a_connection_lost_within_an_answer_is_not_tried_again() {
    let server = Server::start(|peer| {
        peer.request();
        peer.send(ok("fine"));
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    });
    let client = client_for(&[&server]);
    client.get(request(&server.url("/"))).await.unwrap();
    let error = client.get(request(&server.url("/"))).await.unwrap_err();
    assert_eq!(error, FetchError::Incomplete);
    assert_eq!(server.requests().len(), 2);
}

#[actix_rt::test]
async fn a_counted_call_has_its_own_connection_and_is_sent_once() {
    let server = Server::start(|peer| {
        if peer.index < 2 {
            peer.request();
            peer.send(ok("{}"));
            peer.hold();
        } else {
            peer.request();
        }
    });
    let url = server.url("/oembed");
    let client = client_for(&[]);
    let call = Request {
        endpoint: true,
        ..request(&url)
    };
    for _ in 0..2 {
        client.get(call).await.unwrap();
    }
    server.wait_until_live_is_at_most(0);
    let error = client.get(call).await.unwrap_err();
    assert!(matches!(error, FetchError::Broken(_)), "{error:?}");
    assert_eq!((server.connections(), server.requests().len()), (3, 3));
}

#[actix_rt::test]
async fn idle_connections_to_many_hosts_do_not_pile_up() {
    let server = Server::answering(ok("hello"));
    let address = server.address();
    let mut settings = allowing(&[&server]);
    settings
        .allow
        .push(AllowRule::Network("127.0.0.0/8".parse().unwrap()));
    let client = client_resolving(&settings, move |_, _| Ok(vec![address]));
    for host in 0..150 {
        client
            .get(request(&format!("http://h{host}.example/")))
            .await
            .unwrap();
    }
    assert_eq!(server.connections(), 150);
    server.wait_until_live_is_at_most(32);
    drop(client);
    server.wait_until_live_is_at_most(0);
}
