//! The dashboard as a person meets it: headless Chromium, driven by tests/browser/drive.mjs,
//! before a real engine over a real file. Pictures of every page stay in `target/browser/screens`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::engine::{EngineScene, stop};
use support::http::{Request, Server, tokens};
use support::run::Run;
use support::site::{Endpoint, oembed};
use support::vault::VaultSpec;
use vvv_actors::engine::{BlockingEngine, JobId, JobState};
use vvv_actors::web::Web;

const API: &str = "/background/api/v1";
const CHROMIUM: &str = "/usr/bin/chromium";
/// What playwright asks for.
const OLDEST_NODE: u32 = 20;
/// What would act if it were ever more than text.
const TITLE: &str = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>";
/// What becomes of thumbnails, in turn.
const FILES: [&str; 4] = [
    "hqdefault.jpg",
    "tiny.png",
    "truncated-50.jpg",
    "status-404.jpg",
];
const LONGEST: Duration = Duration::from_secs(300);

/// An engine, and its dashboard behind tokens and open to this machine.
struct Scene {
    ground: EngineScene,
    engine: BlockingEngine,
    shut: Server,
    open: Server,
}

impl Scene {
    fn new() -> Self {
        let mut ground = EngineScene::of(VaultSpec {
            files: FILES.map(str::to_owned).into(),
            ..VaultSpec::new(40)
        });
        for fate in ["dead_", "priv_", "embed"] {
            let snapshots = [(1_000, 50, 5, "2026-08-19 10:00:00")];
            ground.vault.add(&oembed::id(fate, 1), "GB", &snapshots);
        }
        let engine = ground.start_with_pictures();
        let web = Web::new(engine.handle(), tokens()).unwrap();
        Self {
            ground,
            shut: Server::start(web, "/background"),
            open: Server::open(&engine, "/background"),
            engine,
        }
    }

    fn ask(&self, request: Request) -> Value {
        let request = request.header("Authorization", "Bearer act");
        self.shut.ask(&request).well()
    }

    /// Has a job done.
    fn work_off(&self, job: &Value) {
        let request = Request::new("POST", &format!("{API}/jobs")).json(job);
        let id = self.ask(request)["ids"][0].as_i64().unwrap();
        let path = format!("{API}/jobs/{id}/wait?timeout=20s");
        let waited = self.ask(Request::new("GET", &path));
        assert_eq!(waited["jobs"][0]["state"], "succeeded", "{waited}");
    }

    /// What pages are to show: every verdict, and a stranger's title.
    fn furnish(&self) {
        let ids = &self.ground.vault.ids;
        let rename = "UPDATE videos SET title = ?1 WHERE video_id = ?2";
        let connection = self.ground.vault.connect();
        connection.execute(rename, [TITLE, &ids[0]]).unwrap();
        let items = ids.iter().filter_map(|id| {
            let thumbnail_url = self.ground.vault.thumbnail_url(id)?;
            Some(json!({"video_id": id, "thumbnail_url": thumbnail_url}))
        });
        let items: Vec<Value> = items.collect();
        self.work_off(&json!({"kind": "score", "payload": {"video_ids": ids}}));
        self.work_off(&json!({"kind": "liveness", "payload": {"video_ids": ids}}));
        self.work_off(&json!({"kind": "thumbnails", "payload": {"videos": items}}));
    }

    /// A job that somebody wrote badly into the file and has mended since: it failed, and will not
    /// when it is done again.
    fn fail_a_job(&self) -> i64 {
        let connection = self.ground.vault.connect();
        let insert = "INSERT INTO vvv_jobs (kind, payload) VALUES ('score', '{\"video_ids\": 7}')";
        connection.execute(insert, []).unwrap();
        let id = connection.last_insert_rowid();
        self.ground.wait_for(JobId(id), JobState::Failed);
        let payload = json!({"video_ids": [self.ground.vault.ids[0]]}).to_string();
        let mend = "UPDATE vvv_jobs SET payload = ?1 WHERE id = ?2";
        connection.execute(mend, (payload, id)).unwrap();
        id
    }

    fn end(self) {
        let Self {
            engine, shut, open, ..
        } = self;
        drop((shut, open));
        stop(&engine);
    }
}

/// Where `tests/run` puts what the test needs from npm, and the test its pictures.
fn folder() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("browser")
}

/// Why there can be no browser here, if so.
fn missing() -> Option<String> {
    let node = Command::new("node").arg("--version").output();
    let version = node.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let version = version.unwrap_or_default();
    let major = version.trim_start_matches('v').split('.').next();
    let major: u32 = major.and_then(|major| major.parse().ok()).unwrap_or(0);
    if major < OLDEST_NODE {
        let found = format!("node {OLDEST_NODE} or newer is not on PATH, but {version:?}");
        return Some(found);
    }
    if !Path::new(CHROMIUM).exists() {
        return Some(format!("{CHROMIUM} is not there (Debian: chromium)"));
    }
    let modules = folder().join("node_modules");
    let is_there = |name| modules.join(name).join("package.json").exists();
    if !["playwright-core", "axe-core"].into_iter().all(is_there) {
        return Some(format!(
            "{} lacks what tests/run puts there",
            modules.display()
        ));
    }
    None
}

#[test]
fn a_person_finds_their_way_in_a_browser() {
    if let Some(why) = missing() {
        support::skip(&why);
        return;
    }
    let scene = Scene::new();
    scene.furnish();
    let failed = scene.fail_a_job();
    let fetched = scene.ground.site.total(Endpoint::Thumbnail);
    let screens = folder().join("screens");
    if screens.exists() {
        std::fs::remove_dir_all(&screens).unwrap();
    }
    let url = |server: &Server| format!("http://{}/background", server.address);
    let given = json!({
        "shut": url(&scene.shut),
        "open": url(&scene.open),
        "look": "look",
        "act": "act",
        "chromium": CHROMIUM,
        "modules": folder().join("node_modules"),
        "screens": screens,
        "videos": &scene.ground.vault.ids[..5],
        "dead": oembed::id("dead_", 1),
        "stubborn": oembed::id("s503_", 1),
        "title": TITLE,
        "failed": failed,
    });
    let drive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/drive.mjs");
    let run = Run::new("node")
        .args([drive.to_str().unwrap(), &given.to_string()])
        .timeout(LONGEST)
        .output();
    assert_eq!(run.code, Some(0), "\n{}\n{}", run.stdout, run.stderr);
    println!("{}", run.stdout);
    let asked = scene.ground.site.total(Endpoint::Thumbnail);
    assert_eq!(asked, fetched, "pages fetch no picture from its host");
    scene.end();
}
