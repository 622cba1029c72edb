//! What the site says by itself and by script.

use crate::client::{Client, encoded, oembed};
use crate::support::pictures;
use crate::support::site::oembed::id;
use crate::support::site::{Endpoint, Reply, Site};

#[test]
fn thumbnails_have_the_sizes_of_youtube() {
    let site = Site::start();
    let mut client = Client::of(&site);
    for (file, size) in [
        ("default.jpg", (120, 90)),
        ("mqdefault.jpg", (320, 180)),
        ("hqdefault.jpg", (480, 360)),
        ("0.jpg", (480, 360)),
        ("sddefault.jpg", (640, 480)),
        ("hq720.jpg", (1280, 720)),
        ("maxresdefault.jpg", (1280, 720)),
    ] {
        let answer = client.get(&format!("/vi/dQw4w9WgXcQ/{file}"));
        assert_eq!(answer.status, 200, "{file}");
        assert_eq!(answer.header("content-type"), Some("image/jpeg"));
        assert_eq!(crate::pictures::strictly(&answer.body), Ok(size), "{file}");
    }
    assert_eq!(site.accepted_connections(), 1);
}

#[test]
fn a_missing_thumbnail_is_a_404_with_a_sound_grey_picture() {
    let site = Site::start();
    let mut client = Client::of(&site);
    let dead = format!("/vi/{}/hqdefault.jpg", id("dead_", 1));
    for path in [
        "/vi/dQw4w9WgXcQ/missing.jpg",
        "/vi/dQw4w9WgXcQ/nothing",
        &dead,
    ] {
        let answer = client.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(crate::pictures::strictly(&answer.body), Ok((120, 90)));
    }
}

#[test]
fn the_name_of_a_file_decides_what_is_wrong_with_it() {
    let site = Site::start();
    let mut client = Client::of(&site);
    let mut get = |file: &str| client.get(&format!("/vi/dQw4w9WgXcQ/{file}"));
    for kind in pictures::Picture::ALL {
        let extension = kind.extension();
        let good = get(&format!("good.{extension}")).body;
        assert_eq!(crate::pictures::strictly(&good), Ok((480, 360)));
        let tiny = get(&format!("tiny.{extension}")).body;
        assert_eq!(crate::pictures::strictly(&tiny), Ok((120, 90)));
        let half = get(&format!("truncated-50.{extension}")).body;
        assert_eq!(half, good[..good.len() / 2]);
        let corrupt = get(&format!("corrupt.{extension}")).body;
        assert!(crate::pictures::strictly(&corrupt).is_err(), "{extension}");
    }
    assert_eq!(get("empty.jpg").body, b"");
    assert!(get("html.jpg").body.starts_with(b"<!DOCTYPE"));
    assert_eq!(get("zeros.jpg").body, vec![0; 10 << 20]);
    assert_eq!(get("gzip.jpg").header("content-encoding"), Some("gzip"));
    assert!(get("gzip-bomb.jpg").body.len() < 2 << 20);
    assert_eq!(get("status-503.jpg").status, 503);
    assert_eq!(
        get("to-file.jpg").header("location"),
        Some("file:///etc/passwd")
    );
    assert_eq!(
        get("to-port-81.jpg").header("location"),
        Some("http://127.0.0.1:81/vi/A/hqdefault.jpg")
    );
    let busy = get("busy-7.jpg");
    assert_eq!((busy.status, busy.header("retry-after")), (429, Some("7")));
    assert_eq!(get("busy-7.jpg").status, 200);
    let flaky = [0; 4].map(|_| get("flaky-2.jpg").status);
    assert_eq!(flaky, [503, 503, 200, 200]);
}

#[test]
fn a_chain_of_redirects_has_as_many_links_as_it_says() {
    let site = Site::start();
    let mut client = Client::of(&site);
    for links in 1..=5 {
        let mut file = format!("redirect-{links}.jpg");
        for _ in 0..links {
            let answer = client.get(&format!("/vi/dQw4w9WgXcQ/{file}"));
            assert_eq!(answer.status, 302);
            file = answer.header("location").unwrap().to_owned();
        }
        assert_eq!(client.get(&format!("/vi/dQw4w9WgXcQ/{file}")).status, 200);
    }
    let answer = client.get("/vi/dQw4w9WgXcQ/loop.jpg");
    assert_eq!(answer.header("location"), Some("/vi/dQw4w9WgXcQ/loop.jpg"));
}

#[test]
fn oembed_answers_as_youtube_does() {
    let site = Site::start();
    let mut client = Client::of(&site);
    let mut statuses = |fate: &str| {
        let path = oembed(&id(fate, 0));
        [0; 3].map(|_| client.get(&path).status)
    };
    for (fate, expected) in [
        ("alive", [200, 200, 200]),
        ("embed", [401, 401, 401]),
        ("dead_", [404, 404, 404]),
        ("priv_", [403, 403, 403]),
        ("r400_", [400, 400, 400]),
        ("s429_", [429, 429, 429]),
        ("busy_", [429, 200, 200]),
        ("s500_", [500, 500, 500]),
        ("s503_", [503, 503, 503]),
        ("flaky", [503, 503, 200]),
        ("capt_", [200, 200, 200]),
        ("cons_", [302, 302, 302]),
        ("odd__", [200, 200, 200]),
    ] {
        assert_eq!(statuses(fate), expected, "{fate}");
    }
    let alive = client.get(&oembed("dQw4w9WgXcQ"));
    let alive: serde_json::Value = serde_json::from_slice(&alive.body).unwrap();
    assert_eq!(alive["type"], "video");
    assert!(alive["title"].as_str().unwrap().contains("dQw4w9WgXcQ"));
    let captcha = client.get(&oembed(&id("capt_", 1)));
    assert!(
        captcha
            .header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    let consent = client.get(&oembed(&id("cons_", 1)));
    assert!(
        consent
            .header("location")
            .unwrap()
            .contains("consent.youtube.com")
    );
    let busy = client.get(&oembed(&id("busy_", 1)));
    assert_eq!(busy.header("retry-after"), Some("1"));
}

#[test]
fn oembed_is_strict_about_what_it_is_asked() {
    let site = Site::start();
    let mut client = Client::of(&site);
    for impossible in ["dQw4w9WgXcZ", "short", "twelve_chars", "a b", ""] {
        assert_eq!(client.get(&oembed(impossible)).status, 400, "{impossible}");
    }
    let plain = encoded("http://www.youtube.com/watch?v=dQw4w9WgXcQ");
    let path = format!("/oembed?url={plain}&format=json");
    assert_eq!(client.get(&path).status, 403);
    let secure = encoded("https://www.youtube.com/watch?v=dQw4w9WgXcQ");
    assert_eq!(client.get(&format!("/oembed?url={secure}")).status, 501);
    assert_eq!(client.get("/oembed").status, 400);
    assert_eq!(client.get("/elsewhere").status, 404);
}

#[test]
fn a_script_is_followed_in_order_and_its_last_reply_repeats() {
    let site = Site::start();
    let mut client = Client::of(&site);
    let script = [
        Reply::status(503),
        Reply::status(503).retry_after(2),
        Reply::status(410),
    ];
    site.thumbnail("dQw4w9WgXcQ", script);
    let answers = [0; 4].map(|_| client.get("/vi/dQw4w9WgXcQ/hqdefault.jpg").status);
    assert_eq!(answers, [503, 503, 410, 410]);
    // A script is for one video and one endpoint; a path stands above it.
    assert_eq!(client.get("/vi/aaaaaaaaaaA/hqdefault.jpg").status, 200);
    assert_eq!(client.get(&oembed("dQw4w9WgXcQ")).status, 200);
    site.path("/vi/dQw4w9WgXcQ/0.jpg", Reply::status(418));
    assert_eq!(client.get("/vi/dQw4w9WgXcQ/0.jpg").status, 418);
}

#[test]
fn an_outage_hides_everything_of_one_endpoint_until_it_ends() {
    let site = Site::start();
    let mut client = Client::of(&site);
    site.oembed("dQw4w9WgXcQ", Reply::status(410));
    site.outage(Endpoint::Oembed, Reply::status(503));
    assert_eq!(client.get(&oembed("dQw4w9WgXcQ")).status, 503);
    assert_eq!(client.get("/vi/dQw4w9WgXcQ/hqdefault.jpg").status, 200);
    site.recover(Endpoint::Oembed);
    assert_eq!(client.get(&oembed("dQw4w9WgXcQ")).status, 410);
}
