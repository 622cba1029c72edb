//! Who is let in, and who is in. Both may change while everything goes on.

use std::sync::{Arc, PoisonError, RwLock};

use super::options::{Access, Options, OptionsError};
use super::session::{Session, Sessions};

/// On what terms one is let in.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) options: Options,
    /// Without tokens: the session of all who are let in. It has no cookie and no end; what it knows
    /// shows that a page is ours.
    pub(super) open: Option<Session>,
}

impl Terms {
    /// `open` goes on where there are still no tokens: pages that are shown know what it knows.
    fn new(options: Options, open: Option<Session>) -> Result<Self, OptionsError> {
        options.check()?;
        let open = match open {
            _ if !options.is_open_on_loopback() => None,
            Some(open) => Some(open),
            None => Some(Session::begin(Access::Write).ok_or(OptionsError::NoRandom)?),
        };
        Ok(Self { options, open })
    }
}

/// By what somebody is in.
#[derive(Debug)]
pub(super) enum By {
    Token(String),
    /// By the cookie of one.
    Session(String),
    /// By being on it, where there are no tokens.
    ThisMachine,
}

/// Who is let in, and who is in.
pub(super) struct Entrance {
    terms: RwLock<Arc<Terms>>,
    sessions: Sessions,
}

impl Entrance {
    pub(super) fn new(options: Options) -> Result<Self, OptionsError> {
        Ok(Self {
            terms: RwLock::new(Arc::new(Terms::new(options, None)?)),
            sessions: Sessions::default(),
        })
    }

    /// On what terms one is let in now.
    pub(super) fn terms(&self) -> Arc<Terms> {
        Arc::clone(&self.terms.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets in by these from now on. Whoever is in by a token that is not among them is out.
    pub(super) fn set(&self, options: Options) -> Result<(), OptionsError> {
        let mut terms = self.terms.write().unwrap_or_else(PoisonError::into_inner);
        *terms = Arc::new(Terms::new(options, terms.open.clone())?);
        self.sessions.keep(|token| terms.options.has(token));
        Ok(())
    }

    /// Begins a session by a token; the value of its cookie, or none if the token is none of ours.
    pub(super) fn log_in(&self, token: &str) -> Result<Option<String>, OptionsError> {
        // Until it has begun the terms stay as they are: it would outlive them.
        let terms = self.terms.read().unwrap_or_else(PoisonError::into_inner);
        let Some(token) = terms.options.find(token) else {
            return Ok(None);
        };
        let (cookie, _) = self.sessions.begin(token).ok_or(OptionsError::NoRandom)?;
        Ok(Some(cookie))
    }

    /// The session of a cookie, unless it is over.
    pub(super) fn session(&self, cookie: &str) -> Option<Session> {
        self.sessions.of(cookie)
    }

    /// Whether who was let in by this is so still.
    pub(super) fn is_in(&self, by: &By) -> bool {
        match by {
            By::Token(token) => self.terms().options.access_of(token).is_some(),
            By::Session(cookie) => self.session(cookie).is_some(),
            By::ThisMachine => self.terms().open.is_some(),
        }
    }

    /// Ends a session.
    pub(super) fn log_out(&self, cookie: &str) {
        self.sessions.end(cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::hash_of;
    use super::*;

    fn with(tokens: &[&str]) -> Options {
        let open = Options::default().open_on_loopback();
        tokens.iter().fold(open, |options, token| {
            options.token(&hash_of(token), Access::Read).unwrap()
        })
    }

    #[test]
    fn who_is_in_is_out_with_what_let_it_in() {
        let entrance = Entrance::new(with(&["lost", "kept"])).unwrap();
        let token = |token: &str| By::Token(token.to_owned());
        let session = |token: &str| By::Session(entrance.log_in(token).unwrap().unwrap());
        let (lost, kept) = (session("lost"), session("kept"));
        let are_in = || {
            let all = [
                &lost,
                &kept,
                &token("lost"),
                &token("kept"),
                &By::ThisMachine,
            ];
            all.map(|by| entrance.is_in(by))
        };
        assert_eq!(are_in(), [true, true, true, true, false]);
        entrance.set(with(&["kept"])).unwrap();
        assert_eq!(are_in(), [false, true, false, true, false]);
        assert_eq!(entrance.log_in("lost"), Ok(None));
        entrance.set(with(&[])).unwrap();
        assert_eq!(are_in(), [false, false, false, false, true]);
        assert_eq!(entrance.set(Options::default()), Err(OptionsError::Open));
        assert_eq!(are_in(), [false, false, false, false, true]);
    }

    #[test]
    fn a_page_that_is_shown_may_still_write_after_a_reload() {
        let entrance = Entrance::new(with(&[])).unwrap();
        let csrf = || entrance.terms().open.clone().map(|open| open.csrf);
        let (before, _) = (csrf(), entrance.set(with(&[])).unwrap());
        assert!(before.is_some() && before == csrf());
    }
}
