//! Addresses that lead where nobody should go, in the database or in a `Location`.

use super::super::pictures;
use super::super::site::Reply;
use super::super::site::thumbnails::missing;
use super::{ANY, BROKEN, Cases, ERROR, NO_PICTURE, NOT_VALID, PLACEHOLDER, UNKNOWN, VALID};

pub(super) fn add(cases: &mut Cases<'_>) {
    chains(cases);
    dead_ends(cases);
    let forbidden = forbidden(cases.trap.port(), cases.site.port());
    for (name, url) in &forbidden {
        let reply = Reply::redirect(url);
        cases.reply(format!("redirect to {name}"), ERROR, reply);
        cases.address(format!("address: {name}"), ERROR, url);
    }
    addresses(cases);
}

fn chains(cases: &mut Cases<'_>) {
    for hops in 1..=3 {
        let url = cases
            .site
            .thumbnail_url("redirects0A", &format!("redirect-{hops}.jpg"));
        cases.address(format!("{hops} redirects"), VALID, url);
    }
    for hops in [4, 20] {
        let url = cases
            .site
            .thumbnail_url("redirects0A", &format!("redirect-{hops}.jpg"));
        cases.address(format!("{hops} redirects"), ERROR, url);
    }
    let url = cases.site.thumbnail_url("redirects0A", "loop.jpg");
    cases.address("redirect to itself", ERROR, url);
    cases.site.path("/ping", Reply::redirect("/pong"));
    cases.site.path("/pong", Reply::redirect("/ping"));
    cases.address("redirects in a ring", ERROR, cases.site.url("/ping"));
    cases.site.path("/gone.jpg", missing());
    cases.reply(
        "redirect to what is missing",
        BROKEN,
        Reply::redirect("/gone.jpg"),
    );
    cases
        .site
        .path("/grey.jpg", Reply::picture(pictures::grey()));
    cases.reply(
        "redirect to the grey picture",
        PLACEHOLDER,
        Reply::redirect("/grey.jpg"),
    );
    let good = "/vi/redirects0A/hqdefault.jpg";
    for status in [301, 303, 307, 308] {
        let reply = Reply::status(status).header("Location", good);
        cases.reply(format!("redirect by {status}"), VALID, reply);
    }
    let no_scheme = format!("//{}{good}", cases.site.authority());
    cases.reply(
        "redirect without a scheme",
        VALID,
        Reply::redirect(&no_scheme),
    );
    let reply = Reply::redirect(good).header("Location", &cases.trap.url(good));
    cases.reply("redirect to two places", &["valid", "error"], reply);
}

fn dead_ends(cases: &mut Cases<'_>) {
    cases.reply("redirect without a place", ERROR, Reply::status(302));
    let long = format!("/{}", "a".repeat(8_000));
    for (name, place) in [
        ("nowhere", "http://"),
        ("a bad port", "http://127.0.0.1:99999/"),
        ("a bad host", "http://[::1/"),
        ("mail", "mailto:someone@example.com"),
    ] {
        cases.reply(format!("redirect to {name}"), ERROR, Reply::redirect(place));
    }
    // These resolve against the page they stand on, so a lenient client finds something.
    for (name, place) in [
        ("an empty place", ""),
        ("slashes", "///"),
        ("a very long place", long.as_str()),
    ] {
        cases.reply(
            format!("redirect to {name}"),
            NOT_VALID,
            Reply::redirect(place),
        );
    }
    let tls = format!(
        "https://{}/vi/redirects0A/hqdefault.jpg",
        cases.site.authority()
    );
    cases.reply(
        "redirect to https that is none",
        NO_PICTURE,
        Reply::redirect(&tls),
    );
    cases.address("address: https that is none", NO_PICTURE, tls);
}

/// This machine, under names a filter may miss.
const HERE: [&str; 19] = [
    "127.0.0.1",
    "127.1",
    "127.0.0.1.",
    "0.0.0.0",
    "0",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127%2e0%2e0%2e1",
    "localhost",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
];

/// Networks that are nobody's on the internet. Should the guard ever let one pass, a harmless path
/// is asked for.
const NEAR: [&str; 11] = [
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "[fe80::1]",
    "[fc00::1]",
    "[ff02::1]",
];

/// Addresses that are no web page's.
const OTHER: [&str; 8] = [
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "ftp://127.0.0.1/x.jpg",
    "gopher://127.0.0.1:70/_x",
    "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
    "javascript:alert(1)",
    "about:blank",
    "unix:/run/x.sock",
];

/// Where no request may go, by a name without ports: `trap` is a port of this machine, `site`
/// the allowed one.
fn forbidden(trap: u16, site: u16) -> Vec<(String, String)> {
    let mut places: Vec<String> = HERE
        .map(|host| format!("http://{host}:{trap}/x.jpg"))
        .into();
    places.extend(NEAR.map(|host| format!("http://{host}/x.jpg")));
    places.extend(OTHER.map(str::to_owned));
    places.push(format!(
        "http://user:secret@127.0.0.1:{site}/vi/redirects0A/hqdefault.jpg"
    ));
    places.push(format!("http://127.0.0.1:{site}@127.0.0.1:{trap}/x.jpg"));
    places
        .into_iter()
        .map(|place| (place.replace(&format!(":{trap}"), ":trap"), place))
        .map(|(name, place)| (name.replace(&format!(":{site}"), ":site"), place))
        .collect()
}

/// What may stand in a database's column instead of an address.
fn addresses(cases: &mut Cases<'_>) {
    let site = cases.site.authority();
    let good = "/vi/redirects0A/hqdefault.jpg";
    for (name, url) in [
        ("words", "not a url"),
        ("a path", "/vi/redirects0A/hqdefault.jpg"),
        ("no scheme", "i.ytimg.com/vi/redirects0A/hqdefault.jpg"),
        ("no host", "http://"),
        ("a bad port", "http://127.0.0.1:99999/x.jpg"),
        ("spaces only", "   "),
        ("a scheme only", "https:"),
    ] {
        cases.address(format!("address: {name}"), ERROR, url);
    }
    let dotted = format!("http://localhost.:{}/x.jpg", cases.trap.port());
    cases.address("address: a dot after localhost", NO_PICTURE, dotted);
    let nobody = "http://nobody.invalid/x.jpg";
    cases.address("address: a host that is not", UNKNOWN, nobody);
    cases.address("address: upper case", VALID, format!("HTTP://{site}{good}"));
    cases.address(
        "address: a fragment",
        VALID,
        format!("http://{site}{good}#x"),
    );
    cases.address(
        "address: a query",
        VALID,
        format!("http://{site}{good}?v=1&v=2"),
    );
    let split = format!("http://{site}/vi/redirects0A/x.txt\r\nHost: evil");
    cases.address("address: a second line", NOT_VALID, split);
    let long = format!("http://{site}/{}", "a".repeat(16_000));
    cases.address("address: 16 KB", NOT_VALID, long);
    cases.address(
        "address: other letters",
        ANY,
        format!("http://{site}/vi/\u{17c}\u{f3}\u{142}w/\u{1F600}.jpg"),
    );
}
