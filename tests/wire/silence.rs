//! Events that cost no AWS call, and events that are no events.

use crate::aws::{EASY, STREAM, root, sample};
use crate::fixture::Fixture;
use crate::lambda::fail_to_start;
use crate::{ask, throttle, total};
use serde_json::json;
use std::collections::BTreeMap;
use unthrottle_core::RELEASE;

#[tokio::test]
async fn a_decision_from_the_signal_alone_makes_no_call() {
    const FROM_THE_SIGNAL_ALONE: [&str; 9] = [
        "not_a_throttle",
        "not_ours",
        "own_call",
        "access_denied",
        "kms_denied",
        "kms_throttled",
        "control_plane_throttled",
        "muted",
        "recovered",
    ];
    let fixture = Fixture::throttled().await;
    let role = ("UNTHROTTLE_ROLE_ARN", "arn:aws:iam::123456789012:role/unthrottle");
    let mut container = fixture.container_with(&[role]).await;
    let mut heard = vec![];
    for name in samples() {
        let (_, code) = name.split_once("__").expect("SITUATION__DECISION");
        if !FROM_THE_SIGNAL_ALONE.contains(&code) {
            continue;
        }
        let (run, calls) = fixture.calls_of(container.invoke(&sample(&name))).await;
        assert_eq!((run.outcome(), run.code()), ("held", code), "{name}");
        assert_eq!(calls, BTreeMap::new(), "{name}");
        let cost = run.cost_line();
        assert_eq!((&cost["Looked"], &cost["Held"], &cost["AwsCalls"]), (&json!(0), &json!(1), &json!(0)), "{name}");
        let needs_person = ["access_denied", "kms_denied", "kms_throttled", "too_many_readers"].contains(&code);
        assert_eq!(cost["NeedsPerson"], u8::from(needs_person), "{name}");
        heard.push(code.to_owned());
    }
    for code in FROM_THE_SIGNAL_ALONE {
        assert!(heard.iter().any(|heard| heard == code), "no sample for {code}");
    }
}

#[tokio::test]
async fn the_start_of_a_container_makes_no_call() {
    let fixture = Fixture::throttled().await;
    let (_, calls) = fixture.calls_of(fixture.container()).await;
    assert_eq!(calls, BTreeMap::new());
}

#[tokio::test]
async fn a_throttle_right_after_an_observation_and_a_function_that_is_off_make_no_call() {
    let fixture = Fixture::under(EASY, 2).await;
    let mut container = fixture.container().await;
    let (first, calls) = fixture.calls_of(container.invoke(&throttle())).await;
    assert!(total(&calls) > 0, "{first:?}");
    let mut off = fixture.container_with(&[("UNTHROTTLE_MODE", "off")]).await;
    for (container, event, code) in [(&mut container, throttle(), "just_looked"), (&mut off, ask(), "opted_out")] {
        let (run, calls) = fixture.calls_of(container.invoke(&event)).await;
        assert_eq!((run.code(), calls), (code, BTreeMap::new()));
    }
}

fn samples() -> Vec<String> {
    let files = root().join("events").read_dir().expect("events/").map(|entry| entry.expect("readable").path());
    let mut names: Vec<_> = files.map(|f| f.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn an_unknown_event_is_an_error_that_names_its_content_and_makes_no_call() {
    let fixture = Fixture::throttled().await;
    let mut container = fixture.container().await;
    for (event, says) in [
        (json!({ "hello": 1 }), "an object with `hello`"),
        (json!(["orders"]), "an array"),
        (json!({ "stream": "or ders" }), "stream"),
        (json!({ "stream": STREAM, "mode": "off" }), "mode"),
        (json!({ "sweep": false }), "sweep"),
    ] {
        let (run, calls) = fixture.calls_of(container.invoke(&event)).await;
        let (kind, message) = run.error();
        assert_eq!(kind, "bad_event", "{event}");
        assert!(message.contains(says), "{event}: {message}");
        assert_eq!(calls, BTreeMap::new(), "{event}");
    }
    assert_eq!(container.invoke(&throttle()).await.outcome(), "acted", "the container lives on");
}

#[test]
fn an_invalid_setting_fails_the_start_and_says_what_is_allowed() {
    let (status, output) = fail_to_start(&[("UNTHROTTLE_MODE", "on")]);
    assert!(!status.success());
    assert!(output.contains("UNTHROTTLE_MODE=on: must be heal, observe or off"), "{output}");
}

#[test]
fn an_unknown_setting_is_reported_at_the_start_with_the_nearest_name() {
    let (_, output) = fail_to_start(&[("UNTHROTTLE_MAX_SHARD", "5"), ("UNTHROTTLE_MODE", "on")]);
    let says =
        "unthrottle does not know UNTHROTTLE_MAX_SHARD and ignores it. The nearest name is UNTHROTTLE_MAX_SHARDS";
    assert!(output.contains(says) && output.contains("\"WARN\""), "{output}");
    assert!(!output.contains("does not know UNTHROTTLE_MODE"), "{output}");
}

#[test]
fn a_stack_of_another_release_is_reported_at_the_start() {
    let (_, output) = fail_to_start(&[("UNTHROTTLE_VERSION", "0.0.1"), ("UNTHROTTLE_MODE", "on")]);
    let says = format!("the stack is of release 0.0.1, and its function of release {RELEASE}");
    assert!(output.contains(&says) && output.contains("\"WARN\""), "{output}");
    let (_, output) = fail_to_start(&[("UNTHROTTLE_VERSION", RELEASE), ("UNTHROTTLE_MODE", "on")]);
    assert!(!output.contains("the stack is of release") && !output.contains("UNTHROTTLE_VERSION"), "{output}");
}
