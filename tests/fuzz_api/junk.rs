//! What nobody should send.

use fastrand::Rng;
use serde_json::{Value, json};

/// A text that is rarely what was asked for.
pub fn text(dice: &mut Rng) -> String {
    const TEXTS: [&str; 20] = [
        "x",
        "0",
        "-1",
        "007",
        "1e3",
        "9223372036854775807",
        "9223372036854775808",
        "99999999999999999999999999",
        "0.5",
        "NaN",
        "null",
        "true",
        "..",
        "a/b",
        "'; DROP TABLE vvv_jobs; --",
        "%",
        "=1+1",
        "\u{0}",
        "\u{202e}💥é",
        "\r\nX: y",
    ];
    match dice.usize(..TEXTS.len() + 1) {
        long if long == TEXTS.len() => "a".repeat(5_000),
        index => TEXTS[index].to_owned(),
    }
}

/// A value that is rarely what was asked for.
pub fn value(dice: &mut Rng) -> Value {
    match dice.u8(..14) {
        0 => Value::Null,
        1 => true.into(),
        2 => i64::MIN.into(),
        3 => i64::MAX.into(),
        4 => u64::MAX.into(),
        5 => (-1).into(),
        6 => 256.into(),
        7 => json!(1e308),
        8 => json!([]),
        9 => json!({}),
        10 => json!([[[null]], {"a": 1}]),
        11 => json!(vec![0; 2_000]),
        12 => "é".repeat(40_000).into(),
        _ => text(dice).into(),
    }
}

/// Spoils a body in one place; what it is sent as.
pub fn spoil(dice: &mut Rng, mut body: Value) -> (Vec<u8>, &'static str) {
    const JSON: &str = "application/json";
    let written = body.to_string();
    match dice.u8(..16) {
        0 => (written.into_bytes(), "text/plain"),
        1 => (Vec::new(), JSON),
        2 => (written.as_bytes()[..written.len() - 1].to_vec(), JSON),
        3 => ([written.as_bytes(), b"x"].concat(), JSON),
        4 => (b"{\"\xff\": 1}".to_vec(), JSON),
        5 => ("[".repeat(5_000).into_bytes(), JSON),
        6 => (
            format!("{{\"kind\":1,\"kind\":2,{}", &written[1..]).into_bytes(),
            JSON,
        ),
        7 => (vec![b' '; 1024 * 1024 + 1], JSON),
        8..=10 => {
            change_keys(dice, &mut body);
            (body.to_string().into_bytes(), JSON)
        }
        _ => {
            let mut places = Vec::new();
            note_places(&body, String::new(), &mut places);
            let place = &places[dice.usize(..places.len())];
            *body.pointer_mut(place).unwrap() = value(dice);
            (body.to_string().into_bytes(), JSON)
        }
    }
}

/// One key is missing, or one is too many.
fn change_keys(dice: &mut Rng, body: &mut Value) {
    let Some(keys) = body.as_object_mut() else {
        return;
    };
    match keys.keys().nth(dice.usize(..=keys.len())).cloned() {
        Some(key) => drop(keys.remove(&key)),
        None => drop(keys.insert(text(dice), value(dice))),
    }
}

/// Every place of a value, as a JSON pointer.
fn note_places(value: &Value, place: String, places: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(keys) => keys.iter().map(|(key, part)| (key.clone(), part)).collect(),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items
                .map(|(index, part)| (index.to_string(), part))
                .collect()
        }
        _ => Vec::new(),
    };
    for (key, part) in below {
        note_places(part, format!("{place}/{key}"), places);
    }
    places.push(place);
}
