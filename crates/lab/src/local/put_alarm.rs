//! PutMetricAlarm, for alarms on all streams at once, and DeleteAlarms.

use super::alarms::FleetAlarms;
use super::cloudwatch::{Answer, invalid_query};
use super::insights::Insights;
use super::stream_alarms::StreamAlarm;
use ciborium::Value as Cbor;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutMetricAlarm {
    alarm_name: String,
    #[serde(default)]
    metrics: Vec<Query>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Query {
    expression: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteAlarms {
    alarm_names: Vec<String>,
}

/// Adds an alarm on a Metrics Insights query. Its threshold is zero, and it needs one breaching minute of three.
pub(super) fn put(alarms: &mut FleetAlarms, input: PutMetricAlarm) -> Answer {
    let expression = match &input.metrics[..] {
        [Query { expression: Some(expression) }] => Insights::parse(expression),
        _ => None,
    };
    let query = expression.ok_or_else(|| {
        invalid_query("the local account has alarms on one Metrics Insights query with GROUP BY StreamName only")
    })?;
    alarms.insert(input.alarm_name, query.metric().to_owned());
    Ok(Cbor::Map(vec![]))
}

/// Deletes alarms. As on AWS, a name without an alarm is no error.
pub(super) fn delete(fleet: &mut FleetAlarms, streams: &mut Vec<StreamAlarm>, input: &DeleteAlarms) -> Answer {
    fleet.retain(|name, _| !input.alarm_names.contains(name));
    streams.retain(|alarm| !input.alarm_names.contains(&alarm.name));
    Ok(Cbor::Map(vec![]))
}
