//! An SNS notification, as Lambda gets it: an alarm's message, or an EventBridge event, as text inside a record.

use super::error::{field, shape_of};
use super::{Alarm, Event, Home, Signal, SignalError};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

/// The payload of a function that a topic invokes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Payload {
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    sns: Notification,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Notification {
    message: String,
    message_id: Option<String>,
    topic_arn: Option<String>,
    timestamp: Option<DateTime<Utc>>,
}

/// Whether the payload has a record of SNS.
pub(super) fn is_one(payload: &Value) -> bool {
    payload["Records"].as_array().is_some_and(|records| records.iter().any(|record| record.get("Sns").is_some()))
}

/// Parses the one record. SNS sends one record in an event (the Lambda developer guide, "Using AWS Lambda with Amazon
/// SNS"), and one event has one decision. Several records are therefore an error, and none of them is handled.
pub(super) fn parse(payload: &Value, home: &Home) -> Result<Event, SignalError> {
    let Payload { records } = field("", payload)?;
    let [Record { sns }] = <[Record; 1]>::try_from(records).map_err(|all| SignalError::Records { count: all.len() })?;
    let came = |came: String| SignalError::Message { came };
    let message: Value = serde_json::from_str(&sns.message).map_err(|_| came("text that is not JSON".into()))?;
    if message.get("AlarmName").is_some() {
        let topic = sns.topic_arn.as_deref().and_then(Home::of_arn);
        let alarm = Alarm::of_message(&message, topic, sns.message_id, sns.timestamp, home)?;
        return Ok(Event::One(Box::new(Signal::Alarm(alarm))));
    }
    if message.get("detail-type").is_some() {
        return Event::of_eventbridge(&message, home);
    }
    Err(came(shape_of(&message)))
}
