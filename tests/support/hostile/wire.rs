//! The connection itself: too slow, without end, broken off, or not HTTP at all.

use std::time::Duration;

use super::super::pictures::{self, Picture};
use super::super::site::thumbnails::{endless_body, endless_head};
use super::super::site::{Ending, Reply};
use super::{ANY, BROKEN, Cases, ERROR, NO_PICTURE, NOT_VALID, UNKNOWN, VALID};

const DRIP: Duration = Duration::from_millis(100);
const AT_ONCE: Duration = Duration::ZERO;

pub(super) fn add(cases: &mut Cases<'_>) {
    slow(cases);
    endless(cases);
    broken_off(cases);
    against_the_protocol(cases);
    statuses(cases);
}

fn slow(cases: &mut Cases<'_>) {
    let jpeg = pictures::good(Picture::Jpeg);
    cases.reply("silence", UNKNOWN, Reply::silent());
    let head = Reply::picture(jpeg.clone());
    cases.reply("silence after the head", UNKNOWN, head.cut(0, Ending::Hold));
    let half = Reply::raw(*b"HTTP/1.1 200 OK\r\nContent-Ty", Ending::Hold);
    cases.reply("silence inside the head", UNKNOWN, half);
    cases.reply("a header line every 100 ms", UNKNOWN, endless_head(DRIP));
    let byte = Reply::raw(*b"HTTP/1.1 200 OK\r\nX-Drip: ", Ending::Close);
    cases.reply(
        "a header byte every 100 ms",
        UNKNOWN,
        byte.forever(*b"a", DRIP),
    );
    cases.reply("a body byte every 100 ms", UNKNOWN, endless_body(DRIP));
    let chunk = chunked(&jpeg[..64]).forever(*b"1\r\n\0\r\n", DRIP);
    cases.reply("a chunk of one byte every 100 ms", UNKNOWN, chunk);
    let late = Reply::picture(jpeg).late(Duration::from_millis(300));
    cases.reply("a picture after 300 ms", VALID, late);
}

fn endless(cases: &mut Cases<'_>) {
    let jpeg = pictures::good(Picture::Jpeg);
    cases.reply(
        "header lines without end",
        NO_PICTURE,
        endless_head(AT_ONCE),
    );
    let long = Reply::raw(*b"HTTP/1.1 200 OK\r\nX-Long: ", Ending::Close);
    cases.reply(
        "a header without end",
        NO_PICTURE,
        long.forever([b'a'; 4096], AT_ONCE),
    );
    let zeros = [b"1000\r\n".as_slice(), &[0; 4096], b"\r\n"].concat();
    let reply = chunked(&[0; 4]).forever(zeros.clone(), AT_ONCE);
    cases.reply("zeros without end", ERROR, reply);
    let reply = chunked(&jpeg).forever(zeros, AT_ONCE);
    cases.reply("a jpg without end", ERROR, reply);
    let extension = Reply::raw(
        *b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=",
        Ending::Close,
    );
    let reply = extension.forever([b'a'; 4096], AT_ONCE);
    cases.reply("a chunk extension without end", NO_PICTURE, reply);
    let more = Reply::raw(*b"HTTP/1.1 100 Continue\r\n\r\n", Ending::Close)
        .forever(*b"HTTP/1.1 100 Continue\r\n\r\n", DRIP);
    cases.reply("continue without end", NOT_VALID, more);
    let mut many = Reply::picture(jpeg);
    for number in 0..5_000 {
        many = many.header(&format!("X-{number}"), "many");
    }
    cases.reply("5000 headers", ANY, many);
}

fn broken_off(cases: &mut Cases<'_>) {
    let jpeg = pictures::good(Picture::Jpeg);
    cases.reply("reset before a byte", UNKNOWN, Reply::reset());
    let head = || Reply::raw(*b"HTTP/1.1 200 OK\r\nContent-", Ending::Reset);
    cases.reply("reset inside the head", UNKNOWN, head());
    let half = Reply::picture(jpeg.clone()).cut(50, Ending::Reset);
    cases.reply("reset inside the body", UNKNOWN, half);
    let closed = Reply::raw(*b"", Ending::Close);
    cases.reply("closed before a byte", UNKNOWN, closed);
    let closed = head().ending(Ending::Close);
    cases.reply("closed inside the head", NO_PICTURE, closed);
    let closed = chunked(&jpeg).ending(Ending::Close);
    cases.reply("closed between chunks", NO_PICTURE, closed);
    let again = [Reply::reset(), Reply::picture(jpeg)];
    cases.reply("reset once, then sound", &["valid", "unknown"], again);
}

fn against_the_protocol(cases: &mut Cases<'_>) {
    let heads: [(&str, &str); 13] = [
        ("no protocol", "hello\r\n\r\n"),
        ("no status", "HTTP/1.1\r\n\r\n"),
        ("status of letters", "HTTP/1.1 OK 200\r\n\r\n"),
        (
            "status of five digits",
            "HTTP/1.1 20000 OK\r\nContent-Length: 0\r\n\r\n",
        ),
        ("status 000", "HTTP/1.1 000 No\r\nContent-Length: 0\r\n\r\n"),
        (
            "switching protocols",
            "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        ),
        (
            "a negative length",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        ),
        (
            "a length over 64 bits",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\nhello",
        ),
        (
            "a chunk over 64 bits",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
        ),
        (
            "a chunk of letters",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        ),
        (
            "a header without a colon",
            "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
        ),
        (
            "a zero in a header",
            "HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 0\r\n\r\n",
        ),
    ];
    for (name, head) in heads {
        let reply = Reply::raw(head.as_bytes(), Ending::Close);
        cases.reply(name, NOT_VALID, reply);
    }
    let jpeg = pictures::good(Picture::Jpeg);
    cases.reply(
        "a picture without HTTP",
        NOT_VALID,
        Reply::raw(jpeg.clone(), Ending::Close),
    );
    let preface = Reply::raw(*b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64", Ending::Hold);
    cases.reply("HTTP/2 unasked", NOT_VALID, preface);
    let old = [b"HTTP/1.0 200 OK\r\n\r\n".as_slice(), &jpeg].concat();
    cases.reply("HTTP/1.0", ANY, Reply::raw(old, Ending::Close));
    let both = Reply::picture(jpeg).header("Transfer-Encoding", "chunked");
    cases.reply("a length and chunks that are none", NOT_VALID, both);
}

fn statuses(cases: &mut Cases<'_>) {
    for status in [204, 400, 401, 403, 404, 405, 410, 418, 451, 999] {
        cases.reply(format!("status {status}"), BROKEN, Reply::status(status));
    }
    // No page to go on to: an answer that is no 200, or a redirect that leads nowhere.
    for status in [300, 304] {
        let reply = Reply::status(status);
        cases.reply(format!("status {status}"), &["broken", "error"], reply);
    }
    for status in [408, 425, 429, 500, 502, 503, 504, 520] {
        cases.reply(format!("status {status}"), UNKNOWN, Reply::status(status));
    }
    let jpeg = pictures::good(Picture::Jpeg);
    for status in [201, 203, 206] {
        let reply = Reply::answer(status, "image/jpeg", jpeg.clone());
        cases.reply(format!("a picture with {status}"), BROKEN, reply);
    }
    let again = Reply::status(503).retry_after(1);
    cases.reply("503 with Retry-After", UNKNOWN, again);
    for value in ["soon", "-1", "Mon, 01 Jan 2001 00:00:00 GMT", ""] {
        let reply = Reply::status(503).header("Retry-After", value);
        cases.reply(format!("Retry-After {value:?}"), UNKNOWN, reply);
    }
}

/// A chunked answer that has begun and does not end.
fn chunked(first: &[u8]) -> Reply {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n";
    let size = format!("{:x}\r\n", first.len());
    let bytes = [head.as_slice(), size.as_bytes(), first, b"\r\n"].concat();
    Reply::raw(bytes, Ending::Close)
}
