//! `article.py` can be trusted: it reads dates as the bundled SQLite does, knows a sum done by
//! hand, and finds what differs.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::article;
use crate::support::vault::{EdgeCase, Journal, Vault, edge_cases};

fn dates_of(cases: &[EdgeCase]) -> Vec<String> {
    let cells = cases.iter().flat_map(|case| &case.snapshots);
    let mut dates: Vec<String> = cells
        .filter_map(|row| match &row.fetched_at {
            Cell::Text(date) => Some(date.clone()),
            _ => None,
        })
        .collect();
    dates.sort_unstable();
    dates.dedup();
    dates
}

/// Dates bent a little: a character changed, lost or doubled.
fn bent(dates: &[String]) -> Vec<String> {
    let mut dice = fastrand::Rng::with_seed(3_40);
    let mut bent = Vec::new();
    for _ in 0..20_000 {
        let mut date: Vec<char> = dice.choice(dates).unwrap().chars().collect();
        if date.is_empty() {
            continue;
        }
        // The year stays: below 0 the two SQLites count differently.
        let at = dice.usize(date.len().min(4)..=date.len());
        let new = *dice.choice(b"0123456789:-.TZ +").unwrap();
        match dice.u8(..3) {
            0 => date.insert(at, char::from(new)),
            1 if at < date.len() => date[at] = char::from(new),
            _ if at < date.len() => drop(date.remove(at)),
            _ => {}
        }
        bent.push(date.into_iter().collect());
    }
    bent
}

#[test]
fn dates_are_read_as_by_the_bundled_sqlite() {
    let mut dates = dates_of(&edge_cases());
    dates.extend(bent(&dates));
    // What only differs by the moment of asking proves nothing.
    dates.retain(|date| !date.eq_ignore_ascii_case("now"));
    let bundled = Connection::open_in_memory().unwrap();
    let mut query = bundled
        .prepare("SELECT CAST(strftime('%s', ?1) AS INTEGER)")
        .unwrap();
    let told = article::seconds(&dates);
    assert_eq!(told.len(), dates.len());
    for (date, told) in dates.iter().zip(told) {
        let ours: Option<i64> = query.query_row([date], |row| row.get(0)).unwrap();
        assert_eq!(told, ours, "{date:?}");
    }
}

/// A vault of edge cases, and the folder it lies in.
fn edges() -> (TempDir, Vault) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("vault.db");
    let vault = Vault::of_edge_cases(&path, Journal::Wal, &edge_cases());
    (folder, vault)
}

#[test]
fn edge_cases_reach_every_kind_of_result() {
    let (_folder, vault) = edges();
    let results = article::results(&vault.path);
    let mut kinds: HashMap<String, usize> = HashMap::new();
    for id in &vault.ids {
        // Ids nobody knows are in no table; the article has too little of them.
        let Some(result) = results.get(id) else {
            *kinds.entry("nowhere".to_owned()).or_default() += 1;
            continue;
        };
        let kind = result
            .get("label")
            .or_else(|| result.get("reason"))
            .unwrap();
        let kind = kind.as_str().unwrap().split(':').next().unwrap();
        *kinds.entry(kind.to_owned()).or_default() += 1;
        let score = result["score"].as_f64().unwrap();
        for (edge, label) in [(60.0, "NORMAL"), (85.0, "TRENDING")] {
            if score == edge && result["label"] == label {
                *kinds
                    .entry(format!("{edge} only when rounded"))
                    .or_default() += 1;
            }
        }
        if score == 0.0 && score.is_sign_negative() {
            *kinds.entry("-0.0".to_owned()).or_default() += 1;
        }
        if score < 0.0 {
            *kinds.entry("below zero".to_owned()).or_default() += 1;
        }
        if score > 100.0 {
            *kinds.entry("above 100".to_owned()).or_default() += 1;
        }
    }
    for (kind, least) in [
        ("VIRAL", 100),
        ("TRENDING", 100),
        ("NORMAL", 100),
        ("insufficient data", 10),
        ("no time delta", 50),
        ("raises", 50),
        ("60 only when rounded", 3),
        ("85 only when rounded", 3),
        ("-0.0", 5),
        ("below zero", 20),
        ("nowhere", 1),
    ] {
        let found = kinds.get(kind).copied().unwrap_or(0);
        assert!(found >= least, "{kind}: {found} of {least}; {kinds:?}");
    }
}

#[test]
fn a_sum_done_by_hand_comes_out() {
    let folder = TempDir::new().unwrap();
    let mut vault = Vault::empty(&folder.path().join("vault.db"), Journal::Delete, true);
    // 6000 views in 6 hours: 1000 an hour, 10 % of Poland's 10000. (500 + 2 * 50) of 10000 views:
    // 6 %, all of Poland's 6.0. 10 * 0.55 + 100 * 0.45 = 50.5.
    let before = (4_000, 400, 40, "2026-08-20 06:00:00");
    let after = (10_000, 500, 50, "2026-08-20 12:00:00");
    vault.add("twoTwoTwo-A", "PL", &[before, after]);
    vault.add("oneOneOne-A", "PL", &[after]);
    vault.add("sameSame-_A", "PL", &[after, after]);
    let expected = json!({
        "twoTwoTwo-A": {"score": 50.5, "velocity": 1000, "engagement": 6.0, "region": "PL", "label": "NORMAL"},
        "oneOneOne-A": {"score": 0, "reason": "insufficient data"},
        "sameSame-_A": {"score": 0, "reason": "no time delta"},
    });
    assert_eq!(article::results(&vault.path), expected);
}

/// A vault before and after a run that did everything right, and that run's report.
struct Ran {
    _folder: TempDir,
    before: Vault,
    after: Vault,
    report: PathBuf,
}

fn ran() -> Ran {
    let (folder, before) = edges();
    let after = before.copy_to(&folder.path().join("after.db"));
    // Python writes the report, so that its large integers keep their digits.
    let script = "import json,sqlite3,subprocess,sys
article, before, after, report = sys.argv[1:]
results = json.loads(subprocess.check_output([sys.executable, article, 'score', before]))
json.dump({'scoring': results}, open(report, 'w'))
db = sqlite3.connect(after)
for id, result in results.items():
    if 'reason' not in result:
        db.execute('UPDATE videos SET virality_score = ? WHERE video_id = ?', (result['score'], id))
db.commit()";
    let report = folder.path().join("report.json");
    let done = std::process::Command::new("python3")
        .args([
            "-c",
            script,
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/article.py"),
        ])
        .args([&before.path, &after.path, &report])
        .status();
    assert!(done.unwrap().success());
    Ran {
        _folder: folder,
        before,
        after,
        report,
    }
}

/// Makes a right result wrong.
type Spoil = fn(&mut Value);

#[test]
fn a_comparison_passes_what_is_right_and_names_what_is_wrong() {
    let ran = ran();
    let (before, after) = (&ran.before.path, &ran.after.path);
    let right = std::fs::read_to_string(&ran.report).unwrap();
    let compared = article::compare(before, after, &right).unwrap();
    assert!(compared > 1_990, "{compared}");

    // One digit, one label, one reason, one sign of a zero, one missing key.
    let report: Value = serde_json::from_str(&right).unwrap();
    let scored = |wanted: &str| {
        let found =
            report["scoring"]
                .as_object()
                .unwrap()
                .iter()
                .find(|(_, result)| match wanted {
                    "-0.0" => result["score"]
                        .as_f64()
                        .is_some_and(|score| score == 0.0 && score.is_sign_negative()),
                    _ => result.get("reason").or(result.get("label")) == Some(&json!(wanted)),
                });
        found.unwrap().0.clone()
    };
    let wrongs: [(&str, Spoil); 6] = [
        ("NORMAL", |result| result["label"] = json!("TRENDING")),
        ("VIRAL", |result| {
            result["engagement"] = json!(result["engagement"].as_f64().unwrap() + 0.01);
        }),
        ("TRENDING", |result| {
            result["velocity"] = json!(result["velocity"].as_f64().unwrap());
        }),
        ("insufficient data", |result| {
            result["reason"] = json!("too little");
        }),
        ("no time delta", |result| *result = json!({"score": 0})),
        ("-0.0", |result| result["score"] = json!(0.0)),
    ];
    let mut spoilt = serde_json::Map::new();
    for (kind, spoil) in wrongs {
        let id = scored(kind);
        let mut result = report["scoring"][&id].clone();
        spoil(&mut result);
        spoilt.insert(id, result);
    }
    let one = json!({ "scoring": spoilt }).to_string();
    let told = article::compare(before, after, &one).unwrap_err();
    let told: Value = serde_json::from_str(&told).unwrap();
    // Stored scores of videos out of the report differ too; those are not asked about here.
    let named = told["differences"].as_array().unwrap().iter();
    let named = named.filter(|entry| entry.get("reported").is_some());
    let named: HashSet<_> = named.map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(named, spoilt.keys().map(String::as_str).collect());
    assert_eq!(named.len(), 6);

    // A score that was not stored, and one stored though the article gives none.
    let spoilt = ran.after.copy_to(&ran.report.with_file_name("spoilt.db"));
    let ids = ["VIRAL", "insufficient data"].map(scored);
    for id in &ids {
        let update = "UPDATE videos SET virality_score = 12.3 WHERE video_id = ?1";
        assert_eq!(spoilt.connect().execute(update, [id]).unwrap(), 1);
    }
    let told = article::compare(before, &spoilt.path, &right).unwrap_err();
    let told: Value = serde_json::from_str(&told).unwrap();
    let named = told["differences"].as_array().unwrap().iter();
    let named: HashSet<_> = named.map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(named, ids.iter().map(String::as_str).collect());
}
