//! An ask: a person wants a check of one stream, such as `{"stream": "orders"}`. With `"at_least": 8, "until":
//! "2026-11-27T20:00:00Z"` the person plans shards.

use super::error::field;
use super::{Home, SignalError, StreamArn};
use crate::memory::Planned;
use crate::policy::{AWS_MAX_SHARDS, Mode};
use chrono::{DateTime, SubsecRound, Utc};
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
}

/// A person asks to undo a change of the function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undo {
    /// The shards that the stream should have afterwards. `None`: the number before the change.
    pub to: Option<u32>,
    /// Whether to undo it whatever the peak load, the backlog of readers, and the reshards kept for more load. AWS's
    /// limits, the person's minimum, and a stream that is throttled or changing still prevent it.
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
        let plan = match (raw.at_least, raw.until) {
            (None, None) => None,
            (Some(at_least @ 1..=AWS_MAX_SHARDS), Some(until)) => {
                Some(Planned { at_least, until: until.trunc_subsecs(0) })
            }
            (Some(at_least @ 1..=AWS_MAX_SHARDS), None) => {
                let value = format!("nothing, beside `at_least` {at_least}");
                return Err(SignalError::Value { field: "until", value, allowed: UNTIL });
            }
            (at_least, _) => {
                let value = at_least.map_or("nothing, beside `until`".into(), |shards| shards.to_string());
                return Err(SignalError::Value { field: "at_least", value, allowed: "a whole number from 1 to 10000" });
            }
        };
        Ok(Ask { stream, mode, message: raw.message, undo: None, plan })
    }
}

/// The values of `until`, for an error message.
const UNTIL: &str = "the time at which the plan ends, such as 2026-11-27T20:00:00Z";
