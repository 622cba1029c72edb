//! The little that [`super::wire`] must know of an answer's head: where it ends, and whether it
//! says where its body ends. All else is awc's to parse.

/// The head of an answer as it arrives.
#[derive(Debug, Default)]
pub(super) struct Head {
    bytes: Vec<u8>,
    /// Up to here no end was found: a head that drips is not searched from its start each time.
    searched: usize,
}

/// A complete head and what came with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complete {
    /// The head, ready to be parsed, and the body's first bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether the body is framed, that is, whether its end is announced.
    pub(super) framed: bool,
}

impl Head {
    /// Bytes that are waiting for the rest of their head.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds what arrived and gives the final head back once it is complete.
    ///
    /// Interim answers before it are cut off. An unframed HTTP/1.1 answer is made an HTTP/1.0 one,
    /// whose body ends by closing in actix-http's eyes too.
    pub(super) fn push(&mut self, arrived: &[u8]) -> Option<Complete> {
        self.bytes.extend_from_slice(arrived);
        loop {
            self.skip_empty_lines();
            let end = self.find_end()?;
            let head = self.bytes.get(..end)?;
            let status = status_of(head);
            if matches!(status, Some(100 | 102..=199)) {
                self.bytes.drain(..end);
                self.searched = 0;
                continue;
            }
            let framed = matches!(status, Some(204 | 304)) || announces_an_end(head);
            let rewrite = !framed && head.starts_with(b"HTTP/1.1");
            let mut bytes = std::mem::take(&mut self.bytes);
            if rewrite && let Some(minor) = bytes.get_mut(7) {
                *minor = b'0';
            }
            return Some(Complete { bytes, framed });
        }
    }

    /// Parsers let empty lines stand before an answer.
    fn skip_empty_lines(&mut self) {
        let is_break = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let empty = self.bytes.iter().take_while(is_break).count();
        self.bytes.drain(..empty);
    }

    /// The length of the head, its empty line included.
    fn find_end(&mut self) -> Option<usize> {
        let start = self.searched;
        let rest = self.bytes.get(start..)?;
        let found = rest
            .windows(3)
            .enumerate()
            .find_map(|(at, window)| match window {
                [b'\n', b'\n', _] => Some(start + at + 2),
                b"\n\r\n" => Some(start + at + 3),
                _ => None,
            });
        let at_the_end = || rest.ends_with(b"\n\n").then_some(self.bytes.len());
        let end = found.or_else(at_the_end);
        self.searched = self.bytes.len().saturating_sub(2);
        end
    }
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

    fn taken(text: &str) -> Option<(bool, String)> {
        let complete = Head::default().push(text.as_bytes())?;
        Some((complete.framed, String::from_utf8(complete.bytes).unwrap()))
    }

    #[test]
    fn a_head_is_complete_at_its_empty_line() {
        let crlf = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        let lf = "HTTP/1.1 200 OK\nContent-Length: 3\n\n";
        for head in [crlf, lf] {
            for cut in 0..head.len() {
                assert_eq!(taken(&head[..cut]), None, "{cut}");
            }
            for body in ["", "a", "abc"] {
                let whole = format!("{head}{body}");
                assert_eq!(taken(&whole), Some((true, whole.clone())));
            }
        }
    }

    #[test]
    fn a_head_may_arrive_byte_by_byte() {
        let interim = "\r\nHTTP/1.1 100 Continue\r\n\r\n\n";
        for last in [
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 204 No Content\n\n",
        ] {
            let mut head = Head::default();
            let complete: Vec<_> = format!("{interim}{last}")
                .bytes()
                .map(|byte| head.push(&[byte]))
                .collect();
            let (end, before) = complete.split_last().unwrap();
            assert_eq!(end.as_ref().unwrap().bytes, last.as_bytes());
            assert!(before.iter().all(Option::is_none));
        }
    }

    #[test]
    fn length_chunks_and_bodyless_statuses_announce_the_end() {
        for head in [
            "HTTP/1.1 200 OK\r\nCONTENT-LENGTH:0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\n\r\n",
        ] {
            assert_eq!(taken(head), Some((true, head.to_owned())));
        }
    }

    #[test]
    fn a_body_that_ends_by_closing_is_announced_as_http_1_0() {
        let (framed, head) = taken("HTTP/1.1 200 OK\r\nX: content-length\r\n\r\nbody").unwrap();
        assert!(!framed);
        assert_eq!(head, "HTTP/1.0 200 OK\r\nX: content-length\r\n\r\nbody");
    }

    #[test]
    fn interim_answers_are_cut_off() {
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
        let last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(
            taken(&format!("{interim}{last}")),
            Some((true, last.to_owned()))
        );
        assert_eq!(taken(interim), None);
    }

    #[test]
    fn what_is_no_http_is_left_to_the_parser() {
        assert_eq!(
            taken("220 ftp\r\n\r\n"),
            Some((false, "220 ftp\r\n\r\n".to_owned()))
        );
    }
}
