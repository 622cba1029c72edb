//! The dashboard over a real engine and a real file: who is let in, what buttons do, and that
//! nothing a stranger wrote is more than text.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::ops::Deref;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::App;
use actix_web::cookie::Cookie;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use futures_util::future::LocalBoxFuture;
use support::engine::{EngineScene, liveness, request, stop_async};
use support::http::tokens;
use support::site::{Reply, oembed};
use support::vault::{Journal, VaultSpec};
use vvv_actors::engine::{
    EngineHandle, Grouping, JobId, JobRequest, JobState, Queue, QueueView, Work,
};
use vvv_actors::web::{Options, Web};

const HOST: (&str, &str) = ("host", "127.0.0.1:8321");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
/// What would act if it were ever more than text.
const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\u{202e}";
const ADDRESS: &str = "javascript:alert(3)//\"'><script>alert(4)</script>";

/// An engine of a host that shows its pages.
struct Scene {
    ground: EngineScene,
    engine: EngineHandle,
}

impl Deref for Scene {
    type Target = EngineScene;

    fn deref(&self) -> &EngineScene {
        &self.ground
    }
}

impl Scene {
    fn new() -> Self {
        Self::with(VaultSpec::new(3))
    }

    fn with(spec: VaultSpec) -> Self {
        let mut ground = EngineScene::of(spec);
        let engine = ground.start_with_pictures().handle().clone();
        Self { ground, engine }
    }

    fn web(&self) -> Web {
        Web::new(&self.engine, tokens()).unwrap()
    }

    fn sql(&self, sql: &str) {
        self.vault.connect().execute_batch(sql).unwrap();
    }

    async fn enqueue(&self, work: impl Work, delay_ms: i64) -> i64 {
        let request = JobRequest {
            delay_ms,
            ..request(work)
        };
        let queued = self.engine.enqueue(vec![request], Grouping::None).await;
        queued.unwrap().0[0].ids[0].0
    }

    /// A job that waits for an hour.
    async fn waiting(&self) -> i64 {
        let work = liveness(&self.vault.ids[..1]);
        self.enqueue(work, 3_600_000).await
    }

    fn state(&self, id: i64) -> JobState {
        self.job(JobId(id)).summary.state
    }

    /// The lines about a job, once the last one holds this.
    async fn told(&self, id: i64, last: &str) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let lines = self.engine.job_log(JobId(id));
            let lines: Vec<String> = lines.into_iter().map(|line| line.text).collect();
            if lines.last().is_some_and(|line| line.contains(last)) {
                return lines;
            }
            assert!(Instant::now() < deadline, "{lines:?}");
            actix_rt::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn is_paused(&self, queue: Queue) -> bool {
        let queues = QueueView::open(&self.config).unwrap().queues().unwrap();
        let found = queues.iter().find(|summary| summary.queue == queue);
        found.unwrap().paused_ms.is_some()
    }

    async fn end(self) {
        stop_async(&self.engine).await;
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    cookie: Option<Cookie<'static>>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default()
    }

    /// What a page's forms say.
    fn csrf(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"csrf\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

type Serve = Box<dyn Fn(TestRequest) -> LocalBoxFuture<'static, ServiceResponse>>;

/// The web face, without a socket.
struct Pages {
    base: &'static str,
    serve: Serve,
}

impl Pages {
    async fn of(web: Web, base: &'static str) -> Self {
        let service = Rc::new(init_service(App::new().service(web.scope(base))).await);
        let serve = move |request: TestRequest| -> LocalBoxFuture<'static, ServiceResponse> {
            let service = Rc::clone(&service);
            Box::pin(async move { call_service(&*service, request.to_request()).await })
        };
        let serve: Serve = Box::new(serve);
        Self { base, serve }
    }

    async fn ask(&self, request: TestRequest, cookie: Option<&Cookie<'static>>) -> Answer {
        let request = request.insert_header(HOST);
        let request = match cookie {
            Some(cookie) => request.cookie(cookie.clone()),
            None => request,
        };
        let response = (self.serve)(request).await;
        let cookie = response.response().cookies().next();
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            cookie: cookie.map(Cookie::into_owned),
            body: String::from_utf8(read_body(response).await.to_vec()).unwrap_or_default(),
        }
    }

    /// Logs in and answers the cookie and what forms must say.
    async fn log_in(&self, token: &str) -> (Cookie<'static>, String) {
        let base = self.base;
        let login = post(&format!("{base}/login"), &[("token", token)]);
        let answer = self.ask(login, None).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        assert_eq!(answer.header("location"), format!("{base}/"));
        let cookie = answer.cookie.unwrap();
        let page = self.ask(get(&format!("{base}/")), Some(&cookie)).await;
        assert_eq!(page.status, 200, "{}", page.body);
        (cookie, page.csrf())
    }
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path)
}

fn post(path: &str, pairs: &[(&str, &str)]) -> TestRequest {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    TestRequest::post()
        .uri(path)
        .insert_header(FORM)
        .set_payload(body)
}

#[actix_rt::test]
async fn a_token_lets_one_in_until_one_leaves() {
    let scene = Scene::new();
    let pages = Pages::of(scene.web(), "").await;
    let shut = pages.ask(get("/jobs"), None).await;
    assert_eq!(
        (shut.status.as_u16(), shut.header("location")),
        (303, "/login")
    );
    let form = pages.ask(get("/login"), None).await;
    assert_eq!(form.status, 200);
    assert!(
        form.body.contains("name=\"token\"") && !form.body.contains("<nav aria-label=\"Pages\"")
    );

    let wrong = pages
        .ask(post("/login", &[("token", "nonsense")]), None)
        .await;
    assert_eq!(wrong.status, 403);
    assert!(wrong.body.contains("This token is not known") && wrong.cookie.is_none());
    assert!(!wrong.body.contains("nonsense"));
    let strange =
        post("/login", &[("token", "act")]).insert_header(("sec-fetch-site", "cross-site"));
    let strange = pages.ask(strange, None).await;
    assert_eq!(strange.status, 403);
    assert!(strange.cookie.is_none());

    let (cookie, csrf) = pages.log_in("look").await;
    assert!(cookie.http_only().unwrap() && cookie.path() == Some("/"));
    let forged = pages.ask(post("/logout", &[]), Some(&cookie)).await;
    assert_eq!(forged.status, 403);
    let left = pages
        .ask(post("/logout", &[("csrf", &csrf)]), Some(&cookie))
        .await;
    assert_eq!(
        (left.status.as_u16(), left.header("location")),
        (303, "/login")
    );
    let over = pages.ask(get("/jobs"), Some(&cookie)).await;
    assert_eq!(over.status, 303);
    scene.end().await;
}

#[actix_rt::test]
async fn a_button_works_only_on_a_page_of_ours_and_for_whom_may() {
    let scene = Scene::new();
    let pages = Pages::of(scene.web(), "/vvv").await;
    let (cookie, csrf) = pages.log_in("act").await;
    let (looker, looks) = pages.log_in("look").await;
    let pause = |csrf: &str| {
        let back = "/vvv/?x=1";
        post(
            "/vvv/act/queue",
            &[
                ("csrf", csrf),
                ("queue", "scoring"),
                ("do", "pause"),
                ("back", back),
            ],
        )
    };
    for (cookie, csrf) in [
        (&cookie, ""),
        (&cookie, looks.as_str()),
        (&looker, looks.as_str()),
    ] {
        let refused = pages.ask(pause(csrf), Some(cookie)).await;
        assert_eq!(refused.status, 403, "{}", refused.body);
    }
    assert_eq!(pages.ask(pause(&csrf), None).await.status, 303);
    assert!(!scene.is_paused(Queue::Scoring));

    let done = pages.ask(pause(&csrf), Some(&cookie)).await;
    let place = done.header("location");
    assert_eq!(
        (done.status.as_u16(), place),
        (303, "/vvv/?x=1&done=paused.scoring")
    );
    assert!(scene.is_paused(Queue::Scoring));
    let page = pages
        .ask(get("/vvv/?done=paused.scoring"), Some(&cookie))
        .await;
    assert!(page.body.contains("The queue scoring is paused.") && page.body.contains("Resume"));
    let page = pages.ask(get("/vvv/"), Some(&looker)).await;
    assert!(!page.body.contains("/act/") && !page.body.contains("Resume"));

    // A program has a token and needs no page.
    let resume = post(
        "/vvv/act/queue",
        &[
            ("queue", "scoring"),
            ("do", "resume"),
            ("back", "//evil.example"),
        ],
    );
    let resume = resume.insert_header(("authorization", "Bearer act"));
    let done = pages.ask(resume, None).await;
    assert_eq!(done.header("location"), "/vvv/?done=resumed.scoring");
    assert!(!scene.is_paused(Queue::Scoring));
    scene.end().await;
}

#[actix_rt::test]
async fn without_tokens_a_form_still_needs_a_page_of_ours() {
    let scene = Scene::new();
    let web = Web::new(&scene.engine, Options::default().open_on_loopback()).unwrap();
    let pages = Pages::of(web, "").await;
    let pairs = [("queue", "scoring"), ("do", "pause"), ("back", "/")];
    let bare = pages.ask(post("/act/queue", &pairs), None).await;
    assert_eq!(bare.status, 403);
    assert!(bare.header("content-type").starts_with("text/html"));
    assert!(!scene.is_paused(Queue::Scoring));
    let page = pages.ask(get("/"), None).await;
    assert!(page.cookie.is_none(), "who is let in anyway needs none");
    let csrf = page.csrf();
    assert!(!page.body.contains("Log out"));
    let pairs = [&pairs[..], &[("csrf", csrf.as_str())]].concat();
    let paused = pages.ask(post("/act/queue", &pairs), None).await;
    assert_eq!(paused.status, 303);
    assert!(scene.is_paused(Queue::Scoring));
    scene.end().await;
}

#[actix_rt::test]
async fn jobs_are_cancelled_and_done_again_many_at_once() {
    let scene = Scene::new();
    let pages = Pages::of(scene.web(), "").await;
    let (cookie, csrf) = pages.log_in("act").await;
    let (first, second) = (scene.waiting().await, scene.waiting().await);
    let id = first.to_string();
    let back = "/jobs?state=scheduled";
    let pairs = [
        ("csrf", csrf.as_str()),
        ("do", "cancel"),
        ("which", "ticked"),
        ("id", &id),
        ("back", back),
    ];
    let done = pages.ask(post("/act/jobs", &pairs), Some(&cookie)).await;
    assert_eq!(
        done.header("location"),
        "/jobs?state=scheduled&done=cancelled.1"
    );
    assert_eq!(scene.state(first), JobState::Cancelled);
    assert_eq!(scene.state(second), JobState::Scheduled);

    let pairs = [
        ("csrf", csrf.as_str()),
        ("do", "cancel"),
        ("which", "all"),
        ("filter", "state=scheduled"),
        ("back", back),
    ];
    let done = pages.ask(post("/act/jobs", &pairs), Some(&cookie)).await;
    assert!(done.header("location").ends_with("done=cancelled.1"));
    assert_eq!(scene.state(second), JobState::Cancelled);
    let page = pages
        .ask(get("/jobs?state=cancelled&kind=liveness"), Some(&cookie))
        .await;
    assert!(
        page.body.contains(&format!("/jobs/{first}\""))
            && page.body.contains(&format!("/jobs/{second}\""))
    );

    let ask_again = [
        ("csrf", csrf.as_str()),
        ("video", &scene.vault.ids[1]),
        ("back", "/links"),
    ];
    let done = pages.ask(post("/act/ask", &ask_again), Some(&cookie)).await;
    assert!(
        done.header("location").starts_with("/links?done=asked."),
        "{}",
        done.body
    );
    scene.end().await;
}

#[actix_rt::test]
async fn what_goes_wrong_is_a_page_too() {
    let scene = Scene::new();
    let pages = Pages::of(scene.web(), "/vvv").await;
    let (cookie, _) = pages.log_in("look").await;
    for (path, status) in [
        ("/vvv/jobs/99", 404),
        ("/vvv/jobs/x%3Cscript%3E", 404),
        ("/vvv/nowhere", 404),
        ("/vvv/jobs?state=bogus", 400),
        ("/vvv/jobs?nothing=7", 400),
        ("/vvv/videos?after=x", 400),
        ("/vvv/video", 400),
        ("/vvv/video?id=none", 404),
        ("/vvv/thumbnails?status=x", 400),
        ("/vvv/links?verdict=x", 400),
        ("/vvv/links.csv?verdict=x", 400),
        ("/vvv/assets/secret", 404),
    ] {
        let answer = pages.ask(get(path), Some(&cookie)).await;
        assert_eq!(answer.status, status, "{path}");
        let kind = answer.headers.get(CONTENT_TYPE).unwrap().to_str().unwrap();
        assert!(kind.starts_with("text/html"), "{path}: {kind}");
        assert!(
            answer.body.contains("<h1>") && !answer.body.contains("<script>"),
            "{path}"
        );
    }
    scene.end().await;
}

/// Every page of a video and a job that strangers wrote.
fn soiled(scene: &Scene) -> Vec<String> {
    let quoted = |text: &str| text.replace('\'', "''");
    let (hostile, address) = (quoted(HOSTILE), quoted(ADDRESS));
    scene.sql(&format!(
        "UPDATE videos SET title = '{hostile}', thumbnail_url = '{address}';
         UPDATE video_snapshots SET region = '{hostile}';
         INSERT INTO videos (video_id, title) VALUES ('{hostile}', '{hostile}');
         INSERT INTO vvv_jobs (kind, payload, unique_key) VALUES ('{hostile}', '{hostile}', '{hostile}');
         INSERT INTO vvv_scores (video_id, region, score, label, velocity, engagement, scored_at)
           SELECT video_id, '{hostile}', 90.0, 'VIRAL', 9, 9.0, 1 FROM videos;
         INSERT INTO vvv_thumbnail_checks (video_id, url, status, reason, checked_at, mark)
           SELECT video_id, '{address}', 'broken', '{hostile}', 1, '' FROM videos;
         INSERT INTO vvv_liveness_checks (video_id, verdict, reason, checked_at, mark)
           SELECT video_id, 'dead', '{hostile}', 1, '' FROM videos;"
    ));
    scene.wait_for(JobId(1), JobState::Failed);
    let id: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    let pages = ["/", "/jobs", "/jobs/1", "/videos", "/thumbnails", "/links"].map(str::to_owned);
    let more = [
        format!("/jobs?text={id}"),
        format!("/videos?region={id}"),
        format!("/video?id={id}"),
        format!("/video?id={}", scene.vault.ids[0]),
        format!("/?done={id}"),
        format!("/jobs/{id}"),
        format!("/?{id}={id}"),
    ];
    pages.into_iter().chain(more).collect()
}

#[actix_rt::test]
async fn what_strangers_wrote_is_only_ever_text() {
    let scene = Scene::new();
    let pages = Pages::of(scene.web(), "/vvv").await;
    let (cookie, _) = pages.log_in("act").await;
    for path in soiled(&scene) {
        let page = pages.ask(get(&format!("/vvv{path}")), Some(&cookie)).await;
        let body = page.body;
        let policy = page.headers.get("content-security-policy").unwrap();
        assert!(
            policy
                .to_str()
                .unwrap()
                .starts_with("default-src 'none'; script-src 'self'")
        );
        for wrong in [
            "<script>",
            "<img src=x",
            " style=",
            "onerror=alert(2)>",
            "javascript:alert(3)//\"",
        ] {
            assert!(!body.contains(wrong), "{path}: {wrong}");
        }
        // What a form sends is as it is; what is read turns no line.
        let sent_and_read = body.split(" value=\"").skip(1);
        let read = sent_and_read.filter_map(|part| Some(part.split_once('"')?.1));
        let first = body.split(" value=\"").next();
        let turns = |text: &str| text.contains('\u{202e}');
        assert!(!read.chain(first).any(turns), "{path}: {body}");
        let mut links = 0;
        for attribute in [" href=\"", " src=\"", " action=\""] {
            for rest in body.split(attribute).skip(1) {
                assert!(
                    rest.starts_with("/vvv/") || rest.starts_with("#main"),
                    "{path}: {rest:.60}"
                );
                links += 1;
            }
        }
        assert!(links > 8, "{path}");
        assert_eq!(body.matches("<h1").count(), 1, "{path}");
    }
    let page = pages.ask(get("/vvv/videos"), Some(&cookie)).await;
    assert!(
        page.body.contains("&#60;script&#62;alert(1)"),
        "it is there, as text"
    );
    scene.end().await;
}

#[actix_rt::test]
async fn a_jobs_page_tells_what_became_of_each_attempt() {
    let scene = Scene::new();
    let pages = Pages::of(scene.web(), "").await;
    let (cookie, _) = pages.log_in("look").await;
    let video_id = scene.vault.ids[0].clone();
    scene.site.thumbnail(&video_id, Reply::status(503));
    let id = scene.enqueue(scene.pictures(1), 0).await;
    scene.told(id, "goes on in").await;
    let api = get(&format!("/api/v1/jobs/{id}"));
    let found = pages.ask(api, Some(&cookie)).await;
    let found: serde_json::Value = serde_json::from_str(&found.body).unwrap();
    let log = found["log"].as_array().unwrap();
    let told: Vec<_> = log
        .iter()
        .map(|line| {
            (
                line["level"].as_str().unwrap(),
                line["text"].as_str().unwrap(),
            )
        })
        .collect();
    let [begins, item, back] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(*begins, ("info", "attempt 1 begins, 1 items"));
    assert!(item.0 == "warn" && item.1.starts_with(&format!("{video_id}: ")));
    assert!(item.1.contains("503"), "{item:?}");
    assert!(
        back.0 == "warn" && back.1.contains("; goes on in "),
        "{back:?}"
    );
    let page = pages.ask(get(&format!("/jobs/{id}")), Some(&cookie)).await;
    for (_, text) in told {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert!(
        page.body
            .contains("kept in memory since the program started")
    );
    scene.end().await;
}

#[actix_rt::test]
async fn why_a_job_waits_for_its_provider_has_a_line() {
    let scene = Scene::new();
    let id = scene.enqueue(liveness(&[oembed::id("s429_", 1)]), 0).await;
    scene.told(id, "upstream parked; goes on in").await;
    scene.engine.cancel(vec![JobId(id)]).await.unwrap();
    let lines = scene.told(id, "cancelled").await;
    let [begins, item, _, _] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert_eq!(begins, "attempt 1 begins, 1 items");
    assert!(item.contains("http 429"), "{item}");
    scene.end().await;
}

#[actix_rt::test]
async fn an_overview_of_a_file_that_is_held_says_what_it_lacks() {
    let scene = Scene::with(VaultSpec::new(3).journal(Journal::Delete));
    let pages = Pages::of(scene.web(), "").await;
    let (cookie, _) = pages.log_in("look").await;
    let site = scene.vault.connect();
    site.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let began = Instant::now();
    let page = pages.ask(get("/"), Some(&cookie)).await;
    assert_eq!(page.status, 200);
    // Other pages wait half a minute for the file.
    assert!(began.elapsed() < Duration::from_secs(15), "it waited");
    for part in ["the queues", "what the queues got done", "the last events"] {
        let told = format!("<li>{part} cannot be read: ");
        assert!(page.body.contains(&told), "{part}: {}", page.body);
    }
    assert!(!page.body.contains("Nothing has happened yet."));
    site.execute_batch("COMMIT").unwrap();
    let page = pages.ask(get("/"), Some(&cookie)).await;
    assert!(!page.body.contains("cannot be read"), "{}", page.body);
    scene.end().await;
}

#[actix_rt::test]
async fn a_video_without_an_index_is_not_looked_for_and_that_is_said() {
    let scene = Scene::with(VaultSpec {
        index: false,
        ..VaultSpec::new(3)
    });
    let pages = Pages::of(scene.web(), "").await;
    let (cookie, _) = pages.log_in("look").await;
    let id = &scene.vault.ids[0];
    let page = pages
        .ask(get(&format!("/video?id={id}")), Some(&cookie))
        .await;
    let told = "The site's snapshots are not read";
    assert!(page.body.contains(told), "{}", page.body);
    let api = format!("/api/v1/videos/{id}");
    let card = pages.ask(get(&api), Some(&cookie)).await;
    let card: serde_json::Value = serde_json::from_str(&card.body).unwrap();
    assert_eq!(card["not_read"], serde_json::json!(["snapshots"]));
    assert!(card["score"]["now"].is_null(), "{card}");
    let history = pages
        .ask(get(&format!("{api}/history")), Some(&cookie))
        .await;
    assert_eq!(history.body, "{\"snapshots\":[],\"read\":false}");
    scene.end().await;
}

#[actix_rt::test]
async fn links_are_exported_whole() {
    let scene = Scene::new();
    let pages = Pages::of(scene.web(), "").await;
    let (cookie, _) = pages.log_in("look").await;
    scene.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
         INSERT INTO vvv_liveness_checks (video_id, verdict, reason, http_status, checked_at, mark)
         SELECT '=' || i, CASE i % 2 WHEN 0 THEN 'dead' ELSE 'alive' END, 'a \"reason\", of two', 404, i, '' FROM n",
    );
    let csv = pages
        .ask(get("/links.csv?verdict=dead"), Some(&cookie))
        .await;
    assert_eq!(
        csv.header("content-disposition"),
        "attachment; filename=\"links-dead.csv\""
    );
    let lines: Vec<&str> = csv.body.lines().collect();
    assert_eq!(lines.len(), 1_251);
    assert_eq!(
        lines[1],
        "\"'=2500\",\"dead\",\"a \"\"reason\"\", of two\",\"404\",\"1970-01-01T00:41:40Z\""
    );
    let json = pages.ask(get("/links.json"), Some(&cookie)).await;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json.body).unwrap();
    assert_eq!((rows.len(), &rows[0]["video_id"]), (2_500, &"=2500".into()));
    let none = pages
        .ask(get("/links.json?verdict=invalid"), Some(&cookie))
        .await;
    assert_eq!(
        serde_json::from_str::<Vec<()>>(&none.body).unwrap().len(),
        0
    );
    scene.end().await;
}

#[actix_rt::test]
async fn pictures_are_drawn_from_our_own_cache() {
    let scene = Scene::new();
    let pages = Pages::of(scene.web(), "").await;
    let (cookie, _) = pages.log_in("look").await;
    let video_id = scene.vault.ids[0].clone();
    let thumbnail_url = scene.vault.thumbnail_url(&video_id).unwrap();
    let path = |url: &str, size: &str| {
        let url: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
        format!("/pictures/{size}?video={video_id}&url={url}")
    };
    let none = pages
        .ask(get(&path(&thumbnail_url, "small")), Some(&cookie))
        .await;
    assert_eq!(
        (none.status.as_u16(), none.header("content-type")),
        (200, "image/svg+xml")
    );

    let job = scene.enqueue(scene.pictures(1), 0).await;
    scene.wait_for(JobId(job), JobState::Succeeded);
    let seen = pages
        .ask(get(&path(&thumbnail_url, "small")), Some(&cookie))
        .await;
    assert_eq!(seen.header("content-type"), "image/png");
    assert_eq!(seen.header("x-content-type-options"), "nosniff");
    assert!(
        seen.header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    let other = pages
        .ask(get(&path("http://other.example/", "large")), Some(&cookie))
        .await;
    assert_eq!(other.header("content-type"), "image/svg+xml");
    let shut = pages.ask(get(&path(&thumbnail_url, "small")), None).await;
    assert_eq!(shut.status, 303, "pictures are not for everybody");
    scene.end().await;
}

#[actix_rt::test]
async fn assets_are_kept_by_their_hash() {
    let scene = Scene::new();
    let pages = Pages::of(scene.web(), "").await;
    let page = pages.ask(get("/login"), None).await;
    let (_, rest) = page.body.split_once("rel=\"stylesheet\" href=\"").unwrap();
    let address = rest.split('"').next().unwrap();
    let style = pages.ask(get(address), None).await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert!(style.header("cache-control").contains("immutable"));
    let bare = pages.ask(get("/assets/style.css?v=old"), None).await;
    assert_eq!(bare.header("cache-control"), "no-cache");
    scene.end().await;
}

#[actix_rt::test]
async fn a_page_that_is_asked_otherwise_says_what_it_takes() {
    let scene = Scene::new();
    let pages = Pages::of(scene.web(), "/vvv").await;
    let act = ("Authorization", "Bearer act");
    for (request, taken) in [
        (post("/vvv/", &[]), "GET, HEAD"),
        (post("/vvv/jobs", &[]), "GET, HEAD"),
        (post("/vvv/links.csv", &[]), "GET, HEAD"),
        (TestRequest::delete().uri("/vvv/login"), "GET, HEAD, POST"),
        (get("/vvv/act/jobs"), "POST"),
        (get("/vvv/logout"), "POST"),
    ] {
        let answer = pages.ask(request.insert_header(act), None).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("allow")),
            (405, taken),
            "{}",
            answer.body
        );
        assert!(answer.header("content-type").starts_with("text/html"));
        assert!(answer.body.contains("That cannot be done here"));
    }
    scene.end().await;
}

#[actix_rt::test]
async fn a_video_nobody_knows_has_no_page_where_an_index_is_missing_either() {
    let scene = Scene::with(VaultSpec {
        index: false,
        ..VaultSpec::new(3)
    });
    let pages = Pages::of(scene.web(), "").await;
    let (cookie, _) = pages.log_in("look").await;
    for path in ["/video?id=none", "/api/v1/videos/none"] {
        let answer = pages.ask(get(path), Some(&cookie)).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
    }
    let id = &scene.vault.ids[0];
    let path = format!("/video?id={id}");
    let page = pages.ask(get(&path), Some(&cookie)).await;
    let held_against = "<dt>Held against</dt><dd>";
    // Of which region its snapshots are, nobody has read.
    let unknown = format!("{held_against}–</dd>");
    assert!(page.body.contains(&unknown), "{}", page.body);
    scene.sql(&format!(
        "INSERT INTO vvv_scores (video_id, region, score, label, velocity, engagement, scored_at)
         VALUES ('{id}', 'PL', 90.0, 'VIRAL', 9, 9.0, 1)"
    ));
    let page = pages.ask(get(&path), Some(&cookie)).await;
    let (_, held) = page.body.split_once(held_against).unwrap();
    let (held, _) = held.split_once("</dd>").unwrap();
    assert!(held.ends_with("(PL)"), "{held}");
    scene.end().await;
}

#[actix_rt::test]
async fn a_search_for_text_reads_every_job_and_so_stands_still() {
    let scene = Scene::new();
    let pages = Pages::of(scene.web(), "").await;
    let (cookie, _) = pages.log_in("look").await;
    for (path, stands_still) in [("/jobs?text=x", true), ("/jobs?state=failed&text=", false)] {
        let body = pages.ask(get(path), Some(&cookie)).await.body;
        assert_eq!(!body.contains(" data-moves"), stands_still, "{path}");
        assert_eq!(
            body.contains("this page stands still"),
            stands_still,
            "{path}"
        );
    }
    scene.end().await;
}
