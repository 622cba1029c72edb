//! Requests: right by the document, or spoilt in one place.

use std::fmt;

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::document::{Document, Operation};
use super::junk;
use super::support::http::Request;

/// A request for an operation.
pub struct Case {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Case {
    pub fn request(&self) -> Request {
        let request = Request::new(self.method, &self.path);
        let headers = self.headers.iter();
        let with = headers.fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        with.body(&self.body)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body: String = String::from_utf8_lossy(&self.body)
            .chars()
            .take(200)
            .collect();
        write!(f, "{} {} {:?} {body}", self.method, self.path, self.headers)
    }
}

/// Makes cases, the same ones from the same seed.
pub struct Cases<'a> {
    document: &'a Document,
    dice: Rng,
    videos: Vec<String>,
    /// The address of a picture that nobody outside is asked for.
    picture: String,
}

impl<'a> Cases<'a> {
    pub fn new(document: &'a Document, videos: Vec<String>, picture: String, seed: u64) -> Self {
        Self {
            document,
            dice: Rng::with_seed(seed),
            videos,
            picture,
        }
    }

    /// One for this operation.
    pub fn of(&mut self, operation: &Operation, is_spoilt: bool) -> Case {
        let parameters = operation.described["parameters"].as_array().unwrap();
        let takes = &operation.described["requestBody"]["content"]["application/json"]["schema"];
        // The places there are to be spoilt: each parameter, the body, and a parameter too many.
        let places = parameters.len() + usize::from(!takes.is_null()) + 1;
        let mut spoilt = is_spoilt.then(|| self.dice.usize(..places));
        if !takes.is_null() && self.dice.bool() {
            // Most of what can be wrong is there.
            spoilt = spoilt.map(|_| parameters.len());
        }
        let mut case = Case {
            method: operation.method,
            path: format!("/api/v1{}", operation.path),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let mut query = Vec::new();
        for (index, parameter) in parameters.iter().enumerate() {
            self.give(&mut case, &mut query, parameter, spoilt == Some(index));
        }
        if !takes.is_null() {
            let body = self.value(takes, "");
            let (body, kind) = if spoilt == Some(parameters.len()) {
                junk::spoil(&mut self.dice, body)
            } else {
                (body.to_string().into_bytes(), "application/json")
            };
            case.body = body;
            case.headers
                .push(("Content-Type".to_owned(), kind.to_owned()));
        }
        if spoilt == Some(places - 1) {
            query.push(format!("{}=1", encoded(&junk::text(&mut self.dice))));
        }
        if !query.is_empty() {
            case.path = format!("{}?{}", case.path, query.join("&"));
        }
        case
    }

    /// Gives a parameter, or leaves it out where it may be.
    fn give(&mut self, case: &mut Case, query: &mut Vec<String>, told: &Value, is_spoilt: bool) {
        let name = told["name"].as_str().unwrap();
        // A wait that says no limit takes half a minute.
        let may_lack = told["required"] != true && name != "timeout";
        if !is_spoilt && may_lack && self.dice.bool() {
            return;
        }
        let value = if is_spoilt {
            junk::text(&mut self.dice)
        } else {
            match self.value(&told["schema"], name) {
                Value::String(text) => text,
                other => other.to_string(),
            }
        };
        match told["in"].as_str().unwrap() {
            "path" => case.path = case.path.replace(&format!("{{{name}}}"), &encoded(&value)),
            "query" => query.push(format!("{name}={}", encoded(&value))),
            "header" => {
                let value = value.replace(|letter: char| !(' '..='~').contains(&letter), "?");
                case.headers.push((name.to_owned(), value));
            }
            other => panic!("{name}: parameters in {other} are not known here"),
        }
    }

    /// A value by its schema, and as its name says what it is.
    fn value(&mut self, schema: &Value, name: &str) -> Value {
        if let Some(reference) = schema.get("$ref") {
            let document = self.document;
            return self.value(document.named(reference), name);
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(choices) = schema[choice].as_array() {
                let chosen = &choices[self.dice.usize(..choices.len())];
                return self.value(chosen, name);
            }
        }
        if let Some(names) = schema["enum"].as_array() {
            return names[self.dice.usize(..names.len())].clone();
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => &kinds[self.dice.usize(..kinds.len())],
            kind => kind,
        };
        match kind.as_str() {
            Some("null") => Value::Null,
            Some("boolean") => self.dice.bool().into(),
            Some("integer") => self.number(schema).into(),
            Some("string") => self.text(name).into(),
            Some("array") => {
                let items = (0..self.dice.usize(..4)).map(|_| self.value(&schema["items"], name));
                items.collect::<Vec<_>>().into()
            }
            Some("object") => self.object(schema).into(),
            None => self.payload(),
            Some(other) => panic!("the type {other} is not known here"),
        }
    }

    fn object(&mut self, schema: &Value) -> Map<String, Value> {
        let required = schema["required"].as_array();
        let mut made = Map::new();
        for (key, schema) in schema["properties"].as_object().unwrap() {
            let must = required.is_some_and(|keys| keys.iter().any(|it| it == key));
            if must || self.dice.u8(..3) == 0 {
                made.insert(key.clone(), self.value(schema, key));
            }
        }
        made
    }

    /// A number between its limits, often the first or the last.
    fn number(&mut self, schema: &Value) -> i64 {
        let least = schema["minimum"].as_i64().unwrap_or(1);
        let most = schema["maximum"].as_i64().unwrap_or(least + 12);
        match self.dice.u8(..6) {
            0 | 1 => least,
            2 => most,
            _ => self.dice.i64(least..=most),
        }
    }

    fn text(&mut self, name: &str) -> String {
        let one_of = |dice: &mut Rng, texts: &[&str]| texts[dice.usize(..texts.len())].to_owned();
        let dice = &mut self.dice;
        match name {
            "video_id" | "stale_ids" => self.videos[dice.usize(..self.videos.len())].clone(),
            "thumbnail_url" => self.picture.clone(),
            "kind" | "only" => one_of(dice, &["score", "thumbnails", "liveness"]),
            "state" => one_of(dice, &["failed", "available,running", "succeeded"]),
            "timeout" => one_of(dice, &["0ms", "1ms", "20ms"]),
            "delay" | "unique_for" => one_of(dice, &["0s", "90s", "2h", "1ms"]),
            "run_at" => one_of(dice, &["2026-01-01T00:00:00Z", "2099-12-31T23:59:59.999Z"]),
            "traceparent" => one_of(
                dice,
                &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
            ),
            "db_path" => "vault.db".to_owned(),
            _ => one_of(dice, &["a", "DE", "key", "é 💥", "a,b", ""]),
        }
    }

    /// What work is about, which no schema says.
    fn payload(&mut self) -> Value {
        let id = self.text("video_id");
        match self.dice.u8(..8) {
            0 | 1 => json!({"videos": [{"video_id": id, "thumbnail_url": self.picture}]}),
            2 => junk::value(&mut self.dice),
            _ => json!({"video_ids": [id]}),
        }
    }
}

/// As it stands in an address.
fn encoded(text: &str) -> String {
    let letter = |byte: &u8| match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.as_bytes().iter().map(letter).collect()
}
