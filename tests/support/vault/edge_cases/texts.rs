//! Regions nobody has a baseline for, and ids that break careless SQL, JSON or paths.

use rusqlite::types::Value;

use super::super::REGIONS;
use super::{Cases, plain_pair, text};

/// Ids that mean something elsewhere, or look like another.
const IDS: [&str; 64] = [
    "it's",
    "\"quoted\"",
    "'; DROP TABLE videos; --",
    "a\\b",
    "a/b",
    "../../etc/passwd",
    "%",
    "_",
    "a%b_c",
    "?1",
    ":id",
    "$id",
    "@id",
    "*",
    "a b",
    " a",
    "a ",
    "\ta",
    "a\nb",
    "a\r\nb",
    "a\0b",
    "\u{1b}[31mred",
    "\u{202e}rtl",
    "\u{feff}bom",
    "\u{7f}",
    "żółć",
    "z\u{307}o",
    "日本語",
    "\u{1F600}",
    "\u{10FFFF}",
    "ﬀ",
    "ß",
    "SS",
    "ss",
    "İ",
    "i",
    "I",
    "null",
    "NULL",
    "true",
    "0",
    "00",
    "0.0",
    "1e5",
    "-1",
    "--all",
    "-h",
    "--",
    "-",
    "{}",
    "[]",
    "{\"id\":1}",
    "<script>alert(1)</script>",
    "&amp;",
    "#",
    "a,b",
    "a;b",
    "__proto__",
    "constructor",
    "scoring",
    "CON",
    "nul.txt",
    "a\u{301}",
    "á",
];

pub(super) fn add(cases: &mut Cases) {
    regions(cases);
    ids(cases);
}

fn regions(cases: &mut Cases) {
    let long = "R".repeat(5_000);
    let odd = [
        "",
        " ",
        "pl",
        "Pl",
        " PL",
        "PL ",
        "PL\0",
        "POL",
        "XX",
        "UK",
        "0",
        "NULL",
        "P\u{141}",
        "\u{1F1F5}\u{1F1F1}",
        "P'L",
        "\"PL\"",
        "PL\n",
        "\u{7}",
        "{}",
        "GB;--",
        long.as_str(),
    ];
    let mut values: Vec<Value> = odd.into_iter().chain(REGIONS).map(text).collect();
    values.push(Value::Null);
    values.push(Value::Integer(48));
    // Text that is no UTF-8.
    values.push(Value::Blob(vec![b'P', 0xFF]));
    for value in values {
        let name = match &value {
            Value::Text(region) => format!("region {region:.20?}"),
            other => format!("region {other:?}"),
        };
        let (latest, mut previous) = plain_pair();
        previous.region = text("US");
        cases.add(name, vec![previous, latest]).snapshots[1].region = value;
    }
    cases.pair("another region before", |_, previous| {
        previous.region = Value::Null;
    });
}

fn ids(cases: &mut Cases) {
    let long = "x".repeat(2_000);
    for id in IDS.into_iter().chain([long.as_str()]) {
        let (latest, previous) = plain_pair();
        let name = format!("id {id:.30?}");
        cases.add(name, vec![previous, latest]).id = id.to_owned();
    }
}
