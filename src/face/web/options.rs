//! How the web face is served: to whom, and under which names.

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use crate::config::Http;

/// What whoever asks may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Look.
    Read,
    /// Look and change.
    Write,
}

/// Bytes of a SHA-256.
const HASH: usize = 32;

/// A token of which no more is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    hash: [u8; HASH],
    pub(super) access: Access,
}

/// How a [`Web`](super::Web) is served.
///
/// It has either tokens or [`Options::open_on_loopback`]: nothing is served to everybody.
#[derive(Debug, Clone, Default)]
pub struct Options {
    tokens: Vec<Token>,
    hosts: Vec<String>,
    open_on_loopback: bool,
}

/// Options that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OptionsError {
    /// Not what [`hash_of`] makes.
    #[error(
        "use a token's hash: it must be 64 hexadecimal digits, as `vvv-actors token` prints them"
    )]
    NoHash,
    /// Everybody would be let in.
    #[error("serve the web face: give it a token, or say that it is open on loopback")]
    Open,
    /// The system has no random bytes.
    #[error("serve the web face: the system has no random bytes")]
    NoRandom,
}

impl Options {
    /// Lets in who has this token; `hash` is [`hash_of`] it, so that the token itself stands
    /// nowhere.
    ///
    /// # Errors
    /// When it is no such hash.
    pub fn token(mut self, hash: &str, access: Access) -> Result<Self, OptionsError> {
        let hash = read_hash(hash).ok_or(OptionsError::NoHash)?;
        self.tokens.push(Token { hash, access });
        Ok(self)
    }

    /// Answers under this name too, as a browser sends it in `Host`, with a port if it is not the
    /// scheme's own. `localhost` and loopback addresses are always answered to; any other name is
    /// refused, for a page of a stranger's may have pointed it here.
    #[must_use]
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into());
        self
    }

    /// Without any token, lets in who connects from this machine.
    ///
    /// Not behind a proxy on the same machine: then that is everybody.
    #[must_use]
    pub const fn open_on_loopback(mut self) -> Self {
        self.open_on_loopback = true;
        self
    }

    /// As a configuration says.
    ///
    /// # Errors
    /// When a hash is none.
    pub fn of(http: &Http) -> Result<Self, OptionsError> {
        let mut options = Self::default().open_on_loopback();
        for hash in &http.read_tokens {
            options = options.token(hash, Access::Read)?;
        }
        for hash in &http.write_tokens {
            options = options.token(hash, Access::Write)?;
        }
        options.hosts.clone_from(&http.hosts);
        Ok(options)
    }

    /// They let in somebody, and not everybody.
    pub(super) fn check(&self) -> Result<(), OptionsError> {
        if self.tokens.is_empty() && !self.open_on_loopback {
            return Err(OptionsError::Open);
        }
        Ok(())
    }

    /// Whether who connects from this machine needs no token.
    pub(super) const fn is_open_on_loopback(&self) -> bool {
        self.tokens.is_empty() && self.open_on_loopback
    }

    /// What this token lets one do.
    pub(super) fn access_of(&self, token: &str) -> Option<Access> {
        self.find(token).map(|token| token.access)
    }

    /// This token, if it is one of ours. How long it takes says nothing of the tokens there are.
    pub(super) fn find(&self, token: &str) -> Option<Token> {
        let hash = digest(&SHA256, token.as_bytes());
        let mut found: Option<Token> = None;
        for known in &self.tokens {
            let may_more = found.is_none_or(|found| found.access < known.access);
            if bool::from(known.hash.ct_eq(hash.as_ref())) && may_more {
                found = Some(*known);
            }
        }
        found
    }

    /// Whether this is one of them, with the same access.
    pub(super) fn has(&self, token: &Token) -> bool {
        self.tokens.contains(token)
    }

    /// Whether `Host` is a name of ours.
    pub(super) fn is_ours(&self, host: &str) -> bool {
        let name = without_port(host);
        let is_loopback = name.eq_ignore_ascii_case("localhost")
            || name
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        is_loopback
            || self
                .hosts
                .iter()
                .any(|ours| ours.eq_ignore_ascii_case(host))
    }

    /// Whether `Host` names this very machine, whatever else is a name of ours.
    pub(super) fn names_loopback(host: &str) -> bool {
        Self::default().is_ours(host)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

/// What a configuration keeps of a token: its SHA-256, in hexadecimal digits. A token is to be
/// long and random, as `vvv-actors token` makes them.
#[must_use]
pub fn hash_of(token: &str) -> String {
    hex(digest(&SHA256, token.as_bytes()).as_ref())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_hash(text: &str) -> Option<[u8; HASH]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash() {
        let options = Options::default()
            .token(&hash_of("look"), Access::Read)
            .unwrap();
        let options = options.token(&hash_of("act"), Access::Write).unwrap();
        assert_eq!(options.access_of("look"), Some(Access::Read));
        assert_eq!(options.access_of("act"), Some(Access::Write));
        assert_eq!(options.access_of(""), None);
        for wrong in ["", "abc", "look", &"g".repeat(64), &"é".repeat(32)] {
            let refused = Options::default().token(wrong, Access::Read);
            assert_eq!(refused.unwrap_err(), OptionsError::NoHash, "{wrong}");
        }
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash_of("abc"), known, "FIPS 180-2's own example");
    }

    #[test]
    fn nobody_is_let_in_by_oversight() {
        assert_eq!(Options::default().check(), Err(OptionsError::Open));
        assert!(Options::default().open_on_loopback().check().is_ok());
    }

    #[test]
    fn only_names_of_ours_are_answered_to() {
        let options = Options::default().host("vault.example:8443");
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:9",
            "vault.example:8443",
        ] {
            assert!(options.is_ours(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "vault.example",
            "10.0.0.1",
        ] {
            assert!(!options.is_ours(host), "{host}");
        }
    }
}
