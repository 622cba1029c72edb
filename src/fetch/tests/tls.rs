//! https: trusted or not at all, and watched like http.

use std::io::Write;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::server::{Server, ok, read_head};
use super::*;

// Made for these tests: a CA, and a leaf for site.test and loopback, valid until 2120.
const CA: &[u8] = include_bytes!("tls/ca.pem");
const SITE: &[u8] = include_bytes!("tls/site.pem");
const KEY: &[u8] = include_bytes!("tls/site.key");

fn trusting_the_ca() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(CA).unwrap())
        .unwrap();
    roots
}

/// An https server that answers each request with the same bytes and tells the protocol chosen.
fn secure(answer: impl Into<Vec<u8>>) -> Server {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(SITE).unwrap()],
            PrivateKeyDer::from_pem_slice(KEY).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    let answer = answer.into();
    Server::start(move |peer| {
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(session, &mut peer.stream);
        while read_head(&mut stream).is_some() {
            assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
            stream.write_all(&answer).unwrap();
        }
    })
}

fn client_trusting(roots: RootCertStore, servers: &[&Server]) -> Client {
    let settings = allowing(servers);
    let address = servers[0].address();
    let resolve: Resolve = Arc::new(move |_, _| Ok(vec![address]));
    Client::with(&settings, Shared::new(&settings), roots, &resolve).unwrap()
}

#[actix_rt::test]
async fn a_trusted_server_answers() {
    let server = secure(ok("over TLS"));
    let client = client_trusting(trusting_the_ca(), &[&server]);
    let port = server.port();
    for host in ["site.test", "127.0.0.1"] {
        let url = format!("https://{host}:{port}/");
        let answer = client.get(request(&url)).await.unwrap();
        assert_eq!(
            (answer.body.as_slice(), answer.final_url),
            (&b"over TLS"[..], url)
        );
    }
    client
        .get(request(&format!("https://site.test:{port}/")))
        .await
        .unwrap();
    assert_eq!(server.connections(), 2);
}

#[actix_rt::test]
async fn an_unknown_issuer_is_not_trusted() {
    let server = secure(ok("over TLS"));
    let url = format!("https://{}/", server.address());
    let error = client_for(&[&server]).get(request(&url)).await.unwrap_err();
    assert!(matches!(error, FetchError::Tls(_)), "{error:?}");
    assert!(error.is_transient());
}

#[actix_rt::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let server = secure(ok("over TLS"));
    let client = client_trusting(trusting_the_ca(), &[&server]);
    let url = format!("https://other.test:{}/", server.port());
    let error = client.get(request(&url)).await.unwrap_err();
    assert!(matches!(error, FetchError::Tls(_)), "{error:?}");
}

#[actix_rt::test]
async fn a_server_without_tls_has_no_secure_connection() {
    let server = Server::start(|peer| {
        peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        peer.hold();
    });
    let url = format!("https://{}/", server.address());
    let error = client_for(&[&server]).get(request(&url)).await.unwrap_err();
    assert!(matches!(error, FetchError::Tls(_)), "{error:?}");
}

#[actix_rt::test]
async fn a_redirect_does_not_lead_out_of_tls() {
    let plain = Server::answering(ok("in the clear"));
    let server = secure(server::redirect(&plain.url("/")));
    let client = client_trusting(trusting_the_ca(), &[&server, &plain]);
    let url = format!("https://site.test:{}/", server.port());
    let error = client.get(request(&url)).await.unwrap_err();
    assert_eq!(
        error,
        FetchError::BadRedirect("from https to http".to_owned())
    );
    assert_eq!(plain.connections(), 0);
}
