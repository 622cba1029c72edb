//! Thumbnails meant to hurt: each case is an address to fetch and the verdicts that may come.
//!
//! The site's authority must be allowed by `fetch.allow`, the trap's must not: whatever reaches
//! the trap got past the guard.

mod bodies;
mod redirects;
mod wire;

use super::site::{Reply, Script, Site};

/// One hostile thumbnail.
#[derive(Debug, Clone)]
pub struct Hostile {
    /// What is wrong with it.
    pub name: String,
    /// A possible video id, its own.
    pub id: String,
    /// What to fetch.
    pub url: String,
    /// The statuses a verdict may have.
    pub allowed: &'static [&'static str],
}

/// The only right verdict: a sound picture, however it came.
const VALID: &[&str] = &["valid"];
/// Too small.
const PLACEHOLDER: &[&str] = &["placeholder"];
/// A definitive answer other than 200.
const BROKEN: &[&str] = &["broken"];
/// Undecodable, truncated, over a cap, refused, led nowhere.
const ERROR: &[&str] = &["error"];
/// No definitive answer.
const UNKNOWN: &[&str] = &["unknown"];
/// Broken off or against the protocol: as much no answer as a bad one.
const NO_PICTURE: &[&str] = &["error", "unknown"];
/// Nonsense that a lenient client may read as a status.
const NOT_VALID: &[&str] = &["error", "unknown", "broken"];
/// Sound in the end for who is lenient, and refused by who is strict.
const NO_HARM: &[&str] = &["valid", "error"];
/// Whatever comes, it must come soon and without harm.
const ANY: &[&str] = &["valid", "error", "unknown", "broken"];

/// Sets up every case on `site` and names it. `trap` is never to be asked.
#[must_use]
pub fn hostile(site: &Site, trap: &Site) -> Vec<Hostile> {
    let mut cases = Cases {
        site,
        trap,
        list: Vec::new(),
    };
    bodies::add(&mut cases);
    wire::add(&mut cases);
    redirects::add(&mut cases);
    cases.list
}

struct Cases<'a> {
    site: &'a Site,
    trap: &'a Site,
    list: Vec<Hostile>,
}

impl Cases<'_> {
    /// A case that is a reply, or a script of them.
    fn reply(
        &mut self,
        name: impl Into<String>,
        allowed: &'static [&'static str],
        script: impl Into<Script>,
    ) {
        let id = self.next_id();
        self.site.thumbnail(&id, script);
        let url = self.site.thumbnail_url(&id, "hqdefault.jpg");
        self.push(name.into(), id, url, allowed);
    }

    /// A case that is an address.
    fn address(
        &mut self,
        name: impl Into<String>,
        allowed: &'static [&'static str],
        url: impl Into<String>,
    ) {
        let id = self.next_id();
        self.push(name.into(), id, url.into(), allowed);
    }

    /// 200 with a body that says it is a picture.
    fn body(&mut self, name: &str, allowed: &'static [&'static str], body: impl AsRef<[u8]>) {
        self.reply(name, allowed, Reply::picture(body.as_ref()));
    }

    fn next_id(&self) -> String {
        format!("hostil{:04}A", self.list.len())
    }

    fn push(&mut self, name: String, id: String, url: String, allowed: &'static [&'static str]) {
        self.list.push(Hostile {
            name,
            id,
            url,
            allowed,
        });
    }
}
