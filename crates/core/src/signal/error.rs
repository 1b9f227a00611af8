//! Why an event could not be parsed, and helpers that name the invalid part of the event.

use crate::text::{QUOTED, plain};
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value;

/// The longest key or word of an event that an error quotes. A longer one is no field of an event.
const WORD: usize = 64;

/// Why an event could not be parsed. The function called nothing and changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// The payload has none of the shapes that the function accepts.
    #[error(
        "expected an EventBridge event (`detail-type`), an alarm's own action (`alarmData`), an SNS notification \
         (`Records`), {{\"sweep\": true}} (and \"stay\": true, \"every_minutes\": 1 to 60), or an ask such as \
         {{\"stream\": \"orders\"}}, came: {came}"
    )]
    Shape {
        /// The payload's type and its first keys.
        came: String,
    },
    /// An EventBridge event of a kind that no rule of unthrottle sends.
    #[error(
        "expected `AWS API Call via CloudTrail` from `aws.kinesis`, `CloudWatch Alarm State Change` or \
         `CloudWatch Alarm Contributor State Change` from `aws.cloudwatch`, or `Scheduled Event` from `aws.events`, \
         came: `{}` from `{}`",
        plain(detail_type, WORD),
        plain(event_source, WORD)
    )]
    Kind {
        /// The event's `detail-type`.
        detail_type: String,
        /// The event's `source`.
        event_source: String,
    },
    /// An SNS notification with several records, or with none.
    #[error(
        "expected one record of SNS in an event, came: {count}. None of them was handled. Send an event for each record"
    )]
    Records {
        /// How many records came.
        count: usize,
    },
    /// The message of an SNS notification is neither an alarm nor an EventBridge event.
    #[error(
        "field `Records[0].Sns.Message`: expected the message of a CloudWatch alarm (`AlarmName`) or an EventBridge \
         event (`detail-type`), came: {came}"
    )]
    Message {
        /// The message's type and its first keys.
        came: String,
    },
    /// A field is missing or has the wrong type.
    #[error("field `{field}`: {}", plain(&source.to_string(), QUOTED))]
    Field {
        /// The field's path inside the event.
        field: String,
        /// What serde expected there.
        source: serde_json::Error,
    },
    /// A field has a value that cannot be used.
    #[error("field `{field}`: `{}` is not {allowed}", plain(value, QUOTED))]
    Value {
        /// The field's path inside the event.
        field: &'static str,
        /// The field's value.
        value: String,
        /// The values that the field may have.
        allowed: &'static str,
    },
}

impl SignalError {
    /// The error of an event that is about no stream.
    pub(super) fn kind(detail_type: &Value, event_source: &Value) -> SignalError {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        SignalError::Kind { detail_type: word(detail_type), event_source: word(event_source) }
    }
}

/// Deserializes `value`. An error names the invalid field by its path below `parent`.
pub(super) fn field<T: DeserializeOwned>(parent: &str, value: &Value) -> Result<T, SignalError> {
    serde_path_to_error::deserialize(value).map_err(|e| {
        let path = e.path().to_string();
        let field = match (parent, path.as_str()) {
            ("", path) => path.to_owned(),
            (parent, ".") => parent.to_owned(),
            (parent, path) => format!("{parent}.{path}"),
        };
        let field = plain(&field, QUOTED);
        SignalError::Field { field, source: e.into_inner() }
    })
}

/// A payload's type and first keys, for an error message.
pub(super) fn shape_of(payload: &Value) -> String {
    match payload {
        Value::Object(o) if o.is_empty() => "an empty object".into(),
        Value::Object(o) => {
            let keys: Vec<_> = o.keys().take(5).map(|k| format!("`{}`", plain(k, WORD))).collect();
            format!("an object with {}", keys.join(", "))
        }
        Value::Array(_) => "an array".into(),
        Value::String(_) => "a string".into(),
        Value::Number(_) => "a number".into(),
        Value::Bool(_) => "a boolean".into(),
        Value::Null => "null".into(),
    }
}

/// A field that is absent by default. The event may also have it as `null`.
pub(super) fn null_is_absent<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}
