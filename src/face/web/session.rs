//! Who is logged in to the dashboard: a cookie that says nothing, and what we know of it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

use super::options::{Access, Token, hex};

/// How long one is logged in.
const LASTS: Duration = Duration::from_secs(12 * 3600);
/// The most there are; the oldest goes.
const MOST: usize = 1_000;

/// A session.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// What it lets one do.
    pub(super) access: Access,
    /// What a page must say to change anything: another site's page does not know it.
    pub(super) csrf: String,
    ends: Instant,
}

impl Session {
    /// One that begins now; none if the system has no random bytes.
    pub(super) fn begin(access: Access) -> Option<Self> {
        Some(Self {
            access,
            csrf: secret()?,
            ends: Instant::now() + LASTS,
        })
    }

    /// Whether a write comes from a page of ours.
    pub(super) fn knows(&self, csrf: &str) -> bool {
        bool::from(self.csrf.as_bytes().ct_eq(csrf.as_bytes()))
    }
}

/// All sessions, each with the token it was begun with.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<String, (Session, Token)>>);

impl Sessions {
    fn kept(&self) -> MutexGuard<'_, HashMap<String, (Session, Token)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one; the value of its cookie, or none if the system has no random bytes.
    pub(super) fn begin(&self, token: Token) -> Option<(String, Session)> {
        let (cookie, session) = (secret()?, Session::begin(token.access)?);
        let now = Instant::now();
        let mut kept = self.kept();
        kept.retain(|_, (session, _)| session.ends > now);
        if kept.len() >= MOST {
            let oldest = kept.iter().min_by_key(|(_, (session, _))| session.ends);
            let oldest = oldest.map(|(cookie, _)| cookie.clone());
            oldest.and_then(|cookie| kept.remove(&cookie));
        }
        kept.insert(cookie.clone(), (session.clone(), token));
        Some((cookie, session))
    }

    /// The session of a cookie, unless it is over.
    pub(super) fn of(&self, cookie: &str) -> Option<Session> {
        let kept = self.kept();
        let (session, _) = kept.get(cookie)?;
        (session.ends > Instant::now()).then(|| session.clone())
    }

    /// Ends all but those whose token may stay.
    pub(super) fn keep(&self, may_stay: impl Fn(&Token) -> bool) {
        self.kept().retain(|_, (_, token)| may_stay(token));
    }

    /// Ends one.
    pub(super) fn end(&self, cookie: &str) {
        self.kept().remove(cookie);
    }
}

/// A new token: 32 random bytes as text, or none if the system has none.
#[must_use]
pub fn secret() -> Option<String> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::super::options::{Options, hash_of};
    use super::*;

    fn token() -> Token {
        let options = Options::default().token(&hash_of("look"), Access::Read);
        options.unwrap().find("look").unwrap()
    }

    #[test]
    fn a_session_is_known_by_its_cookie_until_it_ends() {
        let sessions = Sessions::default();
        let (cookie, session) = sessions.begin(token()).unwrap();
        assert_eq!(sessions.of(&cookie).unwrap().access, Access::Read);
        assert!(session.knows(&session.csrf) && !session.knows("") && !session.knows(&cookie));
        assert!(sessions.of("").is_none());
        sessions.end(&cookie);
        assert!(sessions.of(&cookie).is_none());
    }

    #[test]
    fn there_is_an_end_to_sessions() {
        let sessions = Sessions::default();
        for _ in 0..MOST + 5 {
            sessions.begin(token()).unwrap();
        }
        assert_eq!(sessions.kept().len(), MOST);
    }
}
