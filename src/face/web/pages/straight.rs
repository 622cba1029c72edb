//! What would turn the text around it is shown by its number, as logs have it: on every page a word of
//! a stranger's stands beside ours, and a file's name ends in what it is.

use crate::face::text::turns;

/// Where a form keeps what it sends. Quotes of a text are escaped, so none looks like that.
const VALUE: &str = " value=\"";

/// A page on which nothing turns. What its forms send stays as it is.
pub(super) fn straight(html: String) -> String {
    if !html.contains(turns) {
        return html;
    }
    let mut shown = String::with_capacity(html.len());
    for (place, part) in html.split(VALUE).enumerate() {
        let end_of_value = if place == 0 { None } else { part.find('"') };
        let (value, text) = part.split_at(end_of_value.unwrap_or(0));
        if place > 0 {
            shown.push_str(VALUE);
        }
        shown.push_str(value);
        for c in text.chars() {
            if turns(c) {
                shown.extend(c.escape_unicode());
            } else {
                shown.push(c);
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_is_shown_and_what_a_form_sends_is_left() {
        let html = "a\u{202e}b <p title=\"\u{2066}\">ż</p><i value=\"c\u{202e}\"> value= \u{202a}";
        let shown =
            "a\\u{202e}b <p title=\"\\u{2066}\">ż</p><i value=\"c\u{202e}\"> value= \\u{202a}";
        assert_eq!(straight(html.to_owned()), shown);
        assert_eq!(straight("<p>żółw</p>".to_owned()), "<p>żółw</p>");
    }
}
