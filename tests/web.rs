//! The JSON API as a program sees it: jobs from submit to end, pages, events, and who is let in.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Deref;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use support::daemon::DaemonScene;
use support::engine::{EngineScene, shut_down, stop};
use support::http::{Answer, Events, Request, Server, tokens};
use support::site::Gate;
use support::vault::{Journal, VaultSpec};
use vvv_actors::Config;
use vvv_actors::actors::faults::{Fault, Faults, Step};
use vvv_actors::engine::BlockingEngine;
use vvv_actors::web::{Access, Options, OptionsError, Web, hash_of};

const API: &str = "/background/api/v1";

/// An engine behind a server of its host's.
struct Scene {
    ground: EngineScene,
    engine: BlockingEngine,
    web: Web,
    server: Server,
}

impl Deref for Scene {
    type Target = EngineScene;

    fn deref(&self) -> &EngineScene {
        &self.ground
    }
}

impl Scene {
    fn new() -> Self {
        Self::with(Options::default().open_on_loopback(), |_| {})
    }

    fn with(options: Options, change: impl Fn(&mut Config)) -> Self {
        let mut ground = EngineScene::new(Journal::Wal);
        change(&mut ground.config);
        let engine = ground.start();
        let web = Web::new(engine.handle(), options).unwrap();
        Self {
            ground,
            engine,
            server: Server::start(web.clone(), "/background"),
            web,
        }
    }

    fn get(&self, path: &str) -> Value {
        self.server.get(&format!("{API}{path}")).well()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.server.post(&format!("{API}{path}"), body).well()
    }

    fn refused(&self, request: &Request, status: u16) -> String {
        self.server.ask(request).refused(status)
    }

    fn score(&self, ids: &[String]) -> Value {
        self.post(
            "/jobs",
            &json!({"kind": "score", "payload": {"video_ids": ids}}),
        )
    }

    fn end(self) {
        let Self { engine, server, .. } = self;
        drop(server);
        stop(&engine);
    }
}

#[test]
fn a_job_goes_from_submit_to_its_result() {
    let scene = Scene::new();
    let request =
        json!({"kind": "score", "payload": {"video_ids": [scene.vault.ids[0]]}, "unique_key": "k"});
    let answer = scene.server.post(&format!("{API}/jobs"), &request);
    assert_eq!(answer.status, 202);
    let place = answer.headers["location"].clone();
    let id = answer.json()["ids"][0].as_i64().unwrap();
    assert_eq!(place, format!("{API}/jobs/{id}"));
    let waited = scene.get(&format!("/jobs/{id}/wait?timeout=20s"));
    assert_eq!(
        (&waited["ended"], &waited["jobs"][0]["state"]),
        (&json!(true), &json!("succeeded"))
    );
    let job = scene.server.get(&place).well();
    assert_eq!(job["result"]["score"][0]["id"], json!(scene.vault.ids[0]));
    assert_eq!(scene.post("/jobs", &request)["duplicate"], true);
    scene.end();
}

#[test]
fn the_header_names_the_trace_and_a_wrong_one_is_ignored() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let scene = Scene::new();
    let id = &scene.vault.ids[0];
    let works = [
        (
            "/jobs".to_owned(),
            json!({"kind": "score", "payload": {"video_ids": [id]}}),
        ),
        ("/batches".to_owned(), json!({"stale_ids": [id]})),
        (format!("/videos/{id}/check"), json!({"kind": "score"})),
    ];
    for (path, work) in works {
        for (header, kept) in [
            (TRACE, json!(TRACE)),
            ("00-4bf92f35-00f067aa0ba902b7-01", Value::Null),
        ] {
            let request = Request::new("POST", &format!("{API}{path}"));
            let answer = scene
                .server
                .ask(&request.header("traceparent", header).json(&work))
                .well();
            let job = answer["ids"]
                .get(0)
                .unwrap_or(&answer["ids"]["liveness"][0]);
            let job = scene.get(&format!("/jobs/{job}"));
            assert_eq!(job["traceparent"], kept, "{path} {header}");
        }
    }
    // In a body it is a parameter, and one that is none is a mistake.
    let work = json!({"kind": "score", "payload": {"video_ids": [id]}, "traceparent": "00-1-2-3"});
    let request = Request::new("POST", &format!("{API}/jobs")).json(&work);
    let refused = scene.server.ask(&request).refused(400);
    assert!(refused.contains("traceparent"), "{refused}");
    scene.end();
}

#[test]
fn lists_come_in_pages_and_are_not_sent_twice() {
    let scene = Scene::new();
    scene.post("/queues/scoring/pause", &Value::Null);
    scene.score(&scene.vault.ids);
    let first = scene.get("/jobs?state=available,scheduled&queue=scoring&limit=2");
    assert_eq!(first["jobs"].as_array().unwrap().len(), 2);
    let second = scene.get(&format!("/jobs?limit=2&before={}", first["next"]));
    assert_eq!(
        (second["jobs"].as_array().unwrap().len(), &second["next"]),
        (1, &Value::Null)
    );
    let path = format!("{API}/jobs?limit=2");
    let tag = scene.server.get(&path).headers["etag"].clone();
    let again = scene
        .server
        .ask(&Request::new("GET", &path).header("If-None-Match", &tag));
    assert_eq!((again.status, again.body.len()), (304, 0));
    let id = first["jobs"][0]["id"].as_i64().unwrap();
    assert_eq!(
        scene.post("/jobs/cancel", &json!({"ids": [id]}))["cancelled"],
        json!([id])
    );
    let changed = scene
        .server
        .ask(&Request::new("GET", &path).header("If-None-Match", &tag));
    assert_eq!(changed.status, 200);
    assert_eq!(
        scene.post("/jobs/retry", &json!({"ids": [id]}))["retried"],
        json!([id])
    );
    scene.end();
}

#[test]
fn a_batch_is_a_group_that_can_be_waited_for() {
    let scene = Scene::new();
    let ids = &scene.vault.ids;
    let batch =
        json!({"new_videos": [{"video_id": ids[0], "title": "<b>"}], "stale_ids": [ids[1]]});
    let answer = scene.server.post(&format!("{API}/batches"), &batch);
    let place = answer.headers["location"].clone();
    let group = answer.well()["group"].as_i64().unwrap();
    assert_eq!(place, format!("{API}/groups/{group}"));
    let waited = scene.get(&format!("/groups/{group}/wait?timeout=20s"));
    assert_eq!(
        (&waited["ended"], &waited["group"]["jobs"]),
        (&json!(true), &json!(2))
    );
    assert!(scene.get(&format!("/groups/{group}"))["ended_at"].is_string());
    let report = scene.get(&format!("/groups/{group}/report"));
    assert!(report["scoring"][&ids[0]]["score"].is_number(), "{report}");
    let (liveness, summary) = (&report["liveness"], &report["summary"]);
    let asked = ["alive", "dead", "unknown", "invalid"].map(|verdict| liveness[verdict].as_u64());
    assert_eq!(asked.into_iter().flatten().sum::<u64>(), 1, "{report}");
    assert_eq!(
        (&summary["jobs"], &summary["ended_by"]),
        (&json!(2), &Value::Null)
    );
    assert_eq!(summary["not_done"]["scoring"], json!([]));
    scene.end();
}

#[test]
fn a_group_that_is_too_large_for_a_report_is_refused() {
    let scene = Scene::new();
    scene.post("/queues/cleanup/pause", &Value::Null);
    let ids: Vec<String> = (0..50_001).map(|id| format!("{id:011}")).collect();
    let group = scene.post("/batches", &json!({"stale_ids": ids}))["group"].clone();
    let report = Request::new("GET", &format!("{API}/groups/{group}/report"));
    let said = scene.refused(&report, 400);
    assert!(said.contains("more than 50000 items"), "{said}");
    scene.end();
}

#[test]
fn a_lock_delays_a_look_at_the_videos() {
    let scene = EngineScene::new(Journal::Delete);
    let engine = scene.start();
    let server = Server::open(&engine, "/background");
    let locked = scene.vault.connect();
    locked.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let regions = Request::new("GET", &format!("{API}/regions"));
    let mut looking = server.send(&regions);
    let second = Some(Duration::from_secs(1));
    looking.set_read_timeout(second).unwrap();
    assert!(looking.read(&mut [0]).is_err(), "it does not wait");
    locked.execute_batch("ROLLBACK").unwrap();
    looking
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    Answer::of(looking).well();
    drop(server);
    stop(&engine);
}

#[test]
fn a_wait_ends_when_it_is_over() {
    let scene = Scene::new();
    scene.post("/queues/scoring/pause", &Value::Null);
    let id = scene.score(&scene.vault.ids[..1])["ids"][0].clone();
    let waited = scene.get(&format!("/jobs/{id}/wait?timeout=10ms"));
    assert_eq!(
        (&waited["ended"], &waited["jobs"][0]["state"]),
        (&json!(false), &json!("available"))
    );
    let paused = scene.get("/queues");
    let scoring = &paused["queues"].as_array().unwrap()[0];
    assert!(scoring["paused_at"].is_string(), "{paused}");
    assert_eq!(
        scene.post("/queues/scoring/purge", &Value::Null)["cancelled"],
        1
    );
    assert_eq!(
        scene.post("/queues/scoring/resume", &Value::Null)["changed"],
        true
    );
    scene.end();
}

#[test]
fn mistakes_are_told_by_name() {
    let scene = Scene::new();
    let get =
        |path: &str, status| scene.refused(&Request::new("GET", &format!("{API}{path}")), status);
    assert_eq!(get("/jobs?limit=0", 400), "limit: must be 1 to 1000");
    assert_eq!(
        get("/jobs?stat=failed", 400),
        "stat: there is no such parameter"
    );
    assert!(get("/jobs?state=gone", 400).starts_with("state: unknown variant"));
    assert_eq!(get("/jobs/7", 404), "job 7: there is none");
    assert_eq!(get("/jobs/x", 404), "job \"x\": there is none");
    assert!(get("/jobs/1/wait?timeout=2m", 400).starts_with("timeout: must be 60s at most"));
    assert!(get("/nowhere", 404).contains("/nowhere"));
    assert!(get("/jobs/cancel", 405).contains("GET"));
    let post = |path: &str, body: Value, status| {
        scene.refused(
            &Request::new("POST", &format!("{API}{path}")).json(&body),
            status,
        )
    };
    let said = post(
        "/jobs",
        json!({"kind": "score", "payload": {"video_ids": [7]}}),
        400,
    );
    assert!(said.starts_with("payload.video_ids[0]: "), "{said}");
    assert!(
        post(
            "/jobs",
            json!({"kind": "score", "payload": {"video_ids": []}, "x": 1}),
            400
        )
        .contains('x')
    );
    assert!(post("/queues/none/pause", Value::Null, 404).contains("queue \"none\""));
    let plain = Request::new("POST", &format!("{API}/jobs")).body(b"{}");
    assert!(scene.refused(&plain, 415).contains("application/json"));
    let long = Request::new("POST", &format!("{API}/jobs"))
        .header("Content-Type", "application/json")
        .body(&vec![b' '; 1024 * 1024 + 1]);
    assert!(scene.refused(&long, 413).contains("1048576 bytes"));
    scene.end();
}

#[test]
fn a_body_that_never_ends_holds_no_connection() {
    let scene = Scene::new();
    // Neither one that is refused, nor one that nobody reads.
    for (path, status) in [("batches", 415), ("queues/scoring/pause", 200)] {
        let mut stream = TcpStream::connect(scene.server.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let head = format!(
            "POST {API}/{path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let answer = Answer::of(stream);
        assert_eq!(
            (answer.status, answer.headers["connection"].as_str()),
            (status, "close")
        );
    }
    // One that is read to its end is no trouble.
    let mut stream = TcpStream::connect(scene.server.address).unwrap();
    let whole = format!(
        "POST {API}/batches HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\
         Content-Type: application/json\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
    );
    let next = "GET /background/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all((whole + next).as_bytes()).unwrap();
    let mut both = String::new();
    stream.read_to_string(&mut both).unwrap();
    assert!(both.contains("{\"status\":\"ok\"}"), "{both}");
    scene.end();
}

#[test]
fn events_go_on_where_one_was() {
    let scene = Scene::new();
    let stream = || Request::new("GET", &format!("{API}/events"));
    let mut events = Events::of(scene.server.send(&stream()));
    let id = scene.score(&scene.vault.ids[..1])["ids"][0].clone();
    let first = events
        .find(|event| event.data["state"] == "running")
        .unwrap();
    assert_eq!((first.name.as_str(), &first.data["id"]), ("job", &id));
    drop(events);
    scene.get(&format!("/jobs/{id}/wait?timeout=20s"));
    scene.post("/queues/cleanup/pause", &Value::Null);
    let again = stream().header("Last-Event-ID", &first.id);
    let mut events = Events::of(scene.server.send(&again));
    let ended = events.next().unwrap();
    assert_eq!(
        (&ended.data["id"], &ended.data["state"]),
        (&id, &json!("succeeded"))
    );
    let queue = events.find(|event| event.name == "queue").unwrap();
    assert_eq!(
        (&queue.data["queue"], &queue.data["event"]),
        (&json!("cleanup"), &json!("paused"))
    );
    // A job that is to be done again is told of, though its queue is paused.
    scene.post("/queues/scoring/pause", &Value::Null);
    let id = scene.score(&scene.vault.ids[..1])["ids"][0].clone();
    scene.post("/jobs/cancel", &json!({"ids": [id]}));
    let cancelled = events.find(|event| event.data["state"] == "cancelled");
    assert_eq!(cancelled.unwrap().data["id"], id);
    scene.post("/jobs/retry", &json!({"ids": [id]}));
    let again = events.next().unwrap();
    assert_eq!(
        (&again.data["id"], &again.data["state"]),
        (&id, &json!("available"))
    );
    let foreign = stream().header("Last-Event-ID", "0000000000000000-1");
    let mut events = Events::of(scene.server.send(&foreign));
    assert_eq!(events.next().unwrap().name, "lagged");
    scene.end();
}

#[test]
fn a_host_that_stops_waits_for_nobody_who_listens() {
    let scene = Scene::new();
    scene.post("/queues/scoring/pause", &Value::Null);
    let id = scene.score(&scene.vault.ids[..1])["ids"][0].clone();
    let stream = Request::new("GET", &format!("{API}/events"));
    let mut events = Events::of(scene.server.send(&stream));
    let wait = Request::new("GET", &format!("{API}/jobs/{id}/wait?timeout=60s"));
    let waiting = scene.server.send(&wait);
    scene.post("/queues/cleanup/pause", &Value::Null);
    assert_eq!(events.next().unwrap().name, "queue");
    // Whoever comes after that is let go of as well, so it does not matter how far the request is.
    scene.web.close();
    assert_eq!(events.next(), None);
    assert_eq!(Answer::of(waiting).refused(503), "the server is closing");
    let began = Instant::now();
    let Scene { server, engine, .. } = scene;
    server.stop();
    assert!(began.elapsed() < Duration::from_secs(15), "it waited");
    stop(&engine);
}

#[test]
fn a_daemon_serves_on_an_address_or_a_socket_and_stops_though_somebody_listens() {
    const ASK: &str = "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let scene = DaemonScene::new(Journal::Wal, 1);
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (address, path) = (free.to_string(), scene.beside("h"));
    for place in [address.as_str(), path.to_str().unwrap()] {
        let program = env!("CARGO_BIN_EXE_vvv-actors");
        let daemon = scene.start(program, &[("VVV_HTTP__LISTEN", place)]);
        let mut stream = connect(place);
        stream.write_all(ASK.as_bytes()).unwrap();
        let mut begins = [0; 15];
        stream.read_exact(&mut begins).unwrap();
        assert_eq!(&begins, b"HTTP/1.1 200 OK");
        daemon.signal(Signal::TERM);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        let rest = String::from_utf8_lossy(&rest);
        assert!(rest.ends_with("\r\n0\r\n\r\n"), "it was cut off: {rest:?}");
        assert_eq!(daemon.wait().code, Some(0));
        assert!(!path.exists());
    }
}

/// Connects as soon as somebody listens there.
fn connect(place: &str) -> Box<dyn ReadWrite> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Ok(stream) = UnixStream::connect(place) {
            return Box::new(stream);
        }
        if let Ok(stream) = TcpStream::connect(place) {
            return Box::new(stream);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("nobody listens on {place}");
}

trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

#[test]
fn a_daemon_whose_address_is_taken_says_so_before_it_waits_for_the_database() {
    let scene = DaemonScene::new(Journal::Delete, 1);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let locked = scene.vault.connect();
    locked.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let settings = [("VVV_HTTP__LISTEN", address.as_str())];
    let daemon = scene.daemon(env!("CARGO_BIN_EXE_vvv-actors"), &settings);
    let output = daemon.timeout(Duration::from_secs(20)).output();
    assert!(!output.timed_out, "{output:?}");
    let said = format!("serve HTTP on {address}: ");
    assert!(output.stderr.contains(&said), "{output:?}");
}

#[test]
fn only_who_has_a_token_is_let_in() {
    let scene = Scene::with(tokens().host("vault.example"), |_| {});
    let queues = || Request::new("GET", &format!("{API}/queues"));
    let pause = || Request::new("POST", &format!("{API}/queues/scoring/pause"));
    let bearer =
        |request: Request, token: &str| request.header("Authorization", &format!("Bearer {token}"));
    let nobody = scene.server.ask(&queues());
    assert!(nobody.headers["www-authenticate"].starts_with("Bearer"));
    nobody.refused(401);
    scene.refused(&bearer(queues(), "guess"), 401);
    assert_eq!(scene.server.ask(&bearer(queues(), "look")).status, 200);
    assert_eq!(
        scene.refused(&bearer(pause(), "look"), 403),
        "this token may only look"
    );
    assert_eq!(scene.server.ask(&bearer(pause(), "act")).status, 200);
    let named = bearer(queues(), "look").header("Host", "vault.example");
    assert_eq!(scene.server.ask(&named).status, 200);
    let rebound = bearer(queues(), "look").header("Host", "evil.example");
    assert!(scene.refused(&rebound, 403).contains("no name of ours"));
    for open in ["/background/healthz", "/background/readyz"] {
        assert_eq!(scene.server.get(open).status, 200);
        let stale = bearer(Request::new("GET", open), "guess");
        assert_eq!(scene.server.ask(&stale).status, 200);
    }
    scene.end();
}

#[test]
fn without_tokens_only_this_machine_is_let_in_and_no_strangers_page() {
    let scene = Scene::new();
    let queues = || Request::new("GET", &format!("{API}/queues"));
    for header in ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"] {
        let said = scene.refused(&queues().header(header, "192.0.2.1"), 403);
        assert!(said.contains("proxy"), "{header}: {said}");
        // Its probe is answered all the same.
        let probe = Request::new("GET", "/background/healthz").header(header, "192.0.2.1");
        assert_eq!(scene.server.ask(&probe).status, 200);
    }
    scene.refused(&queues().header("Host", "rebound.example"), 403);
    let probe = Request::new("GET", "/background/healthz").header("Host", "10.0.0.5:8321");
    assert_eq!(scene.server.ask(&probe).status, 200);
    let pause = || Request::new("POST", &format!("{API}/queues/scoring/pause"));
    for (header, value, why) in [
        ("Origin", "http://evil.example", "X-CSRF-Token"),
        ("Sec-Fetch-Site", "same-origin", "X-CSRF-Token"),
        ("Sec-Fetch-Site", "cross-site", "another site's page"),
    ] {
        let said = scene.refused(&pause().header(header, value), 403);
        assert!(said.contains(why), "{header}: {said}");
    }
    // A stranger's page may lead here, and not have ours work for it.
    let page = |mode| {
        let request = Request::new("GET", "/background/videos");
        let request = request.header("Sec-Fetch-Site", "cross-site");
        scene.server.ask(&request.header("Sec-Fetch-Mode", mode))
    };
    assert_eq!(
        page("no-cors").refused(403),
        "another site's page asks for this"
    );
    assert_eq!(page("navigate").status, 200);
    // A browser adds a password it knows by itself, to a stranger's form too.
    let form = Request::new("POST", "/background/act/queue")
        .header("Authorization", "Basic dTpw")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(b"queue=scoring&do=pause");
    assert_eq!(scene.server.ask(&form).status, 403);
    assert!(scene.get("/queues")["queues"][0]["paused_at"].is_null());
    assert_eq!(scene.server.ask(&pause()).status, 200);
    let answer = scene.server.ask(&queues());
    let policy = &answer.headers["content-security-policy"];
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    scene.end();
}

/// A writer that writes nothing until the gate is opened.
fn stuck_writer() -> (Gate, Faults) {
    let gate = Gate::closed();
    let held = gate.clone();
    let stuck = Faults::new(move |step| {
        if step == Step::DbWrites {
            while !held.passes_within(Duration::from_secs(1)) {}
        }
        None
    });
    (gate, stuck)
}

#[test]
fn a_stuck_actor_turns_ready_off() {
    let (gate, stuck) = stuck_writer();
    let (_ground, engine, server) = faulty(stuck);
    // The actor is stuck from the first write on, which an engine does by itself.
    assert!(unready(&server).contains("do not answer"));
    // Whoever looks why is told so, and waits no longer than `readyz`.
    for path in ["/background/", &format!("{API}/status")] {
        let answer = server.get(path);
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.text().contains("do not answer"), "{path}");
    }
    gate.open();
    while server.get("/background/readyz").status != 200 {}
    drop(server);
    stop(&engine);
}

#[test]
fn a_dead_actor_turns_ready_off() {
    let killed = Faults::new(|step| (step == Step::LimiterAcquires).then_some(Fault::Panic));
    let (_ground, engine, server) = faulty(killed);
    server
        .post(
            &format!("{API}/jobs"),
            &json!({"kind": "liveness", "payload": {"video_ids": ["AAAAAAAAAAA"]}}),
        )
        .well();
    let said = unready(&server);
    assert!(said.contains("the rate limiter "), "{said}");
    drop(server);
    shut_down(&engine);
}

/// An engine to which things happen.
fn faulty(faults: Faults) -> (EngineScene, BlockingEngine, Server) {
    let mut ground = EngineScene::of(VaultSpec::new(10));
    ground.config.engine.max_restarts = 0;
    let engine = ground.start_with(faults);
    let server = Server::open(&engine, "/background");
    (ground, engine, server)
}

/// Waits until a server is not ready, though it lives; why.
fn unready(server: &Server) -> String {
    loop {
        assert_eq!(server.get("/background/healthz").status, 200);
        let answer = server.get("/background/readyz");
        if answer.status == 503 {
            return answer.refused(503);
        }
    }
}

#[test]
fn every_resource_says_what_it_takes_and_head_is_get_without_its_body() {
    let scene = Scene::new();
    let ask = |method, path: &str| {
        let request = Request::new(method, &format!("/background{path}"));
        scene.server.ask(&request)
    };
    for path in [
        "/healthz",
        "/metrics",
        "/api/v1/queues",
        "/api/v1/events",
        "/videos",
    ] {
        let answer = ask("HEAD", path);
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
    }
    let (got, told) = (ask("GET", "/api/v1/queues"), ask("HEAD", "/api/v1/queues"));
    for header in ["content-type", "etag", "content-length"] {
        assert_eq!(told.headers[header], got.headers[header], "{header}");
    }
    for (method, path, taken) in [
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/metrics", "GET, HEAD"),
        ("DELETE", "/api/v1/jobs", "GET, HEAD, POST"),
        ("GET", "/api/v1/jobs/cancel", "POST"),
    ] {
        let answer = ask(method, path);
        assert_eq!(answer.headers["allow"], taken, "{method} {path}");
        answer.refused(405);
    }
    ask("GET", "/api/v2/jobs").refused(404);
    scene.end();
}

#[test]
fn videos_are_told_with_their_scores_and_checks() {
    let scene = Scene::new();
    let ids = &scene.vault.ids;
    let videos: Vec<Value> = ids.iter().map(|id| json!({"video_id": id})).collect();
    let group = scene.post("/batches", &json!({"new_videos": videos}))["group"].clone();
    assert_eq!(
        scene.get(&format!("/groups/{group}/wait?timeout=20s"))["ended"],
        true
    );
    let first = scene.get("/videos?limit=50");
    let rows = first["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 50);
    let scores: Vec<f64> = rows
        .iter()
        .map(|row| row["score"].as_f64().unwrap())
        .collect();
    assert!(
        scores.is_sorted_by(|higher, lower| higher >= lower),
        "{scores:?}"
    );
    let place = first["next"].as_str().unwrap();
    let second = scene.get(&format!("/videos?limit=50&after={place}"));
    assert_ne!(second["rows"][0]["video_id"], rows[0]["video_id"]);
    let region = rows[0]["region"].as_str().unwrap();
    let of_region = scene.get(&format!("/videos?region={region}"));
    assert!(
        of_region["rows"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["region"] == region)
    );
    let regions = scene.get("/regions");
    let counted: u64 = regions["counts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|count| count["count"].as_u64().unwrap())
        .sum();
    assert!(counted > 100, "{regions}");
    let id = rows[0]["video_id"].as_str().unwrap();
    assert_eq!(scene.get(&format!("/videos/{id}"))["video_id"], id);
    let history = scene.get(&format!("/videos/{id}/history?limit=2"));
    assert_eq!(history["snapshots"].as_array().unwrap().len(), 2);
    assert!(history["snapshots"][0]["velocity"].is_number(), "{history}");
    let nobody = Request::new("GET", &format!("{API}/videos/nobody"));
    assert_eq!(
        scene.refused(&nobody, 404),
        "video \"nobody\": there is none"
    );
    scene.end();
}

#[test]
fn an_id_in_a_path_may_be_any_text() {
    let scene = Scene::new();
    let odd = "a/videos/b c%é";
    let site = scene.vault.connect();
    let insert = "INSERT INTO videos (video_id, title) VALUES (?1, 'odd')";
    site.execute(insert, [odd]).unwrap();
    let path = format!("{API}/videos/a%2Fvideos%2Fb%20c%25%C3%A9");
    assert_eq!(scene.server.get(&path).well()["video_id"], odd);
    let check = scene
        .server
        .post(&format!("{path}/check"), &json!({"kind": "score"}));
    let place = check.headers["location"].clone();
    let job = check.well()["ids"][0].clone();
    assert_eq!(place, format!("{API}/jobs/{job}"));
    assert_eq!(
        scene.server.get(&place).well()["payload"]["video_ids"][0],
        odd
    );
    scene.refused(&Request::new("GET", &format!("{API}/videos/%FF")), 404);
    scene.end();
}

#[test]
fn a_link_is_asked_for_anew_and_exported() {
    let scene = Scene::new();
    let id = &scene.vault.ids[0];
    let asked = scene.post(&format!("/videos/{id}/check"), &json!({"kind": "liveness"}));
    let job = &asked["ids"][0];
    assert_eq!(
        scene.get(&format!("/jobs/{job}/wait?timeout=20s"))["ended"],
        true
    );
    // A verdict of a moment ago is good enough for a job, not for whoever asks for this one.
    let known = json!({"kind": "liveness", "payload": {"video_ids": [id]}});
    let again = json!({"kind": "liveness"});
    for (path, body, cached) in [
        ("/jobs".to_owned(), &known, true),
        (format!("/videos/{id}/check"), &again, false),
    ] {
        let job = scene.post(&path, body)["ids"][0].clone();
        let waited = scene.get(&format!("/jobs/{job}/wait?timeout=20s"));
        let found = &waited["jobs"][0]["result"]["liveness"][0];
        assert_eq!(found["cached"], cached, "{path}: {waited}");
    }
    let checks = scene.get("/liveness");
    assert_eq!(checks["rows"][0]["video_id"], json!(id));
    let verdict = checks["rows"][0]["verdict"].as_str().unwrap();
    assert_eq!(
        scene.get(&format!("/liveness?verdict={verdict}"))["rows"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(scene.get("/liveness/counts")["counts"][0]["count"], 1);
    let csv = scene.server.get(&format!("{API}/liveness.csv"));
    assert!(csv.headers["content-disposition"].contains("links-all.csv"));
    let text = csv.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        (lines.len(), lines[0]),
        (2, "video_id,verdict,reason,http_status,checked_at")
    );
    assert!(
        lines[1].contains(&**id) && lines[1].contains(verdict),
        "{text}"
    );
    assert!(lines[1].starts_with(&format!("\"{id}\",")), "{text}");
    let wrong = Request::new("GET", &format!("{API}/liveness?verdict=gone"));
    assert_eq!(
        scene.refused(&wrong, 400),
        "verdict: there is no such verdict"
    );
    let thumbnail = Request::new("POST", &format!("{API}/videos/{id}/check"));
    let said = scene.refused(&thumbnail.json(&json!({"kind": "thumbnails"})), 400);
    assert!(
        said.starts_with("kind: must be score or liveness"),
        "{said}"
    );
    scene.end();
}

#[test]
fn an_engine_with_a_temporary_queue_shows_no_job_and_says_why() {
    let scene = EngineScene::of(VaultSpec::new(10));
    let engine = scene.builder(false).start().unwrap().blocking();
    let server = Server::open(&engine, "/background");
    let vault = &scene.vault;
    // A queue that is another's, or nobody's.
    let insert =
        "INSERT INTO vvv_jobs (kind, payload) VALUES ('score', '{\"video_ids\": [\"a\"]}')";
    vault.connect().execute_batch(insert).unwrap();
    let job = json!({"kind": "score", "payload": {"video_ids": [vault.ids[0]]}});
    let refused = [
        server.post(&format!("{API}/jobs"), &job),
        server.post(
            &format!("{API}/batches"),
            &json!({"stale_ids": [vault.ids[0]]}),
        ),
        server.post(&format!("{API}/jobs/cancel"), &json!({"ids": [1]})),
        server.post(&format!("{API}/queues/scoring/pause"), &json!({})),
        server.get(&format!("{API}/jobs")),
        server.get(&format!("{API}/queues")),
        server.get("/background/jobs"),
        server.get("/background/jobs/1"),
    ];
    for answer in refused {
        assert_eq!(answer.status, 409, "{}", answer.text());
        assert!(answer.text().contains("temporary"), "{}", answer.text());
    }
    let status = server.get(&format!("{API}/status")).well();
    assert_eq!(status["queues"], json!([]));
    assert!(status["rate"]["limit"].is_u64(), "{status}");
    let overview = server.get("/background/").text();
    assert!(overview.contains("queue is temporary"), "{overview}");
    assert!(overview.contains("Workers of scoring"), "{overview}");
    assert!(!overview.contains("cannot be read"), "{overview}");
    for page in ["/background/", "/background/links", "/background/videos"] {
        let page = server.get(page);
        assert_eq!(page.status, 200);
        assert!(!page.text().contains("name=\"csrf\""), "{}", page.text());
    }
    drop(server);
    stop(&engine);
}

#[test]
fn a_hosts_reload_is_seen_in_what_is_shown() {
    let scene = Scene::new();
    assert_eq!(scene.get("/status")["rate"]["limit"], 1000);
    let mut config = (*scene.engine.handle().config()).clone();
    config.rate_limits.oembed.calls = 7;
    scene.engine.reload(config).unwrap();
    assert_eq!(scene.get("/status")["rate"]["limit"], 7);
    assert_eq!(scene.engine.handle().config().rate_limits.oembed.calls, 7);
    scene.end();
}

#[test]
fn a_job_that_is_left_alone_is_named_with_the_reason() {
    let scene = Scene::new();
    let done = scene.score(&scene.vault.ids[..1])["ids"][0].clone();
    scene.get(&format!("/jobs/{done}/wait?timeout=20s"));
    scene.post("/queues/scoring/pause", &Value::Null);
    let waits = scene.score(&scene.vault.ids[1..2])["ids"][0].clone();
    let nobody = json!({"id": 99, "state": null, "reason": "there is no such job"});
    let ids = json!({"ids": [done, 99, waits]});
    let left =
        |state: &str, id: &Value, reason: &str| json!({"id": id, "state": state, "reason": reason});
    assert_eq!(
        scene.post("/jobs/retry", &ids),
        json!({"retried": [], "not_retried": [
            left("succeeded", &done, "it has succeeded"),
            nobody,
            left("available", &waits, "it has not ended"),
        ]})
    );
    let cancelled = json!({"cancelled": [waits], "not_cancelled": [
        left("succeeded", &done, "it has ended"), nobody,
    ]});
    // One that is named twice is one all the same.
    let twice = json!({"ids": [done, 99, waits, waits]});
    assert_eq!(scene.post("/jobs/cancel", &twice), cancelled);
    assert_eq!(
        scene.post("/jobs/cancel", &json!({"ids": [waits]})),
        json!({"cancelled": [], "not_cancelled": [left("cancelled", &waits, "it has ended")]})
    );
    let again = scene.post("/jobs/retry", &json!({"ids": [waits]}));
    assert_eq!(again, json!({"retried": [waits], "not_retried": []}));
    let many: Vec<i64> = (100..1_101).collect();
    for path in ["/jobs/cancel", "/jobs/retry"] {
        let request = Request::new("POST", &format!("{API}{path}"));
        let said = scene.refused(&request.json(&json!({"ids": many})), 400);
        assert_eq!(said, "ids: must be 1000 at most");
        let answer = scene.post(path, &json!({"ids": many[1..]})).to_string();
        assert!(answer.len() < 100_000, "{}", answer.len());
    }
    scene.end();
}

#[test]
fn who_goes_on_from_an_event_that_nobody_knows_may_have_missed_any_number() {
    let scene = Scene::new();
    let stream = |last: &str| {
        let request = Request::new("GET", &format!("{API}/events"));
        Events::of(scene.server.send(&request.header("Last-Event-ID", last)))
    };
    let mut events = stream("0000000000000000-1");
    let lagged = events.next().unwrap();
    assert_eq!(
        (lagged.name.as_str(), &lagged.data),
        ("lagged", &json!({"missed": null}))
    );
    // It has a number itself: whoever comes back has not missed that once more.
    let (run, number) = lagged.id.split_once('-').unwrap();
    let mut again = stream(&lagged.id);
    // Of this run, and not given out yet.
    let early = format!("{run}-{}", number.parse::<u64>().unwrap() + 7);
    let mut early = stream(&early);
    assert_eq!(early.next().unwrap().data, json!({"missed": null}));
    scene.post("/queues/cleanup/pause", &Value::Null);
    for events in [&mut events, &mut again, &mut early] {
        assert_eq!(events.next().unwrap().name, "queue");
    }
    scene.end();
}

#[test]
fn a_body_that_is_too_large_is_no_line_that_is_too_long() {
    let scene = Scene::new();
    let long = Request::new("POST", &format!("{API}/jobs"))
        .header("Content-Type", "application/json")
        .body(&vec![b' '; 1024 * 1024 + 1]);
    let answer = scene.server.ask(&long);
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["type"], "urn:vvv-actors:body_too_large");
    scene.end();
}

#[test]
fn a_report_of_a_group_that_goes_on_does_not_say_it_ended_early() {
    let scene = Scene::new();
    scene.post("/queues/cleanup/pause", &Value::Null);
    let batch = json!({"stale_ids": scene.vault.ids[..2]});
    let group = scene.post("/batches", &batch)["group"].clone();
    let summary = scene.get(&format!("/groups/{group}/report"))["summary"].clone();
    assert_eq!(summary.get("ended_by"), None, "{summary}");
    assert_eq!(summary["not_done"]["liveness"], json!(scene.vault.ids[..2]));
    scene.end();
}

#[test]
fn a_token_that_is_taken_out_of_a_daemons_configuration_works_no_longer() {
    let scene = DaemonScene::new(Journal::Wal, 1);
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let file = scene.beside("c.toml");
    let write = |tokens: &[&str]| {
        let hashes: Vec<String> = tokens.iter().map(|token| hash_of(token)).collect();
        let text = format!("[http]\nlisten = \"{address}\"\nread_tokens = {hashes:?}\n");
        std::fs::write(&file, text).unwrap();
    };
    let status = |token: &str| {
        let mut stream = connect(&address.to_string());
        let ask = format!(
            "GET /api/v1/queues HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(ask.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    write(&["lost", "kept"]);
    let daemon = scene.daemon(env!("CARGO_BIN_EXE_vvv-actors"), &[]);
    let _daemon = daemon.args(["--config", file.to_str().unwrap()]).start();
    assert_eq!(["lost", "kept", "new"].map(status), ["200", "200", "401"]);
    write(&["kept", "new"]);
    let reloaded = scene.client().call("daemon.reload", json!({}));
    assert_eq!(
        reloaded,
        json!({"applied": ["http.read_tokens"], "needs_restart": []})
    );
    assert_eq!(["lost", "kept", "new"].map(status), ["401", "200", "200"]);
}

#[test]
fn who_came_in_by_a_token_goes_with_it() {
    let with = |read: &[&str], write: &[&str]| {
        let all = read.iter().map(|token| (token, Access::Read));
        let all = all.chain(write.iter().map(|token| (token, Access::Write)));
        all.fold(
            Options::default().open_on_loopback(),
            |options, (token, access)| options.token(&hash_of(token), access).unwrap(),
        )
    };
    let scene = Scene::with(with(&["look"], &["act", "less"]), |_| {});
    let log_in = |token: &str| {
        let form = Request::new("POST", "/background/login")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("token={token}").as_bytes());
        let cookie = scene.server.ask(&form).headers["set-cookie"].clone();
        cookie.split(';').next().unwrap().to_owned()
    };
    let sessions = ["look", "act", "less"].map(log_in);
    let queues = || Request::new("GET", &format!("{API}/queues"));
    let statuses = || {
        sessions
            .each_ref()
            .map(|cookie| scene.server.ask(&queues().header("Cookie", cookie)).status)
    };
    assert_eq!(statuses(), [200, 200, 200]);
    // One goes, one may only look from now on, and one is new.
    scene
        .web
        .set_options(with(&["look", "less"], &["new"]))
        .unwrap();
    assert_eq!(statuses(), [200, 401, 401]);
    let bearer = |token: &str| queues().header("Authorization", &format!("Bearer {token}"));
    for (token, status) in [("look", 200), ("act", 401), ("less", 200), ("new", 200)] {
        assert_eq!(scene.server.ask(&bearer(token)).status, status, "{token}");
    }
    // Without any token it is open to this machine, with one it is not.
    scene.web.set_options(with(&[], &[])).unwrap();
    assert_eq!(scene.server.ask(&queues()).status, 200);
    assert_eq!(
        scene.web.set_options(Options::default()),
        Err(OptionsError::Open)
    );
    scene.web.set_options(with(&[], &["act"])).unwrap();
    assert_eq!(scene.server.ask(&queues()).status, 401);
    // What is over stays so, though its token is back.
    assert_eq!(statuses(), [401, 401, 401]);
    scene.end();
}

#[test]
fn a_strangers_page_may_lead_here_and_not_frame_ours() {
    let scene = Scene::new();
    let page = |to| {
        let request = Request::new("GET", "/background/jobs?text=zzz")
            .header("Sec-Fetch-Site", "cross-site")
            .header("Sec-Fetch-Mode", "navigate");
        scene.server.ask(&request.header("Sec-Fetch-Dest", to))
    };
    assert_eq!(page("document").status, 200);
    for frame in ["iframe", "frame", "object", "embed"] {
        assert_eq!(
            page(frame).refused(403),
            "another site's page asks for this"
        );
    }
    scene.end();
}

#[test]
fn many_who_ask_whether_we_are_ready_do_not_ask_the_actors_each_time() {
    let (gate, stuck) = stuck_writer();
    let (_folder, engine, server) = faulty(stuck);
    unready(&server);
    // Two seconds are given to actors that do not answer.
    let is_told_again = |_| {
        let began = Instant::now();
        server.get("/background/readyz").refused(503);
        began.elapsed() < Duration::from_secs(1)
    };
    assert!((0..5).any(is_told_again), "each was asked anew");
    gate.open();
    drop(server);
    shut_down(&engine);
}

#[test]
fn a_host_that_begins_to_stop_is_not_ready() {
    let scene = Scene::new();
    let ready = || scene.server.get("/background/readyz");
    assert_eq!(ready().status, 200);
    scene.web.close();
    assert_eq!(ready().refused(503), "it is about to stop");
    assert_eq!(scene.server.get("/background/healthz").status, 200);
    scene.end();
}

#[test]
fn a_reload_by_the_same_relative_path_needs_no_restart() {
    let here = std::env::current_dir().unwrap();
    let folder = tempfile::tempdir_in(&here).unwrap();
    let vault = VaultSpec::new(10).create(&folder.path().join("vault.db"));
    let mut config = Config::defaults().unwrap();
    config.database.path = vault.path.strip_prefix(&here).unwrap().to_owned();
    let engine = vvv_actors::Engine::builder()
        .config(config.clone())
        .start()
        .unwrap();
    let engine = engine.blocking();
    let reloaded = engine.reload(config).unwrap();
    assert_eq!(reloaded.needs_restart, [""; 0]);
    stop(&engine);
}
