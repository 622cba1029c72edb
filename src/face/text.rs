//! Text from outside on its way to a terminal or a log: ids, addresses and error messages may
//! hold anything, and must neither command a terminal nor forge or flood a line.

use std::fmt::{self, Display, Write};

/// The text with control characters escaped, cut to at most `max` bytes and a `…`.
pub fn plain(text: impl Display, max: usize) -> String {
    let mut plain = Plain::new(max);
    // A full buffer answers with an error to end the writing early.
    let _ = write!(plain, "{text}");
    plain.finish()
}

/// Collects text as [`plain`] gives it.
pub struct Plain {
    text: String,
    max: usize,
    cut: bool,
}

impl Plain {
    /// An empty text that will hold at most `max` bytes.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self {
            text: String::new(),
            max,
            cut: false,
        }
    }

    /// What was collected.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.cut {
            self.text.push('…');
        }
        self.text
    }

    fn push(&mut self, piece: &str) -> fmt::Result {
        if self.text.len() + piece.len() > self.max {
            self.cut = true;
            return Err(fmt::Error);
        }
        self.text.push_str(piece);
        Ok(())
    }
}

impl Write for Plain {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Err(fmt::Error);
        }
        for c in text.chars() {
            if obeyed_by_terminals(c) {
                self.push(&c.escape_default().to_string())?;
            } else {
                self.push(c.encode_utf8(&mut [0; 4]))?;
            }
        }
        Ok(())
    }
}

/// Control characters, and those that end lines or turn the direction of what follows.
fn obeyed_by_terminals(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}') || turns(c)
}

/// Characters that turn the direction of all that follows.
pub const fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Seconds as people say them: `3d 4h`.
#[must_use]
pub fn span(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let mut left = seconds;
    let mut told = String::new();
    let mut parts = 0;
    for (unit, length) in units {
        let count = left / length;
        left %= length;
        if count > 0 && parts < 2 {
            let space = if parts > 0 { " " } else { "" };
            let _ = write!(told, "{space}{count}{unit}");
        }
        if count > 0 || parts > 0 {
            parts += 1;
        }
    }
    if told.is_empty() {
        "0s".to_owned()
    } else {
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_the_rest_is_left() {
        assert_eq!(plain("żółć 👍 \"x\" \\", 512), "żółć 👍 \"x\" \\");
        assert_eq!(
            plain("a\nb\t\u{1b}[31m\u{7f}\u{85}\u{202e}", 512),
            "a\\nb\\t\\u{1b}[31m\\u{7f}\\u{85}\\u{202e}"
        );
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(plain("abc", 3), "abc");
        assert_eq!(plain("abcd", 3), "abc…");
        assert_eq!(plain("ééé", 5), "éé…");
        // An escape is left out whole.
        assert_eq!(plain("ab\u{1b}", 4), "ab…");
        assert_eq!(plain("x".repeat(1_000_000), 512).len(), 512 + "…".len());
    }

    #[test]
    fn spans_are_told_in_two_units() {
        let told = [0, 59, 60, 3_661, 86_400 + 59, 3 * 86_400 + 4 * 3_600 + 5].map(span);
        assert_eq!(told, ["0s", "59s", "1m", "1h 1m", "1d", "3d 4h"]);
    }
}
