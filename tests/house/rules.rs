//! The rules of the house, each a function from a file to what is wrong with it.

use super::source::{Source, block_end, is_name};

/// Who may import whom. `lib.rs` only declares and re-exports; `main.rs` sees the library.
const ARROWS: [(&str, &[&str]); 9] = [
    ("main", &["face"]),
    ("lib", &["config", "engine"]),
    ("face", &["engine", "config"]),
    // The engine opens the database before any actor lives, and re-exports what faces name.
    ("engine", &["actors", "store", "fetch", "domain", "config"]),
    ("actors", &["store", "fetch", "domain", "config"]),
    ("store", &["domain", "config"]),
    ("fetch", &["domain", "config"]),
    ("config", &["domain"]),
    ("domain", &[]),
];

/// What `domain` knows nothing of: time and chance are arguments, and nothing is read or written.
const IMPURE: [&str; 16] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant",
    "tokio",
    "actix_rt",
    "awc",
    "rusqlite",
    "fastrand",
    "Timestamp::now",
    "Zoned::now",
    "rustix",
    "tracing",
];

/// The most lines of a file, tests not counted.
const LINES: usize = 300;
/// No reason is good enough for more.
const HARD_STOP: usize = 500;

/// Files over 300 lines, and why they are one file.
pub const LONG: [(&str, &str); 10] = [
    ("actors/db.rs", "one actor and its messages"),
    (
        "actors/pool/outcome.rs",
        "what becomes of a job: one branch beside the other",
    ),
    (
        "store/writer.rs",
        "group commit and its replay are one machine",
    ),
    (
        "actors/supervisor.rs",
        "one actor and its messages; what can stand alone is in supervisor/",
    ),
    (
        "actors/pool.rs",
        "one actor and its messages; what can stand alone is in pool/",
    ),
    ("actors/rate_limiter.rs", "one actor and its messages"),
    ("actors/liveness.rs", "one actor and its messages"),
    (
        "config/sections.rs",
        "the types of every section, side by side with default.toml",
    ),
    (
        "engine/database/access.rs",
        "who may read a file: one question, by mode, group, ACL and folder",
    ),
    (
        "face/report/collect.rs",
        "three sections filled from one stream of events",
    ),
];

/// Everything that is wrong with one file, as `path:line: what`.
pub fn check(source: &Source) -> Vec<String> {
    let rules = [
        imports,
        sql,
        actor_crate,
        purity,
        catch_all,
        length,
        described,
    ];
    let wrongs = rules.into_iter().flat_map(|rule| rule(source));
    wrongs
        .map(|(at, what)| format!("src/{}:{}: {what}", source.path, source.line(at)))
        .collect()
}

type Wrong = (usize, String);

/// Imports run one way.
fn imports(source: &Source) -> Vec<Wrong> {
    let from = source.layer();
    let Some((_, allowed)) = ARROWS.iter().find(|(layer, _)| *layer == from) else {
        return vec![(0, format!("{from} is no part of the house"))];
    };
    let mut paths = names_after(&source.code, "crate::");
    paths.extend(names_after(&source.code, "vvv_actors::"));
    paths.extend(reached_by_super(source));
    paths
        .into_iter()
        .filter(|(_, to)| *to != from && !allowed.contains(to))
        .filter(|(_, to)| ARROWS.iter().any(|(layer, _)| layer == to))
        .map(|(at, to)| (at, format!("{from} imports {to}")))
        .collect()
}

/// The first names of paths that begin with `prefix`: one, or those of a group.
fn names_after<'a>(code: &'a str, prefix: &str) -> Vec<(usize, &'a str)> {
    let mut names = Vec::new();
    for (start, _) in code.match_indices(prefix) {
        if start > 0 && is_name(code.as_bytes()[start - 1]) {
            continue;
        }
        let path = start + prefix.len();
        if code[path..].starts_with('{') {
            let group = &code[path..block_end(code, path)];
            names.extend(firsts_of_group(group).map(|name| (start, name)));
        } else {
            names.push((start, leading_name(&code[path..])));
        }
    }
    names
}

/// The first name of each path in `{a::b, c::{d, e}}`.
fn firsts_of_group(group: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let mut parts = Vec::new();
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 1 && matches!(byte, b'{' | b',') {
            parts.push(leading_name(group[at + 1..].trim_start()));
        }
    }
    parts.into_iter()
}

fn leading_name(text: &str) -> &str {
    let end = text.bytes().position(|byte| !is_name(byte));
    &text[..end.unwrap_or(text.len())]
}

/// Names at the top of the crate that a chain of `super::` reaches.
fn reached_by_super(source: &Source) -> Vec<(usize, &str)> {
    let path = source.path.trim_end_matches(".rs");
    let depth = path.trim_end_matches("/mod").split('/').count();
    let chain = "super::".repeat(depth);
    let longer = names_after(&source.shipped, &chain).into_iter();
    // A chain is found at its first `super`, not in the middle of a longer one.
    longer
        .filter(|(at, name)| !source.shipped[..*at].ends_with("super::") && *name != "super")
        .collect()
}

/// SQL is written in `store/`, and nobody else holds a connection. `lib.rs` re-exports the crate to
/// hosts.
fn sql(source: &Source) -> Vec<Wrong> {
    if source.layer() == "store" {
        return Vec::new();
    }
    let statements = source
        .literals
        .iter()
        .filter(|(at, text)| !source.is_test(*at) && is_sql(text))
        .map(|(at, text)| (*at, format!("SQL outside store: {text:?}")));
    let connections = words(&source.shipped, "rusqlite")
        .filter(|at| source.layer() != "lib" || !source.shipped[..*at].ends_with("pub use "))
        .map(|at| (at, "rusqlite outside store".to_owned()));
    statements.chain(connections).collect()
}

fn is_sql(text: &str) -> bool {
    let words: Vec<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let pair = |first: &str, second: &str| {
        words
            .windows(2)
            .any(|pair| pair[0] == first && pair[1] == second)
    };
    let later = |first: &str, second: &str| {
        let begin = words.iter().position(|word| *word == first);
        begin.is_some_and(|begin| words[begin..].contains(&second))
    };
    let shouted = later("SELECT", "FROM")
        || words.first() == Some(&"SELECT")
        || words
            .first()
            .is_some_and(|word| ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT"].contains(word))
        || later("INSERT", "INTO")
        || later("UPDATE", "SET")
        || pair("DELETE", "FROM")
        // In the middle of a text it is advice, about what the site's own program should do.
        || words.first() == Some(&"PRAGMA")
        || ["TABLE", "INDEX", "TRIGGER", "TEMP"]
            .iter()
            .any(|what| pair("CREATE", what) || pair("DROP", what));
    let lower = text.trim_start();
    let whispered = lower.starts_with("select ") && lower.contains(" from ")
        || lower.starts_with("insert into ")
        || lower.starts_with("update ") && lower.contains(" set ")
        || lower.starts_with("delete from ")
        || lower.starts_with("pragma ");
    shouted || whispered
}

/// The places of a whole word.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_edge = |at: Option<&u8>| at.is_none_or(|byte| !is_name(*byte));
    let bytes = code.as_bytes();
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let before = at.checked_sub(1).and_then(|before| bytes.get(before));
            is_edge(before) && is_edge(bytes.get(at + word.len()))
        })
}

/// What decides, stores and fetches outlives the actor library. (actix_rt and actix_tls are other
/// crates.)
fn actor_crate(source: &Source) -> Vec<Wrong> {
    if !["domain", "store", "fetch", "config"].contains(&source.layer()) {
        return Vec::new();
    }
    words(&source.code, "actix")
        .map(|at| (at, format!("the crate actix in {}", source.layer())))
        .collect()
}

/// `domain` is pure.
fn purity(source: &Source) -> Vec<Wrong> {
    if source.layer() != "domain" {
        return Vec::new();
    }
    let impure = |word: &'static str| {
        words(&source.shipped, word).map(move |at| (at, format!("domain is pure: {word}")))
    };
    IMPURE.into_iter().flat_map(impure).collect()
}

/// A new kind of job must make the compiler list every place: no `_ =>` beside arms that name one.
fn catch_all(source: &Source) -> Vec<Wrong> {
    let code = &source.shipped;
    let matches = words(code, "match").filter_map(|at| {
        let open = at + code[at..].find('{')?;
        let arms = patterns(&code[open..block_end(code, open)]);
        let names_a_registry = ["Job", "Kind", "Outcome", "Queue"]
            .iter()
            .any(|name| words(&arms, name).any(|at| arms[at + name.len()..].starts_with("::")));
        let catches_all = words(&arms, "_").any(|at| {
            arms[at + 1..].trim_start().starts_with("=>")
                && arms[..at].trim_end().ends_with(['{', ',', '}'])
        });
        let what = "a match on a closed enum catches all the rest with _".to_owned();
        (names_a_registry && catches_all).then_some((at, what))
    });
    matches.collect()
}

/// The patterns of a match's own arms, in their places; what an arm gives is blanked.
fn patterns(block: &str) -> String {
    let bytes = block.as_bytes();
    let mut shown = String::with_capacity(block.len());
    let mut depth = 0;
    // Where the result of the arm begins, once its `=>` was read.
    let mut result = None;
    for (at, &byte) in bytes.iter().enumerate() {
        shown.push(if result.is_none() {
            char::from(byte)
        } else {
            ' '
        });
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            b'>' if depth == 1 && result.is_none() && bytes[at - 1] == b'=' => {
                result = Some(at + 1);
            }
            _ => {}
        }
        let ends = result.is_some_and(|begin| {
            let is_block = block[begin..].trim_start().starts_with('{');
            byte == b',' || is_block && byte == b'}' && at > begin
        });
        if depth == 1 && ends {
            result = None;
            shown.pop();
            shown.push(',');
        }
    }
    shown
}

/// A file is read at one sitting.
fn length(source: &Source) -> Vec<Wrong> {
    let lines = source.lines_without_tests();
    let excused = LONG.iter().any(|(path, _)| *path == source.path);
    let what = if lines > HARD_STOP {
        format!("{lines} lines without tests; {HARD_STOP} is the hard stop")
    } else if lines > LINES && !excused {
        format!("{lines} lines without tests: split it, or give a reason in tests/house/rules.rs")
    } else if lines <= LINES && excused {
        "no longer long: take it off the list in tests/house/rules.rs".to_owned()
    } else {
        return Vec::new();
    };
    vec![(0, what)]
}

/// A file says why it exists.
fn described(source: &Source) -> Vec<Wrong> {
    if source.text.starts_with("//!") {
        return Vec::new();
    }
    vec![(0, "begins without a //! that says why it exists".to_owned())]
}
