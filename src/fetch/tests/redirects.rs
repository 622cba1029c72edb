//! Redirects: followed by hand, each hop checked like the first.

use super::server::{Server, answer, ok, redirect};
use super::*;

/// `/n` leads to `/n-1`, `/0` answers.
fn countdown() -> Server {
    Server::start(|peer| {
        while let Some(head) = peer.request() {
            let step: u32 = head[5..6].parse().unwrap();
            match step.checked_sub(1) {
                Some(next) => peer.send(redirect(&format!("/{next}"))),
                None => peer.send(ok("arrived")),
            };
        }
    })
}

fn bad_redirect(result: Result<Answer, FetchError>) -> String {
    match result {
        Err(FetchError::BadRedirect(why)) => why,
        other => panic!("not a bad redirect: {other:?}"),
    }
}

async fn led_to(location: &str) -> Result<Answer, FetchError> {
    fetched(&Server::answering(redirect(location))).await
}

#[actix_rt::test]
async fn three_hops_are_followed() {
    let server = countdown();
    let answer = client_for(&[&server])
        .get(request(&server.url("/3")))
        .await
        .unwrap();
    assert_eq!(answer.body, b"arrived");
    assert_eq!(answer.final_url, server.url("/0"));
    assert_eq!(server.requests().len(), 4);
}

#[actix_rt::test]
async fn a_fourth_hop_is_not() {
    let server = countdown();
    let result = client_for(&[&server]).get(request(&server.url("/4"))).await;
    assert_eq!(bad_redirect(result), "more than 3 hops");
    assert_eq!(server.requests().len(), 4);
}

#[actix_rt::test]
async fn a_loop_ends_when_it_closes() {
    let server = Server::start(|peer| {
        while let Some(head) = peer.request() {
            let there = if head.starts_with("GET /a") {
                "/b#x"
            } else {
                "/a#y"
            };
            peer.send(redirect(there));
        }
    });
    let result = client_for(&[&server]).get(request(&server.url("/a"))).await;
    assert_eq!(bad_redirect(result), "a loop");
    assert_eq!(server.requests().len(), 2);
}

#[actix_rt::test]
async fn a_redirect_may_be_the_answer() {
    let server = Server::answering(redirect("/elsewhere"));
    let url = server.url("/");
    let request = Request {
        redirects: Redirects::Refuse,
        ..request(&url)
    };
    let answer = client_for(&[&server]).get(request).await.unwrap();
    assert_eq!((answer.status, server.requests().len()), (302, 1));
}

#[actix_rt::test]
async fn a_redirect_without_a_target_leads_nowhere() {
    let server = Server::answering(answer("301 Moved", "", ""));
    assert_eq!(bad_redirect(fetched(&server).await), "no Location");
    bad_redirect(led_to("http://[broken").await);
}

#[actix_rt::test]
async fn a_redirect_to_another_scheme_is_refused() {
    for location in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "javascript:alert(1)",
        "data:,x",
    ] {
        let why = refusal(led_to(location).await);
        assert!(why.starts_with("scheme"), "{location}: {why}");
    }
}

#[actix_rt::test]
async fn a_redirect_with_userinfo_is_refused() {
    assert_eq!(
        refusal(led_to("http://user@127.0.0.1/").await),
        "userinfo in the URL"
    );
}

#[actix_rt::test]
async fn a_redirect_to_a_place_that_is_not_allowed_is_refused() {
    let inside = Server::answering(ok("secret"));
    for location in [
        inside.url("/"),
        format!("http://localhost:{}/", inside.port()),
        format!("http://2130706433:{}/", inside.port()),
        format!("http://[::ffff:127.0.0.1]:{}/", inside.port()),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("//127.1:{}/", inside.port()),
    ] {
        refusal(led_to(&location).await);
    }
    assert_eq!(inside.connections(), 0);
}

#[actix_rt::test]
async fn the_endpoints_permission_ends_with_its_first_hop() {
    let inside = Server::answering(ok("secret"));
    let endpoint = Server::answering(redirect(&inside.url("/")));
    let url = endpoint.url("/");
    let request = Request {
        endpoint: true,
        ..request(&url)
    };
    refusal(client_for(&[]).get(request).await);
    assert_eq!(inside.connections(), 0);
}
