//! The signal in each event. No event makes the parser panic.

#[macro_use]
mod common;

use common::home;
use proptest::prelude::*;
use serde_json::{Value, json};
use unthrottle_core::policy::Mode;
use unthrottle_core::signal::{Alarm, Call, Event, Signal};

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

#[test]
fn an_event_names_the_account_and_region_that_it_comes_from_and_an_ask_names_none() {
    let signal = Signal::Throttle(call(json!({ "eventName": "PutRecords" })));
    assert_eq!(signal.origin(), (Some("123456789012"), Some("us-east-1")));
    let ask = parse(&json!({ "stream": "orders" })).expect("an ask");
    assert_eq!(ask.origin(), (None, None));
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

/// Asserts the stream that the parameters of a request name.
#[track_caller]
fn requests(parameters: Value, stream: Option<String>) {
    assert_eq!(stream_of(json!({ "eventName": "PutRecords", "requestParameters": parameters })), stream);
}

rows! { requests;
    a_stream_arn_in_the_request_names_the_stream:
        json!({ "streamARN": arn("orders"), "streamName": "other" }) => arn("orders");
    a_consumer_arn_in_the_request_names_the_stream:
        json!({ "consumerARN": format!("{}/consumer/app:1789813511", arn("orders").expect("some")) }) => arn("orders");
    a_stream_name_in_the_request_names_a_stream_of_the_events_account:
        json!({ "streamName": "orders" }) => arn("orders");
    a_stream_name_replaces_a_malformed_arn:
        json!({ "streamARN": "null display ARN", "streamName": "orders" }) => arn("orders");
    a_malformed_stream_name_names_no_stream: json!({ "streamName": "or/ders" }) => None;
    a_queue_arn_names_no_stream: json!({ "queueARN": "arn:aws:kinesis:us-east-1:123456789012:queue/orders" }) => None;
    a_request_without_parameters_names_no_stream: Value::Null => None;
}

#[test]
fn a_malformed_resource_is_shown_and_never_used() {
    let malformed = "arn:aws:kinesis:us-east-1:orders:stream/null";
    let call = call(json!({
        "eventName": "PutRecord", "errorCode": "AccessDenied", "requestParameters": null,
        "resources": [{ "ARN": malformed }],
    }));
    assert_eq!((call.stream, call.resource.as_deref()), (None, Some(malformed)));
}

#[test]
fn a_call_keeps_the_fields_of_the_report() {
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

fn alarm(metrics: Value) -> Alarm {
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
}

/// A metric of an alarm, without a name.
fn metric(namespace: &str, stream: &str) -> Value {
    let dimensions = json!({ "StreamName": stream });
    json!({ "metricStat": { "metric": { "namespace": namespace, "dimensions": dimensions } } })
}

/// A metric of the stream `orders`.
fn named(name: &str) -> Value {
    let mut metric = metric("AWS/Kinesis", "orders");
    metric["metricStat"]["metric"]["name"] = name.into();
    metric
}

fn math() -> Value {
    json!({ "expression": "m1 / m2", "returnData": true })
}

#[test]
fn an_alarm_names_the_one_stream_of_its_metrics() {
    let orders = metric("AWS/Kinesis", "orders");
    let alarm = alarm(json!([math(), orders, orders]));
    assert_eq!(alarm.stream.map(|s| s.to_string()), arn("orders"));
    assert_eq!(alarm.time.map(|t| t.timestamp_millis()), Some(1_795_194_280_989));
}

#[test]
fn an_alarm_on_two_streams_names_none() {
    let two = alarm(json!([metric("AWS/Kinesis", "orders"), metric("AWS/Kinesis", "clicks")]));
    assert_eq!((two.on_kinesis, two.stream), (true, None));
}

#[test]
fn an_alarm_on_our_own_metric_never_wakes_us() {
    let ours = alarm(json!([metric("Unthrottle", "orders")]));
    assert_eq!((ours.on_kinesis, ours.stream), (false, None));
}

/// Asserts the metrics of an alarm.
#[track_caller]
fn has_metrics(metrics: Value, names: &[&str]) {
    assert!(alarm(metrics.clone()).metrics.iter().eq(names), "{metrics}");
}

rows! { has_metrics;
    an_alarm_without_names_has_no_metrics: json!([math(), metric("AWS/Kinesis", "orders")]) => &[];
    an_alarm_has_the_metrics_of_its_math:
        json!([math(), named("SubscribeToShard.Success"), named("SubscribeToShard.RateExceeded")])
        => &["SubscribeToShard.RateExceeded", "SubscribeToShard.Success"];
    an_alarm_has_the_metric_of_a_query_with_a_schema:
        json!([{ "expression": "SELECT SUM(\"SubscribeToShard.RateExceeded\") \
            FROM SCHEMA(\"AWS/Kinesis\", StreamName) GROUP BY StreamName" }])
        => &["SubscribeToShard.RateExceeded"];
    an_alarm_has_the_metric_of_a_query_with_spaces:
        json!([{ "expression": "SELECT SUM( \"SubscribeToShard.RateExceeded\" ) FROM \"AWS/Kinesis\"" }])
        => &["SubscribeToShard.RateExceeded"];
}

/// Asserts that a person asks about this stream, without a time and without a mode.
#[track_caller]
fn asks(payload: Value, stream: Option<String>) {
    let signal = parse(&payload).expect("an ask");
    assert_eq!(signal.stream().map(ToString::to_string), stream);
    assert_eq!((signal.time(), signal.mode()), (None, None));
}

rows! { asks;
    a_person_asks_by_name: json!({ "stream": "orders" }) => arn("orders");
    a_person_asks_by_arn: json!({ "stream": arn("orders") }) => arn("orders");
}

/// Asserts the shards and the end of the plan in an ask, or a part of the error.
#[track_caller]
fn plans(payload: Value, expected: Result<(u32, &str), &str>) {
    match (parse(&payload), expected) {
        (Ok(Signal::Ask(ask)), Ok((at_least, until))) => {
            let plan = ask.plan.expect("a plan");
            assert_eq!((plan.at_least, plan.until.to_rfc3339().as_str()), (at_least, until));
        }
        (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{error}"),
        (other, _) => panic!("{other:?}"),
    }
}

rows! { plans;
    a_person_plans_shards_until_a_time:
        json!({ "stream": "orders", "at_least": 8, "until": "2026-11-27T20:00:00Z" })
        => Ok((8, "2026-11-27T20:00:00+00:00"));
    a_schedule_plans_shards_for_some_minutes:
        json!({ "stream": "orders", "at_least": 8, "from": "2026-11-27T08:00:00+01:00", "for_minutes": 600 })
        => Ok((8, "2026-11-27T17:00:00+00:00"));
    a_plan_needs_an_end:
        json!({ "stream": "orders", "at_least": 8 }) => Err("field `until`: `missing` is not the end");
    a_plan_needs_shards:
        json!({ "stream": "orders", "until": "2026-11-27T20:00:00Z" }) => Err("field `at_least`: `missing` is not");
    a_plan_of_no_shard_is_an_error:
        json!({ "stream": "orders", "at_least": 0, "until": "2026-11-27T20:00:00Z" })
        => Err("field `at_least`: `0` is not");
    a_plan_with_two_ends_is_an_error:
        json!({ "stream": "orders", "at_least": 8, "until": "2026-11-27T20:00:00Z", "for_minutes": 5 })
        => Err("alone, without");
    a_beginning_without_a_length_is_an_error:
        json!({ "stream": "orders", "at_least": 8, "from": "2026-11-27T20:00:00Z" }) => Err("beside `for_minutes`");
    a_time_that_is_none_is_an_error:
        json!({ "stream": "orders", "at_least": 8, "until": "tomorrow" }) => Err("invalid");
}

#[test]
fn a_person_asks_in_observe_mode() {
    let observe = parse(&json!({ "stream": "orders", "mode": "observe", "message": "why?" })).expect("an ask");
    assert_eq!(observe.mode(), Some(Mode::Observe));
}

/// Asserts that the payload is an error, and what the error says.
#[track_caller]
fn is_refused(payload: Value, says: &str) {
    let error = parse(&payload).expect_err("not understood");
    assert!(error.contains(says), "{error}");
}

/// An event of CloudTrail from `source`.
fn cloudtrail(source: &str, detail: Value) -> Value {
    json!({ "detail-type": "AWS API Call via CloudTrail", "source": source, "detail": detail })
}

rows! { is_refused;
    null_is_refused: json!(null) => "came: null";
    an_array_is_refused: json!([1]) => "came: an array";
    an_empty_object_is_refused: json!({}) => "came: an empty object";
    an_unknown_object_is_refused_with_its_fields:
        json!({ "Records": [], "x": 1 }) => "came: an object with `Records`, `x`";
    a_sweep_is_no_signal_of_one_stream: json!({ "sweep": true }) => "an object with `sweep`";
    a_stream_that_is_a_number_is_refused: json!({ "stream": 5 }) => "field `stream`: invalid type: integer";
    a_malformed_stream_is_refused:
        json!({ "stream": "two words" }) => "field `stream`: `two words` is not the name or the ARN";
    a_person_who_asks_for_mode_off_is_refused:
        json!({ "stream": "orders", "mode": "off" }) => "field `mode`: `off` is not heal or observe";
    an_unknown_field_is_refused: json!({ "stream": "orders", "mod": "heal" }) => "unknown field `mod`";
    another_type_of_event_is_refused:
        json!({ "detail-type": "Scheduled Event", "source": "aws.events", "detail": {} }) => "came: `Scheduled Event`";
    an_event_from_another_source_is_refused: cloudtrail("aws.s3", json!({})) => "from `aws.s3`";
    an_event_without_a_source_is_refused:
        json!({ "detail-type": "AWS API Call via CloudTrail" }) => "missing field `source`";
    a_call_without_its_name_is_refused:
        cloudtrail("aws.kinesis", json!({})) => "field `detail`: missing field `eventName`";
    a_resource_that_is_a_number_is_refused:
        cloudtrail("aws.kinesis", json!({ "eventName": "x", "resources": [{ "ARN": 5 }] }))
        => "field `detail.resources[0].ARN`: invalid type: integer";
}

/// The words of a throttle, and the shard that they name on the stream `orders`.
#[track_caller]
fn names(message: &str, shard: Option<&str>) {
    let ask = parse(&json!({ "stream": "orders", "message": message })).expect("an ask");
    assert_eq!(ask.named_shard(), shard);
}

const THIRD: Option<&str> = Some("shardId-000000000003");

rows! { names;
    a_throttle_in_words_names_its_shard:
        "Rate exceeded for shard shardId-000000000003 in stream orders under account 123456789012." => THIRD;
    a_throttle_with_a_path_names_its_shard:
        "Rate exceeded for Shard - 123456789012/orders/shardId-000000000003" => THIRD;
    a_throttle_with_a_path_inside_another_error_names_its_shard:
        "AWS: Rate exceeded for Shard - 123456789012/orders/shardId-000000000003. (Service: Kinesis)" => THIRD;
    a_throttle_of_another_stream_names_no_shard:
        "Rate exceeded for Shard - 123456789012/clicks/shardId-000000000003" => None;
    a_throttle_of_another_account_names_no_shard:
        "Rate exceeded for Shard - 999999999999/orders/shardId-000000000003" => None;
    a_path_without_a_shard_names_none: "Rate exceeded for Shard - 123456789012/orders/x" => None;
    a_path_without_a_stream_names_none: "Rate exceeded for Shard - 123456789012" => None;
}

/// Any JSON, and JSON with fields and values of real events.
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

/// The sample events of the repository.
const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events");

proptest! {
    #[test]
    fn no_payload_makes_the_parser_panic(payload in json()) {
        let _ = parse(&payload);
    }

    #[test]
    fn no_change_of_a_real_event_makes_the_parser_panic(sample in 0usize..100, at in 0usize..200, value in json()) {
        let files: Vec<_> = std::fs::read_dir(EVENTS).expect("events/").map(|e| e.expect("readable").path()).collect();
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

fn event(payload: &Value) -> Result<Event, String> {
    Event::parse(payload, &home()).map_err(|e| e.to_string())
}

/// Asserts that the event is a sweep, whether the sweep stays with the changes that are under way, and in how many
/// minutes the next one begins.
#[track_caller]
fn sweeps(payload: Value, (stays, every_minutes): (bool, Option<u32>)) {
    assert_eq!(event(&payload).expect("a sweep"), Event::Sweep { stays, every_minutes });
}

/// Asserts that the event is neither a sweep nor a signal.
#[track_caller]
fn is_no_sweep(payload: Value, says: &str) {
    let error = event(&payload).expect_err("no sweep");
    assert!(error.contains("an object with") && error.contains(says), "{error}");
}

rows! { sweeps;
    a_sweep_does_not_stay_by_default: json!({ "sweep": true }) => (false, None);
    a_sweep_stays_where_the_event_says_so: json!({ "sweep": true, "stay": true }) => (true, None);
    a_sweep_knows_when_the_next_one_begins:
        json!({ "sweep": true, "stay": true, "every_minutes": 1 }) => (true, Some(1));
}

rows! { is_no_sweep;
    a_sweep_every_0_minutes_is_refused: json!({ "sweep": true, "every_minutes": 0 }) => "`every_minutes`";
    a_sweep_every_61_minutes_is_refused: json!({ "sweep": true, "every_minutes": 61 }) => "`every_minutes`";
    a_sweep_that_is_a_word_is_refused: json!({ "sweep": "yes" }) => "`sweep`";
    a_sweep_that_is_false_is_refused: json!({ "sweep": false }) => "`sweep`";
    a_sweep_of_one_stream_is_refused: json!({ "sweep": true, "stream": "orders" }) => "`sweep`";
    a_sweep_that_stays_for_a_word_is_refused: json!({ "sweep": true, "stay": "long" }) => "`sweep`";
}

#[test]
fn a_stream_without_a_sweep_is_a_signal_of_one_stream() {
    assert!(matches!(event(&json!({ "stream": "orders" })), Ok(Event::One(_))));
}
