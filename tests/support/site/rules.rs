//! Which reply a request gets: an outage, the script of its path, the script of its video, or
//! what the site says by itself.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::reply::{Reply, Script};
use super::request::{Endpoint, Request};
use super::{oembed, thumbnails};

/// What tests have set, and how far each script has come.
#[derive(Debug, Default)]
pub(super) struct Rules(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    scripts: HashMap<Key, (Script, usize)>,
    outages: HashMap<Endpoint, Reply>,
    /// How often each key was asked without a script.
    asked: HashMap<Key, usize>,
}

/// What a script is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Video(Endpoint, String),
    Path(String),
}

impl Rules {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of_video(&self, endpoint: Endpoint, id: &str, script: Script) {
        let key = Key::Video(endpoint, id.to_owned());
        self.lock().scripts.insert(key, (script, 0));
    }

    pub(super) fn of_path(&self, path: &str, script: Script) {
        let key = Key::Path(path.to_owned());
        self.lock().scripts.insert(key, (script, 0));
    }

    pub(super) fn outage(&self, endpoint: Endpoint, reply: Option<Reply>) {
        let outages = &mut self.lock().outages;
        match reply {
            Some(reply) => outages.insert(endpoint, reply),
            None => outages.remove(&endpoint),
        };
    }

    /// The reply to a request; a script goes one on.
    pub(super) fn choose(&self, request: &Request) -> Reply {
        let path = Key::Path(request.path().to_owned());
        let video = request
            .id
            .as_ref()
            .map(|id| Key::Video(request.endpoint, id.clone()));
        let mut state = self.lock();
        if let Some(reply) = state.outages.get(&request.endpoint) {
            return reply.clone();
        }
        for key in [Some(&path), video.as_ref()].into_iter().flatten() {
            if let Some((Script(replies), next)) = state.scripts.get_mut(key) {
                let reply = replies[(*next).min(replies.len() - 1)].clone();
                *next += 1;
                return reply;
            }
        }
        // Every oEmbed request has the same path, every thumbnail its own.
        let key = match (request.endpoint, video) {
            (Endpoint::Oembed, Some(video)) => video,
            _ => path,
        };
        let asked = state.asked.entry(key).or_default();
        let earlier = *asked;
        *asked += 1;
        drop(state);
        match request.endpoint {
            Endpoint::Thumbnail => thumbnails::default_reply(request, earlier),
            Endpoint::Oembed => oembed::default_reply(request, earlier),
            Endpoint::Other => Reply::status(404),
        }
    }
}
