//! An invocation's payload as a typed [`Event`] or [`Signal`]. Parsing makes no call, and no payload causes a panic.

mod alarm;
mod arn;
mod ask;
mod cloudtrail;
mod error;
mod topic;

pub use alarm::Alarm;
pub use arn::{StreamArn, account_of};
pub use ask::{Ask, Undo};
pub use cloudtrail::{Call, Caller};
pub use error::SignalError;

use crate::memory::Planned;
use crate::observation::Shard;
use crate::policy::Mode;
use chrono::{DateTime, Utc};
use error::{field, shape_of};
use serde::Deserialize;
use serde_json::Value;
use std::ops::RangeInclusive;

/// The account and region of the function. The function changes streams only there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Home {
    /// The AWS partition, such as `aws`, `aws-cn`, `aws-us-gov` or `aws-eusc`.
    pub partition: String,
    /// The region, such as `us-east-1`.
    pub region: String,
    /// The account id: twelve digits.
    pub account: String,
}

impl Home {
    /// Reads the account and region from an ARN of any service, such as the function's own
    /// (`arn:aws:lambda:us-east-1:123456789012:function:unthrottle`). `None`: the ARN has no account or no region.
    pub fn of_arn(arn: &str) -> Option<Home> {
        let mut parts = arn.split(':');
        let (head, partition, _service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account) = (parts.next()?, parts.next()?);
        (head == "arn" && arn::is_partition(partition) && arn::is_region(region) && arn::is_account(account))
            .then(|| Home { partition: partition.into(), region: region.into(), account: account.into() })
    }
}

/// What started the run. A signal is only a hint that a stream may need a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// CloudTrail recorded a failed API call on Kinesis.
    Throttle(Call),
    /// A CloudWatch alarm, or one contributor of the alarm, changed its state.
    Alarm(Alarm),
    /// A person asks for a check of one stream.
    Ask(Ask),
    /// The scheduled sweep found that this stream needs a check.
    Sweep(StreamArn),
}

/// The envelope of an EventBridge event. Every event has these fields (the EventBridge user guide, "Events").
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

/// Minutes from one sweep to the next. The sweep's alarm reports an hour without a sweep.
const EVERY_MINUTES: RangeInclusive<u32> = 1..=60;

/// An invocation's payload.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A signal about one stream, or about no stream.
    One(Box<Signal>),
    /// `{"sweep": true}`: a check of the fleet.
    Sweep {
        /// `"stay": true`: the sweep stays until the changes under way are complete. The schedule sets it. A person
        /// does not, because a person waits for the answer.
        stays: bool,
        /// `"every_minutes": N`: the next sweep begins as many minutes after this one, 1 to 60. `None`: unknown, as for
        /// a person's sweep.
        every_minutes: Option<u32>,
    },
}

/// The payload of a sweep.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SweepAsk {
    sweep: bool,
    #[serde(default)]
    stay: bool,
    every_minutes: Option<u32>,
}

impl SweepAsk {
    /// `None`: the payload asks for no sweep, or for one that is not possible.
    fn parse(payload: &Value) -> Option<Event> {
        let SweepAsk { sweep, stay: stays, every_minutes } = SweepAsk::deserialize(payload).ok()?;
        let is_possible = sweep && every_minutes.is_none_or(|minutes| EVERY_MINUTES.contains(&minutes));
        is_possible.then_some(Event::Sweep { stays, every_minutes })
    }
}

impl Event {
    /// Parses an invocation's payload.
    ///
    /// # Errors
    /// [`SignalError`] names the expected and the actual payload.
    pub fn parse(payload: &Value, home: &Home) -> Result<Event, SignalError> {
        if payload.get("sweep").is_some() {
            return SweepAsk::parse(payload).ok_or_else(|| SignalError::Shape { came: shape_of(payload) });
        }
        if payload.get("detail-type").is_some() {
            return Event::of_eventbridge(payload, home);
        }
        if topic::is_one(payload) {
            return topic::parse(payload, home);
        }
        Ok(Event::One(Box::new(Signal::of_other(payload, home)?)))
    }

    /// Parses an EventBridge event. A schedule without an input is a sweep. It does not stay: its own rate is unknown,
    /// and sweeps that stay at the same time would ask AWS for the same streams.
    fn of_eventbridge(payload: &Value, home: &Home) -> Result<Event, SignalError> {
        let word = |key: &str| payload[key].as_str().unwrap_or_default();
        match (word("detail-type"), word("source")) {
            // The sources are that of a rule and that of EventBridge Scheduler.
            ("Scheduled Event", "aws.events" | "aws.scheduler") => {
                Ok(Event::Sweep { stays: false, every_minutes: None })
            }
            _ => Ok(Event::One(Box::new(Signal::from_event(field("", payload)?, home)?))),
        }
    }
}

impl Signal {
    /// Parses a payload that is about one stream, or about no stream.
    ///
    /// # Errors
    /// [`SignalError`] names the expected and the actual payload. A sweep is none of them.
    pub fn parse(payload: &Value, home: &Home) -> Result<Signal, SignalError> {
        match Event::parse(payload, home)? {
            Event::One(signal) => Ok(*signal),
            Event::Sweep { .. } if payload.get("detail-type").is_some() => {
                Err(SignalError::kind(&payload["detail-type"], &payload["source"]))
            }
            Event::Sweep { .. } => Err(SignalError::Shape { came: shape_of(payload) }),
        }
    }

    /// Parses a payload that is neither an event of EventBridge nor one of a topic.
    fn of_other(payload: &Value, home: &Home) -> Result<Signal, SignalError> {
        if payload.get("alarmData").is_some() {
            return Ok(Signal::Alarm(Alarm::of_action(payload, home)?));
        }
        if payload.get("stream").is_some() {
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

    /// The stream that the signal names. `None`: the signal names no stream that the function could observe.
    pub fn stream(&self) -> Option<&StreamArn> {
        match self {
            Signal::Throttle(call) => call.stream.as_ref(),
            Signal::Alarm(alarm) => alarm.stream.as_ref(),
            Signal::Ask(ask) => Some(&ask.stream),
            Signal::Sweep(stream) => Some(stream),
        }
    }

    /// The account and region that the event names. `None` for an ask and a sweep.
    pub fn origin(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Signal::Throttle(call) => (call.account.as_deref(), call.region.as_deref()),
            Signal::Alarm(alarm) => (alarm.account.as_deref(), alarm.region.as_deref()),
            Signal::Ask(_) | Signal::Sweep(_) => (None, None),
        }
    }

    /// The time of the call or of the alarm's change. `None` for an ask and a sweep, which report no event.
    pub fn time(&self) -> Option<DateTime<Utc>> {
        match self {
            Signal::Throttle(call) => call.time,
            Signal::Alarm(alarm) => alarm.time,
            Signal::Ask(_) | Signal::Sweep(_) => None,
        }
    }

    /// The throttled shard in the error message, if the message is about this stream. AWS's texts:
    /// `Rate exceeded for shard shardId-000000000000 in stream orders under account 123456789012.`, and of reads also
    /// `Rate exceeded for Shard - 123456789012/orders/shardId-000000000000`.
    pub fn named_shard(&self) -> Option<&str> {
        let message = match self {
            Signal::Throttle(call) => call.error_message.as_deref()?,
            Signal::Ask(ask) => ask.message.as_deref()?,
            Signal::Alarm(_) | Signal::Sweep(_) => return None,
        };
        let (stream, shard) = shard_in_words(message).or_else(|| shard_in_path(message, self.stream()?))?;
        let is_of_stream = self.stream().is_some_and(|s| s.name == stream) && Shard::number_in(shard).is_some();
        is_of_stream.then_some(shard)
    }

    /// The mode that the signal itself asks for. Only an ask can have one.
    pub fn mode(&self) -> Option<Mode> {
        match self {
            Signal::Ask(ask) => ask.mode,
            Signal::Throttle(_) | Signal::Alarm(_) | Signal::Sweep(_) => None,
        }
    }

    /// The shards that a person plans, and when the plan begins. Only an ask can have them.
    pub(crate) fn plan(&self) -> Option<(Planned, Option<DateTime<Utc>>)> {
        match self {
            Signal::Ask(ask) => ask.plan.map(|plan| (plan, ask.plan_from)),
            Signal::Throttle(_) | Signal::Alarm(_) | Signal::Sweep(_) => None,
        }
    }

    /// The request to undo the last change. Only an ask can have one.
    pub(crate) fn undo(&self) -> Option<Undo> {
        match self {
            Signal::Ask(ask) => ask.undo,
            Signal::Throttle(_) | Signal::Alarm(_) | Signal::Sweep(_) => None,
        }
    }
}

/// The stream and the shard in `Rate exceeded for shard SHARD in stream STREAM under account ACCOUNT.`
fn shard_in_words(message: &str) -> Option<(&str, &str)> {
    let (_, rest) = message.split_once("Rate exceeded for shard ")?;
    let (shard, rest) = rest.split_once(" in stream ")?;
    Some((rest.split_whitespace().next()?.trim_end_matches('.'), shard))
}

/// The stream and the shard in `Rate exceeded for Shard - ACCOUNT/STREAM/SHARD`, where the account is that of `of`.
fn shard_in_path<'a>(message: &'a str, of: &StreamArn) -> Option<(&'a str, &'a str)> {
    let (_, rest) = message.split_once("Rate exceeded for Shard - ")?;
    let path = rest.split_whitespace().next()?.trim_end_matches(['.', ',', ';']);
    let (account, path) = path.split_once('/')?;
    let (stream, shard) = path.split_once('/')?;
    (account == of.home.account).then_some((stream, shard))
}
