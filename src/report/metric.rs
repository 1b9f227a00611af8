//! The metrics: `AutoFix`, sent and confirmed for each change, and one line in CloudWatch's embedded metric format
//! (EMF) for each invocation, which costs no call.

use crate::observe::Cause;
use crate::signal::StreamArn;
use crate::sweep::SweepDocument;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::error::SdkError;
use aws_sdk_cloudwatch::primitives::DateTime as AwsTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// The namespace of every metric of ours.
pub const NAMESPACE: &str = "Unthrottle";
/// One for each change of a stream.
pub const AUTO_FIX: &str = "AutoFix";
/// One for each hold that stays until a person does something, told or not.
pub const NEEDS_PERSON: &str = "NeedsPerson";
/// One each time that a change of ours is found to be taken back by somebody.
pub const REVERTED: &str = "Reverted";
/// The dimension that names a stream, as in `AWS/Kinesis`.
pub const STREAM_NAME: &str = "StreamName";
/// The dimension that names what was done: a remedy's code.
pub const ACTION: &str = "Action";

/// How the AutoFix datum of a change went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoFix {
    /// CloudWatch has it.
    Confirmed,
    /// CloudWatch refused it, so it went out as a log line, which CloudWatch makes a metric of.
    LogLine,
    /// Nobody knows: CloudWatch did not answer. A later look finds out, and sends it again if it is missing.
    Unconfirmed,
}

/// One change to be counted.
#[derive(Clone, Debug)]
pub struct Fix<'a> {
    /// The changed stream.
    pub stream: &'a StreamArn,
    /// The remedy's code.
    pub action: &'a str,
    /// When its intent was written.
    pub at: DateTime<Utc>,
}

impl Fix<'_> {
    /// Sends the datum. The second value is a line for the log, where CloudWatch refused.
    pub async fn send(&self, client: &Client) -> (AutoFix, Option<Value>) {
        match send_once(client, AUTO_FIX, &self.dimension_sets(), self.at).await {
            Ok(()) => (AutoFix::Confirmed, None),
            Err(Unsent::Refused(error)) => {
                tracing::warn!(stream = %self.stream, %error, "CloudWatch refused the AutoFix metric");
                (AutoFix::LogLine, Some(self.emf()))
            }
            Err(Unsent::Unknown(error)) => {
                tracing::warn!(stream = %self.stream, %error, "CloudWatch did not confirm the AutoFix metric");
                (AutoFix::Unconfirmed, None)
            }
        }
    }

    fn dimension_sets(&self) -> [Vec<(&str, &str)>; 3] {
        let stream = (STREAM_NAME, self.stream.name.as_str());
        [vec![], vec![stream], vec![stream, (ACTION, self.action)]]
    }

    fn emf(&self) -> Value {
        one(AUTO_FIX, &self.dimension_sets(), self.at)
    }
}

/// A change of ours that somebody took back.
#[derive(Clone, Copy, Debug)]
pub struct Reverted<'a> {
    /// The stream.
    pub stream: &'a StreamArn,
    /// When it was found.
    pub at: DateTime<Utc>,
}

impl Reverted<'_> {
    /// Sends the datum; gives a line for the log, where CloudWatch refused. The memory has it, too.
    pub async fn send(&self, client: &Client) -> Option<Value> {
        let sets = [vec![], vec![(STREAM_NAME, self.stream.name.as_str())]];
        match send_once(client, REVERTED, &sets, self.at).await {
            Ok(()) => None,
            Err(Unsent::Refused(_)) => Some(one(REVERTED, &sets, self.at)),
            Err(Unsent::Unknown(error)) => {
                tracing::warn!(stream = %self.stream, %error, "CloudWatch did not confirm the Reverted metric");
                None
            }
        }
    }
}

/// Names and values of a datum's dimensions.
type Dimensions<'a> = Vec<(&'a str, &'a str)>;

/// Why CloudWatch may not have a datum.
enum Unsent {
    Refused(Cause),
    /// It did not answer.
    Unknown(Cause),
}

/// Sends a count of one, in each of these sets of dimensions.
async fn send_once(client: &Client, name: &str, sets: &[Dimensions<'_>], at: DateTime<Utc>) -> Result<(), Unsent> {
    let data = sets.iter().map(|dimensions| {
        let dimensions = dimensions.iter().map(|(n, v)| Dimension::builder().name(*n).value(*v).build());
        MetricDatum::builder()
            .metric_name(name)
            .set_dimensions(Some(dimensions.collect()))
            .timestamp(AwsTime::from_secs(at.timestamp()))
            .value(1.0)
            .unit(StandardUnit::Count)
            .build()
    });
    put_once(client, data.collect()).await
}

/// One attempt: CloudWatch adds up what it is sent twice, and a datum whose answer was lost may be there.
async fn put_once(client: &Client, data: Vec<MetricDatum>) -> Result<(), Unsent> {
    let put = client.put_metric_data().namespace(NAMESPACE).set_metric_data(Some(data));
    let once = aws_sdk_cloudwatch::config::Builder::new().retry_config(RetryConfig::disabled());
    match put.customize().config_override(once).send().await {
        Ok(_) => Ok(()),
        Err(SdkError::ServiceError(e)) if e.raw().status().is_client_error() => {
            Err(Unsent::Refused(Cause::of(SdkError::ServiceError(e))))
        }
        Err(error) => Err(Unsent::Unknown(Cause::of(error))),
    }
}

/// The same as a line of EMF.
fn one(name: &str, sets: &[Dimensions<'_>], at: DateTime<Utc>) -> Value {
    let names: Vec<Vec<&str>> = sets.iter().map(|set| set.iter().map(|(name, _)| *name).collect()).collect();
    let mut line = emf(at, &json!(names), &json!([{ "Name": name, "Unit": "Count" }]));
    for (name, value) in sets.iter().flatten() {
        line[name] = (*value).into();
    }
    line[name] = 1.into();
    line
}

/// A change that is known to have worked, as a line of EMF: `Healed`, and `TimeToHeal` in seconds, from the first throttled
/// minute's start to the last one's end.
pub fn healed(stream: &StreamArn, took: chrono::TimeDelta, now: DateTime<Utc>) -> Value {
    let metrics = json!([{ "Name": "Healed", "Unit": "Count" }, { "Name": "TimeToHeal", "Unit": "Seconds" }]);
    let mut line = emf(now, &json!([[], [STREAM_NAME]]), &metrics);
    line[STREAM_NAME] = stream.name.as_str().into();
    line["Healed"] = 1.into();
    line["TimeToHeal"] = took.num_seconds().into();
    line
}

/// Sends what a line of [`healed`] tells, from where no log becomes metrics; other lines are passed over. Gives the error.
pub async fn send_healed(client: &Client, line: &Value) -> Option<Cause> {
    let (Some(stream), Some(took)) = (line[STREAM_NAME].as_str(), line["TimeToHeal"].as_f64()) else { return None };
    let of_stream = || Dimension::builder().name(STREAM_NAME).value(stream).build();
    let metrics = [("Healed", 1.0, StandardUnit::Count), ("TimeToHeal", took, StandardUnit::Seconds)];
    let data = metrics.iter().flat_map(|(name, value, unit)| {
        [vec![], vec![of_stream()]].map(|dimensions| {
            let datum = MetricDatum::builder().metric_name(*name).value(*value).unit(unit.clone());
            datum.set_dimensions(Some(dimensions)).build()
        })
    });
    match put_once(client, data.collect()).await {
        Ok(()) => None,
        Err(Unsent::Refused(error) | Unsent::Unknown(error)) => Some(error),
    }
}

/// A stream that a sweep has looked at, as a line of EMF: what an invocation of its own would have counted.
pub fn looked(code: &str, held: bool, needs_person: bool, now: DateTime<Utc>) -> Value {
    let metrics = ["Looked", "Held", NEEDS_PERSON].map(|name| json!({ "Name": name, "Unit": "Count" }));
    let mut line = emf(now, &json!([[], ["Reason"]]), &json!(metrics));
    line["Reason"] = code.into();
    (line["Looked"], line["Held"], line[NEEDS_PERSON]) =
        (1.into(), u8::from(held).into(), u8::from(needs_person).into());
    line
}

/// A message that did not reach its topic, as a line of EMF.
pub fn untold(now: DateTime<Utc>) -> Value {
    let mut line = emf(now, &json!([[]]), &json!([{ "Name": "Untold", "Unit": "Count" }]));
    line["Untold"] = 1.into();
    line
}

/// What a sweep found, as a line of EMF: `SweepLooked` streams, `SweepFailed` ones, and `SweepLeft` ones for the next.
pub fn swept(SweepDocument { looked, failed, left, .. }: &SweepDocument, now: DateTime<Utc>) -> Value {
    let counts = [("SweepLooked", *looked), ("SweepFailed", failed.len()), ("SweepLeft", left.len())];
    let metrics = counts.map(|(name, _)| json!({ "Name": name, "Unit": "Count" }));
    let mut line = emf(now, &json!([[]]), &json!(metrics));
    for (name, count) in counts {
        line[name] = count.into();
    }
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
}

impl Invocation {
    /// The EMF line of an invocation that ended with the decision or the error of this code.
    pub fn line(&self, code: &str, now: DateTime<Utc>) -> Value {
        let metric = |(name, unit): &(&str, &str)| json!({ "Name": name, "Unit": unit });
        let metrics = [
            ("Looked", "Count"),
            ("Held", "Count"),
            (NEEDS_PERSON, "Count"),
            ("DurationMs", "Milliseconds"),
            ("AwsCalls", "Count"),
            ("ColdStart", "Count"),
        ];
        let metrics: Vec<_> = metrics.iter().map(metric).collect();
        let mut line = emf(now, &json!([[], ["Reason"]]), &json!(metrics));
        line["Reason"] = code.into();
        line["Looked"] = u8::from(self.looked).into();
        line["Held"] = u8::from(self.held).into();
        line[NEEDS_PERSON] = u8::from(self.needs_person).into();
        // Whole microseconds are precision enough, and keep the line short.
        line["DurationMs"] = json!((self.duration.as_micros() as f64) / 1000.0);
        line["AwsCalls"] = self.aws_calls.into();
        line["ColdStart"] = u8::from(self.cold_start).into();
        line
    }
}

fn emf(time: DateTime<Utc>, dimensions: &Value, metrics: &Value) -> Value {
    json!({
        "_aws": {
            "Timestamp": time.timestamp_millis(),
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics }],
        },
    })
}
