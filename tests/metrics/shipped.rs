//! What is shown is what the docs, the dashboard and the alerts speak of, in a form that Prometheus
//! reads.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::exposition::Exposition;
use super::queries::check;
use super::support::engine::{score, stop};
use super::support::vault::Journal;
use super::{scene, scrape, seen};

/// Every query in a dashboard, each with what names its results.
fn queries_of(dashboard: &serde_json::Value) -> Vec<String> {
    let text = |key: &str| dashboard.get(key).and_then(serde_json::Value::as_str);
    let query = text("expr").or(text("definition"));
    let named = query.map(|query| format!("{query} {}", text("legendFormat").unwrap_or_default()));
    let below = match dashboard {
        serde_json::Value::Array(values) => values.iter().flat_map(queries_of).collect(),
        serde_json::Value::Object(values) => values.values().flat_map(queries_of).collect(),
        _ => Vec::new(),
    };
    named.into_iter().chain(below).collect()
}

#[test]
fn the_docs_list_every_metric() {
    let scene = scene(Journal::Wal);
    let engine = scene.start();
    let mut names = seen(&engine).names();
    stop(&engine);
    let temporary = scene.builder(false).start().unwrap().blocking();
    names.extend(seen(&temporary).names());
    stop(&temporary);
    let part = |name: &str| {
        let parts = ["_bucket", "_sum", "_count"];
        let whole = parts.iter().find_map(|part| name.strip_suffix(part));
        whole.unwrap_or(name).to_owned()
    };
    let shown: BTreeSet<String> = names.iter().map(|name| part(name)).collect();
    let docs = include_str!("../../src/engine/metrics/register.rs");
    let listed = docs
        .lines()
        .filter_map(|line| line.trim().strip_prefix("/// | `"));
    let listed: BTreeSet<String> = listed
        .map(|row| row.split(['`', '{']).next().unwrap().to_owned())
        .collect();
    assert_eq!(listed, shown);
}

#[test]
fn prometheus_reads_every_line() {
    let scene = scene(Journal::Wal);
    let engine = scene.start();
    scene.work_off(&engine, score(&scene.vault.ids));
    let text = scrape(&engine);
    stop(&engine);
    let read = Exposition::read(&text);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        read.value(&format!("vvv_build_info{{version=\"{version}\"}}")),
        1.0
    );
    let names = [
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_threads",
        "process_virtual_memory_bytes",
    ];
    assert!(names.iter().all(|name| read.names().contains(*name)));
    python(
        "from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
         import sys\nfound = list(read(sys.stdin.read()))\nassert len(found) == 41, len(found)",
        "prometheus_client",
        &text,
    );
}

/// Runs a script of Python's that needs a module; skips aloud without it.
#[track_caller]
fn python(script: &str, module: &str, input: &str) {
    let import = format!("import {module}");
    let is_there = Command::new("python3").args(["-c", &import]).output();
    if !is_there.is_ok_and(|import| import.status.success()) {
        return super::support::skip(&format!("no python3 with {module}"));
    }
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn the_dashboard_and_the_alerts_ask_only_for_what_is_shown() {
    let scene = scene(Journal::Wal);
    let engine = scene.start();
    let shown = Exposition::read(&scrape(&engine)).labels();
    stop(&engine);
    let read = |file: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("conf")
            .join(file);
        std::fs::read_to_string(path).unwrap()
    };
    let dashboard = read("grafana-dashboard.json");
    let parsed: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert_eq!(parsed["templating"]["list"][0]["type"], "datasource");
    let alerts = read("alert-rules.yml");
    let rules = alerts.split("- alert:").skip(1).map(str::to_owned);
    let asked: [(&str, Vec<String>); 2] = [
        ("dashboard", queries_of(&parsed)),
        ("alerts", rules.collect()),
    ];
    for (file, asked) in asked {
        let mut metrics = BTreeSet::new();
        for query in asked {
            let checked = check(&query, &shown);
            assert!(checked.wrong.is_empty(), "{file}: {checked:?} in {query}");
            metrics.extend(checked.metrics);
        }
        assert!(metrics.len() > 10, "{file}: {metrics:?}");
    }
    python(
        "import sys, yaml\n\
         rules = [rule for group in yaml.safe_load(sys.stdin)['groups'] for rule in group['rules']]\n\
         assert len(rules) > 8, len(rules)\n\
         for rule in rules:\n\
         \x20   assert rule['expr'] and rule['labels']['severity'], rule\n\
         \x20   assert rule['annotations']['summary'] and rule['annotations']['action'], rule",
        "yaml",
        &alerts,
    );
}
