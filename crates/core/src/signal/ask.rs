//! An ask: a person wants a check of one stream, such as `{"stream": "orders"}`.

use super::error::field;
use super::{Home, SignalError, StreamArn};
use crate::policy::Mode;
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
