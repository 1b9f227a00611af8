//! What events are understood as, and that none makes the parser panic.

mod common;

use common::home;
use proptest::prelude::*;
use serde_json::{Value, json};
use unthrottle_core::policy::Mode;
use unthrottle_core::signal::{Call, Event, Signal};

fn parse(payload: &Value) -> Result<Signal, String> {
    Signal::parse(payload, &home()).map_err(|e| e.to_string())
}

fn call(detail: Value) -> Call {
    let event = json!({
        "version": "0", "id": "e", "detail-type": "AWS API Call via CloudTrail", "source": "aws.kinesis",
        "account": "123456789012", "time": "2026-11-20T17:04:12Z", "region": "us-east-1", "resources": [],
        "detail": detail,
    });
    match parse(&event) {
        Ok(Signal::Throttle(call)) => call,
        other => panic!("not a call: {other:?}"),
    }
}

fn stream_of(detail: Value) -> Option<String> {
    call(detail).stream.map(|s| s.to_string())
}

fn arn(name: &str) -> Option<String> {
    Some(format!("arn:aws:kinesis:us-east-1:123456789012:stream/{name}"))
}

#[test]
fn the_stream_is_named_by_the_first_well_formed_resource() {
    let resources = json!([
        { "type": "AWS::Kinesis::Stream", "ARN": "arn:aws:kinesis:us-east-1:orders:stream/null" },
        { "type": "AWS::Kinesis::Stream", "ARN": arn("orders") },
    ]);
    let asked = json!({ "streamARN": arn("asked") });
    let detail = json!({ "eventName": "PutRecords", "resources": resources, "requestParameters": asked });
    assert_eq!(stream_of(detail), arn("orders"));
}

#[test]
fn else_by_the_request_and_else_by_its_name_in_the_event_s_account() {
    let by = |parameters: Value| stream_of(json!({ "eventName": "PutRecords", "requestParameters": parameters }));
    assert_eq!(by(json!({ "streamARN": arn("orders"), "streamName": "other" })), arn("orders"));
    let consumer = format!("{}/consumer/app:1789813511", arn("orders").expect("some"));
    assert_eq!(by(json!({ "consumerARN": consumer })), arn("orders"));
    assert_eq!(by(json!({ "streamName": "orders" })), arn("orders"));
    assert_eq!(by(json!({ "streamARN": "null display ARN", "streamName": "orders" })), arn("orders"));
    assert_eq!(by(json!({ "streamName": "or/ders" })), None);
    assert_eq!(by(json!({ "queueARN": "arn:aws:kinesis:us-east-1:123456789012:queue/orders" })), None);
    assert_eq!(by(Value::Null), None);
}

#[test]
fn the_malformed_resource_is_shown_but_never_used() {
    let malformed = "arn:aws:kinesis:us-east-1:orders:stream/null";
    let call = call(json!({
        "eventName": "PutRecord", "errorCode": "AccessDenied", "requestParameters": null,
        "resources": [{ "ARN": malformed }],
    }));
    assert_eq!((call.stream, call.resource.as_deref()), (None, Some(malformed)));
}

#[test]
fn what_the_report_needs_is_kept() {
    let call = call(json!({
        "eventName": "PutRecords", "eventID": "cd3c", "eventTime": "2026-11-20T17:03:59Z",
        "errorCode": "ProvisionedThroughputExceededException", "errorMessage": "Rate exceeded",
        "userAgent": "aws-sdk-java", "sourceIPAddress": "10.0.0.1",
        "userIdentity": {
            "arn": "arn:aws:sts::123456789012:assumed-role/producer/i-1",
            "sessionContext": { "sessionIssuer": { "arn": "arn:aws:iam::123456789012:role/producer" } },
        },
    }));
    assert_eq!(call.id.as_deref(), Some("cd3c"));
    assert_eq!(call.time.map(|t| t.to_rfc3339()).as_deref(), Some("2026-11-20T17:03:59+00:00"));
    assert_eq!(call.error_message.as_deref(), Some("Rate exceeded"));
    assert_eq!(call.caller.role.as_deref(), Some("arn:aws:iam::123456789012:role/producer"));
    assert_eq!(call.caller.user_agent.as_deref(), Some("aws-sdk-java"));
    assert_eq!(call.caller.source_ip.as_deref(), Some("10.0.0.1"));
}

#[test]
fn an_alarm_names_the_one_stream_that_its_metrics_watch() {
    let alarm = |metrics: Value| {
        let event = json!({
            "detail-type": "CloudWatch Alarm State Change", "source": "aws.cloudwatch",
            "account": "123456789012", "region": "us-east-1",
            "detail": {
                "alarmName": "a", "configuration": { "metrics": metrics },
                "state": { "value": "ALARM", "timestamp": "2026-11-20T17:04:40.989+0000" },
            },
        });
        match parse(&event) {
            Ok(Signal::Alarm(alarm)) => alarm,
            other => panic!("not an alarm: {other:?}"),
        }
    };
    let metric = |namespace: &str, dimensions: Value| json!({ "metricStat": { "metric": { "namespace": namespace, "dimensions": dimensions } } });
    let orders = metric("AWS/Kinesis", json!({ "StreamName": "orders" }));
    let math = json!({ "expression": "m1 / m2", "returnData": true });
    let one = alarm(json!([math, orders, orders]));
    assert_eq!(one.stream.map(|s| s.to_string()), arn("orders"));
    assert_eq!(one.time.map(|t| t.timestamp_millis()), Some(1_795_194_280_989));
    assert!(one.metrics.is_empty(), "unnamed");
    let named = |name: &str| {
        let dimensions = json!({ "StreamName": "orders" });
        json!({ "metricStat": { "metric": { "namespace": "AWS/Kinesis", "name": name, "dimensions": dimensions } } })
    };
    let both = alarm(json!([math, named("SubscribeToShard.Success"), named("SubscribeToShard.RateExceeded")]));
    let names = both.metrics.iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(names, ["SubscribeToShard.RateExceeded", "SubscribeToShard.Success"]);
    for query in [
        r#"SELECT SUM("SubscribeToShard.RateExceeded") FROM SCHEMA("AWS/Kinesis", StreamName) GROUP BY StreamName"#,
        r#"SELECT SUM( "SubscribeToShard.RateExceeded" ) FROM "AWS/Kinesis""#,
    ] {
        let queried = alarm(json!([{ "expression": query }])).metrics;
        assert!(queried.iter().eq(["SubscribeToShard.RateExceeded"]), "{queried:?}");
    }
    let two = alarm(json!([orders, metric("AWS/Kinesis", json!({ "StreamName": "clicks" }))]));
    assert_eq!((two.on_kinesis, two.stream), (true, None));
    let ours = alarm(json!([metric("Unthrottle", json!({ "StreamName": "orders" }))]));
    assert_eq!((ours.on_kinesis, ours.stream), (false, None), "our own metric can never wake us");
}

#[test]
fn a_person_asks_by_name_or_by_arn() {
    for asked in [json!({ "stream": "orders" }), json!({ "stream": arn("orders") })] {
        let signal = parse(&asked).expect("an ask");
        assert_eq!(signal.stream().map(ToString::to_string), arn("orders"));
        assert_eq!((signal.time(), signal.mode()), (None, None));
    }
    let observe = parse(&json!({ "stream": "orders", "mode": "observe", "message": "why?" })).expect("an ask");
    assert_eq!(observe.mode(), Some(Mode::Observe));
}

#[test]
fn what_is_not_understood_is_an_error_that_says_what_came() {
    for (payload, says) in [
        (json!(null), "came: null"),
        (json!([1]), "came: an array"),
        (json!({}), "came: an empty object"),
        (json!({ "Records": [], "x": 1 }), "came: an object with `Records`, `x`"),
        (json!({ "sweep": true }), "an object with `sweep`"),
        (json!({ "stream": 5 }), "field `stream`: invalid type: integer"),
        (json!({ "stream": "two words" }), "field `stream`: `two words` is not the name or the ARN"),
        (json!({ "stream": "orders", "mode": "off" }), "field `mode`: `off` is not heal or observe"),
        (json!({ "stream": "orders", "mod": "heal" }), "unknown field `mod`"),
        (json!({ "detail-type": "Scheduled Event", "source": "aws.events", "detail": {} }), "came: `Scheduled Event`"),
        (json!({ "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3", "detail": {} }), "from `aws.s3`"),
        (
            json!({ "detail-type": "AWS API Call via CloudTrail", "source": "aws.kinesis", "detail": {} }),
            "field `detail`: missing field `eventName`",
        ),
        (
            json!({ "detail-type": "AWS API Call via CloudTrail", "source": "aws.kinesis", "detail": { "eventName": "x", "resources": [{ "ARN": 5 }] } }),
            "field `detail.resources[0].ARN`: invalid type: integer",
        ),
        (json!({ "detail-type": "AWS API Call via CloudTrail" }), "missing field `source`"),
    ] {
        let error = parse(&payload).expect_err("not understood");
        assert!(error.contains(says), "{payload}: {error}");
    }
}

/// Any JSON, and JSON that looks like an event but for one thing.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(json!("arn:aws:kinesis:us-east-1:123456789012:stream/orders")),
        Just(json!("2026-11-20T17:04:40.989+0000")),
    ];
    let key = prop_oneof![
        Just("detail-type".to_owned()),
        Just("detail".to_owned()),
        Just("stream".to_owned()),
        Just("state".to_owned()),
        Just("ARN".to_owned()),
        ".{0,8}",
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_payload_makes_the_parser_panic(payload in json()) {
        let _ = parse(&payload);
    }

    #[test]
    fn no_change_of_a_real_event_makes_the_parser_panic(sample in 0usize..100, at in 0usize..200, value in json()) {
        let files: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../events")).expect("events/").map(|e| e.expect("readable").path()).collect();
        let text = std::fs::read_to_string(&files[sample % files.len()]).expect("readable");
        let mut event: Value = serde_json::from_str(&text).expect("JSON");
        let mut places = vec![];
        pointers(&event, String::new(), &mut places);
        *event.pointer_mut(&places[at % places.len()]).expect("there") = value;
        let _ = parse(&event);
    }
}

/// The place of every value inside `value`.
fn pointers(value: &Value, path: String, places: &mut Vec<String>) {
    let escape = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| pointers(v, format!("{path}/{}", escape(k)), places)),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, v)| pointers(v, format!("{path}/{i}"), places)),
        _ => {}
    }
    places.push(path);
}

#[test]
fn a_sweep_is_no_signal_of_one_stream() {
    let event = |payload: &Value| Event::parse(payload, &home());
    assert_eq!(event(&json!({ "sweep": true })).expect("a sweep"), Event::Sweep { stays: false });
    assert_eq!(event(&json!({ "sweep": true, "stay": true })).expect("a sweep"), Event::Sweep { stays: true });
    assert!(matches!(event(&json!({ "stream": "orders" })), Ok(Event::One(_))));
    let unclear = json!({ "sweep": true, "stay": "long" });
    for odd in
        [json!({ "sweep": "yes" }), json!({ "sweep": false }), json!({ "sweep": true, "stream": "orders" }), unclear]
    {
        let error = event(&odd).expect_err("no sweep").to_string();
        assert!(error.contains("an object with") && error.contains("`sweep`"), "{error}");
    }
}
