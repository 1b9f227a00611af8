//! The rule of template.yaml on CloudTrail's data events, and the event of a failed call.

use crate::aws::local_home;
use chrono::TimeDelta;
use serde_json::{Value, json};
use unthrottle_core::signal::StreamArn;
use unthrottle_lab::local::FailedCall;

/// The calls of the rule.
const CALLS: [&str; 5] = ["PutRecord", "PutRecords", "GetRecords", "GetShardIterator", "SubscribeToShard"];

/// The error codes of the rule.
const CODES: [&str; 5] = [
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "LimitExceededException",
    "AccessDenied",
    "AccessDeniedException",
];

/// Codes that begin with this are in the rule, too.
const PREFIX: &str = "KMS";

/// The time of the account from a call to its event. AWS documents none, and events within seconds were reported (Cloud
/// Custodian's documentation).
pub(super) const DELAY: TimeDelta = TimeDelta::seconds(5);

/// The event that EventBridge sends for a failed call; `None`: the rule does not match it.
pub(super) fn event(call: &FailedCall) -> Option<Value> {
    let is_code = CODES.contains(&call.code.as_str()) || call.code.starts_with(PREFIX);
    if !is_code || !CALLS.contains(&call.operation.as_str()) {
        return None;
    }
    let home = local_home();
    let arn = call.stream.as_ref().map(|name| StreamArn { home: home.clone(), name: name.clone() }.to_string());
    let time = call.at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    Some(json!({
        "version": "0",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.kinesis",
        "account": home.account,
        "time": time,
        "region": home.region,
        "resources": [],
        "detail": {
            "eventVersion": "1.11",
            "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::{}:user/local", home.account)},
            "eventTime": time,
            "eventSource": "kinesis.amazonaws.com",
            "eventName": call.operation,
            "awsRegion": home.region,
            "errorCode": call.code,
            "errorMessage": call.message,
            "requestParameters": {"streamARN": arn},
            "responseElements": null,
            "managementEvent": false,
            "recipientAccountId": home.account,
            "eventCategory": "Data",
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use unthrottle_core::signal::Signal;

    /// The text of template.yaml.
    const TEMPLATE: &str = include_str!("../../../../template.yaml");

    fn call(operation: &str, code: &str) -> FailedCall {
        FailedCall {
            operation: operation.into(),
            stream: Some("orders".into()),
            code: code.into(),
            message: "Rate exceeded for shard shardId-000000000001 in stream orders.".into(),
            at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_rule_is_that_of_the_template() {
        let rule = TEMPLATE.split("  ThrottleRule:\n").nth(1).expect("the rule");
        let rule = rule.split("Targets:").next().expect("its pattern");
        assert!(rule.contains(&format!("eventName: [{}]\n", CALLS.join(", "))), "{rule}");
        let codes = rule.split("errorCode:").nth(1).expect("codes").lines();
        let codes: Vec<&str> = codes.filter_map(|line| line.trim().strip_prefix("- ")).collect();
        assert_eq!(codes, [&CODES[..], &["prefix: KMS"]].concat());
    }

    #[test]
    fn a_throttled_call_becomes_a_signal_for_its_stream() {
        let event = event(&call("GetRecords", "ProvisionedThroughputExceededException")).expect("the rule matches");
        let signal = Signal::parse(&event, &local_home()).expect("it can be read");
        let Signal::Throttle(call) = signal else { panic!("{signal:?}") };
        assert_eq!(call.operation, "GetRecords");
        assert_eq!(call.stream.expect("a stream").name, "orders");
    }

    #[test]
    fn other_calls_and_other_errors_wake_nothing() {
        assert_eq!(event(&call("ListShards", "LimitExceededException")), None);
        assert_eq!(event(&call("GetRecords", "ExpiredIteratorException")), None);
        assert!(event(&call("PutRecords", "KMSThrottlingException")).is_some());
    }
}
