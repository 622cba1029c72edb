//! What the site serves under `/vi/<ID>/<name>` by itself, steered by the name.
//!
//! YouTube's own names give pictures of YouTube's sizes. Other names say what goes wrong, with a
//! number after a dash where one is needed: `truncated-50.jpg`, `status-503.jpg`.

use std::time::Duration;

use super::super::pictures::{self, Picture};
use super::reply::{Ending, Length, Reply};
use super::request::Request;

/// The 404 of a missing thumbnail: a valid grey picture as its body, as YouTube sends it.
#[must_use]
pub fn missing() -> Reply {
    Reply::answer(404, "image/jpeg", pictures::grey())
}

/// Declares the whole picture and closes after `percent` of it.
#[must_use]
pub fn short(picture: &[u8], percent: usize) -> Reply {
    Reply::picture(picture).cut(percent, Ending::Close)
}

/// A picture cut to `percent` of its bytes, with the true length of what is sent.
#[must_use]
pub fn truncated(picture: &[u8], percent: usize) -> Reply {
    Reply::picture(&picture[..picture.len() * percent / 100])
}

/// Any body, sent gzipped.
#[must_use]
pub fn gzipped(content_type: &str, body: &[u8]) -> Reply {
    Reply::answer(200, content_type, pictures::gzip(body)).header("Content-Encoding", "gzip")
}

/// A header line every `pause`, for ever.
#[must_use]
pub fn endless_head(pause: Duration) -> Reply {
    Reply::raw(*b"HTTP/1.1 200 OK\r\n", Ending::Close).forever(*b"X-Drip: drop\r\n", pause)
}

/// The beginning of a picture, then a byte every `pause`, for ever.
#[must_use]
pub fn endless_body(pause: Duration) -> Reply {
    let beginning = &pictures::good(Picture::Jpeg)[..64];
    Reply::sized(200, "image/jpeg", beginning, Length::Claimed(9_000_000)).forever([0u8], pause)
}

/// A link of a chain of redirects over `left` more hops to a good picture.
fn chain(left: usize) -> Reply {
    match left {
        0 => Reply::redirect("hqdefault.jpg"),
        _ => Reply::redirect(&format!("redirect-{left}.jpg")),
    }
}

/// The answer to a request nobody scripted; `earlier` requests came for the same path.
pub(super) fn default_reply(request: &Request, earlier: usize) -> Reply {
    let dead = request
        .id
        .as_deref()
        .is_some_and(|id| id.starts_with("dead_"));
    let (stem, extension) = request
        .file()
        .rsplit_once('.')
        .unwrap_or((request.file(), ""));
    if let Some(picture) = pictures::youtube(stem) {
        return if dead {
            missing()
        } else {
            Reply::picture(picture)
        };
    }
    let Some(kind) = Picture::by_extension(extension) else {
        return missing();
    };
    let (word, number) = match stem.rsplit_once('-') {
        Some((word, digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            (word, digits.parse().unwrap_or(0))
        }
        _ => (stem, 0),
    };
    let good = pictures::good(kind);
    match word {
        "good" => Reply::picture(good),
        "tiny" => Reply::picture(pictures::sized(kind, 120, 90)),
        "truncated" => truncated(&good, number),
        "short" => short(&good, number),
        "corrupt" => Reply::picture(pictures::corrupt(kind)),
        "empty" => Reply::answer(200, "image/jpeg", []),
        "html" => Reply::answer(200, "image/jpeg", *b"<!DOCTYPE html><title>Sorry</title>"),
        "zeros" => Reply::answer(200, "image/jpeg", pictures::zeros(10 << 20)),
        "gzip" => gzipped("image/jpeg", &good),
        "gzip-bomb" => Reply::answer(200, "image/jpeg", pictures::gzip_bomb())
            .header("Content-Encoding", "gzip"),
        "bomb" => Reply::picture(pictures::png_header(30_000, 30_000)),
        "screen" => Reply::picture(pictures::gif_screen(u16::MAX, u16::MAX)),
        "drip-head" => endless_head(Duration::from_millis(100)),
        "drip-body" => endless_body(Duration::from_millis(100)),
        "silent" => Reply::silent(),
        "reset" => Reply::reset(),
        "cut-off" => Reply::picture(good).cut(50, Ending::Reset),
        "redirect" => chain(number.saturating_sub(1)),
        "loop" => Reply::redirect(request.path()),
        "to-file" => Reply::redirect("file:///etc/passwd"),
        "to-port" => Reply::redirect(&format!("http://127.0.0.1:{number}/vi/A/hqdefault.jpg")),
        "status" => Reply::status(u16::try_from(number).unwrap_or(500)),
        "busy" if earlier == 0 => {
            Reply::status(429).retry_after(u32::try_from(number).unwrap_or(1))
        }
        "flaky" if earlier < number => Reply::status(503),
        "busy" | "flaky" => Reply::picture(good),
        _ => missing(),
    }
}
