//! The wirings that people already have: an alarm's own action, a topic, and a schedule without an input.

#[macro_use]
mod common;

use common::home;
use serde_json::{Value, json};
use unthrottle_core::decide::{hold_unobserved, triage};
use unthrottle_core::policy::Policy;
use unthrottle_core::report::Document;
use unthrottle_core::signal::{Alarm, Event, Home, Signal};

/// The throttled metric of `stream`, as EventBridge and an alarm's own action have it.
fn configuration(stream: &str) -> Value {
    json!({ "metrics": [{ "id": "m1", "returnData": true, "metricStat": { "period": 60, "stat": "Sum", "metric": {
        "namespace": "AWS/Kinesis", "name": "WriteProvisionedThroughputExceeded",
        "dimensions": { "StreamName": stream } } } }] })
}

/// An alarm's own Lambda action.
fn action(state: &str, configuration: Value) -> Value {
    json!({
        "source": "aws.cloudwatch", "alarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:up",
        "accountId": "123456789012", "time": "2026-11-20T17:04:41.001+0000", "region": "us-east-1",
        "alarmData": { "alarmName": "up", "configuration": configuration,
            "state": { "value": state, "reason": "Threshold Crossed", "timestamp": "2026-11-20T17:04:40.989+0000" },
            "previousState": { "value": "OK", "timestamp": "2026-11-20T16:56:40.987+0000" } },
    })
}

/// The same alarm of a monitoring account: the metric of `stream` belongs to `account`.
fn linked(stream: &str, account: &str) -> Value {
    let mut configuration = configuration(stream);
    configuration["metrics"][0]["accountId"] = json!(account);
    configuration
}

/// The message of such an alarm to a topic.
fn linked_math(account: &str) -> Value {
    let mut trigger = math(&[("WriteProvisionedThroughputExceeded", "orders"), ("IncomingRecords", "orders")]);
    (1..=2).for_each(|n| trigger["Metrics"][n]["AccountId"] = json!(account));
    trigger
}

/// An alarm that compares a stream of this account with the stream of the same purpose in another account.
fn compared() -> Value {
    let (mut ours, theirs) = (configuration("orders"), linked("clicks", "210987654321"));
    ours["metrics"].as_array_mut().expect("a list").push(theirs["metrics"][0].clone());
    ours
}

/// The message of an alarm to a topic, with this trigger.
fn message(trigger: Value) -> Value {
    json!({
        "AlarmName": "up", "AWSAccountId": "123456789012", "NewStateValue": "ALARM", "OldStateValue": "OK",
        "NewStateReason": "Threshold Crossed", "StateChangeTime": "2026-11-20T17:04:40.989+0000",
        "Region": "US East (N. Virginia)", "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:up",
        "Trigger": trigger,
    })
}

/// One metric of `stream`, as the message of an alarm has it.
fn trigger(namespace: &str, stream: &str) -> Value {
    json!({ "MetricName": "ReadProvisionedThroughputExceeded", "Namespace": namespace, "Statistic": "SUM",
        "Dimensions": [{ "name": "StreamName", "value": stream }], "Period": 60, "Threshold": 0.0 })
}

/// Metric math over these metrics of AWS/Kinesis and streams.
fn math(metrics: &[(&str, &str)]) -> Value {
    let entry = |(n, (name, stream)): (usize, &(&str, &str))| {
        let metric = json!({ "Namespace": "AWS/Kinesis", "MetricName": name,
            "Dimensions": [{ "value": stream, "name": "StreamName" }] });
        let stat = json!({ "Period": 60, "Stat": "Sum", "Metric": metric });
        json!({ "Id": format!("m{n}"), "ReturnData": false, "MetricStat": stat })
    };
    let expression = json!({ "Id": "e1", "Expression": "m0 / m1", "Label": "share", "ReturnData": true });
    let entries: Vec<Value> = std::iter::once(expression).chain(metrics.iter().enumerate().map(entry)).collect();
    json!({ "Metrics": entries, "Period": 60, "Threshold": 0.001 })
}

/// A record of SNS with this text.
fn record(text: &str) -> Value {
    json!({ "EventSource": "aws:sns", "EventVersion": "1.0",
        "EventSubscriptionArn": "arn:aws:sns:us-east-1:123456789012:scaling:1",
        "Sns": { "Type": "Notification", "MessageId": "n-1", "Subject": "ALARM", "Message": text,
            "TopicArn": "arn:aws:sns:us-east-1:123456789012:scaling", "Timestamp": "2026-11-20T17:04:41.000Z" } })
}

/// The notification of a topic with this message.
fn topic(message: &Value) -> Value {
    json!({ "Records": [record(&message.to_string())] })
}

#[track_caller]
fn alarm(payload: &Value) -> Alarm {
    match Event::parse(payload, &home()) {
        Ok(Event::One(signal)) => match *signal {
            Signal::Alarm(alarm) => alarm,
            other => panic!("no alarm: {other:?}"),
        },
        other => panic!("no signal: {other:?}"),
    }
}

/// Asserts the stream and the code that the event alone decides, or `observe`.
#[track_caller]
fn wakes(payload: Value, (stream, code): (Option<&str>, &str)) {
    let alarm = alarm(&payload);
    assert_eq!(alarm.stream.as_ref().map(|stream| stream.name.as_str()), stream);
    assert_eq!((alarm.account.as_deref(), alarm.region.as_deref()), (Some("123456789012"), Some("us-east-1")));
    assert_eq!(alarm.time.map(|time| time.timestamp()), Some(1_795_194_280), "17:04:40");
    let held = triage(&Signal::Alarm(alarm), &Policy::default(), &home());
    assert_eq!(held.map_or("observe", |reason| <&str>::from(&reason)), code);
}

rows! { wakes;
    an_alarms_own_action_is_observed: action("ALARM", configuration("orders")) => (Some("orders"), "observe");
    an_alarms_own_action_that_is_ok_has_recovered:
        action("OK", configuration("orders")) => (Some("orders"), "recovered");
    an_alarm_that_names_this_account_for_its_metric_is_observed:
        action("ALARM", linked("orders", "123456789012")) => (Some("orders"), "observe");
    an_alarm_on_both_accounts_is_about_the_stream_of_this_one:
        action("ALARM", compared()) => (Some("orders"), "observe");
    a_composite_alarms_own_action_is_not_ours:
        action("ALARM", json!({ "alarmRule": "ALARM(up) OR ALARM(down)" })) => (None, "not_ours");
    an_alarm_by_way_of_a_topic_is_observed:
        topic(&message(trigger("AWS/Kinesis", "orders"))) => (Some("orders"), "observe");
    an_alarm_on_another_service_by_way_of_a_topic_is_not_ours:
        topic(&message(trigger("AWS/Lambda", "orders"))) => (None, "not_ours");
    metric_math_by_way_of_a_topic_is_observed:
        topic(&message(math(&[("WriteProvisionedThroughputExceeded", "orders"), ("IncomingRecords", "orders")])))
        => (Some("orders"), "observe");
    metric_math_on_two_streams_by_way_of_a_topic_is_not_ours:
        topic(&message(math(&[("IncomingRecords", "orders"), ("IncomingRecords", "clicks")]))) => (None, "not_ours");
    metric_math_on_subscriptions_by_way_of_a_topic_is_too_many_readers:
        topic(&message(math(&[("SubscribeToShard.RateExceeded", "orders"), ("SubscribeToShard.Success", "orders")])))
        => (Some("orders"), "too_many_readers");
}

/// A message without its optional fields: the topic has the region, and the notification has the time.
#[test]
fn an_old_message_of_an_alarm_has_the_region_of_its_topic_and_the_time_of_its_notification() {
    let mut message = message(trigger("AWS/Kinesis", "orders-e"));
    let fields = message.as_object_mut().expect("an object");
    ["AlarmArn", "StateChangeTime", "NewStateReason"].iter().for_each(|field| drop(fields.remove(*field)));
    let alarm = alarm(&topic(&message));
    let stream = "arn:aws:kinesis:us-east-1:123456789012:stream/orders-e";
    assert_eq!(alarm.stream.map(|stream| stream.to_string()).as_deref(), Some(stream));
    assert_eq!((alarm.time.map(|time| time.timestamp()), alarm.id.as_deref()), (Some(1_795_194_281), Some("n-1")));
    assert_eq!(alarm.region.as_deref(), Some("us-east-1"), "and not the display name");
}

#[test]
fn an_alarm_of_another_region_by_way_of_a_topic_is_not_ours() {
    let mut message = message(trigger("AWS/Kinesis", "orders"));
    message["AlarmArn"] = json!("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:up");
    let held = triage(&Signal::Alarm(alarm(&topic(&message))), &Policy::default(), &home());
    assert_eq!(held.map(|reason| <&str>::from(&reason)), Some("not_ours"));
}

/// A stream of this account may have the same name as the linked account's.
#[test]
fn an_alarm_on_the_metrics_of_a_linked_account_is_not_ours() {
    for payload in [action("ALARM", linked("orders", "210987654321")), topic(&message(linked_math("210987654321")))] {
        let alarm = alarm(&payload);
        assert_eq!((alarm.account.as_deref(), &alarm.stream), (Some("210987654321"), &None));
        let signal = Signal::Alarm(alarm);
        let reason = triage(&signal, &Policy::default(), &home()).expect("held");
        let document = Document::new(&signal, None, &hold_unobserved(reason, &Policy::default()), None);
        assert_eq!(document.code, "not_ours");
        assert!(document.sentence.contains("another account"), "{}", document.sentence);
    }
}

#[test]
fn a_composite_alarm_says_which_alarm_to_wire() {
    let mut message = message(json!(null));
    let fields = message.as_object_mut().expect("an object");
    fields.remove("Trigger");
    fields.insert("AlarmRule".into(), json!("ALARM(up)"));
    let event = json!({ "detail-type": "CloudWatch Alarm State Change", "source": "aws.cloudwatch",
        "account": "123456789012", "region": "us-east-1", "detail": { "alarmName": "all",
        "state": { "value": "ALARM" }, "configuration": { "alarmRule": "ALARM(up)" } } });
    for payload in [topic(&message), event, action("ALARM", json!({ "alarmRule": "ALARM(up)" }))] {
        let signal = Signal::Alarm(alarm(&payload));
        let reason = triage(&signal, &Policy::default(), &home()).expect("held");
        let document = Document::new(&signal, None, &hold_unobserved(reason, &Policy::default()), None);
        assert_eq!(document.code, "not_ours");
        assert!(document.sentence.contains("Wire its child alarm on a metric of AWS/Kinesis"), "{}", document.sentence);
    }
}

#[test]
fn a_field_of_an_alarm_that_is_null_is_absent() {
    let with_null = |mut value: Value, field: &str| {
        value[field] = Value::Null;
        value
    };
    let trigger = || trigger("AWS/Kinesis", "orders");
    let entry = || configuration("orders")["metrics"][0].clone();
    let mut without_dimensions = entry();
    without_dimensions["metricStat"]["metric"]["dimensions"] = Value::Null;
    for (payload, stream) in [
        (topic(&message(Value::Null)), None),
        (topic(&message(with_null(trigger(), "Dimensions"))), None),
        (topic(&message(with_null(trigger(), "Metrics"))), Some("orders")),
        (action("ALARM", json!({ "metrics": null, "alarmRule": "ALARM(up)" })), None),
        (action("ALARM", json!({ "metrics": [without_dimensions] })), None),
        (action("ALARM", Value::Null), None),
    ] {
        assert_eq!(alarm(&payload).stream.map(|stream| stream.name).as_deref(), stream, "{payload}");
    }
}

#[test]
fn an_event_of_eventbridge_by_way_of_a_topic_is_the_event() {
    let of_file = |name: &str| {
        let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str::<Value>(&std::fs::read_to_string(path).expect("readable")).expect("JSON")
    };
    for name in ["put_records_throttled__scale_shards", "alarm_contributor__scale_shards", "alarm_muted__muted"] {
        let event = of_file(name);
        assert_eq!(Event::parse(&topic(&event), &home()).expect(name), Event::parse(&event, &home()).expect(name));
    }
}

/// A schedule without an input, from a rule or from EventBridge Scheduler.
fn scheduled(source: &str, detail: Value) -> Value {
    json!({ "version": "0", "id": "s", "detail-type": "Scheduled Event", "source": source, "account": "123456789012",
        "time": "2026-11-20T17:05:00Z", "region": "us-east-1", "detail": detail,
        "resources": ["arn:aws:events:us-east-1:123456789012:rule/every-five-minutes"] })
}

#[test]
fn a_schedule_without_an_input_is_a_sweep_that_does_not_stay() {
    for event in [scheduled("aws.events", json!({})), scheduled("aws.scheduler", json!("{}"))] {
        assert_eq!(Event::parse(&event, &home()).expect("a sweep"), Event::Sweep { stays: false, every_minutes: None });
        assert_eq!(
            Event::parse(&topic(&event), &home()).expect("a sweep"),
            Event::Sweep { stays: false, every_minutes: None }
        );
    }
    let error = Event::parse(&scheduled("aws.states", json!({})), &home()).expect_err("another source").to_string();
    assert!(error.contains("came: `Scheduled Event` from `aws.states`"), "{error}");
}

/// Asserts that the payload is an error, and what the error says.
#[track_caller]
fn is_refused(payload: Value, says: &str) {
    let error = Event::parse(&payload, &home()).expect_err("not understood").to_string();
    assert!(error.contains(says), "{error}");
}

rows! { is_refused;
    two_records_are_refused_and_none_is_handled:
        json!({ "Records": [record("{}"), record("{}")] }) => "expected one record of SNS in an event, came: 2";
    a_record_of_a_queue_is_refused:
        json!({ "Records": [{ "eventSource": "aws:sqs", "body": "{}" }] }) => "came: an object with `Records`";
    a_message_that_is_no_json_is_refused:
        json!({ "Records": [record("orders is slow")] }) => "Records[0].Sns.Message`: expected the message of a Cloud";
    a_message_of_another_kind_is_refused: topic(&json!({ "x": 1 })) => "came: an object with `x`";
    an_ask_by_way_of_a_topic_is_refused: topic(&json!({ "stream": "orders" })) => "came: an object with `stream`";
    a_sweep_by_way_of_a_topic_is_refused: topic(&json!({ "sweep": true })) => "came: an object with `sweep`";
    an_alarm_without_a_state_by_way_of_a_topic_is_refused:
        topic(&json!({ "AlarmName": "up" })) => "field `Records[0].Sns.Message`: missing field `NewStateValue`";
    an_alarms_own_action_without_its_state_is_refused:
        json!({ "alarmData": { "alarmName": "up" } }) => "field `alarmData`: missing field `state`";
    an_event_with_keys_like_links_is_quoted_without_a_link:
        json!({ "https://unthrottle.example": 1 }) => "an object with `https:/unthrottle.example`";
}

#[test]
fn every_partition_of_aws_is_a_home() {
    for (partition, region) in [("aws-eusc", "eusc-de-east-1"), ("aws", "eu-west-1"), ("aws-iso-b", "us-isob-east-1")] {
        let arn = format!("arn:{partition}:lambda:{region}:123456789012:function:unthrottle");
        let home = Home::of_arn(&arn).expect("a home");
        assert_eq!((home.partition.as_str(), home.region.as_str()), (partition, region));
    }
    for arn in ["arn:gcp:lambda:x:123456789012:function:f", "arn:aws-:lambda:x:123456789012:function:f"] {
        assert_eq!(Home::of_arn(arn), None, "{arn}");
    }
}
