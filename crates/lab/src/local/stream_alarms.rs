//! DescribeAlarms: the alarms on a metric of one stream, and those on all streams at once.

use super::alarms::{FleetAlarm, FleetAlarms};
use super::cloudwatch::{Answer, token};
use super::protocol::{field, text};
use ciborium::Value as Cbor;
use serde::Deserialize;

/// Alarms of one answer ([API reference]).
///
/// [API reference]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
const MOST: usize = 100;
/// Alarms of an answer to a call that names no number.
const USUAL: usize = 50;

/// An alarm on a metric of `AWS/Kinesis` of one stream.
pub(super) struct StreamAlarm {
    pub name: String,
    pub stream: String,
    pub metric: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarms {
    alarm_name_prefix: Option<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

/// Answers page by page. The token is the number of alarms on earlier pages.
pub(super) fn describe(alarms: &[StreamAlarm], fleet: &FleetAlarms, input: &DescribeAlarms) -> Answer {
    let skip = token(input.next_token.as_deref())?;
    let page = input.max_records.unwrap_or(USUAL).clamp(1, MOST);
    let is_asked = |name: &str| input.alarm_name_prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix));
    let of_fleet = fleet.iter().filter(|(name, _)| is_asked(name));
    let of_fleet = of_fleet.map(|(name, alarm)| of_all_streams(name, alarm));
    let of_streams = alarms.iter().filter(|alarm| is_asked(&alarm.name)).map(of_one_stream);
    let all: Vec<Cbor> = of_streams.chain(of_fleet).collect();
    let count = all.len();
    let mut answer = vec![field("MetricAlarms", Cbor::Array(all.into_iter().skip(skip).take(page).collect()))];
    if skip.saturating_add(page) < count {
        answer.push(field("NextToken", text(&(skip + page).to_string())));
    }
    Ok(Cbor::Map(answer))
}

fn of_one_stream(alarm: &StreamAlarm) -> Cbor {
    let dimension = Cbor::Map(vec![field("Name", text("StreamName")), field("Value", text(&alarm.stream))]);
    Cbor::Map(vec![
        field("AlarmName", text(&alarm.name)),
        field("Namespace", text("AWS/Kinesis")),
        field("MetricName", text(&alarm.metric)),
        field("Dimensions", Cbor::Array(vec![dimension])),
    ])
}

fn of_all_streams(name: &str, alarm: &FleetAlarm) -> Cbor {
    let query = Cbor::Map(vec![field("Id", text("all")), field("Expression", text(&alarm.query()))]);
    Cbor::Map(vec![field("AlarmName", text(name)), field("Metrics", Cbor::Array(vec![query]))])
}
