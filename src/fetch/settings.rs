//! What the client is told once: exceptions, limits, its name and its clock.

use jiff::Timestamp;

use super::error::FetchError;
use super::guard::AllowRule;
use crate::config;

/// The client's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The only exceptions to the address and port rules.
    pub allow: Vec<AllowRule>,
    /// Fetches from one host at once, over all clients of a [`super::Shared`]; 0 counts as 1.
    pub max_per_host: usize,
    /// Redirects followed.
    pub max_redirects: u8,
    /// The User-Agent header.
    pub user_agent: String,
    /// Tells the time of day; a Retry-After that names a date needs it.
    pub clock: fn() -> Timestamp,
}

impl Settings {
    /// Reads `[fetch]`.
    ///
    /// # Errors
    /// [`FetchError::Setup`] names the entry of `fetch.allow` that is neither `host:port`,
    /// `ip:port` nor a network.
    pub fn new(fetch: &config::Fetch) -> Result<Self, FetchError> {
        let allow = fetch
            .allow
            .iter()
            .map(|rule| rule.parse())
            .collect::<Result<_, _>>()?;
        Ok(Self {
            allow,
            max_per_host: fetch.max_per_host,
            max_redirects: fetch.max_redirects,
            user_agent: user_agent(&fetch.contact),
            clock: Timestamp::now,
        })
    }
}

fn user_agent(contact: &str) -> String {
    let name = concat!("vvv-actors/", env!("CARGO_PKG_VERSION"));
    match contact.trim() {
        "" => name.to_owned(),
        contact => format!("{name} (+{contact})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_agent_names_the_version_and_the_contact() {
        let name = concat!("vvv-actors/", env!("CARGO_PKG_VERSION"));
        assert_eq!(
            user_agent("https://site.example/bot"),
            format!("{name} (+https://site.example/bot)")
        );
        assert_eq!(user_agent(" "), name);
    }

    #[test]
    fn a_bad_allow_entry_is_named() {
        let fetch = config::Fetch {
            allow: vec!["127.0.0.1:80".to_owned(), "nonsense".to_owned()],
            max_per_host: 16,
            max_redirects: 3,
            contact: String::new(),
        };
        let error = Settings::new(&fetch).unwrap_err().to_string();
        assert!(error.contains("fetch.allow"), "{error}");
        assert!(error.contains("nonsense"), "{error}");
    }
}
