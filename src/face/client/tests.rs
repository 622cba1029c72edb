//! What the client makes of answers, news and silence.

use std::os::unix::net::UnixListener;

use super::scripted::Script;
use serde_json::json;

use super::*;
use crate::engine::JobState;
use crate::face::exit::{Code, Failure};
use crate::face::protocol::{Cancel, Cancelled, State, Status};

fn ask(script: &Script) -> Result<Cancelled, ClientError> {
    Client::connect(script.socket())?.ask(&Cancel { ids: vec![7] })
}

#[test]
fn an_answer_is_found_among_news_and_others_answers() {
    let script = Script::play([r#"{"jsonrpc":"2.0","method":"events.job","params":{}}
{"jsonrpc":"2.0","id":9,"result":"another's"}
{"jsonrpc":"2.0","id":1,"result":{"cancelled":[7],"later":1}}"#]);
    assert_eq!(ask(&script).unwrap().cancelled, [7]);
    let request = &script.heard()[0];
    let expected =
        json!({"jsonrpc": "2.0", "id": 1, "method": "jobs.cancel", "params": {"ids": [7]}});
    assert_eq!(*request, expected);
}

#[test]
fn each_failure_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.sock");
    let error = Client::connect(&missing).unwrap_err();
    assert!(error.is_silence());
    assert!(
        error.to_string().contains("none.sock; start one by"),
        "{error}"
    );
    // A socket file whose daemon is gone.
    let stale = folder.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    let error = Client::connect(&stale).unwrap_err();
    assert!(matches!(error, ClientError::NoDaemon { .. }), "{error}");
    let denied = io::ErrorKind::PermissionDenied.into();
    let error = ClientError::connecting(&stale, denied).to_string();
    assert!(
        error.contains("daemon.socket_group") && error.contains("0660"),
        "{error}"
    );

    let hung_up = ask(&Script::play(Vec::<String>::new())).unwrap_err();
    assert!(matches!(hung_up, ClientError::HungUp { .. }), "{hung_up}");
    let too_old = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such method"}}"#;
    let error = ask(&Script::play([too_old])).unwrap_err();
    assert!(error.to_string().contains("older version"), "{error}");
    let error = ask(&Script::play(["[1]"])).unwrap_err();
    assert!(
        matches!(error, ClientError::NotUnderstood { .. }),
        "{error}"
    );
    for (code, expected) in [
        (-32602, Code::Usage),
        (-32004, Code::Failed),
        (-32002, Code::Unusable),
    ] {
        // A refusal of a line that could not be read has no id.
        let line =
            format!(r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{code},"message":"m"}}}}"#);
        let failure = Failure::from(ask(&Script::play([line])).unwrap_err());
        assert_eq!(failure.code, expected);
        assert_eq!(failure.error.to_string(), "jobs.cancel: m");
    }
}

#[test]
fn a_place_is_waited_for() {
    let full = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"full","data":{"no_place":64}}}"#;
    let done = r#"{"jsonrpc":"2.0","id":2,"result":{"cancelled":[7]}}"#;
    let script = Script::play_each([vec![format!("+{full}")], vec![done.to_owned()]]);
    assert_eq!(ask(&script).unwrap().cancelled, [7]);
}

#[test]
fn a_daemon_that_does_not_answer_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let mut client = Client::connect(&socket).unwrap();
    let patience = Duration::from_millis(20);
    let error = client.ask_within(patience, &Status {}).unwrap_err();
    assert!(
        error.is_silence() && error.to_string().contains("did not answer"),
        "{error}"
    );
}

#[test]
fn events_come_one_by_one_until_we_are_too_slow() {
    let script = Script::play([
        r#"{"jsonrpc":"2.0","id":1,"result":{"subscribed":true}}"#,
        r#"+{"jsonrpc":"2.0","method":"events.job","params":{"id":3,"queue":"scoring","state":"running","at":"2026-01-02T03:04:05Z"}}"#,
        r#"+{"jsonrpc":"2.0","method":"events.later","params":{}}"#,
        r#"+{"jsonrpc":"2.0","method":"events.lagged","params":{"missed":17}}"#,
    ]);
    let client = Client::connect(script.socket()).unwrap();
    let mut events = client.subscribe(&Subscribe::default()).unwrap();
    let event = events.next(PATIENCE).unwrap().unwrap();
    assert_eq!((event.id, event.state), (3, State(JobState::Running)));
    assert!(events.next(PATIENCE).unwrap().is_none());
    let error = events.next(PATIENCE).unwrap_err();
    assert_eq!(
        error.to_string(),
        "too slow for the daemon's events: 17 missed"
    );
}
