//! Addresses and ports that must not be reached, by any spelling.

use std::io;

use super::server::{Full, Server, nobody, ok};
use super::*;

const PUBLIC: &str = "93.184.215.14:80";

fn resolving_to(addresses: &[&str]) -> Client {
    let addresses: Vec<SocketAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
    client_resolving(&settings(), move |_, _| Ok(addresses.clone()))
}

#[actix_rt::test]
async fn loopback_is_refused_in_every_spelling() {
    let server = Server::answering(ok("secret"));
    let client = client_for(&[]);
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
        "１２７.0.0.1",
    ] {
        refusal(client.get(request(&format!("http://{host}/"))).await);
        let url = format!("http://{host}:{}/", server.port());
        refusal(client.get(request(&url)).await);
    }
    assert_eq!(server.connections(), 0);
}

#[actix_rt::test]
async fn a_name_with_one_private_address_is_refused() {
    for addresses in [
        &["127.0.0.1:80"][..],
        &[PUBLIC, "10.0.0.1:80"],
        &["[fe80::1]:80", PUBLIC],
        &[PUBLIC, "[::ffff:8.8.8.8]:80"],
    ] {
        let client = resolving_to(addresses);
        refusal(client.get(request("http://rebound.example/")).await);
    }
}

#[actix_rt::test]
async fn the_connector_checks_names_that_hide_numbers() {
    // getaddrinfo takes such names for addresses; the URL parser does not take all of them.
    let client = resolving_to(&["127.0.0.1:80"]);
    refusal(client.get(request("http://127.0.0.1.example/")).await);
}

#[actix_rt::test]
async fn other_ports_are_refused_before_a_name_is_resolved() {
    let client = client_resolving(&settings(), |_, _| Err(io::Error::other("asked")));
    let why = refusal(client.get(request("http://name.example:8080/")).await);
    assert_eq!(why, "port 8080");
    let asked = client.get(request("https://name.example:80/")).await;
    assert!(matches!(asked, Err(FetchError::Unresolved(_))), "{asked:?}");
}

#[actix_rt::test]
async fn other_schemes_and_userinfo_are_refused() {
    let client = client_for(&[]);
    for (url, why) in [
        ("file:///etc/passwd", "scheme `file`"),
        ("ftp://name.example/", "scheme `ftp`"),
        ("gopher://name.example:70/", "scheme `gopher`"),
        ("data:text/plain,x", "scheme `data`"),
        ("http://user@name.example/", "userinfo in the URL"),
        ("http://user:pass@name.example/", "userinfo in the URL"),
        ("http://:pass@name.example/", "userinfo in the URL"),
    ] {
        assert_eq!(refusal(client.get(request(url)).await), why, "{url}");
    }
}

#[actix_rt::test]
async fn a_name_without_addresses_is_unresolved() {
    let error = resolving_to(&[])
        .get(request("http://void.example/"))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        FetchError::Unresolved("void.example: no address".to_owned())
    );
    let client = client_resolving(&settings(), |_, _| {
        Err(io::Error::other("name or service not known"))
    });
    let error = client
        .get(request("http://void.example/"))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        FetchError::Unresolved("void.example: name or service not known".to_owned())
    );
    assert!(error.is_transient());
}

#[actix_rt::test]
async fn each_kind_of_exception_opens_its_own_place() {
    let server = Server::answering(ok("fine"));
    let port = server.port();
    let address = server.address();
    let by_name = format!("http://cdn.example:{port}/");
    let by_number = server.url("/");
    for (rule, name_works, number_works) in [
        (format!("cdn.example:{port}"), true, false),
        (format!("CDN.example:{port}"), true, false),
        (format!("other.example:{port}"), false, false),
        (format!("cdn.example:{}", port ^ 1), false, false),
        (format!("127.0.0.1:{port}"), true, true),
        (format!("127.0.0.1:{}", port ^ 1), false, false),
        ("127.0.0.0/8".to_owned(), true, true),
        ("127.0.0.1".to_owned(), true, true),
        ("10.0.0.0/8".to_owned(), false, false),
    ] {
        let mut settings = settings();
        settings.allow = vec![rule.parse().unwrap()];
        let client = client_resolving(&settings, move |_, _| Ok(vec![address]));
        for (url, works) in [(&by_name, name_works), (&by_number, number_works)] {
            let result = client.get(request(url)).await;
            match result {
                Ok(answer) if works => assert_eq!(answer.body, b"fine"),
                Err(FetchError::Refused(_)) if !works => {}
                other => panic!("{rule} and {url}: {other:?}"),
            }
        }
    }
}

#[actix_rt::test]
async fn the_endpoint_needs_no_other_permission() {
    let server = Server::answering(ok("{}"));
    let url = server.url("/oembed");
    let client = client_for(&[]);
    let flagged = Request {
        endpoint: true,
        ..request(&url)
    };
    assert_eq!(client.get(flagged).await.unwrap().body, b"{}");
    // A connection opened under that permission serves nobody else.
    refusal(client.get(request(&url)).await);
    for url in ["file:///etc/passwd", "http://user@127.0.0.1/"] {
        refusal(
            client
                .get(Request {
                    endpoint: true,
                    ..request(url)
                })
                .await,
        );
    }
}

#[actix_rt::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    let server = Server::answering(ok("second"));
    let full = Full::listen();
    for dead in [nobody(), full.address] {
        let live = server.address();
        let mut settings = settings();
        settings.allow = vec!["127.0.0.0/8".parse().unwrap()];
        let client = client_resolving(&settings, move |_, _| Ok(vec![dead, live]));
        let answer = client.get(request("http://cdn.example/")).await.unwrap();
        assert_eq!(answer.body, b"second");
    }
}
