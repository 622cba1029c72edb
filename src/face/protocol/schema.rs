//! The protocol as a JSON Schema, made of the types. Tests hold that the file we ship is up to
//! date; `VVV_BLESS=1 cargo test --lib protocol` writes it anew.

use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{
    Cancel, Command, Drain, ErrorCode, Get, JOB_EVENT, JobEvent, LAGGED_EVENT, Lagged, List,
    ListQueues, Method, Pause, Purge, QUEUE_EVENT, QueueEvent, Reload, Resume, Retry, RpcError,
    Shutdown, Status, Submit, SubmitBatch, Subscribe, Wait,
};
use crate::engine::JobState;

/// One state, or a list.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) enum StateNames {
    One(JobState),
    Many(Vec<JobState>),
}

/// Everything a method takes and gives.
struct Methods {
    takes: SchemaGenerator,
    gives: SchemaGenerator,
    requests: Vec<Value>,
    results: Map<String, Value>,
}

impl Methods {
    fn add<C>(&mut self)
    where
        C: Command + JsonSchema,
        C::Answer: JsonSchema,
    {
        let params = self.takes.subschema_for::<C>();
        let needs_params = serde_json::from_str::<C>("{}").is_err();
        let mut required = vec!["jsonrpc", "method"];
        if needs_params {
            required.push("params");
        }
        self.requests.push(json!({
            "title": C::METHOD.name(),
            "type": "object",
            "properties": {
                "jsonrpc": {"const": "2.0"},
                "id": {"$ref": "#/$defs/Id"},
                "method": {"const": C::METHOD.name()},
                "params": params,
            },
            "required": required,
            "additionalProperties": false,
        }));
        let result = self.gives.subschema_for::<C::Answer>();
        self.results
            .insert(C::METHOD.name().to_owned(), result.to_value());
    }

    fn add_method(&mut self, method: Method) {
        match method {
            Method::JobsSubmit => self.add::<Submit>(),
            Method::JobsSubmitBatch => self.add::<SubmitBatch>(),
            Method::JobsGet => self.add::<Get>(),
            Method::JobsWait => self.add::<Wait>(),
            Method::JobsList => self.add::<List>(),
            Method::JobsCancel => self.add::<Cancel>(),
            Method::JobsRetry => self.add::<Retry>(),
            Method::QueuesList => self.add::<ListQueues>(),
            Method::QueuesPause => self.add::<Pause>(),
            Method::QueuesResume => self.add::<Resume>(),
            Method::QueuesPurge => self.add::<Purge>(),
            Method::DaemonStatus => self.add::<Status>(),
            Method::DaemonDrain => self.add::<Drain>(),
            Method::DaemonShutdown => self.add::<Shutdown>(),
            Method::DaemonReload => self.add::<Reload>(),
            Method::EventsSubscribe => self.add::<Subscribe>(),
        }
    }
}

fn schema() -> Value {
    let mut methods = Methods {
        takes: SchemaSettings::draft2020_12()
            .for_deserialize()
            .into_generator(),
        gives: SchemaSettings::draft2020_12()
            .for_serialize()
            .into_generator(),
        requests: Vec::new(),
        results: Map::new(),
    };
    for method in Method::ALL {
        methods.add_method(method);
    }
    let error = methods.gives.subschema_for::<RpcError>();
    let news = json!({
        JOB_EVENT: methods.gives.subschema_for::<JobEvent>(),
        QUEUE_EVENT: methods.gives.subschema_for::<QueueEvent>(),
        LAGGED_EVENT: methods.gives.subschema_for::<Lagged>(),
    });
    let codes: Map<String, Value> = ErrorCode::ALL
        .into_iter()
        .map(|code| (code.name().to_owned(), json!(code.number())))
        .collect();
    let mut definitions = methods.gives.take_definitions(true);
    // What is both read and written is told as it is read, which is the stricter of the two.
    definitions.append(&mut methods.takes.take_definitions(true));
    definitions.insert(
        "Id".to_owned(),
        json!({"type": ["string", "number", "null"]}),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "vvv-actors socket protocol",
        "description": "One JSON-RPC 2.0 object a line, 1 MiB at most. This describes a request; \
            `results` and `notifications` tell what the daemon sends, `error` and `errorCodes` \
            how it refuses.",
        "oneOf": methods.requests,
        "results": methods.results,
        "notifications": news,
        "error": error,
        "errorCodes": codes,
        "$defs": definitions,
    })
}

#[test]
fn the_schema_that_is_shipped_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/protocol.schema.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::env::var_os("VVV_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let shipped = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        shipped == text,
        "conf/protocol.schema.json is out of date: VVV_BLESS=1 cargo test --lib protocol"
    );
}

#[test]
fn the_schema_names_every_state_and_method() {
    let text = schema().to_string();
    for state in JobState::ALL {
        assert!(text.contains(&format!("\"{}\"", state.name())), "{state:?}");
    }
    for method in Method::ALL {
        assert_eq!(Method::from_name(method.name()), Some(method));
        assert!(
            text.contains(&format!("\"const\":\"{method}\"")),
            "{method}"
        );
    }
}
