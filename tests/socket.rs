//! The socket under clients that mean ill, or are merely slow: the daemon goes on, says what is
//! wrong, and nobody else notices.
//!
//! `VVV_FUZZ` sets how many hostile lines are sent (5,000 is the full run), `VVV_SEED` repeats them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::scene::Scene;
use support::talk::{Client, Daemon, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vvv-actors");

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect(name))
}

fn code_of(client: &mut Client, line: &[u8]) -> Value {
    assert!(client.send(&[line, b"\n"].concat()));
    client.line().expect("an answer")["error"]["code"].clone()
}

#[test]
fn each_mistake_has_its_code_and_the_connection_goes_on() {
    let scene = Scene::new(PROGRAM, 1);
    let daemon = Daemon::start(&scene, &[]);
    let mut client = daemon.client();
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"jobs.submit","params":{{"kind":"score","payload":{}1{}}}}}"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let with = |params: &str, method: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
    };
    let cases: [(Vec<u8>, i64); 16] = [
        (b"{".to_vec(), -32700),
        (b"\xff\xfe\x00".to_vec(), -32700),
        (b"[]".to_vec(), -32600),
        (b"7".to_vec(), -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1}".to_vec(), -32600),
        (with("{}", "no.such").into(), -32601),
        (with("{}", "jobs.get").into(), -32602),
        (with(r#"{"id":1e400}"#, "jobs.get").into(), -32602),
        (
            with(r#"{"id":99999999999999999999}"#, "jobs.get").into(),
            -32602,
        ),
        (with(r#"{"id":true}"#, "jobs.get").into(), -32602),
        (with(r#"{"id":1,"x":2}"#, "jobs.get").into(), -32602),
        (with(r#"{"limit":0}"#, "jobs.list").into(), -32602),
        (with(r#"{"ids":[]}"#, "jobs.wait").into(), -32602),
        (
            with(r#"{"kind":"score","payload":[]}"#, "jobs.submit").into(),
            -32602,
        ),
        (
            with(r#"{"queue":"scoring\u0000"}"#, "queues.pause").into(),
            -32602,
        ),
        (deep.into(), -32602),
    ];
    for (line, code) in cases {
        let shown = String::from_utf8_lossy(&line[..line.len().min(120)]).into_owned();
        assert_eq!(code_of(&mut client, &line), code, "{shown}");
    }
    let unknown = client.refused("jobs.list", json!({"sate": "failed"}));
    assert_eq!(unknown["data"]["key"], "sate", "{unknown}");
    // A notification gets no answer: the next line answers the next request.
    client.send(b"{\"jsonrpc\":\"2.0\",\"method\":\"queues.list\"}\n");
    assert!(client.call("queues.list", json!({}))["queues"].is_array());
}

#[test]
fn a_trace_is_kept_with_each_job_and_one_that_is_none_is_refused() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let scene = Scene::new(PROGRAM, 1);
    let daemon = Daemon::start(&scene, &[]);
    let mut client = daemon.client();
    let job = |trace: &str| {
        json!({"kind": "score", "payload": {"video_ids": ["a"]}, "delay": "1h",
            "traceparent": trace})
    };
    let batch = |trace: &str| json!({"stale_ids": ["a"], "traceparent": trace});
    let id = client.call("jobs.submit", job(TRACE))["ids"][0].clone();
    let ids = client.call("jobs.submit_batch", batch(TRACE))["ids"].clone();
    for id in [&id, &ids["liveness"][0]] {
        let got = client.call("jobs.get", json!({"id": id}));
        assert_eq!(got["job"]["traceparent"], TRACE);
    }
    let database = scene.vault.path.to_str().unwrap();
    let shown = scene
        .run([
            "job",
            "show",
            &id.to_string(),
            "--db",
            database,
            "--format",
            "human",
        ])
        .env("VVV_DAEMON__SOCKET", &daemon.socket)
        .start()
        .wait();
    assert!(
        shown.stdout.contains(&format!("traceparent  {TRACE}")),
        "{shown:?}"
    );
    for wrong in ["", "01", &TRACE.to_uppercase().replace("4BF", "4bf")] {
        for (method, params) in [
            ("jobs.submit", job(wrong)),
            ("jobs.submit_batch", batch(wrong)),
        ] {
            let refused = client.refused(method, params);
            assert_eq!(refused["data"]["key"], "traceparent", "{refused}");
        }
    }
}

#[test]
fn a_line_without_an_end_is_refused_and_so_is_one_that_takes_too_long() {
    let scene = Scene::new(PROGRAM, 1);
    let daemon = Daemon::start(&scene, &[]);
    let mut flood = daemon.client();
    let _ = flood.send(&vec![b'x'; 2 * 1024 * 1024]);
    assert_eq!(flood.line().unwrap()["error"]["code"], -32006);
    assert_eq!(flood.line(), None);
    let mut half = daemon.client();
    assert!(half.send(b"{\"jsonrpc\":\"2.0\",\"id\":1,"));
    let began = Instant::now();
    assert_eq!(half.line().unwrap()["error"]["code"], -32007);
    assert!(
        (4..8).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(half.line(), None);
    assert_eq!(daemon.call("daemon.status", json!({}))["state"], "running");
}

#[test]
fn a_line_that_we_did_not_read_on_was_not_slow() {
    let scene = Scene::new(PROGRAM, 1);
    let daemon = Daemon::start(&scene, &[]);
    let mut client = daemon.client();
    let job = json!({"kind": "score", "payload": {"video_ids": ["a"]}, "delay": "1h"});
    let id = client.call("jobs.submit", job)["ids"][0].clone();
    // As many as are worked on at once, and half of one more.
    let wait = json!({"jsonrpc": "2.0", "id": 1, "method": "jobs.wait",
        "params": {"ids": [id], "timeout": "6s"}});
    let lines = format!("{wait}\n").repeat(32) + "{\"jsonrpc\":\"2.0\",\"id\":2,";
    assert!(client.send(lines.as_bytes()));
    for _ in 0..32 {
        assert_eq!(client.line().unwrap()["result"]["ended"], false);
    }
    assert!(client.send(b"\"method\":\"queues.list\"}\n"));
    assert_eq!(client.line().unwrap()["id"], 2);
}

#[test]
fn a_client_that_does_not_read_disturbs_nobody() {
    let scene = Scene::new(PROGRAM, 1);
    let daemon = Daemon::start(&scene, &[]);
    // Many large answers nobody reads.
    let slow: Vec<Client> = (0..8)
        .map(|_| {
            let mut client = daemon.client();
            client.stream().set_nonblocking(true).unwrap();
            let request = json!({"jsonrpc": "2.0", "id": 1, "method": "no.such.method"});
            let lines = format!("{request}\n").repeat(2_000);
            let _ = client.send(lines.as_bytes());
            client
        })
        .collect();
    let mut client = daemon.client();
    let began = Instant::now();
    for _ in 0..50 {
        client.call("queues.list", json!({}));
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    drop(slow);
}

#[test]
fn there_are_places_for_so_many_and_the_next_is_told() {
    let scene = Scene::new(PROGRAM, 1);
    let daemon = Daemon::start(&scene, &[]);
    let mut clients: Vec<Client> = (0..64).map(|_| daemon.client()).collect();
    for client in &mut clients {
        client.call("queues.list", json!({}));
    }
    // Whoever has them all may still look and steer, but not stay.
    let mut visitors: Vec<Client> = (0..4).map(|_| daemon.client()).collect();
    let mut visitor = visitors.pop().unwrap();
    assert_eq!(visitor.call("daemon.status", json!({}))["state"], "running");
    let work = json!({"kind": "score", "payload": {"video_ids": ["a"]}});
    let refused = visitor.refused("jobs.submit", work);
    assert_eq!(refused["code"], -32001, "{refused}");
    let refused = daemon.client().line().unwrap();
    assert_eq!(refused["error"]["code"], -32001, "{refused}");
    assert_eq!(refused["error"]["data"]["no_place"], 64, "{refused}");
    drop((visitor, visitors));
    let verb = |line: &str| {
        let socket = daemon.socket.to_str().unwrap();
        scene
            .run(line.split_whitespace())
            .env("VVV_DAEMON__SOCKET", socket)
            .start()
    };
    let check = verb("status --check").wait();
    assert_eq!(check.code, Some(0), "{check:?}");
    let waiting = verb("submit score a");
    assert_eq!(verb("queue pause cleanup").wait().code, Some(0));
    clients.pop();
    assert_eq!(waiting.wait().code, Some(0));
    until("a place is free", || {
        let mut client = daemon.client();
        client.ask("queues.list", &json!({}));
        client.line()?.get("result").cloned()
    });
}

#[test]
fn a_user_who_takes_all_places_locks_root_not_out() {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        return support::skip("only root can pass for somebody else");
    }
    let mut scene = Scene::new(PROGRAM, 1);
    scene.set("VVV_DAEMON__SOCKET_GROUP", "65534");
    scene.set("VVV_DAEMON__SOCKET_MODE", "0660");
    let daemon = Daemon::start(&scene, &[]);
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(scene.folder.path(), open).unwrap();
    let take = "import socket, sys\n\
        clients = [socket.socket(socket.AF_UNIX) for _ in range(64)]\n\
        for client in clients:\n    client.connect(sys.argv[1])\n\
        print(clients[-1].recv(4096).decode(), flush=True)\n\
        sys.stdin.read()\n";
    let mut python = std::process::Command::new("/usr/bin/python3");
    python
        .args(["-c", take])
        .arg(&daemon.socket)
        .current_dir("/")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let Ok(mut greedy) = python.uid(NOBODY).gid(NOBODY).spawn() else {
        return support::skip("there is no /usr/bin/python3 to be run by somebody else");
    };
    let mut told = BufReader::new(greedy.stdout.take().unwrap());
    let mut refusal = String::new();
    told.read_line(&mut refusal).unwrap();
    assert!(refusal.contains("-32001"), "{refusal}");
    assert_eq!(daemon.call("daemon.status", json!({}))["state"], "running");
    drop(greedy.stdin.take());
    greedy.wait().unwrap();
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_look_that_takes_too_long_is_stopped_and_others_are_answered() {
    let mut scene = Scene::new(PROGRAM, 1);
    scene.set("VVV_QUEUES__SCORING__WORKERS", "0");
    let daemon = Daemon::start(&scene, &[]);
    let rows = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000) \
        INSERT INTO vvv_jobs (kind, payload) SELECT 'none', hex(zeroblob(40000)) FROM n";
    scene.vault.connect().execute_batch(rows).unwrap();
    let mut client = daemon.client();
    let long = client.refused("jobs.list", json!({"text": "0".repeat(257)}));
    assert_eq!(long["data"]["key"], "text", "{long}");
    // The worst that can be searched for: nearly there in each place.
    let worst = json!({"text": "0".repeat(255) + "1"});
    let began = Instant::now();
    let asked = client.ask("jobs.list", &worst);
    for _ in 0..3 {
        client.ask("jobs.list", &worst);
    }
    // Two of those four look; another connection's look does not wait for them.
    let _ = daemon.call("queues.list", json!({}));
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    let stopped = client.line().unwrap();
    println!("stopped after {:?}", began.elapsed());
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(stopped["error"]["code"], -32007, "{stopped}");
    assert!(stopped["id"].as_u64().unwrap() <= asked + 1, "{stopped}");
    let message = stopped["error"]["message"].as_str().unwrap();
    assert!(message.contains("unique_key"), "{stopped}");
}

#[test]
fn requests_of_one_connection_do_not_wait_for_each_other() {
    let scene = Scene::new(PROGRAM, 1);
    let daemon = Daemon::start(&scene, &[]);
    let mut client = daemon.client();
    let job = json!({"kind": "score", "payload": {"video_ids": ["a"]}, "delay": "1h"});
    let id = client.call("jobs.submit", job)["ids"][0].clone();
    let waiting = client.ask("jobs.wait", &json!({"ids": [id]}));
    let cancelling = client.ask("jobs.cancel", &json!({"ids": [id]}));
    let answers = [client.line().unwrap(), client.line().unwrap()];
    let answer_to = |id: u64| answers.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(answer_to(cancelling)["result"]["cancelled"][0], id);
    let waited = answer_to(waiting);
    assert_eq!(
        waited["result"]["jobs"][0]["state"], "cancelled",
        "{waited}"
    );
    let none = client.refused("jobs.wait", json!({"ids": [id, 99]}));
    assert_eq!(none["code"], -32004);
}

#[test]
fn a_stream_that_is_read_too_slowly_says_so_and_ends() {
    const JOBS: i64 = 5_000;
    let mut scene = Scene::new(PROGRAM, 1);
    scene.set("VVV_LOG__LEVEL", "error,vvv_actors::face::daemon=info");
    let daemon = Daemon::start(&scene, &[]);
    let mut slow = daemon.client();
    slow.call("events.subscribe", json!({}));
    let mut connection = scene.vault.connect();
    let transaction = connection.transaction().unwrap();
    for _ in 0..JOBS {
        let row =
            "INSERT INTO vvv_jobs (kind, payload) VALUES ('score', '{\"video_ids\": [\"a\"]}')";
        transaction.execute(row, []).unwrap();
    }
    transaction.commit().unwrap();
    until("all are done", || {
        let query = "SELECT count(*) FROM vvv_jobs WHERE state = 'succeeded'";
        let done: i64 = connection.query_row(query, [], |row| row.get(0)).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        (done == JOBS).then_some(())
    });
    let lines: Vec<Value> = std::iter::from_fn(|| slow.line()).collect();
    let (last, before) = lines.split_last().unwrap();
    assert_eq!(last["method"], "events.lagged", "{last}");
    assert!(last["params"]["missed"].as_u64().unwrap() > 0, "{last}");
    assert!(before.iter().all(|line| line["method"] == "events.job"));
}

#[test]
fn a_stranger_is_turned_away_even_where_the_file_lets_everybody_in() {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        return support::skip("only root can pass for somebody else");
    }
    let scene = Scene::new(PROGRAM, 1);
    let daemon = Daemon::start(&scene, &[]);
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(scene.folder.path(), 0o755);
    // As a service manager's unit might have made it.
    open(&daemon.socket, 0o666);
    let ask = "import socket, sys\n\
        client = socket.socket(socket.AF_UNIX)\n\
        client.connect(sys.argv[1])\n\
        try:\n    client.sendall(b'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"queues.list\"}\\n')\n    \
        print(len(client.recv(9)))\n\
        except OSError:\n    print(0)\n";
    let told = |uid: u32| {
        let mut python = std::process::Command::new("/usr/bin/python3");
        python
            .args(["-c", ask])
            .arg(&daemon.socket)
            .current_dir("/");
        let output = python.uid(uid).gid(uid).output();
        output.map(|output| String::from_utf8(output.stdout).unwrap())
    };
    let Ok(stranger) = told(NOBODY) else {
        return support::skip("there is no /usr/bin/python3 to be run by somebody else");
    };
    assert_eq!(stranger, "0\n");
    assert_eq!(told(0).unwrap(), "9\n");
    assert!(
        daemon
            .running
            .wait_for_stderr("turned a client of the socket away")
    );
}

#[test]
fn thousands_of_hostile_lines_leave_it_as_it_was() {
    let lines = number("VVV_FUZZ", 1_000);
    let seed = number("VVV_SEED", fastrand::u64(..));
    println!("VVV_SEED={seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let scene = Scene::new(PROGRAM, 1);
    let daemon = Daemon::start(&scene, &[]);
    let mut client = daemon.client();
    let mut answers = 0;
    for turn in 0..lines {
        let line = hostile(&mut dice);
        // No answer is waited for: some lines have none. The daemon may close the connection.
        if !client.send(&line) || turn % 20 == 19 {
            let _ = client.stream().shutdown(std::net::Shutdown::Write);
            let mut rest = Vec::new();
            let mut stream = client.stream();
            let _ = stream.read_to_end(&mut rest);
            for answer in rest
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
            {
                let answer: Value = serde_json::from_slice(answer).expect("a line of JSON");
                assert_eq!(answer["jsonrpc"], "2.0");
                answers += 1;
            }
            client = daemon.client();
        }
    }
    // A few lines are empty, or swallowed by one that was cut.
    assert!(
        answers > lines / 2,
        "only {answers} answers to {lines} lines"
    );
    let status = daemon.call("daemon.status", json!({}));
    assert_eq!(status["state"], "running", "{status}");
    assert_eq!(status["restarts"], 0, "{status}");
    let output = daemon.stop();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(!output.stderr.contains("panicked"), "{output:?}");
}

/// A line that is wrong in some way, or cut, or followed by another at once.
fn hostile(dice: &mut fastrand::Rng) -> Vec<u8> {
    let methods = [
        "jobs.submit",
        "jobs.submit_batch",
        "jobs.get",
        "jobs.list",
        "jobs.cancel",
        "jobs.retry",
        "queues.list",
        "queues.purge",
        "daemon.status",
        "daemon.reload",
        "x",
        "",
    ];
    let values = [
        "null",
        "-1",
        "1e308",
        "1e999",
        "99999999999999999999999",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "{}",
        "[]",
        "[[[[[[[[]]]]]]]]",
        "true",
        "\"score\"",
        "\"2026-13-40T99:00:00Z\"",
        "{\"video_ids\":[null]}",
        "{\"video_ids\":[\"';DROP TABLE videos;--\"]}",
    ];
    let keys = [
        "id", "ids", "kind", "payload", "limit", "state", "delay", "before", "text", "q",
    ];
    let mut params = Vec::new();
    for _ in 0..dice.usize(0..5) {
        let key = keys[dice.usize(..keys.len())];
        params.push(format!("\"{key}\":{}", values[dice.usize(..values.len())]));
    }
    let method = methods[dice.usize(..methods.len())];
    let id = values[dice.usize(..values.len())];
    let mut line = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{{{}}}}}\n",
        params.join(",")
    )
    .into_bytes();
    match dice.u8(0..8) {
        0 => line.truncate(dice.usize(..line.len())),
        1 => {
            for _ in 0..dice.usize(1..8) {
                let at = dice.usize(..line.len());
                line[at] = dice.u8(..);
            }
        }
        2 => line = (0..dice.usize(1..4096)).map(|_| dice.u8(..)).collect(),
        3 => line = [vec![b'['; dice.usize(1..20_000)], b"\n".to_vec()].concat(),
        _ => {}
    }
    line
}
