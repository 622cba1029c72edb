//! The little that [`super::wire`] must know of an answer's head: where it ends, and whether it
//! says where its body ends. All else is awc's to parse.

/// Makes the head at the front of `bytes` ready to be parsed and answers whether its body is
/// framed, that is, whether the body's end is announced; `None` while the head is not complete.
///
/// Interim answers before it are cut off. An unframed HTTP/1.1 answer is made an HTTP/1.0 one,
/// whose body ends by closing in actix-http's eyes too.
pub(super) fn take(bytes: &mut Vec<u8>) -> Option<bool> {
    loop {
        let end = end_of(bytes)?;
        let head = bytes.get(..end)?;
        let status = status_of(head);
        if matches!(status, Some(100 | 102..=199)) {
            bytes.drain(..end);
            continue;
        }
        let framed = matches!(status, Some(204 | 304)) || announces_an_end(head);
        if !framed
            && head.starts_with(b"HTTP/1.1")
            && let Some(minor) = bytes.get_mut(7)
        {
            *minor = b'0';
        }
        return Some(framed);
    }
}

/// The length of the head, its empty line included.
fn end_of(bytes: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' {
            if matches!(bytes.get(line_start..at), Some(b"" | b"\r")) {
                return Some(at + 1);
            }
            line_start = at + 1;
        }
    }
    None
}

fn status_of(head: &[u8]) -> Option<u16> {
    let code = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(code).ok()?.parse().ok()
}

fn announces_an_end(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').skip(1).any(|line| {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return false;
        };
        let (name, value) = line.split_at(colon);
        let name = name.trim_ascii();
        name.eq_ignore_ascii_case(b"content-length")
            || (name.eq_ignore_ascii_case(b"transfer-encoding") && mentions(value, b"chunked"))
    })
}

fn mentions(value: &[u8], word: &[u8]) -> bool {
    value
        .windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> (Option<bool>, String) {
        let mut bytes = text.as_bytes().to_vec();
        let framed = take(&mut bytes);
        (framed, String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_head_is_complete_at_its_empty_line() {
        assert_eq!(taken("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n").0, None);
        assert_eq!(taken("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r").0, None);
        assert_eq!(
            taken("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab").0,
            Some(true)
        );
        assert_eq!(
            taken("HTTP/1.1 200 OK\ncontent-length: 3\n\n").0,
            Some(true)
        );
    }

    #[test]
    fn length_chunks_and_bodyless_statuses_announce_the_end() {
        for head in [
            "HTTP/1.1 200 OK\r\nCONTENT-LENGTH:0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\n\r\n",
        ] {
            assert_eq!(taken(head), (Some(true), head.to_owned()));
        }
    }

    #[test]
    fn a_body_that_ends_by_closing_is_announced_as_http_1_0() {
        let (framed, head) = taken("HTTP/1.1 200 OK\r\nX: content-length\r\n\r\nbody");
        assert_eq!(framed, Some(false));
        assert_eq!(head, "HTTP/1.0 200 OK\r\nX: content-length\r\n\r\nbody");
    }

    #[test]
    fn interim_answers_are_cut_off() {
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
        let last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(
            taken(&format!("{interim}{last}")),
            (Some(true), last.to_owned())
        );
        assert_eq!(taken(interim), (None, String::new()));
    }

    #[test]
    fn what_is_no_http_is_left_to_the_parser() {
        assert_eq!(
            taken("220 ftp\r\n\r\n"),
            (Some(false), "220 ftp\r\n\r\n".to_owned())
        );
    }
}
