//! One line of the doctor's.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but know this.
    Warn,
    /// It does not work.
    Bad,
}

impl Level {
    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// What was found about one matter. Shown as `name: text (what to do)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The matter.
    pub name: &'static str,
    /// What was found.
    pub text: String,
    /// What to do, or to keep in mind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Whether doing it would end this finding. What nobody can do away with, or what this
    /// program could not see done, is advice only.
    pub needs_doing: bool,
}

impl Finding {
    fn new(level: Level, name: &'static str, text: impl Into<String>) -> Self {
        Self {
            level,
            name,
            text: text.into(),
            advice: None,
            needs_doing: false,
        }
    }

    pub(super) fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Ok, name, text)
    }

    pub(super) fn warn(name: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Warn, name, text)
    }

    /// What does not work needs doing, even where nobody can say what.
    pub(super) fn bad(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            needs_doing: true,
            ..Self::new(Level::Bad, name, text)
        }
    }

    pub(super) fn todo(self, advice: impl Into<String>) -> Self {
        Self {
            needs_doing: true,
            ..self.advice(advice)
        }
    }

    pub(super) fn advice(self, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..self
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.text)?;
        match &self.advice {
            Some(advice) => write!(f, " ({advice})"),
            None => Ok(()),
        }
    }
}
