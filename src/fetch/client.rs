//! One fetch from its URL to its answer: places, hops, the request itself.

use awc::ClientResponse;
use awc::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use awc::http::{StatusCode, Uri};
use futures_util::Stream;
use rustls::RootCertStore;
use url::{Position, Url};

use super::connector::{Resolve, system_resolver};
use super::error::{FetchError, Stage};
use super::failure::{from_send, is_stale};
use super::guard::Guard;
use super::lanes::{Lanes, tls_config};
use super::places::Shared;
use super::progress::{for_a_place, within};
use super::settings::Settings;
use super::{Answer, Redirects, Request, body, retry_after};

/// The HTTP client of one thread. It keeps connections, so make one a thread and keep it.
pub struct Client {
    settings: Settings,
    shared: Shared,
    user_agent: HeaderValue,
    public: Lanes,
    endpoint: Lanes,
}

impl Client {
    /// A client with no connection yet.
    ///
    /// # Errors
    /// [`FetchError::Setup`] when the User-Agent is no header value or TLS cannot be set up.
    pub fn new(settings: &Settings, shared: Shared) -> Result<Self, FetchError> {
        let roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        Self::with(settings, shared, roots, &system_resolver())
    }

    /// A client with roots and a resolver of its own.
    pub(super) fn with(
        settings: &Settings,
        shared: Shared,
        roots: RootCertStore,
        resolve: &Resolve,
    ) -> Result<Self, FetchError> {
        let tls = tls_config(roots)?;
        let user_agent = HeaderValue::from_str(&settings.user_agent)
            .map_err(|_| FetchError::Setup("fetch.contact is no header text".to_owned()))?;
        let public = Guard::Public(settings.allow.clone());
        Ok(Self {
            settings: settings.clone(),
            shared,
            user_agent,
            public: Lanes::new(public, &tls, resolve),
            endpoint: Lanes::new(Guard::Endpoint, &tls, resolve),
        })
    }

    /// Fetches a URL.
    ///
    /// # Errors
    /// Any [`FetchError`]; an HTTP status is not an error.
    pub async fn get(&self, request: Request<'_>) -> Result<Answer, FetchError> {
        within(&request, self.follow(&request)).await
    }

    async fn follow(&self, request: &Request<'_>) -> Result<Answer, FetchError> {
        let mut url =
            Url::parse(request.url).map_err(|error| FetchError::BadUrl(error.to_string()))?;
        url.set_fragment(None);
        let mut visited = vec![url.clone()];
        loop {
            let endpoint = request.endpoint && visited.len() == 1;
            let next = match self.hop(&url, endpoint, request).await? {
                Hop::Answer(answer) => return Ok(answer),
                Hop::Redirect(location) => target(&url, location.as_deref())?,
            };
            if visited.contains(&next) {
                return Err(FetchError::BadRedirect("a loop".to_owned()));
            }
            if visited.len() > usize::from(self.settings.max_redirects) {
                let max = self.settings.max_redirects;
                return Err(FetchError::BadRedirect(format!("more than {max} hops")));
            }
            visited.push(next.clone());
            url = next;
        }
    }

    async fn hop(
        &self,
        url: &Url,
        endpoint: bool,
        request: &Request<'_>,
    ) -> Result<Hop, FetchError> {
        let lanes = if endpoint {
            &self.endpoint
        } else {
            &self.public
        };
        lanes.guard.check_url(url)?;
        let host = url.host_str().unwrap_or_default();
        let _place = for_a_place(self.shared.host(host)).await;
        Stage::Head.enter();
        let response = self.send(lanes, url, endpoint, request).await?;
        if request.redirects == Redirects::Follow && is_redirect(response.status()) {
            return Ok(Hop::Redirect(text_of(
                response.headers(),
                &header::LOCATION,
            )));
        }
        self.answer(url, response, request).await.map(Hop::Answer)
    }

    async fn answer<S>(
        &self,
        url: &Url,
        response: ClientResponse<S>,
        request: &Request<'_>,
    ) -> Result<Answer, FetchError>
    where
        S: Stream<Item = <ClientResponse as Stream>::Item> + Unpin,
    {
        let headers = response.headers();
        let mut answer = Answer {
            status: response.status().as_u16(),
            final_url: url.to_string(),
            content_type: text_of(headers, &header::CONTENT_TYPE),
            retry_after: text_of(headers, &header::RETRY_AFTER)
                .and_then(|value| retry_after::parse(&value, (self.settings.clock)())),
            body: Vec::new(),
            large: None,
        };
        if response.status() == StatusCode::OK {
            Stage::Body.enter();
            let coding = text_of(headers, &header::CONTENT_ENCODING);
            let announced = text_of(headers, &header::CONTENT_LENGTH);
            let rules = body::Rules {
                max: request.max_bytes,
                announced: announced.and_then(|length| length.parse().ok()),
                coding: coding.as_deref(),
                sniff: request.sniff,
            };
            let body = body::read(response, &rules, &self.shared).await?;
            answer.body = body.bytes;
            answer.large = body.place;
        }
        Ok(answer)
    }

    /// Sends one request. A kept connection that was closed before it answered is awc's gamble,
    /// not an answer: the request is sent once more, on a new connection.
    async fn send(
        &self,
        lanes: &Lanes,
        url: &Url,
        endpoint: bool,
        request: &Request<'_>,
    ) -> Result<
        ClientResponse<impl Stream<Item = <ClientResponse as Stream>::Item> + Unpin>,
        FetchError,
    > {
        let lane = lanes.of(url);
        let uri = wire_uri(url)?;
        let mut retried = endpoint;
        loop {
            let mut outgoing = lane
                .client()
                .get(uri.clone())
                .no_decompress()
                .insert_header((header::HOST, authority(url)))
                .insert_header((header::USER_AGENT, self.user_agent.clone()))
                .insert_header((header::ACCEPT, request.accept))
                .insert_header((header::ACCEPT_ENCODING, "gzip"));
            if endpoint {
                outgoing = outgoing.force_close();
            }
            match outgoing.send().await {
                Ok(response) => return Ok(response),
                Err(error) if !retried && is_stale(&error) => {
                    retried = true;
                    lane.renew();
                }
                Err(error) => return Err(from_send(error)),
            }
        }
    }
}

enum Hop {
    Answer(Answer),
    /// The Location header.
    Redirect(Option<String>),
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn target(from: &Url, location: Option<&str>) -> Result<Url, FetchError> {
    let location = location
        .filter(|location| !location.is_empty())
        .ok_or_else(|| FetchError::BadRedirect("no Location".to_owned()))?;
    let mut to = from
        .join(location)
        .map_err(|error| FetchError::BadRedirect(error.to_string()))?;
    to.set_fragment(None);
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(FetchError::BadRedirect("from https to http".to_owned()));
    }
    Ok(to)
}

fn text_of(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    // Some servers write Location in raw UTF-8.
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The URL as awc gets it: always `http`, always with its port, since TLS is the connector's.
fn wire_uri(url: &Url) -> Result<Uri, FetchError> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let path = &url[Position::BeforePath..Position::AfterQuery];
    format!("http://{host}:{port}{path}")
        .parse()
        .map_err(|error: awc::http::uri::InvalidUri| FetchError::BadUrl(error.to_string()))
}

/// The Host header.
fn authority(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}
