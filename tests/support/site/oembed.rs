//! What the site's oEmbed endpoint says by itself: as YouTube does, steered by the id.
//!
//! An id made by [`id`] begins with a word that names its video's fate; any other possible id
//! is a public video, an impossible one is 400.

use std::time::Duration;

use super::reply::{Ending, Reply};
use super::request::Request;

/// Fates an id can name, the first five letters of it.
pub const FATES: [&str; 15] = [
    "alive", "embed", "dead_", "priv_", "r400_", "s429_", "busy_", "s500_", "s503_", "flaky",
    "capt_", "cons_", "hang_", "reset", "odd__",
];

/// A possible id whose video has this fate: `alive`, `embed` (401), `dead_` (404), `priv_`
/// (403), `r400_`, `s429_` (no Retry-After), `busy_` (429 with Retry-After 1, then 200), `s500_`,
/// `s503_`, `flaky` (503 twice, then 200), `capt_` (a captcha page), `cons_` (302 to a consent
/// page), `hang_`, `reset`, `odd__` (JSON that is no oEmbed).
#[must_use]
pub fn id(fate: &str, number: usize) -> String {
    assert!(FATES.contains(&fate), "no fate is called {fate}");
    assert!(number < 100_000, "five digits number an id");
    format!("{fate}{number:05}A")
}

/// Whether a video can have this id: eleven base64url characters of 64 bits.
#[must_use]
pub fn is_possible_id(id: &str) -> bool {
    id.len() == 11
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && id.ends_with(|last| "AEIMQUYcgkosw048".contains(last))
}

/// 200 as a public, embeddable video answers.
#[must_use]
pub fn alive(id: &str) -> Reply {
    let body = serde_json::json!({
        "title": format!("Video \"{id}\" \u{2014} ąę <b>&</b>"),
        "author_name": "A channel",
        "author_url": "https://www.youtube.com/@channel",
        "type": "video",
        "height": 113,
        "width": 200,
        "version": "1.0",
        "provider_name": "YouTube",
        "provider_url": "https://www.youtube.com/",
        "thumbnail_height": 360,
        "thumbnail_width": 480,
        "thumbnail_url": format!("https://i.ytimg.com/vi/{id}/hqdefault.jpg"),
        "html": format!("<iframe src=\"https://www.youtube.com/embed/{id}\"></iframe>"),
    });
    json(&body)
}

/// 200 with any JSON.
#[must_use]
pub fn json(body: &serde_json::Value) -> Reply {
    Reply::answer(200, "application/json", body.to_string().into_bytes())
}

/// 200 with the page that asks whether you are a robot.
#[must_use]
pub fn captcha() -> Reply {
    Reply::html(
        200,
        "<!DOCTYPE html><html><head><title>Sorry...</title></head><body><form id=\"captcha-form\">\
         Our systems have detected unusual traffic from your computer network.</form></body></html>",
    )
}

/// 302 to the host that asks for consent.
#[must_use]
pub fn consent() -> Reply {
    Reply::redirect("https://consent.youtube.com/m?continue=https%3A%2F%2Fwww.youtube.com%2Foembed")
}

/// The answer to a request nobody scripted; `earlier` requests came for the same key.
pub(super) fn default_reply(request: &Request, earlier: usize) -> Reply {
    let watched = request.parameter("url").unwrap_or_default();
    let id = match &request.id {
        Some(id) if is_possible_id(id) => id,
        _ => return Reply::status(400),
    };
    if request.parameter("format").as_deref() != Some("json") {
        return Reply::status(501);
    }
    if !watched.starts_with("https://") {
        return Reply::status(403);
    }
    match &id[..5] {
        "embed" => Reply::status(401),
        "dead_" => Reply::status(404),
        "priv_" => Reply::status(403),
        "r400_" => Reply::status(400),
        "s429_" => Reply::status(429),
        "busy_" if earlier == 0 => Reply::status(429).retry_after(1),
        "s500_" => Reply::status(500),
        "s503_" => Reply::status(503),
        "flaky" if earlier < 2 => Reply::status(503),
        "capt_" => captcha(),
        "cons_" => consent(),
        "hang_" => Reply::silent(),
        "reset" => Reply::reset(),
        "odd__" => json(&serde_json::json!({"id": id, "error": false})),
        _ => alive(id),
    }
}

/// A reply that starts as a living video's and then drips for ever.
#[must_use]
pub fn dripping(id: &str) -> Reply {
    alive(id)
        .cut(50, Ending::Close)
        .forever(*b" ", Duration::from_millis(100))
}
