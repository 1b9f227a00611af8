//! The metrics as data: `AutoFix` and `Reverted`, which the function sends to CloudWatch, and lines in CloudWatch's
//! embedded metric format (EMF) in the log, which cost no call.

use super::SweepDocument;
use crate::signal::StreamArn;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// The namespace of all our metrics.
pub const NAMESPACE: &str = "Unthrottle";
/// One for each change of a stream.
pub const AUTO_FIX: &str = "AutoFix";
/// A datum that a later run sends again has two of these values instead of a single 1. Its sum counts the change. Its
/// maximum is below 1, so it proves no change: any principal who may tag a stream can name a change that never was.
pub const RESENT_VALUE: f64 = 0.5;
/// The shards that a change added, over all streams. A change that adds none has no datum.
pub const SHARDS_ADDED: &str = "ShardsAdded";
/// One for each hold that stays until a person acts, with or without a message.
pub const NEEDS_PERSON: &str = "NeedsPerson";
/// One for each revert of our change by another person or tool, when a run finds it.
pub const REVERTED: &str = "Reverted";
/// The dimension that names a stream, as in `AWS/Kinesis`.
pub const STREAM_NAME: &str = "StreamName";
/// The dimension that names what was done: a remedy's code.
pub const ACTION: &str = "Action";

/// How the AutoFix datum of a change went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AutoFix {
    /// CloudWatch has it.
    Confirmed,
    /// CloudWatch refused it, so it went out as a log line, which CloudWatch makes a metric of.
    LogLine,
    /// CloudWatch did not answer. A later run looks for the datum, and sends it again if it is missing.
    Unconfirmed,
}

/// Names and values of a datum's dimensions.
pub type Dimensions<'a> = Vec<(&'a str, &'a str)>;

/// A count of one for a stream, in the namespace [`NAMESPACE`].
#[derive(Clone, Copy, Debug)]
pub struct Count<'a> {
    /// The metric's name: [`AUTO_FIX`] or [`REVERTED`].
    pub metric: &'static str,
    /// The stream that the datum counts for.
    pub stream: &'a StreamArn,
    /// The remedy's code; `None`: the metric has no dimension [`ACTION`].
    pub action: Option<&'a str>,
    /// The shards that the change added. They are counted over all streams only.
    pub added_shards: u32,
    /// The time of the datum.
    pub at: DateTime<Utc>,
    /// A later run sends the datum again: see [`RESENT_VALUE`].
    pub is_resent: bool,
}

impl<'a> Count<'a> {
    /// A change of `stream` by the remedy with this code. `at`: when its intent was written.
    pub fn auto_fix(stream: &'a StreamArn, action: &'a str, at: DateTime<Utc>) -> Count<'a> {
        Count { metric: AUTO_FIX, stream, action: Some(action), added_shards: 0, at, is_resent: false }
    }

    /// The same with the shards that the change added.
    #[must_use]
    pub fn adding(self, added_shards: u32) -> Count<'a> {
        Count { added_shards, ..self }
    }

    /// The same, sent again by a later run.
    #[must_use]
    pub fn resent(self, is_resent: bool) -> Count<'a> {
        Count { is_resent, ..self }
    }

    /// The values of each datum. Their sum is 1.
    pub fn values(&self) -> Vec<f64> {
        if self.is_resent { vec![RESENT_VALUE; 2] } else { vec![1.0] }
    }

    /// A change of ours that another person or tool reverted. `at`: when that was found.
    pub fn reverted(stream: &'a StreamArn, at: DateTime<Utc>) -> Count<'a> {
        Count { metric: REVERTED, stream, action: None, added_shards: 0, at, is_resent: false }
    }

    /// The dimensions of each datum: in total, by stream, and by stream and action.
    pub fn dimension_sets(&self) -> Vec<Dimensions<'a>> {
        let stream = (STREAM_NAME, self.stream.name.as_str());
        let by_action = self.action.map(|action| vec![stream, (ACTION, action)]);
        [vec![], vec![stream]].into_iter().chain(by_action).collect()
    }

    /// The same as a line of EMF.
    pub fn line(&self) -> Value {
        let sets = self.dimension_sets();
        let names: Vec<Vec<&str>> = sets.iter().map(|set| set.iter().map(|(name, _)| *name).collect()).collect();
        let mut line = emf(self.at, &json!(names), &json!([{ "Name": self.metric, "Unit": "Count" }]));
        for (name, value) in sets.iter().flatten() {
            line[name] = (*value).into();
        }
        // An integer where one value is enough.
        line[self.metric] = if self.is_resent { self.values().into() } else { 1.into() };
        if self.added_shards > 0 {
            let shards = directive(&json!([[]]), &json!([{ "Name": SHARDS_ADDED, "Unit": "Count" }]));
            line[SHARDS_ADDED] = self.added_shards.into();
            if let Some(directives) = line["_aws"]["CloudWatchMetrics"].as_array_mut() {
                directives.push(shards);
            }
        }
        line
    }
}

/// A change that is known to have worked, as a line of EMF: `Healed`, and `TimeToHeal` in seconds, from the first
/// throttled minute's start to the last one's end.
pub fn healed(stream: &StreamArn, took: TimeDelta, now: DateTime<Utc>) -> Value {
    let metrics = json!([{ "Name": "Healed", "Unit": "Count" }, { "Name": "TimeToHeal", "Unit": "Seconds" }]);
    let mut line = emf(now, &json!([[], [STREAM_NAME]]), &metrics);
    line[STREAM_NAME] = stream.name.as_str().into();
    line["Healed"] = 1.into();
    line["TimeToHeal"] = took.num_seconds().into();
    line
}

/// A forecast that was checked, as a line of EMF. `ForesightRight`: a minute within the hour would have filled the old
/// shards. `ForesightWrong`: no minute would have.
pub fn forecast(stream: &StreamArn, is_right: bool, now: DateTime<Utc>) -> Value {
    let name = if is_right { "ForesightRight" } else { "ForesightWrong" };
    let mut line = emf(now, &json!([[], [STREAM_NAME]]), &json!([{ "Name": name, "Unit": "Count" }]));
    line[STREAM_NAME] = stream.name.as_str().into();
    line[name] = 1.into();
    line
}

/// A stream that a sweep has checked, as a line of EMF: it counts what an invocation of its own would count.
pub fn checked(code: &str, held: bool, needs_person: bool, now: DateTime<Utc>) -> Value {
    let mut line = emf(now, &json!([[], ["Reason"]]), &json!([{ "Name": "Looked", "Unit": "Count" }]));
    line["Reason"] = code.into();
    line["Looked"] = 1.into();
    let counts = [("Held", held), (NEEDS_PERSON, needs_person)].map(|(name, is)| (name, "Count", u8::from(is).into()));
    add_unless_zero(&mut line, &json!([[], ["Reason"]]), &counts);
    line
}

/// A message that did not reach its topic, as a line of EMF.
pub fn undelivered(now: DateTime<Utc>) -> Value {
    let mut line = emf(now, &json!([[]]), &json!([{ "Name": "Untold", "Unit": "Count" }]));
    line["Untold"] = 1.into();
    line
}

/// What a sweep found, as a line of EMF: `SweepLooked` streams, `SweepFailed` ones, and `SweepLeft` ones for the next.
/// `SweepLooked` is there also when it is zero: its samples show that sweeps end, and the stack has an alarm on them.
pub fn swept(SweepDocument { looked, failed, left, .. }: &SweepDocument, now: DateTime<Utc>) -> Value {
    let mut line = emf(now, &json!([[]]), &json!([{ "Name": "SweepLooked", "Unit": "Count" }]));
    line["SweepLooked"] = (*looked).into();
    let counts = [("SweepFailed", failed.len()), ("SweepLeft", left.len())].map(|(n, all)| (n, "Count", all.into()));
    add_unless_zero(&mut line, &json!([[]]), &counts);
    line
}

/// What one invocation cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Invocation {
    /// Whether AWS was read.
    pub looked: bool,
    /// Whether the stream was left as it is, by name.
    pub held: bool,
    /// Whether it stays so until a person does something.
    pub needs_person: bool,
    /// From the event to the answer.
    pub duration: Duration,
    /// Requests sent to AWS, retries included.
    pub aws_calls: u32,
    /// Whether it was the container's first.
    pub cold_start: bool,
    /// Whether it was a sweep that checked no stream. Its cold start is no metric: an account without streams would pay
    /// for one more metric, for a count that its log has.
    pub is_empty_sweep: bool,
}

impl Invocation {
    /// The EMF line of an invocation that ended with the decision or the error of this code.
    pub fn line(&self, code: &str, now: DateTime<Utc>) -> Value {
        // Whole microseconds are precision enough, and keep the line short.
        let milliseconds = (self.duration.as_micros() as f64) / 1000.0;
        let mut line = emf(now, &json!([[]]), &json!([{ "Name": "DurationMs", "Unit": "Milliseconds" }]));
        line["DurationMs"] = milliseconds.into();
        let counted = if self.is_empty_sweep { 0 } else { u32::from(self.cold_start) };
        let costs = [("AwsCalls", self.aws_calls), ("ColdStart", counted)];
        add_unless_zero(&mut line, &json!([[]]), &costs.map(|(name, count)| (name, "Count", count.into())));
        // The log has the cold start of an empty sweep as well.
        line["ColdStart"] = u32::from(self.cold_start).into();
        line["Reason"] = code.into();
        let counts = [("Looked", self.looked), ("Held", self.held), (NEEDS_PERSON, self.needs_person)];
        let counts = counts.map(|(name, is)| (name, "Count", u8::from(is).into()));
        add_unless_zero(&mut line, &json!([[], ["Reason"]]), &counts);
        line
    }
}

fn emf(time: DateTime<Utc>, dimensions: &Value, metrics: &Value) -> Value {
    json!({
        "_aws": {
            "Timestamp": time.timestamp_millis(),
            "CloudWatchMetrics": [directive(dimensions, metrics)],
        },
    })
}

/// Sets these fields of a line, by name and unit. Those that are not zero become metrics: CloudWatch charges $0.30 a
/// month for each metric that has a value, also for zero, and the alarms take a missing value for zero.
fn add_unless_zero(line: &mut Value, dimensions: &Value, fields: &[(&str, &str, Value)]) {
    let mut metrics = vec![];
    for (name, unit, value) in fields {
        if value.as_u64() != Some(0) {
            metrics.push(json!({ "Name": name, "Unit": unit }));
        }
        line[*name] = value.clone();
    }
    if let (false, Some(directives)) = (metrics.is_empty(), line["_aws"]["CloudWatchMetrics"].as_array_mut()) {
        directives.push(directive(dimensions, &metrics.into()));
    }
}

fn directive(dimensions: &Value, metrics: &Value) -> Value {
    json!({ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics })
}
