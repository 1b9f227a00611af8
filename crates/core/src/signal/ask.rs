//! An ask: a person wants a check of one stream, such as `{"stream": "orders"}`. With `"at_least": 8, "until":
//! "2026-11-27T20:00:00Z"` the person plans shards.

use super::error::field;
use super::{Home, SignalError, StreamArn};
use crate::memory::Planned;
use crate::policy::{AWS_MAX_SHARDS, Mode};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;

/// A person asks for a check of one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// The stream to check.
    pub stream: StreamArn,
    /// The most that the function may do. A stricter setting or tag applies instead.
    pub mode: Option<Mode>,
    /// The error message that the person saw, for the report. It may name a shard.
    pub message: Option<String>,
    /// The request to undo the last change.
    pub undo: Option<Undo>,
    /// The shards that the stream should have for some time.
    pub plan: Option<Planned>,
    /// When the plan begins, as a schedule gives it. `None`: now.
    pub plan_from: Option<DateTime<Utc>>,
}

/// A person asks to undo a change of the function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undo {
    /// The shards that the stream should have afterwards. `None`: the number before the change.
    pub to: Option<u32>,
    /// Whether to undo it whatever the peak load, the backlog of readers, a plan, and the reshards kept for more load.
    /// AWS's limits, the person's minimum, and a stream that is throttled or changing still prevent it.
    pub force: bool,
}

impl Ask {
    pub(super) fn parse(payload: &Value, home: &Home) -> Result<Ask, SignalError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            stream: String,
            mode: Option<String>,
            message: Option<String>,
            at_least: Option<u32>,
            until: Option<DateTime<Utc>>,
            from: Option<DateTime<Utc>>,
            for_minutes: Option<u32>,
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
        let plan = plan(raw.at_least, end(raw.until, raw.from, raw.for_minutes)?)?;
        Ok(Ask { stream, mode, message: raw.message, undo: None, plan, plan_from: raw.from })
    }
}

/// The end of a plan: its time, or a number of minutes after its beginning, as a schedule gives it.
fn end(
    until: Option<DateTime<Utc>>,
    from: Option<DateTime<Utc>>,
    for_minutes: Option<u32>,
) -> Result<Option<DateTime<Utc>>, SignalError> {
    match (until, from, for_minutes) {
        (until, None, None) => Ok(until),
        (None, Some(from), Some(minutes)) => {
            let end = from.checked_add_signed(TimeDelta::minutes(i64::from(minutes)));
            end.map(Some).ok_or_else(|| bad("for_minutes", &minutes.to_string(), "fewer minutes"))
        }
        (Some(until), ..) => Err(bad("until", &until.to_rfc3339(), "alone, without `from` and `for_minutes`")),
        (None, Some(from), None) => Err(bad("from", &from.to_rfc3339(), "beside `for_minutes`")),
        (None, None, Some(minutes)) => Err(bad("for_minutes", &minutes.to_string(), "beside `from`")),
    }
}

fn plan(at_least: Option<u32>, until: Option<DateTime<Utc>>) -> Result<Option<Planned>, SignalError> {
    const SHARDS: &str = "a whole number from 1 to 10000, beside the end of the plan";
    match (at_least, until) {
        (None, None) => Ok(None),
        (Some(at_least @ 1..=AWS_MAX_SHARDS), Some(until)) => {
            Ok(Some(Planned { at_least, until: until.trunc_subsecs(0) }))
        }
        (Some(1..=AWS_MAX_SHARDS), None) => Err(bad("until", "missing", "the end, such as 2026-11-27T20:00:00Z")),
        (Some(shards), _) => Err(bad("at_least", &shards.to_string(), SHARDS)),
        (None, Some(_)) => Err(bad("at_least", "missing", SHARDS)),
    }
}

fn bad(field: &'static str, value: &str, allowed: &'static str) -> SignalError {
    SignalError::Value { field, value: value.into(), allowed }
}
