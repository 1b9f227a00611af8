//! What woke us, as a typed [`Signal`]. Parsing is pure and never panics; it makes no call.

mod alarm;
mod arn;
mod cloudtrail;

pub use alarm::Alarm;
pub use arn::StreamArn;
pub use cloudtrail::{Call, Caller};

use crate::observation::Shard;
use crate::policy::Mode;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The account and region that this function lives in: the only ones it acts in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Home {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

impl Home {
    /// The home that an ARN of any service names, such as the function's own
    /// (`arn:aws:lambda:us-east-1:123456789012:function:unthrottle`). `None` if it names none.
    pub fn of_arn(arn: &str) -> Option<Home> {
        let mut parts = arn.split(':');
        let (head, partition, _service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account) = (parts.next()?, parts.next()?);
        (head == "arn" && arn::is_partition(partition) && !region.is_empty() && arn::is_account(account))
            .then(|| Home { partition: partition.into(), region: region.into(), account: account.into() })
    }
}

/// What woke us. Only a hint that a stream may need help.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// An API call on Kinesis failed, seen by CloudTrail.
    Throttle(Call),
    /// A CloudWatch alarm, or one contributor of it, changed state.
    Alarm(Alarm),
    /// A person asks about one stream.
    Ask(Ask),
    /// The scheduled sweep has found that this stream needs a look.
    Sweep(StreamArn),
}

/// `{"stream": "orders"}`: a person asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// The stream to look at.
    pub stream: StreamArn,
    /// At most this mode; a stricter setting or tag wins.
    pub mode: Option<Mode>,
    /// Why the person asks, for the report.
    pub message: Option<String>,
    /// The last change is to be taken back.
    pub undo: Option<Undo>,
}

/// A person missing a change of ours taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undo {
    /// To so many shards; `None`: to what was before.
    pub to: Option<u32>,
}

/// Why an event could not be understood. Nothing was called and nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// The payload has none of the shapes that wake us.
    #[error(
        "expected an EventBridge event (`detail-type`), {{\"sweep\": true}} (and \"stay\": true), or an ask such as {{\"stream\": \"orders\"}}, came: {came}"
    )]
    Shape {
        /// The payload's type and its first keys.
        came: String,
    },
    /// An EventBridge event of a kind that no rule of ours sends.
    #[error(
        "expected `AWS API Call via CloudTrail` from `aws.kinesis`, or `CloudWatch Alarm State Change` or \
         `CloudWatch Alarm Contributor State Change` from `aws.cloudwatch`, came: `{detail_type}` from `{event_source}`"
    )]
    Kind {
        /// The event's `detail-type`.
        detail_type: String,
        /// The event's `source`.
        event_source: String,
    },
    /// A field is missing or has the wrong type.
    #[error("field `{field}`: {source}")]
    Field {
        /// The field's path inside the event.
        field: String,
        /// What serde expected there.
        source: serde_json::Error,
    },
    /// A field has a value that cannot be used.
    #[error("field `{field}`: `{value}` is not {allowed}")]
    Value {
        /// The field's path inside the event.
        field: &'static str,
        /// The value that came.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
}

/// The envelope of EventBridge's events (the EventBridge user guide, "Events": every event has these fields).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Envelope {
    id: Option<String>,
    detail_type: String,
    source: String,
    account: Option<String>,
    time: Option<DateTime<Utc>>,
    region: Option<String>,
    detail: Value,
}

/// An invocation's payload.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// About one stream, or none.
    One(Box<Signal>),
    /// `{"sweep": true}`: the look at the fleet.
    Sweep {
        /// `"stay": true`, as the schedule asks it: to stay with what is under way. A person waits for the answer.
        stays: bool,
    },
}

impl Event {
    /// Parses a payload.
    ///
    /// # Errors
    /// [`SignalError`] says what was expected and what came.
    pub fn parse(payload: &Value, home: &Home) -> Result<Event, SignalError> {
        match payload.get("sweep") {
            None => Ok(Event::One(Box::new(Signal::parse(payload, home)?))),
            Some(_) if *payload == json!({ "sweep": true }) => Ok(Event::Sweep { stays: false }),
            Some(_) if *payload == json!({ "sweep": true, "stay": true }) => Ok(Event::Sweep { stays: true }),
            Some(_) => Err(SignalError::Shape { came: shape_of(payload) }),
        }
    }
}

impl Signal {
    /// Parses an invocation's payload.
    ///
    /// # Errors
    /// [`SignalError`] says what was expected and what came.
    pub fn parse(payload: &Value, home: &Home) -> Result<Signal, SignalError> {
        let Some(object) = payload.as_object() else {
            return Err(SignalError::Shape { came: shape_of(payload) });
        };
        if object.contains_key("detail-type") {
            return Signal::from_event(field("", payload)?, home);
        }
        if object.contains_key("stream") {
            return Ok(Signal::Ask(Ask::parse(payload, home)?));
        }
        Err(SignalError::Shape { came: shape_of(payload) })
    }

    fn from_event(event: Envelope, home: &Home) -> Result<Signal, SignalError> {
        match (event.detail_type.as_str(), event.source.as_str()) {
            ("AWS API Call via CloudTrail", "aws.kinesis") => Ok(Signal::Throttle(Call::parse(event, home)?)),
            ("CloudWatch Alarm State Change" | "CloudWatch Alarm Contributor State Change", "aws.cloudwatch") => {
                Ok(Signal::Alarm(Alarm::parse(event, home)?))
            }
            _ => Err(SignalError::Kind { detail_type: event.detail_type, event_source: event.source }),
        }
    }

    /// The stream that the signal names, if it names one that can be looked at.
    pub fn stream(&self) -> Option<&StreamArn> {
        match self {
            Signal::Throttle(call) => call.stream.as_ref(),
            Signal::Alarm(alarm) => alarm.stream.as_ref(),
            Signal::Ask(ask) => Some(&ask.stream),
            Signal::Sweep(stream) => Some(stream),
        }
    }

    /// When what the signal tells of happened. A person's ask tells of nothing that happened.
    pub fn time(&self) -> Option<DateTime<Utc>> {
        match self {
            Signal::Throttle(call) => call.time,
            Signal::Alarm(alarm) => alarm.time,
            Signal::Ask(_) | Signal::Sweep(_) => None,
        }
    }

    /// The shard that the error message names as throttled, if it names one of this stream:
    /// `Rate exceeded for shard shardId-000000000000 in stream orders under account 123456789012.`
    pub fn named_shard(&self) -> Option<&str> {
        let message = match self {
            Signal::Throttle(call) => call.error_message.as_deref()?,
            Signal::Ask(ask) => ask.message.as_deref()?,
            Signal::Alarm(_) | Signal::Sweep(_) => return None,
        };
        let (_, rest) = message.split_once("Rate exceeded for shard ")?;
        let (shard, rest) = rest.split_once(" in stream ")?;
        let stream = rest.split_whitespace().next()?.trim_end_matches('.');
        let is_ours = self.stream().is_some_and(|s| s.name == stream) && Shard::number_in(shard).is_some();
        is_ours.then_some(shard)
    }

    /// The mode that the signal itself asks for.
    pub fn mode(&self) -> Option<Mode> {
        match self {
            Signal::Ask(ask) => ask.mode,
            Signal::Throttle(_) | Signal::Alarm(_) | Signal::Sweep(_) => None,
        }
    }

    /// The change that a person missing taken back.
    pub fn undo(&self) -> Option<Undo> {
        match self {
            Signal::Ask(ask) => ask.undo,
            Signal::Throttle(_) | Signal::Alarm(_) | Signal::Sweep(_) => None,
        }
    }
}

impl Ask {
    fn parse(payload: &Value, home: &Home) -> Result<Ask, SignalError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            stream: String,
            mode: Option<String>,
            message: Option<String>,
        }
        let raw: Raw = field("", payload)?;
        let stream = StreamArn::of_name_or_arn(&raw.stream, home).ok_or_else(|| SignalError::Value {
            field: "stream",
            value: raw.stream.clone(),
            allowed: "the name or the ARN of a Kinesis data stream",
        })?;
        let mode = match raw.mode.as_deref() {
            None => None,
            Some("heal") => Some(Mode::Heal),
            Some("observe") => Some(Mode::Observe),
            Some(other) => {
                return Err(SignalError::Value { field: "mode", value: other.into(), allowed: "heal or observe" });
            }
        };
        Ok(Ask { stream, mode, message: raw.message, undo: None })
    }
}

/// Deserializes `value`, naming the field that does not fit (under `parent`).
fn field<T: DeserializeOwned>(parent: &str, value: &Value) -> Result<T, SignalError> {
    serde_path_to_error::deserialize(value).map_err(|e| {
        let path = e.path().to_string();
        let field = match (parent, path.as_str()) {
            ("", path) => path.to_owned(),
            (parent, ".") => parent.to_owned(),
            (parent, path) => format!("{parent}.{path}"),
        };
        SignalError::Field { field, source: e.into_inner() }
    })
}

/// A payload's type and first keys, for an error message.
fn shape_of(payload: &Value) -> String {
    match payload {
        Value::Object(o) if o.is_empty() => "an empty object".into(),
        Value::Object(o) => {
            let keys: Vec<_> = o.keys().take(5).map(|k| format!("`{k}`")).collect();
            format!("an object with {}", keys.join(", "))
        }
        Value::Array(_) => "an array".into(),
        Value::String(_) => "a string".into(),
        Value::Number(_) => "a number".into(),
        Value::Bool(_) => "a boolean".into(),
        Value::Null => "null".into(),
    }
}
