//! What a site's own programs do to hand work over: the examples of clients/README.md, the Python
//! module and the PHP class, against a running daemon.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use support::run::{Output, Run, Running};
use support::scene::Scene;
use support::vault::{Journal, VaultSpec};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");

/// A vault with a daemon on it. Dropped, the daemon is killed.
struct Stage {
    scene: Scene,
    socket: PathBuf,
    daemon: Running,
}

impl Stage {
    fn new(journal: Journal) -> Self {
        let mut scene = Scene::of(PROGRAM, VaultSpec::new(120).journal(journal));
        let counts = |hour, views| (views, 50, 5, hour);
        let (earlier, later) = ("2026-11-25 10:00:00", "2026-11-25 11:00:00");
        let snapshots = [counts(earlier, 1000), counts(later, 9000)];
        scene.vault.add("dQw4w9WgXcQ", "PL", &snapshots);
        let socket = scene.path("daemon.sock");
        scene.set("VVV_DAEMON__SOCKET", socket.to_str().unwrap());
        let path = scene.vault.path.to_str().unwrap().to_owned();
        scene.set("VVV_DATABASE__PATH", path);
        Self {
            daemon: listening(&scene, &socket),
            scene,
            socket,
        }
    }

    /// Kills the daemon and starts another.
    fn replace_daemon(self) -> Self {
        let _ = self.daemon.kill();
        Self {
            daemon: listening(&self.scene, &self.socket),
            ..self
        }
    }

    /// A run of a program in the vault's folder, which finds our clients.
    fn run(&self, program: &str, args: &[&str]) -> Run {
        Run::new(program)
            .args(args)
            .folder(self.scene.folder.path())
            .env("PYTHONPATH", at("clients/python"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("VVV_DATABASE__PATH", &self.scene.vault.path)
    }

    /// Runs an example to its end, and the jobs it handed in to theirs.
    fn try_out(&self, block: &Block) {
        let code = &block.code;
        let stdout = match block.language.as_str() {
            "sql" => {
                self.scene.vault.connect().execute_batch(code).expect(code);
                String::new()
            }
            "python" => well(self.run("python3", &["-W", "error", "-c", code])),
            "php" => well(self.run("php", &php_args(code))),
            other => panic!("an example in {other}"),
        };
        if let Some(expected) = &block.prints {
            assert_eq!(&stdout, expected, "{code}");
        }
        self.wait_for_the_end();
        let failed = "SELECT count(*) FROM vvv_jobs WHERE state <> 'succeeded'";
        assert_eq!(self.scene.vault.ask(failed), "0", "{code}");
    }

    fn wait_for_the_end(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self
            .scene
            .vault
            .ask("SELECT count(*) FROM vvv_jobs WHERE ended_ms IS NULL")
            != "0"
        {
            assert!(Instant::now() < deadline, "jobs do not end");
            std::thread::yield_now();
        }
    }
}

/// A daemon that listens.
fn listening(scene: &Scene, socket: &Path) -> Running {
    let daemon = scene.run(["daemon"]).start();
    let deadline = Instant::now() + Duration::from_secs(20);
    while UnixStream::connect(socket).is_err() {
        assert!(Instant::now() < deadline, "the daemon does not listen");
        std::thread::yield_now();
    }
    daemon
}

fn at(path: &str) -> PathBuf {
    Path::new(ROOT).join(path)
}

/// Whatever PHP complains of goes to stdout, where it spoils what is expected there.
fn php_args(code: &str) -> [&str; 8] {
    let include = concat!("include_path=", env!("CARGO_MANIFEST_DIR"), "/clients/php");
    let (all, shown) = ("error_reporting=-1", "display_errors=1");
    ["-d", include, "-d", all, "-d", shown, "-r", code]
}

/// Whether PHP can open the file; said aloud if not.
fn has_php() -> bool {
    let probe = "exit(extension_loaded('pdo_sqlite') && PHP_MAJOR_VERSION >= 8 ? 0 : 1);";
    let has = Command::new("php").args(["-r", probe]).status();
    let has = has.is_ok_and(|status| status.success());
    if !has {
        support::skip("no php 8 with pdo_sqlite (Debian: php-cli php-sqlite3)");
    }
    has
}

fn well(run: Run) -> String {
    let output: Output = run.output();
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    output.stdout
}

/// A piece of code in the README.
struct Block {
    language: String,
    code: String,
    /// What the README says it prints.
    prints: Option<String>,
}

fn blocks() -> Vec<Block> {
    let readme = fs::read_to_string(at("clients/README.md")).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    for fenced in readme.split("\n```").skip(1).step_by(2) {
        let (language, code) = fenced.split_once('\n').unwrap();
        let code = format!("{code}\n");
        if language == "text" {
            blocks.last_mut().unwrap().prints = Some(code);
        } else {
            blocks.push(Block {
                language: language.to_owned(),
                code,
                prints: None,
            });
        }
    }
    blocks
}

fn examples_work(language: &str, at_least: usize) {
    for journal in Journal::ALL {
        let stage = Stage::new(journal);
        let blocks = blocks();
        let wanted = blocks.iter().filter(|block| block.language == language);
        let tried = wanted.map(|block| stage.try_out(block)).count();
        assert!(tried >= at_least, "{tried} examples in {language}");
        assert_eq!(stage.scene.vault.integrity(), "ok");
    }
}

#[test]
fn the_readmes_sql_works() {
    examples_work("sql", 3);
}

#[test]
fn the_readmes_python_works() {
    examples_work("python", 3);
}

#[test]
fn the_readmes_php_works() {
    if has_php() {
        examples_work("php", 2);
    }
}

#[test]
fn the_article_changes_one_import() {
    let stage = Stage::new(Journal::Wal);
    let script = at("clients/example/background_processing.py");
    let vault = stage.scene.vault.path.to_str().unwrap();
    let printed = well(stage.run("python3", &[script.to_str().unwrap(), vault]));
    // 109 videos without a score, one of them without a thumbnail, and 12 that have one.
    assert_eq!(printed.lines().count(), 5, "{printed}");
    assert!(printed.contains("'dQw4w9WgXcQ': {'score': "), "{printed}");
    assert!(printed.contains("{'valid': 108, 'broken': 0,"), "{printed}");
    assert!(printed.contains("{'alive': 12, 'dead': 0,"), "{printed}");
}

/// Runs a script of tests in a vault's folder.
fn tested(stage: &Stage, script: &str) -> Run {
    let script = at("tests/clients").join(script);
    stage.run("python3", &["-W", "error", script.to_str().unwrap()])
}

#[test]
fn rows_by_the_python_module() {
    let stage = Stage::new(Journal::Wal);
    well(tested(&stage, "over_rows.py"));
}

#[test]
fn the_socket_by_the_python_module() {
    let stage = Stage::new(Journal::Wal);
    well(tested(&stage, "scripted.py"));
    well(tested(&stage, "over_socket.py").env("VVV_DAEMON__SOCKET", &stage.socket));
}

#[test]
fn a_result_outlasts_the_daemon() {
    let code = "
from vvv_actors import score_virality_batch
result = score_virality_batch.apply_async(args=[['dQw4w9WgXcQ']], countdown=2)
print(result.id, flush=True)
print(result.get(timeout=30))
";
    let stage = Stage::new(Journal::Wal);
    let run = stage.run("python3", &["-W", "error", "-c", code]);
    let waiting = run.env("VVV_DAEMON__SOCKET", &stage.socket).start();
    assert!(waiting.wait_for_stdout("1\n"));
    let stage = stage.replace_daemon();
    let output = waiting.wait();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stdout.contains("'score': 49.0"), "{}", output.stdout);
    assert_eq!(stage.scene.vault.ask("SELECT count(*) FROM vvv_jobs"), "1");
}

#[test]
fn the_php_class() {
    if !has_php() {
        return;
    }
    for script in ["over_rows.php", "over_socket.php"] {
        let stage = Stage::new(Journal::Wal);
        let code = fs::read_to_string(at("tests/clients").join(script)).unwrap();
        let code = code.trim_start_matches("<?php");
        let run = stage.run("php", &php_args(code));
        let run = run.env("VVV_DAEMON__SOCKET", &stage.socket);
        assert_eq!(well(run), "well\n");
    }
}
