//! Rust text as far as the rules of the house need it: code without comments, literals and test
//! modules, and the literals by themselves.

use std::ops::Range;

/// One file, taken apart.
#[derive(Debug)]
pub struct Source {
    /// The path under `src/`, such as `store/writer.rs`.
    pub path: String,
    /// The text as it is.
    pub text: String,
    /// The text with comments and literals blanked, line by line as before.
    pub code: String,
    /// The same with test items blanked too.
    pub shipped: String,
    /// String literals and the byte each begins at.
    pub literals: Vec<(usize, String)>,
    tests: Vec<Range<usize>>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let (code, literals) = blank(text);
        let tests = if is_test_file(path) {
            std::iter::once(0..code.len()).collect()
        } else {
            test_items(&code)
        };
        let mut shipped = code.clone().into_bytes();
        for byte in tests.iter().cloned().flatten() {
            if shipped[byte] != b'\n' {
                shipped[byte] = b' ';
            }
        }
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            shipped: String::from_utf8(shipped).expect("spaces for ASCII and spaces"),
            literals,
            tests,
        }
    }

    /// The part of the house it belongs to: the first name of its path.
    pub fn layer(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Whether a byte of the text belongs to a test.
    pub fn is_test(&self, at: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&at))
    }

    pub fn line(&self, at: usize) -> usize {
        1 + self.text.as_bytes()[..at]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
    }

    /// Lines that are no test's, comments and empty ones included.
    pub fn lines_without_tests(&self) -> usize {
        let mut start = 0;
        let mut count = 0;
        for line in self.text.split_inclusive('\n') {
            let indent = line.len() - line.trim_start().len();
            count += usize::from(!self.is_test(start + indent.min(line.len() - 1)));
            start += line.len();
        }
        count
    }
}

/// Files that exist for tests only, declared under `#[cfg(test)]` where their module is.
fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("/fixture.rs")
}

/// Blanks comments and literals; hands out the string literals.
fn blank(text: &str) -> (String, Vec<(usize, String)>) {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut literals = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text.as_bytes()[at..];
        let end = at
            + match rest {
                [b'/', b'/', ..] => find(rest, b"\n").unwrap_or(rest.len()),
                [b'/', b'*', ..] => block_comment(rest),
                [b'"', ..] => {
                    let length = quoted(rest);
                    let inside = &rest[1..length.max(2) - 1];
                    literals.push((at, String::from_utf8_lossy(inside).into_owned()));
                    length
                }
                [b'r', b'"' | b'#', ..] if !continues_a_name(bytes, at) => {
                    let length = raw_string(rest);
                    if length > 0 {
                        let inside = String::from_utf8_lossy(&rest[..length]).into_owned();
                        literals.push((at, inside));
                    }
                    length
                }
                [b'\'', ..] => character(rest),
                _ => 0,
            };
        let literal = code[at..end].iter_mut();
        literal
            .filter(|byte| **byte != b'\n')
            .for_each(|byte| *byte = b' ');
        at = end.max(at + 1);
    }
    // What is left outside literals and comments is ASCII; a stray letter of a name is not.
    let code = code
        .into_iter()
        .map(|byte| if byte.is_ascii() { byte } else { b'?' });
    let code = String::from_utf8(code.collect()).expect("ASCII");
    (code, literals)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn continues_a_name(bytes: &[u8], at: usize) -> bool {
    // `br"…"` is a raw string too.
    let before = |back: usize| at.checked_sub(back).map(|at| bytes[at]);
    match before(1) {
        Some(b'b') => before(2).is_some_and(is_name),
        Some(byte) => is_name(byte),
        None => false,
    }
}

/// Whether a byte can be part of a name.
pub fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// The length of a raw string, or 0 if this is none (`r#name`).
fn raw_string(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let end = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let begin = 2 + hashes;
    find(&rest[begin..], &end).map_or(rest.len(), |at| begin + at + end.len())
}

/// The length of a character literal, or 0 if this is a lifetime.
fn character(rest: &[u8]) -> usize {
    match rest {
        [_, b'\\', ..] => 3 + find(&rest[3..], b"'").map_or(0, |at| at + 1),
        _ => {
            let character = String::from_utf8_lossy(&rest[1..rest.len().min(6)]);
            let width = character.chars().next().map_or(1, char::len_utf8);
            if rest.get(1 + width) == Some(&b'\'') {
                width + 2
            } else {
                0
            }
        }
    }
}

/// Where items under `#[cfg(test)]` lie in blanked code.
fn test_items(code: &str) -> Vec<Range<usize>> {
    const MARK: &str = "#[cfg(test)]";
    let mut items: Vec<Range<usize>> = Vec::new();
    for (start, _) in code.match_indices(MARK) {
        if items.last().is_some_and(|last| last.contains(&start)) {
            continue;
        }
        let after = start + MARK.len();
        let body = code[after..].find(['{', ';']).map(|at| after + at);
        let end = match body {
            Some(at) if code.as_bytes()[at] == b'{' => block_end(code, at),
            Some(at) => at + 1,
            None => code.len(),
        };
        items.push(start..end);
    }
    items
}

/// The byte after the block that opens at `open`.
pub fn block_end(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}
