//! Where a form leads back to: a page of ours, whatever the form says.

use url::Url;

use super::frame::DONE;

/// A place that no form means.
const NOWHERE: &str = "http://nowhere.invalid";

/// The page to go back to, with word of what was done. What is not below `base` is the overview.
pub(super) fn back(base: &str, asked: &str, done: Option<&str>) -> String {
    let place = local(base, asked).unwrap_or_else(|| format!("{base}/"));
    match done {
        None => place,
        Some(done) if place.contains('?') => format!("{place}&{DONE}={done}"),
        Some(done) => format!("{place}?{DONE}={done}"),
    }
}

/// A path with its query, if that is all it is, and below `base`.
fn local(base: &str, asked: &str) -> Option<String> {
    let is_path = asked.starts_with('/') && !asked.starts_with("//");
    if !is_path || asked.contains(['\\', '\r', '\n', '\t', '#']) {
        return None;
    }
    // As a browser reads it, dots resolved.
    let url = Url::parse(NOWHERE).ok()?.join(asked).ok()?;
    let is_here = url.origin() == Url::parse(NOWHERE).ok()?.origin();
    let below = url.path().strip_prefix(base)?;
    if !is_here || !below.is_empty() && !below.starts_with('/') || url.path().starts_with("//") {
        return None;
    }
    let path = if url.path().is_empty() {
        "/"
    } else {
        url.path()
    };
    Some(match url.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_ours_is_gone_back_to() {
        assert_eq!(back("", "/jobs?state=failed", None), "/jobs?state=failed");
        assert_eq!(
            back("/vvv", "/vvv/jobs?state=failed", Some("retried.3")),
            "/vvv/jobs?state=failed&done=retried.3"
        );
        assert_eq!(
            back("/vvv", "/vvv", Some("paused.scoring")),
            "/vvv?done=paused.scoring"
        );
        assert_eq!(back("", "/", None), "/");
    }

    #[test]
    fn anything_else_is_the_overview() {
        for asked in [
            "",
            "jobs",
            "//evil.example/",
            "///evil.example/",
            "/\\evil.example",
            "/\t/evil.example",
            "/vvv/..//evil.example",
            "/.//evil.example",
            "https://evil.example/vvv/",
            "javascript:alert(1)",
            "/vvvv/jobs",
            "/vvv/../other",
            "/vvv/%2e%2e/other",
            "/jobs",
            "/vvv/jobs\r\nSet-Cookie: a=b",
            "/vvv/jobs#top",
        ] {
            assert_eq!(back("/vvv", asked, None), "/vvv/", "{asked:?}");
        }
        for asked in ["//evil.example/", "/.//evil.example", "/x/..//evil.example"] {
            assert_eq!(back("", asked, None), "/", "{asked:?}");
        }
    }
}
