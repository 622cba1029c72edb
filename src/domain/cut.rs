//! Texts of strangers, cut to what a message needs of them.

/// So many characters of a text at most, and a sign where there were more.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_only_if_it_is_longer() {
        assert_eq!(cut("vidéo", 5), "vidéo");
        assert_eq!(cut("vidéo", 4), "vidé…");
        assert_eq!(cut("vidéo", 0), "…");
        assert_eq!(cut("", 0), "");
    }
}
