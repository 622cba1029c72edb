//! What stands around every page: where one is, what one may do, and what was just done.

use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};

use super::assets;
use super::format::count;
use crate::engine::Queue;
use crate::face::web::Shared;
use crate::face::web::asked::Query;
use crate::face::web::guard::Visitor;
use crate::face::web::options::Access;

/// The key of a query that says what was just done.
pub(super) const DONE: &str = "done";

/// Where one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Jobs,
    Videos,
    Thumbnails,
    Links,
    None,
}

impl Tab {
    const ALL: [Self; 5] = [
        Self::Overview,
        Self::Jobs,
        Self::Videos,
        Self::Thumbnails,
        Self::Links,
    ];

    const fn name_and_path(self) -> (&'static str, &'static str) {
        match self {
            Self::Overview => ("Overview", "/"),
            Self::Jobs => ("Jobs", "/jobs"),
            Self::Videos => ("Videos", "/videos"),
            Self::Thumbnails => ("Thumbnails", "/thumbnails"),
            Self::Links => ("Links", "/links"),
            Self::None => ("", "/"),
        }
    }
}

/// A link to a tab.
pub(super) struct TabLink {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) here: bool,
}

/// What stands around every page.
pub(super) struct Frame {
    /// Before every path; without a slash at its end.
    pub(super) base: String,
    /// What a form must say.
    pub(super) csrf: String,
    /// Whether there are buttons.
    pub(super) may_write: bool,
    /// Whether one is let in at all.
    pub(super) is_in: bool,
    /// Whether one can log out.
    pub(super) may_leave: bool,
    /// Whether numbers move.
    pub(super) live: bool,
    /// Of the window.
    pub(super) title: String,
    /// This page, for a form to come back to.
    pub(super) here: String,
    /// What was just done.
    pub(super) notice: Option<String>,
    tab: Tab,
}

impl Frame {
    /// Around a page whose numbers move; `query` is what was asked for.
    pub(super) fn live(
        request: &HttpRequest,
        tab: Tab,
        title: impl Into<String>,
        query: &mut Query,
    ) -> Self {
        let done = query.text(DONE);
        Self {
            live: true,
            notice: done.as_deref().and_then(notice),
            ..Self::plain(request, tab, title)
        }
    }

    /// Around a page that stays as it is.
    pub(super) fn plain(request: &HttpRequest, tab: Tab, title: impl Into<String>) -> Self {
        let visitor = request.extensions().get::<Visitor>().cloned();
        let visitor = visitor.unwrap_or(Visitor {
            access: None,
            session: None,
            base: String::new(),
        });
        let shared = request.app_data::<Data<Shared>>();
        let is_open = shared.is_some_and(|shared| shared.entrance.terms().open.is_some());
        // All that one may do is done by jobs.
        let has_queue = shared.is_some_and(|shared| shared.site.engine.is_durable());
        let has_session = visitor.session.is_some();
        Self {
            base: visitor.base,
            csrf: visitor.session.map(|s| s.csrf).unwrap_or_default(),
            may_write: has_session && visitor.access >= Some(Access::Write) && has_queue,
            is_in: visitor.access.is_some(),
            may_leave: has_session && !is_open,
            live: false,
            title: title.into(),
            here: here(request),
            notice: None,
            tab,
        }
    }

    /// The tabs.
    pub(super) fn tabs(&self) -> Vec<TabLink> {
        let link = |tab: Tab| {
            let (name, path) = tab.name_and_path();
            let here = tab == self.tab;
            TabLink { name, path, here }
        };
        Tab::ALL.map(link).into()
    }

    /// Where an asset lies; its hash makes a new one another address.
    pub(super) fn asset(&self, name: &str) -> String {
        format!("{}/assets/{name}?v={}", self.base, assets::hash_of(name))
    }

    /// Where all of a video is shown.
    pub(super) fn video(&self, id: &str) -> String {
        format!("{}/video?id={}", self.base, encoded(id))
    }

    /// Where a picture of ours lies.
    pub(super) fn picture(&self, size: &str, video: &str, url: &str) -> String {
        // What is too long to be asked for is not in the cache either.
        if url.len() > super::pictures::LONGEST_URL {
            return self.asset(assets::NO_PICTURE);
        }
        let (video, url) = (encoded(video), encoded(url));
        format!("{}/pictures/{size}?video={video}&url={url}", self.base)
    }
}

/// A text as it may stand in a query.
pub(super) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The page itself, without word of what was done before.
fn here(request: &HttpRequest) -> String {
    let query = request.query_string().as_bytes();
    let mut kept = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in url::form_urlencoded::parse(query) {
        if key != DONE {
            kept.append_pair(&key, &value);
        }
    }
    match kept.finish().as_str() {
        "" => request.path().to_owned(),
        query => format!("{}?{query}", request.path()),
    }
}

/// What was just done, in words. Anybody may write an address, so nothing of it is repeated.
pub(super) fn notice(done: &str) -> Option<String> {
    let (what, of) = done.split_once('.')?;
    let jobs = || {
        let jobs: u64 = of.parse().ok()?;
        Some(match jobs {
            0 => "No job".to_owned(),
            1 => "1 job".to_owned(),
            jobs => format!("{} jobs", count(jobs)),
        })
    };
    let queue = || Some(Queue::from_name(of)?.name());
    Some(match what {
        "cancelled" => format!("{} cancelled.", jobs()?),
        "retried" => format!("{} will be done again.", jobs()?),
        "paused" => format!("The queue {} is paused.", queue()?),
        "resumed" => format!("The queue {} goes on.", queue()?),
        "asked" => {
            let job: u64 = of.parse().ok()?;
            format!("Job {job} asks anew as soon as the window has room.")
        }
        _ => return None,
    })
}
